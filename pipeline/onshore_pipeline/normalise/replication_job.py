"""Replication: Kafka MirrorMaker 2's connectors as Kafka Connect shows them, and the plain form.

    column              from (plain form: see `plain_form`)
    action              data.replicate; plain events stop and delete are config.change. A connector that copies no
                        records (checkpoints, heartbeats; enabled=false; paused or stopped) is config.read; a record
                        that is none of these stays a log record
    outcome             plain form; with a connector's status success when it and a task of it run, failure when it
                        failed; else unknown: what is set up need not run
    source_, destination_host   plain form; of a connector the first bootstrap server of source.cluster and
                        target.cluster
    dataset             plain form; topics where it names a single one, without a pattern
    object_type         plain form; topic of a connector that copies records
    encrypted_in_transit    plain form; security.protocol of both clusters, when both say it

A connector says nothing of amounts. Kafka Connect shows it with `GET /connectors/NAME`, and with its status with
`GET /connectors?expand=info&expand=status`, of which each member is a record (`jq '.[]'`). Records are written with the
producer of the Connect worker: a worker of another cluster than target.cluster writes there.

Checked against apache/kafka 3.9.0 (connect/mirror: MirrorConnectorConfig, MirrorSourceConfig, MirrorSourceMetrics;
connect/runtime: ConnectorInfo, ConnectorStateInfo, AbstractStatus).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, values
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "replication.job"


def _config(key: str) -> str:
    """Where a connector's setting stands: in the connector alone, and beside its status."""
    return f"config {key} | info config {key}"


_SPELLED: Final = plain_form.spelled(
    connector=_config("connector.class"),
    enabled=_config("enabled"),
    from_servers=_config("source.cluster.bootstrap.servers"),
    to_servers=_config("target.cluster.bootstrap.servers"),
    from_alias=_config("source.cluster.alias"),
    to_alias=_config("target.cluster.alias"),
    from_protocol=_config("source.cluster.security.protocol"),
    to_protocol=_config("target.cluster.security.protocol"),
    topics=_config("topics"),
    excluded=_config("topics.exclude"),
    groups=_config("groups"),
    name="name | info name",
    state="status connector state",
    tasks="status tasks [] state",
)
_ATTRIBUTES: Final = {
    "event": "replication.event",
    "id": "replication.id",
    "name": "replication.name",
    "from_alias": "replication.source",
    "to_alias": "replication.target",
    "topics": "replication.topics",
    "excluded": "replication.topics_excluded",
    "groups": "replication.groups",
    "connector": "replication.connector",
    "state": "replication.state",
}
_ACTIONS: Final = {
    "replicate": "data.replicate",
    "start": "data.replicate",
    "stop": "config.change",
    "delete": "config.change",
}
_MIRRORS: Final = "org.apache.kafka.connect.mirror.Mirror"
_COPIES: Final = f"{_MIRRORS}SourceConnector"
_AT_REST: Final = ("PAUSED", "STOPPED")
_RUNS: Final = "RUNNING"
_TLS: Final = r"(?i)SSL$"
_ONE_TOPIC: Final = r"^[A-Za-z0-9._-]+$"
_FIRST: Final = r"^\s*([^,\s]+)"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of replications, row by row, and their fields without a column as attributes."""
    topics = pl.col("topics")
    fields = source_fields(records, _SPELLED, {}).with_columns(
        source_at=pl.coalesce("source_at", pl.col("from_servers").str.extract(_FIRST)),
        destination_at=pl.coalesce("destination_at", pl.col("to_servers").str.extract(_FIRST)),
        dataset=pl.coalesce("dataset", pl.when(topics.str.contains(_ONE_TOPIC)).then(topics)),
    )
    tls = [pl.col(f"{end}_protocol").str.contains(_TLS) for end in ("from", "to")]
    described = [
        _action().alias("action"),
        plain_form.outcome_of(_outcome()).alias("outcome"),
        pl.col("actor_at_address").alias("actor_address"),
        pl.coalesce("object_kind", pl.when(pl.col("connector") == _COPIES).then(pl.lit("topic"))).alias("object_type"),
        pl.coalesce(values.flag_of(pl.col("in_transit")), tls[0] & tls[1]).alias("encrypted_in_transit"),
    ]
    return plain_form.columns(fields, FORMAT, described), added(fields, _ATTRIBUTES)


def _action() -> pl.Expr:
    copies = pl.col("connector") == _COPIES
    idle = ~values.flag_of(pl.col("enabled")) | pl.col("state").is_in(_AT_REST)
    return pl.coalesce(
        plain_form.word("event").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
        pl.when(copies & ~idle.fill_null(False)).then(pl.lit("data.replicate")),
        pl.when(pl.col("connector").str.starts_with(_MIRRORS)).then(pl.lit("config.read")),
        pl.lit("log.record"),
    )


def _outcome() -> pl.Expr:
    """What the status says of a connector."""
    state = pl.col("state")
    works = (state == _RUNS) & pl.col("tasks").list.contains(_RUNS)
    return pl.when(works).then(pl.lit("success")).when(state == "FAILED").then(pl.lit("failure"))


SHAPE: Final = Shape(FORMAT, (), describe)
