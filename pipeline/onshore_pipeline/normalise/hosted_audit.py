"""What the audit logs of hosted services have in common: who did what, from which address, and how it ended.

A module names its fields so: actor, at (the client's address), country (as the service states it), why, dataset,
object_kind, account (whose organisation it is), and makes action, outcome and time itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise.addresses import split_addresses
from onshore_pipeline.normalise.described import begun

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGN_IN: Final = "identity.signin"
_TIME: Final = pl.Datetime("ns", "UTC")
_REFUSED: Final = (401, 403)
_OK, _FAILED = 200, 400
_LAST_MS: Final = (2**63 - 1) // 1_000_000


def milliseconds_of(text: pl.Expr) -> pl.Expr:
    """Datetime (ns, UTC) of whole milliseconds since 1970; null for what is no such number or past 2262."""
    number = text.cast(pl.Int64, strict=False)
    return (pl.when(number.is_between(0, _LAST_MS)).then(number) * 1_000_000).cast(_TIME)


def status_of(code: pl.Expr) -> pl.Expr:
    """The outcome that an HTTP status says; null without one."""
    number = code.cast(pl.Int64, strict=False)
    return (
        pl.when(number.is_in(_REFUSED))
        .then(pl.lit("denied"))
        .when(number >= _FAILED)
        .then(pl.lit("failure"))
        .when(number >= _OK)
        .then(pl.lit("success"))
    )


def columns(fields: pl.DataFrame, source_format: str, occurred: pl.Expr, described: Iterable[pl.Expr]) -> pl.DataFrame:
    """The columns of records, row by row.

    Args:
        fields: `source_fields` with the fields that this module names.
        source_format: their format.
        occurred: when it happened.
        described: action, outcome, actor_type and what else is a format's own.
    """
    address, host = split_addresses(fields["at"])
    beside = fields.with_columns(address.alias("client"), host.alias("client_host"))
    return beside.select(
        *begun(source_format, occurred),
        pl.col("why").alias("reason"),
        pl.col("actor").alias("actor_id"),
        *(pl.col("client").alias(f"{party}_address") for party in ("actor", "source")),
        pl.col("client_host").alias("source_host"),
        pl.col("country").alias("actor_declared_country"),
        pl.col("account").alias("destination_account"),
        pl.col("dataset"),
        pl.col("object_kind").alias("object_type"),
        *described,
    )
