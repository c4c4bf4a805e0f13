"""CSV (RFC 4180, UTF-8, header row, CRLF) that a spreadsheet cannot be made to execute."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

# A cell that starts so is a formula to a spreadsheet (OWASP ASVS 5.0, 1.2.10); the apostrophe makes it text.
_LIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool) -> bytes:
    """`rows` as CSV: one cell a column, absent and null values empty, lists and objects as JSON."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if header:
        writer.writerow(columns)
    writer.writerows([cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue().encode()


def cell(value: Any) -> str:
    """One value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_LIVE) else value
    return to_json(value).decode()
