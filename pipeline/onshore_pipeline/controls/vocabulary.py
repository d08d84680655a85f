"""Words that can never be true: a literal that its column cannot hold is a typo in the control."""

from __future__ import annotations

import re
from typing import Final

from onshore_pipeline.controls.suggestions import did_you_mean
from onshore_pipeline.domain.event import BASES, DOMAINS, OUTCOMES

_COUNTRY = re.compile(r"[A-Z]{2}")
_NONE: Final = "none"  # of a list of countries: that there is no such country is known
_COUNTRY_LISTS: Final = frozenset({"home_jurisdictions", "transit_countries"})
_COUNTRY_COLUMN = re.compile(r"\w+_country(_candidates)?|actor_nationality")
_BASIS_COLUMN = re.compile(r"\w+_basis")
_CLOSED: Final[dict[str, tuple[str, ...]]] = {
    "domain": DOMAINS,
    "outcome": OUTCOMES,
    "actor_type": ("user", "service", "operator", "vendor", "unknown"),
}


def check_word(column: str, word: str) -> str | None:
    """Why this column can never hold this word; None if it can."""
    if column in _COUNTRY_LISTS or _COUNTRY_COLUMN.fullmatch(column):
        if _COUNTRY.fullmatch(word) or (column in _COUNTRY_LISTS and word == _NONE):
            return None
        hint = f": write {word.upper()!r}" if _COUNTRY.fullmatch(word.upper()) else ""
        return f"{column} holds upper-case ISO 3166 alpha-2 codes, never {word!r}{hint}"
    closed = _CLOSED.get(column)
    if column != "transfer_basis" and _BASIS_COLUMN.fullmatch(column):
        closed = BASES
    if closed is None or word in closed:
        return None
    return f"{column} is one of {', '.join(closed)}, never {word!r}{did_you_mean(word, closed)}"
