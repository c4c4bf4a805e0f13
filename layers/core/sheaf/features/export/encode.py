"""Rows as the bytes of a file, a group at a time: what comes before, between and behind them belongs to the format."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from sheaf.formats import csv, media
from sheaf.records.rows import Row

Columns = Sequence[tuple[str, str]]  # field and title

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": media.XLSX,
    "ndjson": "application/x-ndjson",
    "json": "application/json",
}


def encoded(form: str, columns: Columns, rows: Sequence[Row], *, whole: bool, first: bool, last: bool, bare: bool) -> bytes:
    """A group of rows as CSV, NDJSON or JSON.

    `whole`: every field under its own name, so a row's document is copied as it stands. `first` and `last` group of the file;
    `bare`: no row has come before.
    """
    if form == "csv":
        return csv.written([title for _, title in columns], map(_picker(columns), rows), header=first)
    texts = [row.text for row in rows] if whole else [to_json(_named(columns, row)).decode() for row in rows]
    if form == "ndjson":
        return "".join(f"{text}\n" for text in texts).encode()
    start = ("[" if first else "") + ("" if bare or not texts else ",")
    return f"{start}{','.join(texts)}{']' if last else ''}".encode()


def _picker(columns: Columns) -> Any:
    names = [name for name, _ in columns]

    def pick(row: Row) -> list[Any]:
        document = row.document
        return [document.get(name) for name in names]

    return pick


def cells(columns: Columns, row: Row) -> list[Any]:
    """A row's values in the order of the columns."""
    values: list[Any] = _picker(columns)(row)
    return values


def _named(columns: Columns, row: Row) -> dict[str, Any]:
    document = row.document
    return {title: document.get(name) for name, title in columns}
