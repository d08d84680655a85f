"""What a bundle leaves closed: recipient profiles, fields to redact, and texts that repeat what was redacted.

A sealed line never changes. Redacting a field means that its opening is left out; a field whose value stands in the
line itself cannot be redacted, only the whole event withheld.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.canonical import COMMITTED

if TYPE_CHECKING:
    from collections.abc import Iterable

MAPS: Final = ("resource_attributes", "attributes")
REDACTABLE: Final = (*(column.name for column in COMMITTED), *MAPS)
_IDS: Final = tuple(name for name in REDACTABLE if name.endswith("_id"))
_PERSONAL: Final = (*_IDS, *(name for name in REDACTABLE if name.endswith("_address")), "actor_host", "body", *MAPS)
PROFILES: Final[dict[str, tuple[str, ...]]] = {"full": (), "pseudonymous": _PERSONAL, "minimal": REDACTABLE}
PERSONAL: Final = frozenset(PROFILES["pseudonymous"])

# A text that is shorter repeats a value only where it is the whole of another text: every text has an "a" in it.
_TELLING: Final = 4
# As many values are looked for anywhere in a text; of more, only whole texts are compared, and the event's own values.
_MOST_PATTERNS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What of the events that are shown is opened.

    Attributes:
        redacted: columns and maps that stay closed.
        closed_keys: by map, keys of it that stay closed.
        pseudonym_key: for the ids that stand in place of redacted ones.
        pseudonyms: closed values have them; without, there is nothing in their place.
        values: every value in the whole scope of what is closed, distinct (`jobs.export_closed`).
        of_maps: what repeats a map that is closed whole stays closed, too; without, whoever opens a column means it.
    """

    redacted: frozenset[str] = frozenset()
    closed_keys: dict[str, frozenset[str]] = field(default_factory=dict)
    pseudonym_key: bytes = b""
    values: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.String))
    pseudonyms: bool = True
    of_maps: bool = True

    @property
    def closes(self) -> bool:
        """Whether anything stays closed."""
        return bool(self.redacted or self.closed_keys)

    @property
    def pseudonymous(self) -> tuple[str, ...]:
        """Redacted columns that get a pseudonym, in the line's order."""
        if not self.pseudonyms:
            return ()
        return tuple(name for name in REDACTABLE if name in self.redacted and name not in {*MAPS, *_WITHOUT})


_WITHOUT: Final = ("contradictions", "body")


def parse_redaction(profile: str, fields: Iterable[str]) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Columns and keys of maps that a profile and `--redact` close.

    Args:
        profile: one of `PROFILES`.
        fields: names of redactable columns and maps, or `attributes.KEY`, `resource_attributes.KEY`.

    Raises:
        OnshoreError: a name is none of these; it says which are.
    """
    if profile not in PROFILES:
        raise OnshoreError(f"--profile {profile}: there are {', '.join(PROFILES)}")
    redacted, keys = set(PROFILES[profile]), dict.fromkeys(MAPS, frozenset[str]())
    for name in filter(None, (each.strip() for each in fields)):
        column, dot, key = name.partition(".")
        if dot and column in MAPS and key:
            keys[column] |= {key}
        elif name in REDACTABLE:
            redacted.add(name)
        else:
            near = difflib.get_close_matches(name, REDACTABLE, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            why = "stands in the sealed line, or is no field" if not near else "is not redactable"
            raise OnshoreError(f"--redact {name}: {why}{hint} Redactable: {', '.join(REDACTABLE)}, attributes.KEY")
    return frozenset(redacted), {name: some for name, some in keys.items() if some}


def repeats(texts: pl.Series, values: pl.Series) -> pl.Series:
    """Which texts have one of `values` in them, or are one; unknown texts have none."""
    if values.is_empty() or texts.null_count() == len(texts):
        return pl.Series([False]).new_from_index(0, len(texts))
    found = texts.is_in(values.implode()).fill_null(False)
    telling = values.filter(values.str.len_chars() >= _TELLING)
    if telling.is_empty() or len(values) > _MOST_PATTERNS:
        return found
    frame = texts.rename("t").to_frame()
    inside = frame.select(pl.col("t").str.contains_any(telling.to_list()).fill_null(False)).to_series()
    return found | inside


def repeats_own(texts: pl.Series, own: Iterable[pl.Series]) -> pl.Series:
    """Which texts have their own row's value of one of these columns in them; for scopes of too many values."""
    found = pl.Series([False]).new_from_index(0, len(texts))
    for values in own:
        frame = pl.DataFrame({"t": texts, "v": values})
        is_in = (pl.col("v").str.len_chars() >= _TELLING) & pl.col("t").str.contains(pl.col("v"), literal=True)
        found |= frame.select((is_in | (pl.col("t") == pl.col("v"))).fill_null(False)).to_series()
    return found


def looks_inside(values: pl.Series) -> bool:
    """Whether `repeats` looks for all these values anywhere in a text."""
    return len(values) <= _MOST_PATTERNS
