"""Cursors are good for their own list and tenant, for a day, unchanged."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheaf.base import clock
from sheaf.base.errors import InvalidCursor, InvalidParameter
from sheaf.entity.pages import open_cursor, seal_cursor
from sheaf.entity.query import limit_of

KEY = b"k" * 32


@given(position=st.text(string.ascii_lowercase + string.digits + "_", min_size=1, max_size=90), scope=st.text(max_size=40))
def test_what_is_sealed_opens(position: str, scope: str) -> None:
    assert open_cursor(KEY, scope, seal_cursor(KEY, scope, position)) == position


@given(place=st.integers(0, 60), letter=st.sampled_from(string.ascii_letters + string.digits + "-_"))
def test_a_changed_cursor_is_refused(place: int, letter: str) -> None:
    good = seal_cursor(KEY, "s", "tsk_1")
    place %= len(good) - 1  # the last letter may hold bits that mean nothing
    bad = good[:place] + letter + good[place + 1 :]
    if bad != good:
        with pytest.raises(InvalidCursor):
            open_cursor(KEY, "s", bad)


def test_another_scope_another_key_and_a_later_day_are_refused() -> None:
    good = seal_cursor(KEY, "acme", "tsk_1")
    for key, scope in ((KEY, "globex"), (b"x" * 32, "acme")):
        with pytest.raises(InvalidCursor):
            open_cursor(key, scope, good)
    later = clock.now() + 24 * 3600 + 1
    with clock.using(lambda: later), pytest.raises(InvalidCursor):
        open_cursor(KEY, "acme", good)


@pytest.mark.parametrize("text", ["", "x", "A" * 22, "!" * 40, "A" * 5_000, "ü" * 30])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        open_cursor(KEY, "s", text)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "NaN", "", "１", "1e2", "9" * 400, "000001000"])
def test_a_bad_limit_names_itself(limit: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        limit_of({"limit": limit})
    assert "limit" in caught.value.fields
