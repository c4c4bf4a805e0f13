"""The rows of a job's input, whatever form they came in: a JSON body, a file in one of four formats, addresses of videos,
or what another job has left or done."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic_core import from_json, to_json

from sheaf.access.caller import Caller
from sheaf.base.bounds import IMPORT_WHOLE_BYTES
from sheaf.base.config import config
from sheaf.base.errors import InvalidJson, UnreadableFile, ValidationFailed
from sheaf.entity import cells
from sheaf.entity.cells import Columns
from sheaf.entity.names import camel
from sheaf.entity.registry import EntityType
from sheaf.formats import csv, ndjson, strict_json
from sheaf.store import blobs, keys

Format = Literal["csv", "xlsx", "ndjson", "json", "urls"]
FORMATS: tuple[Format, ...] = ("csv", "xlsx", "ndjson", "json")
TABLES = ("csv", "xlsx")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a job's rows come from and how to read them; it lies in the job's row as JSON.

    `upload`: the file of an upload, else the job's own `source` object. `camel`: fields are named as the second version
    of the API has them. `mapping`: a column's title and its field, null for one to leave aside.
    """

    format: Format
    upload: str = ""
    version: str = ""  # of the upload's object
    encoding: str = "utf-8"
    delimiter: str = ""
    sheet: str = ""
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    clear: bool = False
    camel: bool = False

    def text(self) -> str:
        """As it lies in the job's row."""
        return to_json(asdict(self)).decode()

    @classmethod
    def of(cls, text: str) -> "Source":
        """The source that `text` has told."""
        return cls(**from_json(text))

    @property
    def is_table(self) -> bool:
        """Whether its rows are cells under a header."""
        return self.format in TABLES

    def rows(self, caller: Caller, job_id: str) -> Iterator[tuple[int, Any]]:
        """The rows with their numbers, a table's header first; raises UnreadableFile."""
        pieces = self._pieces(caller, job_id)
        match self.format:
            case "csv":
                yield from csv.records(pieces, self.encoding, self.delimiter)
            case "xlsx":
                from sheaf.formats import xlsx  # zip and XML are for those who read a workbook

                yield from xlsx.records(_whole(pieces), self.sheet)
            case "ndjson":
                yield from ndjson.records(pieces)
            case _:
                yield from enumerate(_array(_whole(pieces)))

    def columns(self, entity: EntityType, header: list[Any], verb: str) -> Columns:
        """Which column is which field where rows are to be created, updated, …; raises ValidationFailed."""
        titles = [str(each)[:200] for each in header]
        names = {camel(name): name for name in entity.model.model_fields} if self.camel else {}
        mapping = {title: names.get(name, name) if name is not None else None for title, name in self.mapping.items()}
        return cells.columns(entity, titles, mapping, born=verb in ("create", "upsert"), clear=self.clear)

    def fields(self, entity: EntityType, columns: Columns | None, left_out: frozenset[str], item: Any) -> Any:
        """The fields of one row; of an object without those `left_out`, which a file may hold and only the server sets."""
        if columns is not None:
            texts = [csv.meant(each) if isinstance(each, str) and self.format == "csv" else each for each in item]
            return columns.row(texts)
        if not isinstance(item, dict):
            return item
        names = {camel(name): name for name in entity.model.model_fields} if self.camel else {}
        return {names.get(name, name): value for name, value in item.items() if name not in left_out}

    def _pieces(self, caller: Caller, job_id: str) -> Iterator[bytes]:
        if self.upload:
            return blobs.stream(config().uploads_bucket, keys.upload_object(caller, self.upload), self.version or None)
        return blobs.stream(config().jobs_bucket, keys.job_object(caller, job_id, "source"))


def check(found: Source) -> dict[str, str]:
    """What is wrong with the settings of a source."""
    wrong = {}
    if found.encoding not in csv.ENCODINGS:
        wrong["encoding"] = f"must be one of {', '.join(csv.ENCODINGS)}"
    if found.delimiter and found.delimiter not in csv.DELIMITERS:
        wrong["delimiter"] = "must be one of , ; | or a tab"
    return wrong


def _whole(pieces: Iterator[bytes]) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > IMPORT_WHOLE_BYTES:
            raise UnreadableFile(f"The file is larger than {IMPORT_WHOLE_BYTES:,} bytes, the most in this format; "
                                 "CSV and NDJSON may be larger")  # fmt: skip
    return bytes(data)


def _array(data: bytes) -> list[Any]:
    try:
        value = strict_json.parse(data.removeprefix(b"\xef\xbb\xbf"))
    except InvalidJson as error:
        raise UnreadableFile(error.message.replace("The body", "The file")) from None
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        value = value["items"]
    if not isinstance(value, list):
        raise ValidationFailed.naming({"file": "must be a JSON array of rows, or an object with items"})
    return value
