"""The files of a job over rows: what was done, what failed and why, and what nobody came to, each with the original columns."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import JOB_ERROR_GROUPS
from sheaf.base.config import config
from sheaf.features.bulk import lines
from sheaf.features.bulk.engine import Line
from sheaf.features.bulk.source import Source
from sheaf.formats import csv
from sheaf.jobs.runner import Result
from sheaf.store import blobs, keys
from sheaf.store.table import Item

_RANGES = 20  # of rows that a group of errors names
_TEXT = 300  # characters of a group's error
_RESULTS = ("_row", "_id", "_outcome", "_version", "_reason")
_ERRORS = ("_row", "_error", "_code")


class _File:
    """One of the files, made when its first line comes; `results` is made in any case."""

    def __init__(self, stack: ExitStack, caller: Caller, job: Item, name: str, header: list[str] | None) -> None:
        self.name = f"{name}.{'ndjson' if header is None else 'csv'}"
        self.rows = 0
        self.writer: blobs.Writer | None = None
        self._open: Callable[[], blobs.Writer] = lambda: stack.enter_context(blobs.Writer(
            config().jobs_bucket, keys.job_object(caller, job["sk"], self.name),
            "application/x-ndjson" if header is None else "text/csv; charset=utf-8"))  # fmt: skip
        self._header = header

    def start(self) -> blobs.Writer:
        if self.writer is None:
            self.writer = self._open()
            if self._header is not None:
                self.writer.write(csv.written(self._header, (), header=True))
        return self.writer

    def add(self, told: Mapping[str, Any], cells: list[Any]) -> None:
        """A line of NDJSON, or a record of the table."""
        writer = self.start()
        writer.write(to_json(told) + b"\n" if self._header is None else csv.written((), [cells], header=False))
        self.rows += 1


def write(caller: Caller, job: Item, done: Mapping[int, Item]) -> Result:
    """Write the files of a job that ends; what joins its row."""
    header: list[str] | None = from_json(done[0]["header"]) if 0 in done and "header" in done[0] else None
    from_csv = Source.of(job["source"]).format == "csv"
    groups = Groups()
    with ExitStack() as stack:
        results = _File(stack, caller, job, "results", [*header, *_RESULTS] if header is not None else None)
        errors = _File(stack, caller, job, "errors", [*header, *_ERRORS] if header is not None else None)
        unprocessed = _File(stack, caller, job, "unprocessed", [*header, "_row"] if header is not None else None)
        made = results.start()
        for line, told in lines.walk(caller, job, done) if 0 in done else ():
            said = line.item if header is None else [line.item[place] if place < len(line.item) else None
                                                     for place in range(len(header))]  # fmt: skip
            place = line.index if line.number is None else line.number
            if told is None:
                unprocessed.add({"index": line.index, "row": line.number, "item": line.item}, [*_cells(said, from_csv), place])
            elif told["outcome"] == "failed":
                errors.add({**told, "item": line.item}, [*_cells(said, from_csv), place, told["error"], told["code"]])
                groups.add(place, told)
            else:
                cells = [*_cells(said, from_csv), place, told["id"], told["outcome"], told["version"], told.get("reason")]
                results.add({**told, "item": line.item}, cells)
    found = {"errors": errors, "unprocessed": unprocessed}
    files = {name: file.name for name, file in found.items() if file.writer}
    return {"file": results.name, "rows": results.rows, "bytes": made.size, "sha256": made.sha256,
            "files": to_json(files).decode(), **({"groups": groups.text()} if errors.rows else {})}  # fmt: skip


class Groups:
    """Equal errors of many rows as one: which field, what is wrong with it, how many rows and which."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], list[int]] = {}

    def add(self, place: int, told: Mapping[str, Any]) -> None:
        """One failed row, by its number or index."""
        for name, text in (told["errors"] or {"": told["error"]}).items():
            self._found.setdefault((name[:200], text[:_TEXT], told["code"]), []).append(place)

    def text(self) -> str:
        """The largest groups, as JSON."""
        largest = sorted(self._found.items(), key=lambda each: -len(each[1]))[:JOB_ERROR_GROUPS]
        return to_json([{"field": name, "error": text, "code": code, "count": len(rows), "rows": ranges(rows)}
                        for (name, text, code), rows in largest]).decode()  # fmt: skip


def ranges(numbers: list[int]) -> str:
    """`2-5, 9, 12-13`: at most _RANGES of them, then `…`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    shown = [str(low) if low == high else f"{low}-{high}" for low, high in found[:_RANGES]]
    return ", ".join([*shown, *(["…"] if len(found) > _RANGES else [])])


def _cells(said: Any, from_csv: bool) -> list[Any]:
    """The cells of a record as they are meant: the writer puts the apostrophes back that a CSV file came with."""
    cells = said if isinstance(said, list) else []
    return [csv.meant(each) if from_csv and isinstance(each, str) else each for each in cells]


def place_of(line: Line) -> int:
    """Where an item stands: its number in its file, or its index."""
    return line.index if line.number is None else line.number
