"""CSV that no spreadsheet executes, and files known by their content."""

import csv as reader
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import PNG
from sheaf.formats import csv, magic, ndjson

VALUES = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(rows=st.lists(st.tuples(VALUES, VALUES), max_size=20))
def test_every_cell_comes_back_and_none_is_a_formula(rows: list[tuple[object, object]]) -> None:
    text = csv.lines(["a", "b"], ({"a": a, "b": b} for a, b in rows), header=True).decode()
    found = list(reader.reader(io.StringIO(text, newline="")))
    assert found[0] == ["a", "b"]
    for row, cells in zip(rows, found[1:], strict=True):
        for value, cell in zip(row, cells, strict=True):
            if isinstance(value, str):
                assert cell.removeprefix("'") == value.removeprefix("'")
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0"))
            elif value is None:
                assert cell == ""


def test_lists_stand_as_json() -> None:
    assert csv.lines(["tags"], [{"tags": ["a", "b"]}], header=False) == b'"[""a"",""b""]"\r\n'


@given(values=st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), VALUES), max_size=9))
def test_ndjson_comes_back(values: list[object]) -> None:
    assert list(ndjson.load(ndjson.dump(values))) == values


@pytest.mark.parametrize(
    ("declared", "head", "agrees"),
    [
        ("image/png", PNG, True),
        ("image/png", b"GIF89a", False),
        ("image/png", b"MZ\x90\0", False),
        ("image/jpeg", b"\xff\xd8\xff\xe0", True),
        ("application/pdf", b"%PDF-1.7", True),
        ("application/pdf", b"<html>", False),
        ("image/webp", b"RIFF\0\0\0\0WEBPVP8 ", True),
        ("image/webp", b"RIFF\0\0\0\0WAVEfmt ", False),
        ("video/mp4", b"\0\0\0\x18ftypmp42", True),
        ("application/zip", b"PK\x03\x04", True),
        ("text/csv", "name\nJürgen".encode(), True),
        ("text/csv", "name\nJü".encode()[:-1], True),
        ("text/csv", PNG, False),
        ("text/plain", b"%PDF-1.7", False),
        ("text/plain", b"\xff\xfe\xfd\xfc\xfb", False),
        ("application/json", b'  {"a":1}', True),
        ("application/json", b"a,b", False),
        ("text/html", b"<html>", False),
    ],
)
def test_a_type_is_known_by_its_first_bytes(declared: str, head: bytes, agrees: bool) -> None:
    assert magic.agrees(declared, head) is agrees
