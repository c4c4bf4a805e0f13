"""TypeIDs against the package of the specification's authors."""

import uuid

from hypothesis import given
from hypothesis import strategies as st
from typeid import TypeID, from_string

from sheaf.base import ids

TIMES = st.integers(0, 2**47)


@given(at_ms=TIMES)
def test_a_new_id_is_what_the_specification_says(at_ms: int) -> None:
    made = ids.new("tsk", at_ms)
    read = from_string(made)
    assert read.prefix == "tsk"
    number = uuid.UUID(str(read.uuid))
    assert (number.version, number.variant) == (7, uuid.RFC_4122)
    assert ids.time_of(made) == at_ms == number.int >> 80


def test_ids_of_the_package_are_ids_of_ours() -> None:
    for _ in range(1_000):
        other = str(TypeID(prefix="con"))
        assert ids.is_id(other, "con") and not ids.is_id(other, "tsk")


@given(first=TIMES, second=TIMES)
def test_ids_sort_by_time(first: int, second: int) -> None:
    if first < second:
        assert ids.new("tsk", first) < ids.new("tsk", second)


@given(index=st.integers(0, 2**32 - 2), seed=st.text(max_size=40))
def test_numbered_ids_are_stable_distinct_and_in_order(index: int, seed: str) -> None:
    one, two = ids.numbered("tsk", 5, seed, index), ids.numbered("tsk", 5, seed, index + 1)
    assert one == ids.numbered("tsk", 5, seed, index)
    assert one < two
    assert ids.is_id(one, "tsk")


@given(seeds=st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True))
def test_derived_ids_differ_by_seed(seeds: list[str]) -> None:
    assert ids.derived("evt", 7, seeds[0]) != ids.derived("evt", 7, seeds[1])


def test_what_is_no_id() -> None:
    good = ids.new("tsk")
    for text in ("", "tsk_", good.upper(), good + "0", good[:-1], "tsk_" + "8" * 26, good.replace("_", "#"), f"{good}\n"):
        assert not ids.is_id(text, "tsk"), text


def test_an_item_without_an_end_is_never_over() -> None:
    """Even where a second ends between two looks at the clock, which cost an export of a million rows one of them."""
    from sheaf.base import clock
    from sheaf.store import table

    ticks = iter(range(1_000))
    with clock.using(lambda: float(next(ticks))):
        assert not table.is_over({"sk": "x"}) and table.is_over({"ttl": 1}) is False and table.is_over({"ttl": 0})
