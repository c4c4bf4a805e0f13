"""CSV (RFC 4180): written in UTF-8 so that a spreadsheet cannot be made to execute it, read in the dialects people have."""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic_core import to_json

from sheaf.base.bounds import IMPORT_COLUMNS, IMPORT_LINE_BYTES
from sheaf.base.errors import UnreadableFile
from sheaf.formats.pieces import Pieces

DELIMITERS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "utf-16", "latin-1")

# A cell that starts so is a formula to a spreadsheet (OWASP ASVS 5.0, 1.2.10); an apostrophe before it makes it text. Cells
# that look like that already get one more, so that taking one away gives back exactly what was written.
_LIVE = re.compile(r"'*[=+\-@\t\r\n\0]")
_MADE_TEXT = re.compile(r"''*[=+\-@\t\r\n\0]")
csv.field_size_limit(IMPORT_LINE_BYTES)  # the record's own bound is the one that counts
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool) -> bytes:
    """`rows` as CSV: one cell a column, absent and null values empty, lists and objects as JSON."""
    return written(columns, ([row.get(column) for column in columns] for row in rows), header=header)


def written(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, header: bool) -> bytes:
    """Rows of values, in the order of the columns, as CSV with CRLF."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if header:
        writer.writerow([cell(column) for column in columns])
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def cell(value: Any) -> str:
    """One value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _LIVE.match(value) else value
    return to_json(value).decode()


def meant(text: str) -> str:
    """The text of a cell without the apostrophe that made it one."""
    return text[1:] if _MADE_TEXT.match(text) else text


def records(source: Iterable[bytes], encoding: str = "utf-8", delimiter: str = "") -> Iterator[tuple[int, list[str]]]:
    """The records, the header first, each with its number from 1 on as a spreadsheet shows it; empty ones are left out.

    A byte order mark overrules `encoding`; without a `delimiter` the first line decides. Raises UnreadableFile.
    """
    source = iter(source)
    first = next(source, b"")
    while len(first) < 4 and (more := next(source, b"")):
        first += more
    # Without a mark UTF-16 has no order of its own; nearly all of it is written low byte first.
    named = next((name for mark, name in _BOMS if first.startswith(mark)), {"utf-16": "utf-16-le"}.get(encoding, encoding))
    text = io.TextIOWrapper(io.BufferedReader(Pieces(chain([first], source)), 1 << 16), named, newline="")
    bounded = _Lines(text)
    try:
        head = next(bounded, "")
        reader = csv.reader(chain([head], bounded), delimiter=delimiter or _delimiter_of(head), strict=True)
        for number, record in enumerate(reader, 1):
            bounded.taken = 0
            if len(record) > IMPORT_COLUMNS:
                raise UnreadableFile.at(bounded.number, f"has {len(record):,} cells; {IMPORT_COLUMNS} is the most")
            if any(record):
                yield number, record
    except UnicodeError:
        raise UnreadableFile.at(
            bounded.number + 1,
            f"is not {encoding if named == 'utf-16-le' else named.removesuffix('-sig')}; say which encoding it is",
        ) from None
    except csv.Error as error:
        raise UnreadableFile.at(bounded.number, f"is no CSV: {error}") from None


class _Lines:
    """The lines of a text; raises UnreadableFile where those of one record grow too long."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.taken = 0  # characters since the last record

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(IMPORT_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.taken += len(line)
        if self.taken > IMPORT_LINE_BYTES:
            raise UnreadableFile.at(self.number, f"belongs to a record of more than {IMPORT_LINE_BYTES:,} characters")
        return line


def _delimiter_of(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line[:IMPORT_LINE_BYTES])
    return max(DELIMITERS, key=bare.count) if any(each in bare for each in DELIMITERS) else ","
