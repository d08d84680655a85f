"""Whole numbers as people write them into files: Python refuses to read one of more than 4,300 digits."""

from __future__ import annotations

from typing import Final

_MOST_SHOWN: Final = 40


def whole_number(text: str, most: int) -> int | None:
    """The number that a text of decimal digits spells; None if it is no such text, or the number is above `most`."""
    digits = text.lstrip("0") or text[:1]
    if not digits.isdecimal() or len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None


def shown(text: str) -> str:
    """A text as a message shows it: of a long one its beginning, and how long it is."""
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text):,} characters)"
