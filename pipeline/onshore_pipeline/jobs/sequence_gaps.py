"""What of a collector's numbered messages never came, and what came twice. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from datetime import datetime

# No counter gets there; a sender that claims so could make sums wrap.
LARGEST: Final = 2**53

_RUN: Final = ("tenant", "collector_id", "run")
_COLLECTOR: Final = ("tenant", "collector_id")


def islands_of(hourly: pl.DataFrame) -> pl.DataFrame:
    """Runs of consecutive numbers over all hours, in order, from rows of `sequences_hourly`.

    Columns: tenant, collector_id, run, first, last (included), received, first_received, last_received.
    """
    reached = pl.col("last").cum_max().shift(1).over(*_RUN)
    begins = (reached.is_null() | (pl.col("first") > reached + 1)).alias("begins")
    return (
        hourly.filter(pl.col("last") < LARGEST)
        .sort(*_RUN, "first", "last")
        .with_columns(begins)
        .with_columns(pl.col("begins").cum_sum().over(*_RUN).alias("island"))
        .group_by(*_RUN, "island", maintain_order=True)
        .agg(
            pl.col("first").min(),
            pl.col("last").max(),
            pl.col("received").sum(),
            pl.col("first_received").min(),
            pl.col("last_received").max(),
        )
        .drop("island")
    )


def holes_of(islands: pl.DataFrame, settled: datetime) -> pl.DataFrame:
    """Numbers that never came, once what came behind them is older than `settled`.

    A run begins at 0; of a sender that does not name its run, nobody knows where it began.

    Columns: tenant, collector_id, run, first_missing, missing, since (null: nothing came before), until.
    """
    before = pl.col("last").shift(1).over(*_RUN)
    begins_at = (
        pl.when(before.is_not_null()).then(before + 1).when(pl.col("run") != "").then(0).otherwise(pl.col("first"))
    )
    return (
        islands.with_columns(
            begins_at.alias("first_missing"),
            pl.col("last_received").shift(1).over(*_RUN).alias("since"),
        )
        .filter((pl.col("first") > pl.col("first_missing")) & (pl.col("first_received") <= settled))
        .select(
            *_RUN,
            "first_missing",
            (pl.col("first") - pl.col("first_missing")).alias("missing"),
            "since",
            pl.col("first_received").alias("until"),
        )
    )


def totals_of(islands: pl.DataFrame, holes: pl.DataFrame) -> pl.DataFrame:
    """One row a collector: tenant, collector_id, runs, seen, doubled, missing, since, last_heard."""
    covered = (pl.col("last") - pl.col("first") + 1).sum()
    seen = islands.group_by(*_COLLECTOR, maintain_order=True).agg(
        pl.col("run").n_unique().alias("runs"),
        covered.alias("seen"),
        (pl.col("received").sum() - covered).alias("doubled"),
        pl.col("first_received").min().alias("since"),
        pl.col("last_received").max().alias("last_heard"),
    )
    missing = holes.group_by(*_COLLECTOR).agg(pl.col("missing").sum())
    return seen.join(missing, on=_COLLECTOR, how="left").with_columns(pl.col("missing").fill_null(0))
