"""Replication: Kafka MirrorMaker 2's connectors as Kafka Connect shows them, and the plain form.

    column              from (plain form: see `plain_form`)
    action              data.replicate; plain events stop and delete are config.change; a record that is none of these
                        stays a log record
    source_, destination_host   plain form; of a connector the first bootstrap server of source.cluster and
                        target.cluster
    dataset             plain form; the connector's topics

A connector says what is set up to be replicated, and so has no outcome and no amount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "replication.job"

_SPELLED: Final = plain_form.spelled(
    connector="config connector.class",
    from_servers="config source.cluster.bootstrap.servers",
    to_servers="config target.cluster.bootstrap.servers",
    from_alias="config source.cluster.alias",
    to_alias="config target.cluster.alias",
    dataset="config topics",
    name="name",
)
_ATTRIBUTES: Final = {
    "event": "replication.event",
    "id": "replication.id",
    "name": "replication.name",
    "from_alias": "replication.source",
    "to_alias": "replication.target",
}
_ACTIONS: Final = {
    "replicate": "data.replicate",
    "start": "data.replicate",
    "stop": "config.change",
    "delete": "config.change",
}
_MIRRORS: Final = "org.apache.kafka.connect.mirror.Mirror"
_FIRST: Final = r"^\s*([^,\s]+)"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of replications, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).with_columns(
        source_at=pl.coalesce("source_at", pl.col("from_servers").str.extract(_FIRST)),
        destination_at=pl.coalesce("destination_at", pl.col("to_servers").str.extract(_FIRST)),
    )
    described = [
        pl.coalesce(
            plain_form.word("event").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
            pl.when(pl.col("connector").str.starts_with(_MIRRORS)).then(pl.lit("data.replicate")),
            pl.lit("log.record"),
        ).alias("action"),
        plain_form.outcome_of().alias("outcome"),
        pl.col("actor_at_address").alias("actor_address"),
    ]
    return plain_form.columns(fields, FORMAT, described), added(fields, _ATTRIBUTES)


SHAPE: Final = Shape(FORMAT, (), describe)
