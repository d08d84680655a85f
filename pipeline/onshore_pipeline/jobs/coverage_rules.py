"""From what was rolled up to rows of coverage and findings, one function a kind of coverage. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.context.expected_sources import ExpectedSource, Sender
from onshore_pipeline.jobs import coverage_rows as rows
from onshore_pipeline.jobs.coverage_rows import MOST_ROWS, UNKNOWN, Covered, Found, Measured, State
from onshore_pipeline.jobs.sequence_gaps import holes_of, islands_of, totals_of
from onshore_pipeline.jobs.silences import Heard, judge_silence, minutes_of, open_silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_UNREGISTERED: Final = 500
# A hole in numbers may be filled by a message that overtook nobody: another partition's worker is behind.
HOLES_SETTLE: Final = timedelta(minutes=5)
CLOCK_WITHIN: Final = timedelta(seconds=60)
# Later than this after now, a time is a claim and nothing that was heard.
CREDIBLE_AHEAD: Final = timedelta(hours=1)

SENDER: Final = ("tenant", "collector_id", "source_format", "kafka_topic", "resource")


def of_sources(
    sources: Sequence[ExpectedSource],
    heard: pl.DataFrame,
    matches: Mapping[str, Sequence[int]],
    first_hour: int,
    hours: int,
    judged_at: datetime,
) -> Measured:
    """How each expected source was heard.

    Args:
        sources: the register.
        heard: rows of `heard_hourly` with `hour` in hours since the epoch and `sender`, a number for each sender.
        matches: by a source's name, the senders that are its.
        first_hour: the first hour that is measured.
        hours: how many.
        judged_at: what arrived up to then has been rolled up.
    """
    covered: list[Covered] = []
    found: list[Found] = []
    for source in sources:
        own = heard.filter(pl.col("sender").is_in(list(matches[source.name])))
        minutes = minutes_of(own["hour"].to_numpy(), own["minutes"].to_numpy(), first_hour, hours)
        last = own.filter(pl.col("last_occurred") <= judged_at + CREDIBLE_AHEAD)["last_occurred"].max()
        last_heard = last if isinstance(last, datetime) else None
        judged = judge_silence(source, minutes, first_hour, judged_at)
        covered.append(_of_source(source, judged, last_heard))
        if judged is not None and judged.silences:
            tenant = source.tenant or UNKNOWN
            covered += [
                Covered(
                    "silence", "missed" if each.until else "silent", tenant, source.name,
                    since=each.since, until=each.until, control_id=rows.SILENT,
                    why=f"nothing for longer than {_words(source.heard_every)}",
                    owner=source.owner, matters=source.why,
                )
                for each in judged.silences[-MOST_ROWS:]
            ]  # fmt: skip
            ends = judged.silences[-1].until or judged.until
            found.append(
                Found(rows.SILENT, (tenant, source.name), judged.silences[0].since, ends, len(judged.silences))
            )
    return covered, found


def _of_source(source: ExpectedSource, judged: Heard | None, last_heard: datetime | None) -> Covered:
    row = Covered(
        "heard", "waiting", source.tenant or UNKNOWN, source.name, unit="s", last_heard=last_heard,
        why=f"expected since {source.since:%Y-%m-%d %H:%M} UTC: too early to say",
        owner=source.owner, matters=source.why,
    )  # fmt: skip
    if judged is None:
        return row
    silent = open_silence(judged.silences)
    state: State = "seen"
    why = f"heard at least every {_words(source.heard_every)}"
    if silent is not None:
        never = "" if last_heard else " (never heard at all)"
        state, why = "silent", f"silent since {silent.since:%Y-%m-%d %H:%M} UTC{never}"
    elif judged.silences:
        state, why = "missed", f"{len(judged.silences)} times silent for longer than {_words(source.heard_every)}"
    return replace(
        row, state=state, since=judged.since, until=judged.until, expected=judged.expected_s, seen=judged.seen_s,
        control_id=rows.SILENT if judged.silences else "", why=why,
    )  # fmt: skip


def of_sequences(hourly: pl.DataFrame, judged_at: datetime) -> Measured:
    """What of each collector's numbered messages came, from rows of `sequences_hourly`."""
    islands = islands_of(hourly)
    holes = holes_of(islands, judged_at - HOLES_SETTLE)
    covered: list[Covered] = []
    found: list[Found] = []
    for each in totals_of(islands, holes).iter_rows(named=True):
        who = (each["tenant"], each["collector_id"] or UNKNOWN)
        missing, doubled = each["missing"], each["doubled"]
        runs = f"{each['runs']} {'start' if each['runs'] == 1 else 'starts'} of the sender"
        covered.append(
            Covered(
                "sequence", "missed" if missing else "seen", each["tenant"], collector_id=each["collector_id"],
                since=each["since"], until=each["last_heard"], unit="messages", expected=each["seen"] + missing,
                seen=each["seen"], doubled=doubled, last_heard=each["last_heard"],
                control_id=rows.HOLES if missing else rows.DOUBLES if doubled else "",
                why=f"{missing:,} numbers never came, {doubled:,} came again, {runs}",
            )
        )  # fmt: skip
        if doubled:
            found.append(Found(rows.DOUBLES, who, each["since"], each["last_heard"], doubled))
    for hole in holes.iter_rows(named=True):
        who = (hole["tenant"], hole["collector_id"] or UNKNOWN)
        found.append(Found(rows.HOLES, who, hole["since"] or hole["until"], hole["until"], hole["missing"]))
    newest = holes.sort("until").group_by("tenant", "collector_id").tail(MOST_ROWS)
    covered += [
        Covered(
            "sequence_gap", "missed", hole["tenant"], collector_id=hole["collector_id"], since=hole["since"],
            until=hole["until"], unit="messages", expected=hole["missing"], seen=0, control_id=rows.HOLES,
            why=f"numbers {hole['first_missing']} to {hole['first_missing'] + hole['missing'] - 1}"
            + (f" of start {hole['run']}" if hole["run"] else ""),
        )
        for hole in newest.iter_rows(named=True)
    ]  # fmt: skip
    return covered, found


def of_clocks(heard: pl.DataFrame, limits: Mapping[int, timedelta]) -> Measured:
    """Whose clock is off by more than its limit: ahead by any event, behind by heartbeats, which are sent at once.

    `limits`: by sender, where a source of the register sets one.
    """
    limit_ms = pl.col("sender").replace_strict(
        {sender: limit // timedelta(milliseconds=1) for sender, limit in limits.items()},
        default=CLOCK_WITHIN // timedelta(milliseconds=1),
        return_dtype=pl.Int64,
    )
    ahead, behind = -pl.col("least_delay_ms"), pl.col("least_heartbeat_delay_ms")
    off = (
        heard.with_columns(pl.max_horizontal(ahead, behind).alias("off_ms"), limit_ms.alias("limit_ms"))
        .filter(pl.col("off_ms") > pl.col("limit_ms"))
        .group_by("tenant", "collector_id", maintain_order=True)
        .agg(
            ahead.max().alias("ahead"),
            behind.max().alias("behind"),
            pl.col("off_ms").max(),
            pl.col("hour").n_unique().alias("hours"),
            pl.col("last_received").min().alias("since"),
            pl.col("last_received").max().alias("until"),
        )
    )
    covered: list[Covered] = []
    found: list[Found] = []
    for each in off.iter_rows(named=True):
        is_ahead = each["off_ms"] == each["ahead"]
        seconds = f"{each['off_ms'] / 1000:,.0f} s {'ahead of' if is_ahead else 'behind'} the broker's clock"
        covered.append(
            Covered(
                "clock", "wrong", each["tenant"], collector_id=each["collector_id"], since=each["since"],
                until=each["until"], unit="hours", control_id=rows.CLOCK,
                why=f"up to {seconds}, in {each['hours']:,} hours of its own time",
            )
        )  # fmt: skip
        who = (each["tenant"], each["collector_id"] or UNKNOWN)
        found.append(Found(rows.CLOCK, who, each["since"], each["until"], each["hours"]))
    return covered, found


def of_losses(heard: pl.DataFrame) -> Measured:
    """Which formats arrive through a decoder that is known to lose fields."""
    lost = (
        heard.filter(pl.col("losses") != "")
        .group_by("tenant", "source_format", "losses", maintain_order=True)
        .agg(
            pl.col("events").sum(),
            pl.col("last_received").min().alias("since"),
            pl.col("last_received").max().alias("until"),
        )
    )
    covered: list[Covered] = []
    found: list[Found] = []
    for each in lost.iter_rows(named=True):
        covered.append(
            Covered(
                "losses", "missed", each["tenant"], each["source_format"], since=each["since"], until=each["until"],
                unit="records", control_id=rows.LOSSES,
                why=f"{each['events']:,} events lack {each['losses']}, which their decoder drops",
            )
        )  # fmt: skip
        what = (each["tenant"], each["source_format"])
        found.append(Found(rows.LOSSES, what, each["since"], each["until"], each["events"]))
    return covered, found


def of_unregistered(heard: pl.DataFrame, registered: frozenset[int]) -> list[Covered]:
    """Who was heard and is expected by nobody."""
    others = (
        heard.filter(~pl.col("sender").is_in(list(registered)))
        .group_by("tenant", "collector_id", "source_format", maintain_order=True)
        .agg(pl.col("last_received").max(), pl.col("events").sum())
        .sort("last_received", descending=True)
        .head(MOST_UNREGISTERED)
    )
    return [
        Covered(
            "unregistered", "unknown", each["tenant"], each["source_format"], each["collector_id"],
            last_heard=each["last_received"], unit="records",
            why=f"{each['events']:,} events of a source that is not registered: register it",
        )
        for each in others.iter_rows(named=True)
    ]  # fmt: skip


def sender_of(row: Mapping[str, str]) -> Sender:
    """Who a row of `heard_hourly` is from."""
    return Sender(*(row[name] for name in SENDER))


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
