"""What is left of an event for controls that look at more than one: in Polars, and as a question to the store.

Facts, one row an event and role: `event_id` (16 bytes), `role`, `at` (when it happened) and `arrival` (when we had it),
both nanoseconds since 1970, `keys` and `vals` (the control's key columns and the columns of its aggregates as texts,
an unknown one null), `sure` (it has this role; false: nobody knows), `missing` (what was missing first, if it is not
sure), `disputed` (claims about a party that the condition reads disagree).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.texts import CLICKHOUSE, FLAG_PREFIX, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.condition import Column
    from onshore_pipeline.controls.windowed import WindowedControl

FACTS_SCHEMA: Final = pl.Schema(
    {
        "event_id": pl.Binary(),
        "role": pl.UInt8(),
        "at": pl.Int64(),
        "arrival": pl.Int64(),
        "keys": pl.List(pl.String()),
        "vals": pl.List(pl.String()),
        "sure": pl.Boolean(),
        "missing": pl.String(),
        "disputed": pl.Boolean(),
    }
)


def facts_of(windowed: WindowedControl, events: pl.DataFrame) -> pl.DataFrame:
    """The facts of a frame of located events that has `arrival` beside the columns of `event_frame`."""
    parties = sorted({party for role in windowed.roles for party in role.parties})
    claims = pl.element().str.starts_with
    flags = [
        pl.col("contradictions").list.eval(claims(f"{party}:")).list.any().fill_null(value=False).alias(
            f"{FLAG_PREFIX}{party}"
        )
        for party in parties
    ]  # fmt: skip
    asked = events.with_columns(flags)
    parts = [
        asked.select(
            pl.col("event_id").cast(pl.Binary),
            pl.lit(number, pl.UInt8).alias("role"),
            pl.col("occurred_at").dt.timestamp("ns").alias("at"),
            "arrival",
            _texts(windowed.key).alias("keys"),
            _texts(windowed.values).alias("vals"),
            pl.sql_expr(role.polars.applies).alias("sure"),
            pl.sql_expr(role.polars.missing).cast(pl.String).alias("missing"),
            pl.sql_expr(role.polars.contradicted).alias("disputed"),
        )
        for number, role in enumerate(windowed.roles)
    ]
    known = pl.concat(parts).filter(pl.col("sure").fill_null(value=True))
    unsure = pl.col("sure").is_null()
    return known.with_columns(~unsure, pl.when(unsure).then("missing").otherwise(pl.lit("")).alias("missing")).cast(
        FACTS_SCHEMA
    )


def facts_select(windowed: WindowedControl, role: int, events: str, where: str, also: Sequence[str] = ()) -> str:
    """A SELECT of the facts of one role, in ClickHouse's SQL.

    Args:
        windowed: the control.
        role: which of its roles.
        events: what stands behind FROM: rows of `events` with `arrival` in nanoseconds beside their columns.
        where: an SQL condition that narrows them.
        also: columns of theirs to take along.
    """
    texts = windowed.roles[role].clickhouse
    return (
        f"SELECT event_id, toUInt8({role}) AS role, toUnixTimestamp64Nano(occurred_at) AS at, arrival,"  # noqa: S608 - checked texts
        f" {_clickhouse_texts(windowed.key)} AS keys, {_clickhouse_texts(windowed.values)} AS vals,"
        f" in_scope IS NOT NULL AS sure, if(in_scope IS NULL, toString({texts.missing}), '') AS missing,"
        f" {', '.join((f'{texts.contradicted} AS disputed', *also))}"
        f" FROM (SELECT *, {texts.applies} AS in_scope FROM {events} WHERE {where})"
        " WHERE ifNull(in_scope, true)"
    )


def rule_literal(windowed: WindowedControl) -> str:
    """The control's rule as an SQL literal."""
    return quoted(windowed.rule, CLICKHOUSE)


def _texts(columns: Sequence[Column]) -> pl.Expr:
    if not columns:
        return pl.lit([], dtype=pl.List(pl.String))
    return pl.concat_list(pl.col(column.name).cast(pl.String) for column in columns)


def _clickhouse_texts(columns: Sequence[Column]) -> str:
    texts = ", ".join(f"CAST(toString({column.name}) AS Nullable(String))" for column in columns)
    return f"CAST([{texts}] AS Array(Nullable(String)))"
