"""The words of a row, as a search finds them: without case, by their beginning."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from sheaf.base.bounds import SEARCH_TERMS, SEARCH_WORD_CHARACTERS, SEARCH_WORDS
from sheaf.entity.registry import EntityType

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, in its order: NFKC, folded, at most SEARCH_WORD_CHARACTERS long."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return list(dict.fromkeys(word[:SEARCH_WORD_CHARACTERS] for word in _WORD.findall(folded)))


def terms(text: str) -> tuple[str, ...]:
    """The words of a search, at most SEARCH_TERMS; raises ValueError for none or too many."""
    found = words(text[:1_000])
    if not found:
        raise ValueError("must hold a letter or a digit")
    if len(found) > SEARCH_TERMS:
        raise ValueError(f"has {len(found)} words; {SEARCH_TERMS} is the most")
    return tuple(found)


def of_row(entity: EntityType, document: Mapping[str, Any]) -> list[str]:
    """The searchable words of a row, the first SEARCH_WORDS in the order of its fields."""
    found: dict[str, None] = {}
    for name in entity.searched:
        for text in _texts(document.get(name)):
            found |= dict.fromkeys(words(text))
    return list(found)[:SEARCH_WORDS]


def found(entity: EntityType, document: Mapping[str, Any], wanted: tuple[str, ...]) -> bool:
    """Whether each wanted word begins one of the row's."""
    mine = of_row(entity, document)
    return all(any(word.startswith(term) for word in mine) for term in wanted)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
