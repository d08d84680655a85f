"""What somebody who mistyped a name most likely meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`; did you mean NAME?`, or nothing if no name is close."""
    close = difflib.get_close_matches(word, known, 1) or difflib.get_close_matches(word.lower(), known, 1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
