"""What the frames of `queries` come to: pure functions, so that every figure on a page can be tested by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_dashboard.queries import RATE_STEP_SECONDS, RATE_WINDOW, seconds
from onshore_pipeline.worker_reports import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

SILENT_AFTER: Final = timedelta(minutes=5)
_RATE_STEPS: Final = 6  # a minute
_FRESH_WITHIN: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often controls applied and what they said. What could not be decided is no part of either side."""

    satisfied: int = 0
    violated: int = 0
    undetermined: int = 0

    @property
    def applicable(self) -> int:
        """The denominator: every verdict of a control that applied, or might have."""
        return self.satisfied + self.violated + self.undetermined

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.satisfied + other.satisfied, self.violated + other.violated, self.undetermined + other.undetermined
        )


def tally(verdicts: pl.DataFrame) -> Tally:
    """All rows (columns verdict, events) together."""
    counts = dict(verdicts.group_by("verdict").agg(pl.col("events").sum()).iter_rows())
    return Tally(counts.get("satisfied", 0), counts.get("violated", 0), counts.get("undetermined", 0))


def by_control(verdicts: pl.DataFrame, controls: pl.DataFrame, jurisdiction: str | None = None) -> pl.DataFrame:
    """One row a control: those that judged, and the executable ones that found nothing to judge.

    Takes `queries.verdicts` and `queries.controls`. Columns: jurisdiction, control_id, version (the newest), title,
    instrument, kind, severity, satisfied, violated, undetermined; by jurisdiction (`*` last), then control_id.
    """
    counted = verdicts.group_by("control_id").agg(
        pl.col("version").max().cast(pl.Int64).alias("judged_version"),
        *(
            pl.col("events").filter(pl.col("verdict") == verdict).sum().cast(pl.Int64).alias(verdict)
            for verdict in ("satisfied", "violated", "undetermined")
        ),
    )
    known = controls.sort("version", descending=True).unique("control_id", keep="first", maintain_order=True)
    if jurisdiction is not None:
        known = known.filter(pl.col("jurisdiction") == jurisdiction)
    return (
        known.with_columns(pl.col("version").cast(pl.Int64))
        .join(counted, on="control_id", how="full", coalesce=True)
        .filter(pl.col("judged_version").is_not_null() | (pl.col("status") == "executable"))
        .select(
            pl.col("jurisdiction").fill_null("?"),
            "control_id",
            pl.coalesce("version", "judged_version").alias("version"),
            pl.col("title").fill_null("The text of this control is not in the store"),
            pl.col("instrument").fill_null(""),
            pl.col("kind").fill_null("?"),
            pl.col("severity").fill_null("?"),
            *(pl.col(verdict).fill_null(0) for verdict in ("satisfied", "violated", "undetermined")),
        )
        .sort(pl.col("jurisdiction") == "*", "jurisdiction", "control_id")
    )


def by_jurisdiction(control_rows: pl.DataFrame) -> dict[str, Tally]:
    """The rows of `by_control`, one tally a jurisdiction, in their order."""
    tallies: dict[str, Tally] = {}
    for jurisdiction, satisfied, violated, undetermined in control_rows.select(
        "jurisdiction", "satisfied", "violated", "undetermined"
    ).iter_rows():
        tallies[jurisdiction] = tallies.get(jurisdiction, Tally()) + Tally(satisfied, violated, undetermined)
    return tallies


def violated_by_kind(control_rows: pl.DataFrame) -> dict[str, int]:
    """Violated verdicts of `by_control` by kind of control: violation, review, exposure."""
    return dict(control_rows.group_by("kind").agg(pl.col("violated").sum()).iter_rows())


def controls_of(controls: pl.DataFrame, jurisdiction: str | None) -> frozenset[str] | None:
    """The ids of a jurisdiction's controls; None for any jurisdiction. Takes `queries.controls`."""
    if jurisdiction is None:
        return None
    return frozenset(controls.filter(pl.col("jurisdiction") == jurisdiction)["control_id"])


def control_titles(controls: pl.DataFrame) -> dict[str, str]:
    """Titles by control id, of the newest version (`queries.controls`)."""
    return dict(controls.sort("version").select("control_id", "title").iter_rows())


def fingerprint(as_json: str) -> list[tuple[str, str]]:
    """What a finding's events have in common, as (column, value); '' where the value is unknown."""
    return [(str(key), str(value)) for key, value in json.loads(as_json).items()]


@dataclass(frozen=True, slots=True)
class FlowTotals:
    """Events by where they went: within their country, abroad, or somewhere nobody can name."""

    within: int
    abroad: int
    unknown: int

    @property
    def all(self) -> int:
        """Every flow."""
        return self.within + self.abroad + self.unknown


def flow_totals(flows: pl.DataFrame) -> FlowTotals:
    """Takes `queries.flows`. A flow whose source or destination is unknown is neither within nor abroad."""
    known = pl.col("source").is_not_null() & pl.col("destination").is_not_null()
    sums = flows.select(
        pl.col("events").filter(known & (pl.col("source") == pl.col("destination"))).sum().alias("within"),
        pl.col("events").filter(known & (pl.col("source") != pl.col("destination"))).sum().alias("abroad"),
        pl.col("events").filter(~known).sum().alias("unknown"),
    ).row(0)
    return FlowTotals(*(int(value) for value in sums))


def classify_flows(flows: pl.DataFrame, flagged: pl.DataFrame) -> pl.DataFrame:
    """`queries.flows` of all tenants together, with a column `standing`, the largest first.

    Standing is 'within', 'abroad', 'flagged' (abroad, and a breach of the same tenant names it: by its destination, and
    by its source where the finding's fingerprint has one) or 'unknown'.
    """
    anywhere = flagged.filter(pl.col("source").is_null()).select("tenant", "destination", anywhere=pl.lit(value=True))
    pairs = flagged.drop_nulls("source").select("tenant", "source", "destination", pair=pl.lit(value=True))
    known = pl.col("source").is_not_null() & pl.col("destination").is_not_null()
    return (
        flows.join(anywhere.unique(), on=["tenant", "destination"], how="left")
        .join(pairs.unique(), on=["tenant", "source", "destination"], how="left")
        .group_by("source", "destination")
        .agg(
            pl.col("events", "bytes", "firm").sum(),
            pl.col("controllers").explode().unique().sort(),
            pl.any_horizontal("anywhere", "pair").any().alias("named"),
        )
        .with_columns(
            pl.when(~known)
            .then(pl.lit("unknown"))
            .when(pl.col("source") == pl.col("destination"))
            .then(pl.lit("within"))
            .when("named")
            .then(pl.lit("flagged"))
            .otherwise(pl.lit("abroad"))
            .alias("standing")
        )
        .drop("named")
        .sort("events", "source", "destination", descending=[True, False, False])
    )


def rate_series(rate: pl.DataFrame, now: datetime) -> list[tuple[int, float]]:
    """(start of the step in seconds, events a second) for every finished step of the window, the newest last."""
    end = seconds(now) // RATE_STEP_SECONDS * RATE_STEP_SECONDS
    start = end - int(RATE_WINDOW.total_seconds())
    counted = dict(rate.select(pl.col("at").cast(pl.Int64), "events").iter_rows())
    return [(at, counted.get(at, 0) / RATE_STEP_SECONDS) for at in range(start, end, RATE_STEP_SECONDS)]


def events_per_second(series: list[tuple[int, float]]) -> float:
    """The mean of the last finished minute."""
    last = [value for _, value in series[-_RATE_STEPS:]]
    return sum(last) / len(last) if last else 0.0


def waiting_messages(status: Mapping[str, Any] | None) -> int | None:
    """How many messages the worker has still to read; None when it has not said, or does not know yet.

    Takes its status file: {"lag": [{"topic", "partition", "next_offset", "end_offset"}], "lag_at": ISO time, "at": the
    same}.
    """
    if status is None or not isinstance(status.get("lag"), list) or status.get("lag_at") == NEVER:
        return None
    pairs = [(part.get("next_offset"), part.get("end_offset")) for part in status["lag"] if isinstance(part, dict)]
    known = [(start, end) for start, end in pairs if isinstance(start, int) and isinstance(end, int)]
    return sum(max(0, end - start) for start, end in known) if len(known) == len(pairs) else None


def status_time(status: Mapping[str, Any] | None) -> datetime | None:
    """When the worker knew what waits; None when it does not say so with a time zone."""
    said = status or {}
    try:
        known = datetime.fromisoformat(str(said.get("lag_at") or said.get("at")))
    except ValueError:
        return None
    return known if known.tzinfo else None


def merge_heard(long_ago: pl.DataFrame, just_now: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Who was heard from over weeks (asked rarely) brought up to date by the last minutes (asked often).

    Takes two `queries.collectors`. Columns: theirs, `silent_for` (Duration) and `silent`; the longest silence first.
    """
    newest = just_now.select("tenant", "collector", pl.col("last_heard").alias("newest"))
    new = just_now.join(long_ago, on=["tenant", "collector"], how="anti")
    return (
        pl.concat(
            [long_ago.join(newest, on=["tenant", "collector"], how="left"), new.with_columns(newest="last_heard")]
        )
        .with_columns(last_heard=pl.max_horizontal("last_heard", "newest"))
        .drop("newest")
        .with_columns(silent_for=pl.lit(now) - pl.col("last_heard"))
        .with_columns(silent=pl.col("silent_for") > SILENT_AFTER)
        .sort("silent_for", descending=True)
    )


def rollups_behind(last_commit: datetime | None, finished_at: datetime | None, now: datetime) -> timedelta | None:
    """How long something committed has been waiting to be rolled up; None when nothing waits."""
    if last_commit is None or (finished_at is not None and finished_at >= last_commit):
        return None
    waiting = now - last_commit
    return waiting if finished_at is None or waiting > _FRESH_WITHIN else None
