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


def of_statements(statements: pl.DataFrame) -> Measured:
    """What senders say they lost and sources say they skipped, and what chains of digests prove.

    `statements`: distinct rows of `message_statements` with `times`, how many events say the same.
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
    for (tenant, source), own in digests.group_by("tenant", "source", maintain_order=True):
        more, also = _of_digests(str(tenant), str(source), own)
        covered, found = covered + more, found + also
    return covered, found


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
    for action, its_control in (("telemetry.gap", rows.DIGEST_GAPS), ("telemetry.altered", rows.ALTERED)):
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
