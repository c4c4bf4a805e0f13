"""Files made to exhaust whoever reads them: each is refused within a second and 256 MB, in a process of its own."""

import gc
import gzip
import io
import json
import os
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from sheaf.base.errors import SheafError
from sheaf.edge import body
from sheaf.features.bulk import source
from sheaf.formats import csv, ndjson, xlsx

SECONDS, MEGABYTES = 1.0, 256
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEAD, END = f'<worksheet xmlns="{MAIN}"><sheetData>'.encode(), b"</sheetData></worksheet>"


def book(sheet: bytes, shared: bytes = b"", extra: dict[str, bytes] | None = None, level: int = 9) -> bytes:
    """A workbook around the XML of one sheet."""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        f'relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{REL}/worksheet" Target="worksheets/s.xml"/>'
        f'<Relationship Id="r2" Type="{REL}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as out:
        for name, text in parts.items():
            out.writestr(name, text)
        out.writestr("xl/worksheets/s.xml", sheet)
        if shared:
            out.writestr("xl/sharedStrings.xml", shared)
        for name, content in (extra or {}).items():
            out.writestr(name, content)
    return made.getvalue()


def noise(size: int) -> bytes:
    """Text that hardly shrinks, so that a file may grow large without a suspicious ratio."""
    return os.urandom(size // 2).hex().encode()


def lying() -> bytes:
    """The directory says that the sheet is small."""
    raw = bytearray(book(HEAD + b" " * 30_000_000 + END))
    place = raw.rfind(b"xl/worksheets/s.xml") - 46
    raw[place + 24 : place + 28] = (1_000).to_bytes(4, "little")
    return bytes(raw)


def locked() -> bytes:
    raw = bytearray(book(HEAD + END))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = raw.find(mark)
        raw[start + place] |= 1
    return bytes(raw)


def shared_text(cells: int, size: int, decoy: bytes = b"") -> bytes:
    text = f'<sst xmlns="{MAIN}"><si><t>'.encode() + noise(size) + b"</t>" + decoy + b"</si></sst>"
    rows = b"".join(b"<row>" + b'<c t="s"><v>0</v></c>' * 100 + b"</row>" for _ in range(cells // 100))
    return book(HEAD + rows + END, text, {"xl/media/a": noise(300_000)})


XLSX: dict[str, Callable[[], bytes]] = {
    "a cell at the far corner": lambda: book(HEAD + b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>' + END),
    "the same under a prefix and single quotes": lambda: book(
        f"<x:worksheet xmlns:x='{MAIN}'><x:sheetData><x:row r='1048576'><x:c r='XFD1048576'/></x:row></x:sheetData></x:worksheet>".encode()),
    "the far row": lambda: book(HEAD + b'<row r="1048576"><c r="A1048576"><v>1</v></c></row>' + END),
    "the far column": lambda: book(HEAD + b'<row r="1"><c r="XFD1"><v>1</v></c></row>' + END),
    "a column that is no column": lambda: book(HEAD + b'<row r="1"><c r="ZZZZZZZZZ1"/></row>' + END),
    "sixty megabytes of blanks": lambda: book(HEAD + b" " * 60_000_000 + END),
    "eight million cells": lambda: book(HEAD + b"<row>" + b"<c/>" * 8_000_000 + b"</row>" + END),
    "six million rows": lambda: book(HEAD + b"<row/>" * 6_000_000 + END),
    "more cells than the ratio would show": lambda: book(HEAD + (b"<row>" + b"<c/>" * 200 + b"</row>") * 15_000 + END, extra={"xl/media/a": noise(2_000_000)}),
    "a text that many cells share": lambda: shared_text(20_000, 30_000),
    "the same around a cell's value": lambda: shared_text(20_000, 30_000, b'<c t="s"><v>0</v></c>'),
    "a picture of a gigabyte": lambda: book(HEAD + END, extra={"xl/media/a": b"\0" * 100_000_000}),
    "a directory that lies": lying,
    "a document type": lambda: book(b'<!DOCTYPE a [<!ENTITY x "y">]>' + HEAD + END),
    "a billion laughs": lambda: book(b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + HEAD + b"<row><c>&b;</c></row>" + END),
    "three thousand parts": lambda: book(HEAD + END, extra={f"xl/media/{number}": b"x" for number in range(3_000)}),
    "a locked part": locked,
    "no sheet": lambda: book(HEAD + END).replace(b"xl/worksheets/s.xml", b"xl/worksheets/t.xml"),
    "garbage behind the mark": lambda: b"PK\x03\x04" + noise(10_000),
    "an empty archive": lambda: b"PK\x05\x06" + b"\0" * 18,
    "text": lambda: b"first_name,last_name\n",
    "half a workbook": lambda: book(HEAD + END)[:-200],
}  # fmt: skip
CSV: dict[str, Callable[[], Iterator[bytes]]] = {
    "a line of a hundred megabytes": lambda: repeat(b"x" * 1_000_000, 100),
    "a quote that never ends": lambda: iter([b'a,b\n"', *repeat(b"line\n" * 200_000, 100)]),
    "a record that never ends": lambda: iter([b"a\n", *repeat(b'"x\n",' * 200_000, 100)]),
    "a million columns": lambda: iter([b"c," * 500_000 + b"\n"]),
    "three hundred columns": lambda: iter([b"c," * 300 + b"\n"]),
    "another encoding": lambda: iter([b"a,b\n\xff\xfe\xfd,1\n"]),
    "half a letter": lambda: iter(["a,b\né".encode("utf-16")[:-1]]),
    "a field beyond the reader's limit": lambda: iter([b'a\n"' + b"x" * 1_500_000 + b'"\n']),
}  # fmt: skip
NDJSON: dict[str, Callable[[], Iterator[bytes]]] = {
    "a line of a hundred megabytes": lambda: repeat(b"x" * 1_000_000, 100),
    "nested ten thousand deep": lambda: iter([b"[" * 10_000 + b"]" * 10_000 + b"\n"]),
    "nested a little too deep": lambda: iter([b'{"a":' * 40 + b"1" + b"}" * 40]),
    "a number of ten thousand digits": lambda: iter([b'{"a": ' + b"9" * 10_000 + b"}\n"]),
    "infinity": lambda: iter([b'{"a": 1e999}\n']),
    "a name twice": lambda: iter([b'{"a": 1, "a": 2}\n']),
    "half a letter": lambda: iter([b'{"a": "\\ud800"}\n']),
}
JSON: dict[str, Callable[[], bytes]] = {
    "twenty megabytes and one": lambda: b"[" + b" " * 21_000_000 + b"]",
    "nested": lambda: b"[" * 200_000,
    "no list": lambda: b'{"rows": []}',
    "an endless number": lambda: b"[1" + b"0" * 5_000 + b"]",
}
GZIP: dict[str, Callable[[], bytes]] = {
    "a gigabyte of zeros": lambda: gzip.compress(b"\0" * 100_000_000),
    "zeros under the limit, beyond the ratio": lambda: gzip.compress(b"\0" * 4_900_000),
    "cut off": lambda: gzip.compress(noise(100_000))[:-10],
    "two members": lambda: gzip.compress(b"[1]") * 2,
    "no gzip": lambda: noise(1_000),
}


def unpacked(data: bytes) -> list[Any]:
    return [json.loads(body.whole(data, "application/gzip", "", 5_000_000))]


CASES: list[tuple[str, str, Callable[[], Any], Callable[[Any], Any]]] = [
    *(("xlsx", name, make, xlsx.records) for name, make in XLSX.items()),
    *(("csv", name, make, csv.records) for name, make in CSV.items()),
    *(("ndjson", name, make, ndjson.records) for name, make in NDJSON.items()),
    *(("json", name, make, lambda data: source._array(source._whole(iter([data])))) for name, make in JSON.items()),
    *(("gzip", name, make, unpacked) for name, make in GZIP.items()),
]


def resident() -> float:
    """Megabytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def test_there_are_enough() -> None:
    assert len(CASES) >= 30


def measured(made: Any, read: Callable[[Any], Any]) -> tuple[float, float, str]:
    """Processor seconds, megabytes, and what became of reading it, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # only reading counts, so the file is made before; tracing and what the tests hold are not its doing
        sys.settrace(None)
        gc.freeze()
        before, started = resident(), time.process_time()
        try:
            count = sum(1 for _ in read(made))
            told = f"read {count} rows"
        except SheafError as error:
            told = f"{error.status} {error.message}"
        except BaseException as error:
            told = f"died of {error!r}"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        os.write(writer, f"{time.process_time() - started:.3f} {grown:.0f} {told[:300]}".encode())
        os._exit(0)
    os.close(writer)
    said = b""
    while piece := os.read(reader, 1_000):
        said += piece
    os.close(reader)
    _, status = os.waitpid(child, 0)
    assert status == 0
    seconds, megabytes, told = said.decode().split(" ", 2)
    return float(seconds), float(megabytes), told


@pytest.mark.parametrize(("form", "name", "make", "read"), CASES, ids=[f"{form}: {name}" for form, name, _, _ in CASES])
def test_it_is_refused_at_once_and_cheaply(form: str, name: str, make: Callable[[], Any], read: Callable[[Any], Any]) -> None:
    made = make()
    for _ in range(6):  # processor time grows, too, where others use the same core: the least counts
        seconds, megabytes, told = measured(made, read)
        if seconds <= SECONDS:
            break
    assert told[:1] == "4", told
    assert seconds <= SECONDS, (seconds, told)
    assert megabytes <= MEGABYTES, (megabytes, told)


def test_an_ordinary_workbook_passes() -> None:
    made = io.BytesIO()
    writer = xlsx.Writer(made, "S", ["a", "b"])
    for number in range(5_000):
        writer.write([f"text {number}", number])
    writer.close()
    assert sum(1 for _ in xlsx.records(made.getvalue())) == 5_001
    assert [row for _, row in xlsx.records(book(HEAD + b'<row r="2"><c r="B2"><v>5</v></c></row>' + END))] == [[5]]
