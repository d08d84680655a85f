"""Coverage by what events say about it: losses of senders, records that a source skipped, chains of digests. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.jobs import coverage_rows as rows
from onshore_pipeline.jobs.coverage_rows import MOST_ROWS, UNKNOWN, Covered, Found, Measured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onshore_pipeline.jobs.coverage_rows import State

_OF_DIGESTS: Final = ("verified", "gap", "altered", "unverified")
_FINDINGS: Final = {"telemetry.gap": rows.DIGEST_GAPS, "telemetry.altered": rows.ALTERED}
_CONCLUSIVE: Final = ("telemetry.verified", "telemetry.altered")


def of_statements(statements: pl.DataFrame) -> Measured:
    """What senders say they lost and sources say they skipped, and what chains of digests prove.

    `statements`: distinct rows of `message_statements` with `said_at`, when the newest event that says it arrived.
    """
    covered: list[Covered] = []
    found: list[Found] = []
    lost = statements.filter((pl.col("action") == "telemetry.gap") & (pl.col("source") == ""))
    for each in _spans(lost, "tenant", "collector_id"):
        who = (each["tenant"], each["collector_id"] or UNKNOWN)
        items = max(each["items"], 1)
        covered.append(
            Covered(
                "dropped", "missed", each["tenant"], collector_id=each["collector_id"], since=each["since"],
                until=each["until"], unit="records", expected=None, seen=None, control_id=rows.DROPPED,
                why=f"the sender says that it lost {items:,}: {each['why']}",
            )
        )  # fmt: skip
        found.append(Found(rows.DROPPED, who, each["since"], each["until"], items))
    skipped = statements.filter(pl.col("action") == "telemetry.skipped")
    for each in _spans(skipped, "tenant", "source"):
        covered.append(
            Covered(
                "skipped", "missed", each["tenant"], each["source"] or UNKNOWN, since=each["since"],
                until=each["until"], unit="records", control_id=rows.SKIPPED,
                why=f"{each['statements']:,} times the source says that it skipped records: {each['why']}",
            )
        )  # fmt: skip
        where = (each["tenant"], each["source"] or UNKNOWN)
        found.append(Found(rows.SKIPPED, where, each["since"], each["until"], each["statements"]))
    digests = statements.filter(
        (pl.col("source") != "") & pl.col("action").is_in([f"telemetry.{word}" for word in _OF_DIGESTS])
    )
    counting = _that_still_count(digests)
    for (tenant, source), own in counting.group_by("tenant", "source", maintain_order=True):
        more, also = _of_digests(str(tenant), str(source), own)
        covered, found = covered + more, found + also
    return covered, found + _taken_back(digests, counting)


def _that_still_count(digests: pl.DataFrame) -> pl.DataFrame:
    """The newest statement about each object (else each time) of a source, each log file's until its digest verified.

    That something could not be verified takes back neither that it was nor that it was altered: a run without keys
    must not undo one with them.
    """
    about = ("tenant", "source", "object", pl.when(pl.col("object") == "").then(pl.struct("since", "until")))
    settled = pl.col("action").is_in(_CONCLUSIVE).any().over(*about)
    newest = (
        digests.filter((pl.col("action") != "telemetry.unverified") | ~settled)
        .sort("said_at", "action", descending=[False, True])  # of one moment the worst comes last
        .unique(about, keep="last", maintain_order=True)
    )
    lists = newest.filter((pl.col("action") == "telemetry.verified") & (pl.col("object") != "")).select(
        "tenant", "source", listed_by="object", verified_at="said_at"
    )
    is_undone = (pl.col("verified_at") >= pl.col("said_at")) | (pl.col("action") == "telemetry.unverified")
    return newest.join(lists, on=("tenant", "source", "listed_by"), how="left", maintain_order="left").filter(
        pl.col("verified_at").is_null() | ~is_undone
    )


def _taken_back(digests: pl.DataFrame, counting: pl.DataFrame) -> list[Found]:
    """Findings of which nothing is left, as 0 events: what stood behind them was verified since."""
    return [
        Found(control, (each["tenant"], each["source"]), each["since"], each["until"], 0)
        for action, control in _FINDINGS.items()
        for each in _spans(
            digests.filter(pl.col("action") == action).join(
                counting.filter(pl.col("action") == action), on=("tenant", "source"), how="anti", maintain_order="left"
            ),
            *("tenant", "source"),
        )
    ]


def _of_digests(tenant: str, source: str, own: pl.DataFrame) -> Measured:
    (whole,) = _spans(own, "tenant", "source")

    def count(action: str) -> int:
        return own.filter(pl.col("action") == action).height

    verified, gaps, altered, unverified = (count(f"telemetry.{word}") for word in _OF_DIGESTS)
    control = rows.ALTERED if altered else rows.DIGEST_GAPS if gaps else ""
    # What nobody could verify is neither seen nor missing: it lowers the share, and is no finding.
    state: State = "wrong" if altered else "missed" if gaps else "unknown" if unverified else "seen"
    covered = [
        Covered(
            "digests", state, tenant, source,
            since=whole["since"], until=whole["until"], unit="digests", expected=own.height, seen=verified,
            last_heard=whole["until"], control_id=control,
            why=f"{verified:,} verified, {gaps:,} missing, {altered:,} altered"
            + (f", {unverified:,} not to be verified" if unverified else ""),
        )
    ]  # fmt: skip
    found = []
    for action, its_control in _FINDINGS.items():
        bad = own.filter(pl.col("action") == action)
        found += [
            Found(its_control, (tenant, source), each["since"], each["until"], each["statements"])
            for each in _spans(bad, "tenant", "source")
        ]
        covered += [
            Covered(
                "digest_gap", "missed" if action == "telemetry.gap" else "wrong", tenant, source, since=each["since"],
                until=each["until"], unit="digests", expected=1, seen=0, control_id=its_control, why=each["why"],
            )
            for each in bad.sort("until").tail(MOST_ROWS).iter_rows(named=True)
        ]  # fmt: skip
    return covered, found


def _spans(statements: pl.DataFrame, *by: str) -> Iterable[dict[str, Any]]:
    """One row a group: since, until, items (what they say in sum), statements, and the reasons in one text."""
    return (
        statements.group_by(*by, maintain_order=True)
        .agg(
            pl.col("since").min(),
            pl.col("until").max(),
            pl.col("items").sum(),
            pl.len().alias("statements"),
            pl.col("why").unique(maintain_order=True).head(5).str.join(", "),
        )
        .iter_rows(named=True)
    )
