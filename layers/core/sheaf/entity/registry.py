"""Which entities there are: one file of the `entities` package each, loaded when first asked for."""

import re
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import entities
from sheaf.base.bounds import ATOMIC_ACTIONS, CACHE_SECONDS, FILES_PER_FIELD, ORDER_CHARACTERS
from sheaf.base.errors import NotFound, ValidationFailed
from sheaf.entity import kinds
from sheaf.entity.body import object_of
from sheaf.entity.kinds import Kind
from sheaf.entity.names import ACCESS, GROUP_WORDS, MARKS, ROLES, SYSTEM_FIELDS, VERBS, camel

if TYPE_CHECKING:  # pydantic comes with the first request that touches an entity, not with the start of a function
    from sheaf.entity.hooks import Change
    from sheaf.entity.model import Entity, Fields

INDEXES = ("ix1", "ix2", "ix3")  # the sparse KEYS_ONLY indexes of the table Records by a value
ORDERS = ("or1", "or2")  # and by order
FILES = "uploads"  # the path of the files
EVENTS = 7  # events that an entity may name
RESERVED = frozenset({"admin", "api", "audience", "audit", "auth", "backup", "batch", "bulk", "cache", "contact", "docs",
                      "errors", "events", "export", "features", "gdpr", "health", "hello", "import", "jobs", "me", "members",
                      "metrics", "ofrep", "sessions", "stream", "system", "tenant", "tenants", "tickets", "uploads",
                      "webhooks"})  # fmt: skip

_PATH = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_WORD_BREAK = re.compile(r"(?<!^)(?=[A-Z])")


class DeclarationError(TypeError):
    """An entity file breaks a rule; the message says which."""


class Relation(NamedTuple):
    """A field that holds the id of a row at `path`, or a list of ids."""

    path: str
    many: bool


class EntityType:
    """An entity as the rest of the code sees it. `path` is the URL's segment, `word` the first half of an event's type."""

    def __init__(self, path: str, word: str, model: "type[Entity]") -> None:
        self.path = path
        self.word = word
        self.model = model
        self._adapters: dict[str, Any] = {}

    @property
    def prefix(self) -> str:
        """The prefix of its ids."""
        return self.model.prefix

    @cached_property
    def indexes(self) -> dict[str, str]:
        """Its indexed fields, each with the table index it uses."""
        return dict(zip(self._marked("index"), INDEXES, strict=False))

    @cached_property
    def orders(self) -> dict[str, str]:
        """Its ordered fields, each with the table index it uses."""
        return dict(zip(self._marked("sort"), ORDERS, strict=False))

    @cached_property
    def uniques(self) -> tuple[str, ...]:
        """The fields whose value only one row may hold."""
        return self._marked("unique")

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The fields whose words are found by `search=`."""
        return self._marked("search")

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The fields that are never answered."""
        return frozenset(self._marked("hidden"))

    @cached_property
    def personal(self) -> frozenset[str]:
        """The fields that are about a person."""
        return frozenset(self._marked("personal"))

    @cached_property
    def fixed(self) -> frozenset[str]:
        """The fields that no change of a row may set: the server's, the read-only and the write-once ones."""
        return frozenset((*SYSTEM_FIELDS, *self.given, *self._marked("once")))

    @cached_property
    def given(self) -> frozenset[str]:
        """The fields that only the server sets, from the row's birth on."""
        return frozenset((*self._marked("readonly"), *([self.model.owner] if self.model.owner else ())))

    @cached_property
    def relations(self) -> dict[str, Relation]:
        """The fields that point to other rows."""
        found = {}
        for name, info in self.model.model_fields.items():
            marks = _marks(info.json_schema_extra)
            if path := marks.get("ref") or (FILES if marks.get("file") else None):
                found[name] = Relation(path, kinds.kind_of(info.annotation).name == "list")
        return found

    @cached_property
    def attached(self) -> tuple[str, ...]:
        """The fields that hold files."""
        return self._marked("file")

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What each visible field holds, the server's fields included."""
        mine = {name: kinds.kind_of(info.annotation) for name, info in self.model.model_fields.items() if name not in self.hidden}
        return {**mine, **kinds.SYSTEM}

    @property
    def columns(self) -> list[str]:
        """Every visible field of a row, in the order of a file's columns."""
        return ["id", *(name for name in self.model.model_fields if name not in self.hidden), *SYSTEM_FIELDS[1:]]

    def created(self, body: object, change: "Change") -> "Fields":
        """The fields of a new row from a request's body; raises ValidationFailed with one message per field."""
        from sheaf.entity.model import accepted

        fields = object_of(body)
        if wrong := {name: "is set by the server" for name in fields if name in self.given or name in SYSTEM_FIELDS}:
            self._refuse(fields, wrong, change)
        owned = {self.model.owner: change.actor} if self.model.owner else {}
        return accepted(self.model, {**fields, **owned}, change)

    def replaced(self, old: "Fields", body: object, change: "Change") -> "Fields":
        """The fields of a row after PUT: what the body leaves out takes its default, what is fixed stays."""
        from sheaf.entity.model import accepted

        fields = self._unfixed(old, object_of(body), change)
        # Nobody can send back what nobody is shown: a hidden field that is left out stays as it was.
        return accepted(self.model, {**self._kept(old, self.hidden), **fields, **self._kept(old, self.fixed)}, change)

    def patched(self, old: "Fields", body: object, change: "Change") -> "Fields":
        """The fields of a row after PATCH: RFC 7396, where null clears a nullable field and resets another one."""
        from sheaf.entity.model import accepted, merged

        patch = self._unfixed(old, object_of(body), change)
        cleared = {name: None for name, value in patch.items() if value is None and self._may_be_null(name)}
        return accepted(self.model, {**merged(self._kept(old), patch), **cleared}, change)

    def reverted(self, old: "Fields", then: "Fields", change: "Change") -> "Fields":
        """The fields of an earlier version, as far as the declaration still knows them; hidden and fixed ones stay."""
        from sheaf.entity.model import accepted

        stay = self.hidden | self.fixed
        return accepted(self.model, {**self._kept(then), **self._kept(old, stay)}, change)

    def overwritten(self, fields: "Fields", change: "Change") -> "Fields":
        """The fields of a row that is put back as it was, as far as the declaration still knows them."""
        from sheaf.entity.model import accepted

        return accepted(self.model, self._kept(fields), change)

    def overlaid(self, old: "Fields", values: "Fields", change: "Change") -> "Fields":
        """The fields of a row with some values in the place of its own; what is computed is computed again."""
        from sheaf.entity.model import accepted

        return accepted(self.model, {**self._kept(old), **values}, change)

    def normal(self, name: str, value: Any) -> Any:
        """`value` as the field would keep it (an e-mail in lower case), or itself where the field would refuse it."""
        from pydantic import TypeAdapter, ValidationError

        if name in SYSTEM_FIELDS:
            return value
        if name not in self._adapters:
            self._adapters[name] = TypeAdapter(self.model.model_fields[name].rebuild_annotation())
        try:
            return self._adapters[name].dump_python(self._adapters[name].validate_python(value), mode="json")
        except ValidationError:
            return value

    def _marked(self, mark: str) -> tuple[str, ...]:
        return tuple(name for name, info in self.model.model_fields.items() if _marks(info.json_schema_extra).get(mark))

    def _may_be_null(self, name: str) -> bool:
        if name not in self.model.model_fields:
            return True  # it is refused later, with its name
        return kinds.kind_of(self.model.model_fields[name].annotation).nullable

    def _kept(self, old: "Fields", names: frozenset[str] | None = None) -> "Fields":
        mine = self.model.model_fields
        return {name: value for name, value in old.items() if name in mine and (names is None or name in names)}

    def _unfixed(self, old: "Fields", fields: "Fields", change: "Change") -> "Fields":
        # A row that is sent back as it was read passes: what the server set is left aside where it is unchanged.
        wrong = {name: "is set by the server" if name in self.given or name in SYSTEM_FIELDS else "cannot be changed"
                 for name, value in fields.items()
                 if name in self.fixed and (name in self.hidden or old.get(name) != value)}  # fmt: skip
        if wrong:
            self._refuse({**self._kept(old), **fields}, wrong, change)
        return {name: value for name, value in fields.items() if name not in self.fixed}

    def _refuse(self, fields: "Fields", wrong: dict[str, str], change: "Change") -> None:
        """Raise ValidationFailed for what may not be set, together with whatever else is wrong."""
        from sheaf.entity.model import accepted

        try:
            accepted(self.model, {name: value for name, value in fields.items() if name not in wrong}, change)
        except ValidationFailed as error:
            wrong = {**wrong, **{name: text for name, text in error.fields.items() if name not in self.given}}
        raise ValidationFailed.naming(wrong)


_known: dict[str, EntityType] = {}
PRIVATE = ("audience_uploads", "audience_segments")  # of our own, whose rows only their owners see
_own: dict[str, EntityType] = {}
_OWN = {  # module, class and word of each
    FILES: ("sheaf.entity.file", "File", "file"),
    "audience_uploads": ("sheaf.entity.audience", "AudienceUpload", "audience_upload"),
    "audience_segments": ("sheaf.entity.audience", "AudienceSegment", "audience_segment"),
}


def find(path: str) -> EntityType:
    """The entity at this path; raises NotFound."""
    if path not in _known:
        if not _PATH.fullmatch(path) or find_spec(f"entities.{path}") is None:
            raise NotFound(f"There is no entity {path[:64]!r}")
        _known[path] = declared(import_module(f"entities.{path}"), path)
    return _known[path]


def known(path: str) -> EntityType | None:
    """The entity of a stored row, our own included; None where the declaration is gone."""
    if path in _OWN:
        return own(path)
    try:
        return find(path)
    except NotFound:
        return None


def of_word(word: str) -> EntityType | None:
    """The entity whose events begin with this word."""
    every = [find(path) for path in paths()] + [files()]
    return next((entity for entity in every if entity.word == word), None)


def files() -> EntityType:
    """The entity of uploaded files."""
    return own(FILES)


def own(path: str) -> EntityType:
    """One of the entities that are our own and have routes of their own."""
    if path not in _own:
        module, name, word = _OWN[path]  # as every entity: declaring one takes pydantic's types
        _own[path] = EntityType(path, word, getattr(import_module(module), name))
    return _own[path]


def paths() -> list[str]:
    """The paths of all entities."""
    return sorted(found.name for found in iter_modules(entities.__path__))


def declared(module: ModuleType, path: str) -> EntityType:
    """The one entity of `module`, checked; raises DeclarationError."""
    models = [value for value in vars(module).values() if _is_model(value, module.__name__)]
    if len(models) != 1:
        raise DeclarationError(f"{module.__name__} must declare exactly one Entity, not {len(models)}")
    return entity_type(models[0], path)


def entity_type(model: "type[Entity]", path: str) -> EntityType:
    """The type of one entity class at `path`; raises DeclarationError."""
    if path in RESERVED:
        raise DeclarationError(f"the path {path!r} is taken by the API itself")
    made = EntityType(path, _WORD_BREAK.sub("_", model.__name__).lower(), model)
    if wrong := _objection(made):
        raise DeclarationError(f"{model.__name__} {wrong}")
    return made


def _objection(made: EntityType) -> str:
    """What is wrong with a declaration: found here, at build, and not in a request."""
    fields = made.model.model_fields
    if clash := [name for name in (*SYSTEM_FIELDS, *GROUP_WORDS) if name in fields]:
        return f"declares {clash[0]!r}, which is the server's"
    if odd := [name for name in fields if not _NAME.fullmatch(name)]:
        return f"has a field {odd[0]!r}; names are letters, digits and _"
    if len({camel(name) for name in fields}) < len(fields):
        return "has two fields with one name in camelCase"
    for mark, slots in (("index", INDEXES), ("sort", ORDERS)):
        for name in made._marked(mark):
            if kinds.kind_of(fields[name].annotation).name in ("list", "object"):
                return f"has {mark}=True on {name!r}, which is no single value"
        if len(made._marked(mark)) > len(slots):
            return f"has {len(made._marked(mark))} fields with {mark}=True; {len(slots)} is the most"
    asked = {*made._marked("index"), *made._marked("sort"), *made.searched, *made.relations}
    if both := sorted(made.hidden & asked):
        return f"hides {both[0]!r} and lets lists ask for it"
    for name in made._marked("sort"):
        lengths = [each.max_length for each in fields[name].metadata if getattr(each, "max_length", None) is not None]
        if kinds.kind_of(fields[name].annotation).name == "string" and min([*lengths, 1 << 30]) > ORDER_CHARACTERS:
            return f"sorts by {name!r}, which needs max_length={ORDER_CHARACTERS} or less"
    for name in made.attached:
        kind, bounds = (
            kinds.kind_of(fields[name].annotation).name,
            [getattr(each, "max_length", 0) for each in fields[name].metadata],
        )
        if kind not in ("string", "list") or (kind == "list" and not any(each and each <= FILES_PER_FIELD for each in bounds)):
            return f"has file=True on {name!r}, which must be a str, or a list of them with max_length={FILES_PER_FIELD} or less"
    if _most_marks(made) > ATOMIC_ACTIONS:
        return f"takes {_most_marks(made)} writes where all its files change at once; a transaction has {ATOMIC_ACTIONS}"
    for action, least in made.model.access.items():
        if action not in ACCESS or not {*([least] if isinstance(least, str) else least)} <= {*ROLES}:
            return f"has access={{{action!r}: {least!r}}}, which names no action or no role"
    if odd := [name for name in made.model.events if not re.fullmatch(r"[a-z][a-z_]{0,31}", name) or name in VERBS]:
        return f"names the event {odd[0]!r}, which is no name or is there already"
    if len(made.model.events) > EVENTS or len({*made.model.events}) < len(made.model.events):
        return f"names {len(made.model.events)} events; {EVENTS} different ones are the most"
    if made.model.cached and not CACHE_SECONDS[0] <= made.model.cached <= CACHE_SECONDS[1]:
        return "has cached={}; it must be {} to {} seconds".format(made.model.cached, *CACHE_SECONDS)
    if made.model.owner is not None and made.model.owner not in fields:
        return f"names {made.model.owner!r} its owner, which is no field"
    return ""


def _most_marks(made: EntityType) -> int:
    """The writes of the largest change of a row: all of its files and unique values exchanged, it itself, a request's record."""
    held = 0
    for name in made.attached:
        info = made.model.model_fields[name]
        bounds = [getattr(each, "max_length", None) for each in info.metadata] if made.relations[name].many else [1]
        held += min(each for each in bounds if each)
    return 2 * held + 2 * len(made.uniques) + 3


def _marks(extra: Any) -> dict[str, Any]:
    marks: dict[str, Any] = extra.get(MARKS, {}) if isinstance(extra, dict) else {}
    return marks


def _is_model(value: object, module: str) -> bool:
    from sheaf.entity.model import Entity

    return isinstance(value, type) and issubclass(value, Entity) and value.__module__ == module
