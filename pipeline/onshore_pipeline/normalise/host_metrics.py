"""Metric points as state events: one a message, resource and minute.

column         from
action         gpu.state when the minute holds a GPU metric (hw.gpu.*, DCGM_*, hw.* of hw.type gpu), else host.state
occurred_at    the minute's last point
record_index   the minute's place in the message, by first point
item_count     how many points
attributes     the last value of every metric that has one series in the minute; hw.gpu.ids, the GPUs that the minute's
               GPU metrics are of, as a JSON array: their UUID (DCGM), gpu.uuid or hw.id
source_*       the resource (see `parties`); the host is the one that DCGM's metrics name (Hostname, hostname, node):
               who scrapes the exporter may run elsewhere, and the resource's host.id is then not that host's

Checked against NVIDIA's dcgm-exporter, whose lines are such as
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-a8af...",device="nvidia0",modelName="NVIDIA L40S",Hostname="gpu-16"} 210
(`node` is what a scraper in Kubernetes adds).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import polars as pl

from onshore_pipeline.wire.frames import POINTS_SCHEMA, RECORDS_SCHEMA

_GPU: Final = r"^(hw\.gpu\.|gpu\.|DCGM_|nvidia_smi_)"
_OF_TYPE: Final = "hw.type"
_IDS: Final = ("UUID", "gpu.uuid", "hw.id")
_DCGM: Final = "DCGM_"
_HOSTS: Final = ("Hostname", "hostname", "node")  # the first that names one host counts
_FIRST_LABEL: Final = r"^([^.]+)"
GPU_IDS: Final = "hw.gpu.ids"
_MINUTE_NS: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class States:
    """Metric points of a batch as records.

    Attributes:
        records: `wire.frames.RECORDS_SCHEMA` and `item_count` UInt64, one row a resource-minute; `row` is dense from 0,
            sorted by (message, record_index).
        attributes: columns row, key, text: the values a state shows, sorted by (row, key bytes).
        points: the points and `row`, the state that each belongs to.
        hosts: columns row, host: the host that a state's metrics name; a row only where they do.
    """

    records: pl.DataFrame
    attributes: pl.DataFrame
    points: pl.DataFrame
    hosts: pl.DataFrame


_NONE: Final = States(
    records=pl.DataFrame(schema={**RECORDS_SCHEMA, "item_count": pl.UInt64()}),
    attributes=pl.DataFrame(schema={"row": pl.UInt32(), "key": pl.String(), "text": pl.String()}),
    points=pl.DataFrame(schema={**POINTS_SCHEMA, "row": pl.UInt32()}),
    hosts=pl.DataFrame(schema={"row": pl.UInt32(), "host": pl.String()}),
)


def states_of(points: pl.DataFrame, point_attributes: pl.DataFrame, resources: pl.DataFrame) -> States:
    """Group metric points into states.

    Args:
        points: `wire.frames.POINTS_SCHEMA`.
        point_attributes: columns point, key, text.
        resources: `wire.frames.RESOURCES_SCHEMA`.
    """
    if not points.height:
        return _NONE
    of_gpu = _of_gpu(points, point_attributes)
    minutes = points.with_columns(minute=pl.col("time_ns") // _MINUTE_NS, of_gpu=of_gpu).sort("message", "point")
    keyed = minutes.with_columns(group=pl.struct("message", "resource", "minute").rank("dense"))
    groups = (
        keyed.group_by("group", maintain_order=True)
        .agg(
            pl.col("message", "resource").first(),
            pl.col("time_ns").max(),
            pl.len().cast(pl.UInt64).alias("item_count"),
            pl.col("of_gpu").any().alias("gpu"),
        )
        .with_row_index("row")
        .with_columns(record_index=(pl.int_range(pl.len()).over("message")).cast(pl.UInt32))
        .join(resources.select("resource", "schema_url"), on="resource", how="left", maintain_order="left")
    )
    placed = keyed.join(groups.select("group", "row"), on="group", how="left", maintain_order="left")
    records = groups.select(
        pl.lit("metric").alias("signal"),
        pl.when("gpu").then(pl.lit("gpu.state")).otherwise(pl.lit("host.state")).alias("event_name"),
        *("row", "message", "resource", "record_index", "time_ns", "schema_url", "item_count"),
    )
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in RECORDS_SCHEMA.items() if name not in records.columns]
    return States(
        records=records.with_columns(missing).select(*RECORDS_SCHEMA.names(), "item_count"),
        attributes=pl.concat([_last_values(placed, point_attributes), _gpu_ids(placed, point_attributes)]).sort(
            "row", "key"
        ),
        points=placed.sort("point").select(*points.columns, "row"),
        hosts=_hosts(placed, point_attributes),
    )


def with_hosts(columns: pl.DataFrame, hosts: pl.DataFrame) -> pl.DataFrame:
    """Events with the hosts that their metrics name.

    Args:
        columns: of events, with row, source_id and source_host.
        hosts: as of `States`, with rows of these events.
    """
    if not hosts.height:
        return columns
    named, resource = (pl.col(name).str.to_lowercase().str.extract(_FIRST_LABEL) for name in ("host", "source_host"))
    return (
        columns.join(hosts, on="row", how="left", maintain_order="left")
        .with_columns(
            source_id=pl.when((named == resource).fill_null(True)).then("source_id"),
            source_host=pl.coalesce("host", "source_host"),
        )
        .drop("host")
    )


def _of_gpu(points: pl.DataFrame, point_attributes: pl.DataFrame) -> pl.Series:
    """Whether each point is of a GPU: by its metric's name, or as OpenTelemetry's hw.* says it; never null."""
    said = point_attributes.filter((pl.col("key") == _OF_TYPE) & (pl.col("text").str.to_lowercase() == "gpu"))
    metric = pl.col("metric").fill_null("")
    typed = metric.str.starts_with("hw.") & pl.col("point").is_in(said["point"].implode())
    return points.select(metric.str.contains(_GPU) | typed).to_series()


def _gpu_ids(placed: pl.DataFrame, point_attributes: pl.DataFrame) -> pl.DataFrame:
    """The ids of the GPUs that a state's points are of; long, columns row, key, text."""
    ids = point_attributes.filter(pl.col("key").is_in(_IDS) & (pl.col("text") != ""))
    found = (
        placed.filter("of_gpu")
        .select("point", "row")
        .join(ids, on="point", how="inner")
        .group_by("row")
        .agg(pl.col("text").unique().sort())
        .sort("row")
    )
    texts = pl.Series([json.dumps(each, ensure_ascii=False) for each in found["text"].to_list()], dtype=pl.String)
    return found.select("row", pl.lit(GPU_IDS).alias("key"), texts.alias("text"))


def _hosts(placed: pl.DataFrame, point_attributes: pl.DataFrame) -> pl.DataFrame:
    """The host that the points of DCGM name by state; none where they name several."""
    named = point_attributes.filter(pl.col("key").is_in(_HOSTS) & (pl.col("text") != ""))
    if not named.height:
        return _NONE.hosts
    return (
        placed.filter(pl.col("metric").str.starts_with(_DCGM))
        .select("point", "row")
        .join(named, on="point", how="inner")
        .group_by("row", "key")
        .agg(pl.col("text").n_unique().alias("count"), pl.col("text").first().alias("host"))
        .filter(pl.col("count") == 1)
        .sort("row", pl.col("key").replace_strict({key: at for at, key in enumerate(_HOSTS)}, return_dtype=pl.UInt8))
        .unique("row", keep="first", maintain_order=True)
        .select("row", "host")
    )


def _last_values(placed: pl.DataFrame, point_attributes: pl.DataFrame) -> pl.DataFrame:
    """The last value of every metric with one series, by row; long, columns row, key, text."""
    series = (
        point_attributes.sort("point", "key")
        .group_by("point")
        .agg(pl.concat_str("key", "text", separator="\x1f").str.join("\x1e").alias("series"))
    )
    last = (
        placed.filter(pl.col("value").is_not_null() & (pl.col("metric") != "") & (pl.col("metric") != GPU_IDS))
        .join(series, on="point", how="left", maintain_order="left")
        .sort("row", "time_ns", "point", nulls_last=False)
        .group_by("row", "metric")
        .agg(pl.col("series").n_unique().alias("series"), pl.col("value").last())
        .filter(pl.col("series") == 1)
        .sort("row", "metric")
    )
    return last.select("row", pl.col("metric").alias("key"), _as_python_writes(last["value"]).alias("text"))


def _as_python_writes(numbers: pl.Series) -> pl.Series:
    """Doubles as decoding writes them: the shortest text that reads back the same, in Python's spelling."""
    return pl.Series([repr(number) for number in numbers.to_list()], dtype=pl.String)
