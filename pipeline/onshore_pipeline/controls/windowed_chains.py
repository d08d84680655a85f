"""Sequences and absences: whether an event is followed, in time, by what the control names.

A sequence is violated for each first step that the others follow in order; an absence for each moment at which what
should keep coming came, and did not come again in time. Events at the same moment have no order: that one may follow
the other leaves a sequence undetermined. An event of a later step whose key is not wholly known casts doubt by itself,
whatever would have to follow it in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.controls.compiled import MISSING_AGREEMENT
from onshore_pipeline.controls.earliest import NEVER, Earliest
from onshore_pipeline.controls.windowed_history import history, nothing
from onshore_pipeline.controls.windowed_keys import Doubts, keyed
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.controls.windowed_keys import Keyed

# What an undetermined sequence lacks where two events happened at the same moment.
ORDER: Final = "occurred_at"


@dataclass(frozen=True, slots=True)
class _Followed:
    """For each of some facts: since when the rest follows for certain, since when perhaps, and what was missing."""

    certain: NDArray[np.int64]
    possible: NDArray[np.int64]
    missing: pl.Series
    next_one: NDArray[np.int64]


def judge_chains(control: WindowedControl, facts: pl.DataFrame, *, watermark_ns: int, now_ns: int) -> pl.DataFrame:
    """The history of every first step, or of every moment of what should keep coming, as `HISTORY_SCHEMA`."""
    if facts.is_empty():
        return nothing()
    found = keyed(facts, control.key)
    if control.windowed.kind == "absence":
        firsts = _moments(found.facts)
        followed = _followed(found, firsts, found.facts, None, control.windowed.within_ns[0], ties=False)
    else:
        firsts = found.facts.filter(pl.col("role") == 0)
        rest: _Followed | None = None
        for step in range(len(control.roles) - 1, 0, -1):
            later = found.facts.filter(pl.col("role") == step)
            earlier = firsts if step == 1 else found.facts.filter(pl.col("role") == step - 1)
            rest = _followed(found, earlier, later, rest, control.windowed.within_ns[step - 1], ties=True)
        assert rest is not None
        followed = rest
    units, cuts = _stated(control, found, firsts, followed)
    return history(found, units, cuts, watermark_ns=watermark_ns, now_ns=now_ns)


def _moments(facts: pl.DataFrame) -> pl.DataFrame:
    """What came at one moment counts as one: the surest of it."""
    best = facts.sort("key", "at", pl.col("sure").not_(), "disputed", "arrival", "event_id")
    return best.group_by("key", "at", maintain_order=True).first()


def _followed(
    found: Keyed, earlier: pl.DataFrame, later: pl.DataFrame, rest: _Followed | None, within_ns: int, *, ties: bool
) -> _Followed:
    """Whether `later` follows each of `earlier`; `rest` says since when what has to follow `later` does.

    A later event whose claims disagree is one that may be what it seems (an absence is not ended by it).
    """
    arrival = later["arrival"].to_numpy()
    certain, possible = (
        (arrival, arrival) if rest is None else (np.maximum(arrival, rest.certain), np.maximum(arrival, rest.possible))
    )
    group, at = later["key"].to_numpy(), later["at"].to_numpy()
    named = (found.unknown.gather(later["key"]) == "").to_numpy()
    is_sure = later["sure"].to_numpy() & named
    if not ties:
        is_sure &= ~later["disputed"].to_numpy()
    own, start = earlier["key"].to_numpy(), earlier["at"].to_numpy()
    end = start + within_ns
    surely = Earliest(group[is_sure], at[is_sure], certain[is_sure])
    sure_when = surely.between(own, start + 1, end)
    maybe = Earliest(group[named], at[named], possible[named])
    maybe_when = maybe.between(own, start + 1, end)
    doubt_when, doubt = Doubts(found, later).between(own, start + (0 if ties else 1), end)
    missing = _words(later, rest)
    which = maybe.first_point(own, start + 1, end)
    why = _gathered(missing.filter(pl.Series(named)), which)
    when = maybe_when
    if ties:
        tied_when, tied_why = _tied(earlier, later, possible, named)
        why = pl.select(pl.when(pl.Series(tied_when < when)).then(tied_why).otherwise(why)).to_series()
        when = np.minimum(when, tied_when)
    why = pl.select(pl.when(pl.Series(doubt_when < when)).then(doubt).otherwise(why)).to_series()
    next_sure = surely.first_point(own, start + 1, end)
    places = np.flatnonzero(is_sure)
    next_one = np.where(next_sure >= 0, places[next_sure] if places.size else -1, -1)
    return _Followed(sure_when, np.minimum(when, doubt_when), why, next_one)


def _words(later: pl.DataFrame, rest: _Followed | None) -> pl.Series:
    """What each later event leaves open."""
    own = later.select(
        pl.when(pl.col("missing") != "")
        .then("missing")
        .when("disputed")
        .then(pl.lit(MISSING_AGREEMENT))
        .otherwise(pl.lit(""))
    ).to_series()
    if rest is None:
        return own
    return pl.select(pl.when(own != "").then(own).otherwise(rest.missing)).to_series()


def _gathered(words: pl.Series, which: NDArray[np.int64]) -> pl.Series:
    if words.is_empty():
        return pl.Series([""] * len(which), dtype=pl.String)
    return words.gather(np.maximum(which, 0)).fill_null("")


def _tied(
    earlier: pl.DataFrame, later: pl.DataFrame, possible: NDArray[np.int64], named: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], pl.Series]:
    """Since when another event of the same key and the same moment is there, for each of `earlier`."""
    others = later.select("key", "at", pl.col("event_id").alias("other"), pl.Series("when", possible)).filter(
        pl.Series(named)
    )
    pairs = (
        earlier.select("key", "at", "event_id").with_row_index("place").join(others, on=["key", "at"])
        .filter(pl.col("event_id") != pl.col("other"))
        .group_by("place").agg(pl.col("when").min())
    )  # fmt: skip
    when = np.full(earlier.height, NEVER, dtype=np.int64)
    when[pairs["place"].to_numpy()] = pairs["when"].to_numpy()
    return when, pl.Series([ORDER] * earlier.height, dtype=pl.String)


def _stated(
    control: WindowedControl, found: Keyed, firsts: pl.DataFrame, followed: _Followed
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Units and cuts as `windowed_history` wants them."""
    is_absence = control.windowed.kind == "absence"
    until = pl.col("at") + control.span_ns
    next_ids = _next_ids(found, followed, is_absence=is_absence)
    units = firsts.with_columns(
        pl.col("at").alias("since"),
        until.alias("until"),
        (until + control.windowed.lateness_ns).alias("close"),
        pl.col("at").alias("first_at"),
        pl.col("at").alias("last_at"),
        pl.lit(1, pl.UInt64).alias("events"),
        pl.concat_list(pl.col("event_id"), next_ids).list.drop_nulls().alias("samples"),
        pl.Series("certain", followed.certain),
        pl.Series("possible", followed.possible),
        followed.missing.alias("doubt"),
        found.unknown.gather(firsts["key"]).alias("lacks_key"),
    ).with_columns(pl.max_horizontal("close", "arrival").alias("base")).with_row_index("unit")  # fmt: skip
    whole = units.with_columns(
        whole=pl.col("sure") & (pl.col("lacks_key") == ""),
        certain=pl.when(pl.col("certain") != NEVER).then(pl.max_horizontal("certain", "arrival")),
        possible=pl.when(pl.col("possible") != NEVER).then(pl.max_horizontal("possible", "arrival")),
    )
    cuts = pl.concat([whole.with_columns(pl.col(name).alias("cut")) for name in ("base", "certain", "possible")])
    cuts = cuts.filter(pl.col("cut").is_not_null()).unique(["unit", "cut"])
    return units.drop("certain", "possible"), _judged(cuts, is_absence=is_absence)


def _judged(cuts: pl.DataFrame, *, is_absence: bool) -> pl.DataFrame:
    due = pl.col("cut") >= pl.col("base")
    followed = (pl.col("certain") <= pl.col("cut")).fill_null(value=False)
    doubtful = (pl.col("possible") <= pl.col("cut")).fill_null(value=False)
    disputed = pl.col("disputed")
    sequence = (
        pl.when(~pl.col("whole")).then(pl.when(due).then(pl.lit(Verdict.UNDETERMINED.value)))
        .when(followed).then(pl.lit(Verdict.VIOLATED.value))
        .when(~due).then(pl.lit(None, pl.String))
        .when(doubtful | disputed).then(pl.lit(Verdict.UNDETERMINED.value))
        .otherwise(pl.lit(Verdict.SATISFIED.value))
    )  # fmt: skip
    absence = (
        pl.when(~pl.col("whole")).then(pl.when(due).then(pl.lit(Verdict.UNDETERMINED.value)))
        .when(followed & ~disputed).then(pl.lit(Verdict.SATISFIED.value))
        .when(~due).then(pl.lit(None, pl.String))
        .when(doubtful | (followed & disputed)).then(pl.lit(Verdict.UNDETERMINED.value))
        .otherwise(pl.lit(Verdict.VIOLATED.value))
    )  # fmt: skip
    verdict = absence if is_absence else sequence
    word = (
        pl.when(pl.col("lacks_key") != "").then("lacks_key")
        .when(pl.col("missing") != "").then("missing")
        .when(doubtful & (pl.col("doubt") != "")).then("doubt")
        .otherwise(pl.lit(MISSING_AGREEMENT))
    )  # fmt: skip
    return cuts.with_columns(verdict.alias("verdict")).select(
        "unit",
        "cut",
        "verdict",
        pl.when(pl.col("verdict") == Verdict.UNDETERMINED.value).then(word).otherwise(pl.lit("")).alias("missing"),
        pl.lit([], dtype=pl.List(pl.String)).alias("known"),
    )


def _next_ids(found: Keyed, followed: _Followed, *, is_absence: bool) -> pl.Series:
    """The event that follows, to be shown beside the first one."""
    facts = found.facts if is_absence else found.facts.filter(pl.col("role") == 1)
    ids = facts["event_id"]
    if ids.is_empty():
        return pl.Series([None] * len(followed.next_one), dtype=pl.Binary)
    place = pl.Series(followed.next_one)
    return ids.gather(pl.select(pl.when(place >= 0).then(place)).to_series())
