"""What rows of `coverage_queries.coverage` come to, and the register that would expect who was heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps
from typing import Final

import polars as pl

PARTS: Final = ("silence", "sequence_gap", "digest_gap")
WRONG: Final = ("silent", "wrong", "missed")
MOST_SUGGESTED: Final = 5
# The shortest of these that nobody would call noise; the person who registers a source knows better.
_HEARD_EVERY: Final = "15m"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of what was expected, in one unit; None of both where nothing was expected."""

    seen: int
    expected: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A measurement at a glance.

    Attributes:
        sources: that the register expects.
        silent: of them, those that are silent now.
        time: seconds heard of seconds expected, over all of them.
        numbers: messages that came of those that are numbered.
        wrong: rows, parts left out, that ask for somebody to look.
        unregistered: senders that were heard and nobody expects.
    """

    sources: int
    silent: int
    time: Seen
    numbers: Seen
    wrong: int
    unregistered: int


def figures(rows: pl.DataFrame) -> Figures:
    """Takes `coverage_queries.coverage`."""
    heard = rows.filter(pl.col("kind") == "heard")
    return Figures(
        sources=heard.height,
        silent=heard.filter(pl.col("state") == "silent").height,
        time=_seen(heard),
        numbers=_seen(rows.filter(pl.col("kind") == "sequence")),
        wrong=to_mend(rows).height,
        unregistered=rows.filter(pl.col("kind") == "unregistered").height,
    )


def _seen(rows: pl.DataFrame) -> Seen:
    known = rows.filter(pl.col("expected").is_not_null() & pl.col("seen").is_not_null())
    return Seen(int(known["seen"].sum()), int(known["expected"].sum()))


def to_mend(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that ask for somebody to look: one a source and kind, never one of its parts."""
    return rows.filter(pl.col("state").is_in(WRONG) & ~pl.col("kind").is_in(PARTS))


def suggested_register(rows: pl.DataFrame, now: datetime) -> str:
    """A register (YAML) that expects the senders nobody expects yet, or an example where nobody was heard."""
    others = rows.filter(pl.col("kind") == "unregistered").head(MOST_SUGGESTED)
    told = [(each["tenant"], each["collector"], each["source"]) for each in others.iter_rows(named=True)]
    entries = [_entry(*each, now) for each in told or [("acme", "syd-1/cloudtrail", "aws.cloudtrail")]]
    return "".join([f"# version: {now:%Y-%m-%d}\n", *entries])


def _entry(tenant: str, collector: str, source_format: str, now: datetime) -> str:
    name = f"{source_format} of {collector or 'a sender without a name'}, {tenant}"
    recognised = {"tenant": tenant, "collector": collector, "source_format": source_format}
    lines = [
        f"- source: {dumps(name)}",
        *(f"  {key}: {dumps(text)}" for key, text in recognised.items() if text),
        f"  heard_every: {_HEARD_EVERY}",
        f"  since: {now - timedelta(days=1):%Y-%m-%d}",
        "  owner: who mends it",
        "  why: what cannot be proved without it",
    ]
    return "\n".join(lines) + "\n"
