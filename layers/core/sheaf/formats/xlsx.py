"""XLSX: written row by row with flat memory, read by a library after a guard that knows what the file would cost.

A workbook of one kilobyte can ask for gigabytes: parts that unpack without end, one cell at the far corner of a sheet, one
long text that a million cells share. The guard unpacks every part, counts, and gives up as soon as a limit is passed.
"""

import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import IO, Any
from xml.parsers import expat

from pydantic_core import to_json

from sheaf.base.bounds import BULK_ITEMS, IMPORT_COLUMNS, XLSX_CELLS, XLSX_RATIO, XLSX_TEXT_BYTES, XLSX_UNPACKED_BYTES
from sheaf.base.errors import UnreadableFile

_PARTS = 2_000  # of a workbook
_CELL_CHARACTERS = 32_767  # that Excel lets a cell have


def records(data: bytes, sheet: str = "") -> Iterator[tuple[int, list[Any]]]:
    """The rows of a sheet (the first one where none is named), each with its number; empty ones are left out.

    Values are str, int, float, bool, or RFC 3339 text for dates and times. Raises UnreadableFile.
    """
    guard(data)
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = book.sheet_names
        if not names:
            raise UnreadableFile("The workbook has no sheet")
        if sheet and sheet not in names:
            raise UnreadableFile(f"The workbook has no sheet {sheet[:80]!r}; it has {', '.join(names[:20])}")
        found = book.get_sheet_by_name(sheet or names[0])
        start = (found.start or (0, 0))[0]
        for number, row in enumerate(found.iter_rows(), 1 if found.start is None else start + 1):
            values = [_value(each) for each in row]
            if any(each not in ("", None) for each in values):
                yield number, values
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise UnreadableFile(f"The file is no workbook: {str(error)[:200]}") from None


def guard(data: bytes) -> None:
    """Raise UnreadableFile for what is no workbook, or would take more memory than an import has."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            parts = book.infolist()
            if len(parts) > _PARTS:
                raise UnreadableFile(f"The workbook has {len(parts):,} parts; {_PARTS:,} is the most")
            most = min(XLSX_UNPACKED_BYTES, max(1 << 20, len(data) * XLSX_RATIO))
            if sum(part.file_size for part in parts) > most:
                raise _too_large(most)
            texts = _Texts()
            for part in parts:
                most -= _scan(book, part, most, texts)
            texts.check()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        # RuntimeError: a password; NotImplementedError: another compression than Excel's
        raise UnreadableFile(f"The file is no workbook: {str(error)[:200]}") from None
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]  # zipfile's own import
        raise UnreadableFile(f"The file is no workbook: {str(error)[:200]}") from None


class Writer:
    """One sheet, written to `file` when closed. Text stays text, whatever it begins with."""

    def __init__(self, file: IO[bytes], sheet: str, columns: Sequence[str]) -> None:
        import xlsxwriter

        self._book = xlsxwriter.Workbook(file, {
            "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        })  # fmt: skip
        self._sheet = self._book.add_worksheet(sheet)
        self._rows = 0
        self.write(columns)

    def write(self, values: Sequence[Any]) -> None:
        """Add a row; raises UnreadableFile for a text that no cell can hold."""
        for column, value in enumerate(values):
            if isinstance(value, bool):
                self._sheet.write_boolean(self._rows, column, value)
            elif isinstance(value, int | float) and abs(value) < 1 << 53:  # beyond that a double loses digits
                self._sheet.write_number(self._rows, column, value)
            elif value not in (None, ""):
                text = value if isinstance(value, str) else to_json(value).decode()
                if len(text) > _CELL_CHARACTERS:
                    raise UnreadableFile(f"Row {self._rows + 1} holds a text of {len(text):,} characters; a cell of XLSX has "
                                         f"{_CELL_CHARACTERS:,} at most, another format has no such limit")  # fmt: skip
                self._sheet.write_string(self._rows, column, text)
        self._rows += 1

    def close(self) -> None:
        """Write the file."""
        self._book.close()


class _Texts:
    """How much text the cells hold together, shared texts counted as often as they stand in a cell."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.used: Counter[str] = Counter()
        self.own = 0

    def check(self) -> None:
        shared = sum(self.lengths[int(number)] * times for number, times in self.used.items()
                     if number.isdecimal() and int(number) < len(self.lengths))  # fmt: skip
        if shared + self.own > XLSX_TEXT_BYTES:
            raise UnreadableFile(f"The cells hold {shared + self.own:,} characters together; {XLSX_TEXT_BYTES:,} is the most")


class _Scan:
    """The handlers of one part: they count cells and note how far the sheet reaches.

    Ends are heard only inside what needs them: of a million empty cells that halves the time.
    """

    def __init__(self, texts: _Texts) -> None:
        self.texts = texts
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.StartDoctypeDeclHandler = self.start, _refuse_doctype
        self.parser.CharacterDataHandler = self.characters
        self.parser.buffer_text = True
        self.cells = self.row = self.column = self.last_row = self.last_column = 0
        self.shared = self.inside = self.in_item = False
        self.text: list[str] = []
        self.length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c" or name.endswith(":c"):  # nearly all of them, so first
            self.cells += 1
            self.column += 1
            self.shared = False
            if attributes:
                self._placed(attributes)
            if self.column > self.last_column or self.row > self.last_row or self.cells > XLSX_CELLS:
                self._reach()
        elif name == "row" or name.endswith(":row"):
            number = attributes.get("r", "")
            self.row = int(number) if number.isdecimal() else self.row + 1
            self.column = 0
            self._reach()
        elif name == "v" or name.endswith(":v"):
            if self.shared:
                self.inside, self.parser.EndElementHandler = True, self.end
        elif name == "si" or name.endswith(":si"):
            self.in_item, self.length, self.parser.EndElementHandler = True, 0, self.end

    def end(self, name: str) -> None:
        if self.inside and (name == "v" or name.endswith(":v")):
            self.texts.used["".join(self.text).strip()] += 1
            self.text.clear()
            self.inside = False
        elif self.in_item and (name == "si" or name.endswith(":si")):
            self.in_item = False
            self.texts.lengths.append(self.length)
        if not self.inside and not self.in_item:
            self.parser.EndElementHandler = None

    def characters(self, text: str) -> None:
        if self.inside:
            self.text.append(text)
        elif self.in_item:
            self.length += len(text)
        elif self.cells:
            self.texts.own += len(text)

    def _placed(self, attributes: dict[str, str]) -> None:
        self.shared = attributes.get("t") == "s"
        if place := attributes.get("r"):
            letters = place.rstrip("0123456789")
            self.column, digits = _column(letters), place[len(letters) :]
            self.row = int(digits) if digits else self.row

    def _reach(self) -> None:
        self.last_row, self.last_column = max(self.last_row, self.row), max(self.last_column, self.column)
        if self.last_column > IMPORT_COLUMNS:
            raise UnreadableFile(f"The sheet has a cell in column {self.last_column:,}; {IMPORT_COLUMNS} is the most")
        if self.last_row > BULK_ITEMS + 1_000:
            raise UnreadableFile(f"The sheet has a cell in row {self.last_row:,}; {BULK_ITEMS:,} rows are the most")
        if max(self.cells, self.last_row * self.last_column) > XLSX_CELLS:
            raise UnreadableFile(f"The sheet has more than {XLSX_CELLS:,} cells")


def _scan(book: zipfile.ZipFile, part: zipfile.ZipInfo, most: int, texts: _Texts) -> int:
    """The true size of a part; what stands in it is counted where it is XML."""
    scan = _Scan(texts)
    size, is_xml = 0, True
    with book.open(part) as content:
        while piece := content.read(1 << 18):
            size += len(piece)
            if size > most:
                raise _too_large(most)
            if is_xml:
                try:
                    scan.parser.Parse(piece, False)
                except expat.ExpatError:
                    is_xml = False  # a picture, or nothing that the reader would take for a sheet either
    return size


def _refuse_doctype(*_: Any) -> None:
    raise UnreadableFile("The workbook holds a document type declaration, which no workbook has")


def _column(letters: str) -> int:
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - 64
    return number


def _too_large(most: int) -> UnreadableFile:
    return UnreadableFile(f"The workbook unpacks to more than {most:,} bytes")


def _value(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None  # beyond all range, which no sheet can hold
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, datetime):
        return f"{value.isoformat()}{'' if value.tzinfo else 'Z'}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
