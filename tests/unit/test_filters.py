"""The filter grammar: what is read, what is refused, and that a filter means what a plain loop would."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheaf import Email, Entity, Timestamp, field
from sheaf.base.clock import iso
from sheaf.base.errors import InvalidParameter
from sheaf.entity import filters, kinds
from sheaf.entity.kinds import Kind
from sheaf.entity.registry import entity_type

AT = 1_795_262_400_000  # 2026-11-21T12:00:00Z


class Thing(Entity, prefix="thg"):
    name: str = field("x", max_length=50)
    email: Email | None = None
    size: int | None = None
    weight: float = 0.0
    done: bool = False
    color: Literal["red", "green"] = "red"
    due: Timestamp | None = None
    tags: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


THINGS = entity_type(Thing, "things")
ROW = {"id": "thg_1", "name": "Ann Lee", "email": "ann@b.example", "size": 7, "weight": 1.5, "done": True, "color": "green",
       "due": "2026-11-20T12:00:00Z", "tags": ["a", "b"], "extra": {}, "version": 3, "createdAt": "2026-11-21T11:00:00.000Z"}  # fmt: skip
NULLS = {
    "id": "thg_2",
    "name": "",
    "email": None,
    "size": None,
    "weight": 0,
    "done": False,
    "color": "red",
    "due": None,
    "tags": [],
    "extra": {},
}

# Each filter, and whether it holds for ROW and for NULLS.
MEANS: list[tuple[dict[str, str], bool, bool]] = [
    ({"name": "Ann Lee"}, True, False),
    ({"name[eq]": ""}, False, True),
    ({"name[ne]": "Ann Lee"}, False, True),
    ({"name[in]": "Ann Lee,Bob"}, True, False),
    ({"name[nin]": "Bob"}, True, True),
    ({"name[contains]": "n L"}, True, False),
    ({"name[contains]": "n l"}, False, False),
    ({"name[icontains]": "N l"}, True, False),
    ({"name[startswith]": "Ann"}, True, False),
    ({"name[empty]": "true"}, False, True),
    ({"name[gt]": "Am"}, True, False),
    ({"email": "ANN@B.example"}, True, False),
    ({"email[null]": "true"}, False, True),
    ({"email[null]": "false"}, True, False),
    ({"email[ne]": "x@y.example"}, True, True),
    ({"size": "7"}, True, False),
    ({"size[lt]": "8"}, True, False),
    ({"size[le]": "7"}, True, False),
    ({"size[gt]": "7"}, False, False),
    ({"size[between]": "5,7"}, True, False),
    ({"size[nin]": "7"}, False, True),
    ({"weight[ge]": "1.5"}, True, False),
    ({"weight[lt]": "1e3"}, True, True),
    ({"done": "true"}, True, False),
    ({"done[ne]": "true"}, False, True),
    ({"color[in]": "green,red"}, True, True),
    ({"due[lt]": "$now"}, True, False),
    ({"due[ge]": "-1d"}, True, False),
    ({"due[gt]": "$todayStart"}, False, False),
    ({"due[ge]": "$todayStart-12h"}, True, False),
    ({"due[between]": "2026-11-01,2026-11-30"}, True, False),
    ({"due": "2026-11-20T13:00:00.000+01:00"}, True, False),
    ({"createdAt[gt]": "-2h"}, True, False),
    ({"tags[contains]": "b"}, True, False),
    ({"tags[contains]": "c"}, False, False),
    ({"tags[empty]": "false"}, True, False),
    ({"extra[empty]": "true"}, True, True),
    ({"name[startswith]": "Ann", "size[gt]": "6"}, True, False),
    ({"filter": '{"or": [{"size": 7}, {"name": ""}]}'}, True, True),
    ({"filter": '{"and": [{"size": 7}, {"done": true}]}'}, True, False),
    ({"filter": '{"not": {"size": {"lt": 8}}}'}, False, True),
    ({"filter": '{"not": {"or": [{"size": 7}, {"name": ""}]}}'}, False, False),
    ({"filter": '{"size": {"ge": 7, "le": 7}}'}, True, False),
    ({"filter": '{"size": null}'}, False, True),
    ({"filter": "{}"}, True, True),
    ({"version[ge]": "3"}, True, False),
]


@pytest.mark.parametrize(("query", "row", "nulls"), MEANS, ids=[str(case[0]) for case in MEANS])
def test_a_filter_means_what_it_says(query: dict[str, str], row: bool, nulls: bool) -> None:
    condition = filters.from_query(THINGS, query, AT)
    assert (filters.matches(ROW, condition), filters.matches(NULLS, condition)) == (row, nulls)


WRONG: list[tuple[dict[str, str], str, str]] = [
    ({"colour": "red"}, "colour", "is not a field"),
    ({"color": "blue"}, "color", "one of red, green"),
    ({"size": "seven"}, "size", "an integer"),
    ({"size": "1.5"}, "size", "an integer"),
    ({"size": "9" * 39}, "size", "an integer"),
    ({"weight": "NaN"}, "weight", "a number"),
    ({"weight": "1e999"}, "weight", "a number"),
    ({"done": "yes"}, "done", "a boolean"),
    ({"done[lt]": "true"}, "done[lt]", "not an operator"),
    ({"due": "yesterday"}, "due", "RFC 3339"),
    ({"due": "2026-11-20T12:00:00"}, "due", "RFC 3339"),
    ({"due": "0001-01-01T00:00:00+14:00"}, "due", "RFC 3339"),
    ({"due[between]": "2026-11-20"}, "due[between]", "two values"),
    ({"tags": "a"}, "tags", "not an operator"),
    ({"extra[eq]": "a"}, "extra[eq]", "not an operator"),
    ({"name[like]": "a"}, "name[like]", "not an operator"),
    ({"name[in]": ",".join("x" * 101)}, "name[in]", "100 is the most"),
    ({"email[null]": "1"}, "email[null]", "a boolean"),
    ({"a b": "x"}, "a b", "not a parameter"),
    ({"filter": "{"}, "filter", "not JSON"),
    ({"filter": "[]"}, "filter", "an object"),
    ({"filter": '{"or": {}}'}, "filter.or", "must be a list"),
    ({"filter": '{"or": []}'}, "filter.or", "must be a list"),
    ({"filter": '{"size": {"is": 7}}'}, "filter.size.is", "not an operator"),
    ({"filter": '{"size": "x"}'}, "filter.size", "an integer"),
    ({"filter": '{"size": true}'}, "filter.size", "an integer"),
    ({"filter": '{"size": [7]}'}, "filter.size", "an integer"),
    ({"filter": '{"not": [1]}'}, "filter.not", "an object"),
    ({"filter": '{"not":' * 7 + "{}" + "}" * 7}, "filter.not.not.not.not.not.not", "deeper"),
    ({"filter": '{"or": [' + ",".join(['{"size": 1, "name": "x"}'] * 11) + "]}"}, "filter", "20 is the most"),
]


@pytest.mark.parametrize(("query", "where", "text"), WRONG, ids=[str(case[0])[:60] for case in WRONG])
def test_a_wrong_filter_names_its_place(query: dict[str, str], where: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        filters.from_query(THINGS, query, AT)
    assert text in caught.value.fields[where]


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(InvalidParameter) as caught:
        filters.from_query(THINGS, {"size": "x", "colour": "y", "filter": '{"due": "z", "done": 1}'}, AT)
    assert set(caught.value.fields) == {"size", "colour", "filter.due", "filter.done"}


@pytest.mark.parametrize(
    ("macro", "moment"),
    [("$now", "2026-11-21T12:00:00"), ("-7d", "2026-11-14T12:00:00"), ("+90m", "2026-11-21T13:30:00"), ("$todayStart", "2026-11-21T00:00:00"),
     ("$todayEnd", "2026-11-21T23:59:59.999"), ("$weekStart", "2026-11-16T00:00:00"), ("$monthStart", "2026-11-01T00:00:00"),
     ("$yearStart-1d", "2025-12-31T00:00:00"), ("$now-2w", "2026-11-07T12:00:00"), ("-9999w", "1835-04-04T12:00:00")],
)  # fmt: skip
def test_a_macro_is_a_moment(macro: str, moment: str) -> None:
    condition = filters.from_query(THINGS, {"due": macro}, AT)
    assert filters.tests_of(condition)[0].value == moment


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**37), 10**37),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)


@settings(max_examples=400)
@given(left=VALUES, right=VALUES)
def test_the_text_of_an_order_sorts_as_the_order_does(left: Any, right: Any) -> None:
    """The law of the ordered index: UTF-8 bytes of the sort key compare as the values do, null first."""
    if isinstance(left, int | float) and isinstance(right, int | float) and type(left) is not type(right):
        return  # a field holds one kind of number
    kind = Kind("string")
    keys = [f"{kinds.ordered_text(kind, each)}\0\1thg_1".encode() for each in (left, right)]
    order = [kinds.order(kind, each) for each in (left, right)]
    assert (keys[0] < keys[1]) == (order[0] < order[1]) and (keys[0] == keys[1]) == (order[0] == order[1])


@given(left=st.integers(0, 2**41), right=st.integers(0, 2**41))
def test_times_compare_as_moments(left: int, right: int) -> None:
    kind = Kind("timestamp")
    texts = [iso(each) for each in (left, right)]
    short = [text.replace(".000Z", "Z") for text in texts]
    assert kinds.comparable(kind, texts[0]) == kinds.comparable(kind, short[0])
    assert (kinds.order(kind, texts[0]) < kinds.order(kind, short[1])) == (left < right)
