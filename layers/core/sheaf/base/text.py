"""What a line of text may hold."""

import unicodedata

_CONTROL = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})  # control characters, halves of characters, line and paragraph ends


def is_line(text: str) -> bool:
    """Whether the text is one line without control characters; spaces of any script may stand in it."""
    return not any(unicodedata.category(letter) in _CONTROL for letter in text)
