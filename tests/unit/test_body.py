"""The JSON reader: whatever arrives ends in a value or in a declared error, and what it lets through other parts can hold."""

import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from sheaf.base.errors import BadRequest, InvalidJson, SheafError, TooLarge
from sheaf.edge import body
from sheaf.formats import strict_json

SEEDS = [
    b'{"title": "Water", "n": [1, -2.5e3, true, false, null], "o": {"a": {"b": "\\u00e9\\n"}}}',
    b'[{"id": "tsk_1", "x": 1e400}, {"id": "\\ud83d\\ude00"}]',
    b'{"a":' * 28 + b"1" + b"}" * 28,
    b'{"k:1": ":", "k:2": "a\\"b:c", "": ""}',
    ('{"ü": "' + "x" * 300 + '"}').encode(),
    b"-0.0",
]
PIECES = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u", b"\\ud800", b"NaN", b"Infinity", b"1e999", b"9" * 60, b"\x00", b"\xff", b"\xed\xa0\x80",
          b"null", b'{"a":1,"a":2}', b"[" * 40, b" ", b"\xef\xbb\xbf", b"-", b".", b"e"]  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[place:place] = rng.choice(PIECES)
            case 1:
                del data[place : place + rng.randrange(1, 6)]
            case 2 if place < len(data):
                data[place] = rng.randrange(256)
            case _:
                data[place:place] = data[rng.randrange(len(data) + 1) :][: rng.randrange(40)]
    return bytes(data)


def test_a_hundred_thousand_mutated_bodies_meet_only_declared_errors() -> None:
    rng, good = random.Random(7), 0
    for _ in range(100_000):
        raw = mutated(rng)
        try:
            value = strict_json.parse(raw)
        except InvalidJson as error:
            assert error.message
            continue
        good += 1
        assert json.loads(to_json(value)) == value or value != value, raw
        assert json.loads(raw, object_pairs_hook=_no_doubles) is not ..., raw
    assert good > 1_000, "the mutations are not all nonsense"


def _no_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    assert len(made) == len(pairs), "a name that was given twice came through"
    return made


@pytest.mark.parametrize(
    ("raw", "word"),
    [(b"", "empty"), (b"  \n", "empty"), (b"{", "not JSON"), (b"\xef\xbb\xbf{}", "not JSON"), (b"NaN", "not JSON"), (b"[Infinity]", "not JSON"),
     (b"1e400", "range"), (b"[-1e400]", "range"), (b"9" * 39, "digits"), (b"-" + b"9" * 4_000, "digits"), (b"9" * 5_000, "JSON"), (b"[" * 31 + b"]" * 31, "deeper"),
     (b"[" * 9_000 + b"]" * 9_000, "JSON"), (b'"\\ud800"', "JSON"), (b'{"a":1,"a":1}', "twice"), (b'[{"b":{"a":":","a":2}}]', "twice"), (b"{'a':1}", "JSON"),
     (b'{"a":1,}', "JSON"), (b"\xff", "JSON"), (b'{"a":1}x', "JSON")],
)  # fmt: skip
def test_what_is_refused(raw: bytes, word: str) -> None:
    with pytest.raises(InvalidJson, match=word):
        strict_json.parse(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 30 + b"]" * 30,
        b"9" * 38,
        b'{"a:b":"c:d","e":{"f":[{"g":":"}]}}',
        b'{"":1}',
        b"1e308",
        b'"\\ud83d\\ude00"',
        b'{"a":{"a":{"a":1}}}',
        b'"a\\\\\\":"',
    ],
)
def test_what_is_read(raw: bytes) -> None:
    assert strict_json.parse(raw) == json.loads(raw)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=9), lambda inner: st.lists(inner, max_size=4)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=4), max_leaves=20))  # fmt: skip
def test_json_of_every_shape_is_read_as_it_is(value: object) -> None:
    assert strict_json.parse(json.dumps(value).encode()) == value


def test_mutated_gzip_meets_only_declared_errors() -> None:
    rng, packed = random.Random(8), gzip.compress(SEEDS[0] * 20)
    for _ in range(5_000):
        data = bytearray(packed)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            body.read(bytes(data[: rng.choice([len(data), rng.randrange(len(data))])]), "application/gzip", "", 100_000)
        except (BadRequest, TooLarge):
            continue
        except SheafError as error:
            raise AssertionError("another error") from error
