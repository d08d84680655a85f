"""Encoded metrics → the points frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK as NO_RECORDED_VALUE_MASK,
)

from onshore_pipeline.wire.attributes import read_attributes
from onshore_pipeline.wire.descriptor import METRIC
from onshore_pipeline.wire.elements import column, read_elements
from onshore_pipeline.wire.envelope import parents
from onshore_pipeline.wire.frames import POINTS_SCHEMA
from onshore_pipeline.wire.parts import stable_order
from onshore_pipeline.wire.values import text_or_null, time_or_null

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onshore_pipeline.wire.envelope import Envelope

POINT_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def read_points(envelope: Envelope) -> tuple[pl.DataFrame, pl.DataFrame, dict[int, str]]:
    """Data points as `POINTS_SCHEMA` and `POINT_ATTRIBUTES_SCHEMA`, and message → reason for messages with a bad one.

    Raises `FastPathRefused`.
    """
    batch, bad = read_elements(METRIC, envelope.records, _twice_set)
    kinds = [_points_of_kind(batch, kind) for kind in POINT_KINDS]
    points = pl.concat([frame for frame, _ in kinds])
    # A metric has points of one kind, so sorting by metric restores the order in which they were sent.
    order = stable_order(points["metric_row"])
    attributes = pa.concat_arrays([lists for _, lists in kinds]).take(order.to_arrow())
    read = read_attributes(attributes)
    points = points[order] if len(points) else points
    metrics = envelope.owners.with_columns(
        metric=column(batch.column("name")), unit=column(batch.column("unit"))
    ).select("message", "resource", pl.col("metric").cast(pl.String), text_or_null("unit"))
    of_metric = metrics[points["metric_row"]] if len(points) else metrics.clear()
    frame = points.hstack(of_metric).with_row_index("point").select(POINTS_SCHEMA.names())
    message_of_point = dict(frame.filter(pl.col("point").is_in(list(read.bad))).select("point", "message").iter_rows())
    bad_rows = envelope.bad | bad
    message_of_metric = envelope.owners["message"].gather(list(bad_rows)).to_list() if bad_rows else []
    faults = dict(zip(message_of_metric, bad_rows.values(), strict=True))
    faults |= {message_of_point[point]: why for point, why in read.bad.items()}
    return frame.cast(POINTS_SCHEMA), read.frame.select(pl.col("row").alias("point"), "key", "text"), faults


def _points_of_kind(batch: pa.RecordBatch, kind: str) -> tuple[pl.DataFrame, pa.ListArray]:
    lists = batch.column(kind).field("data_points")
    points = lists.flatten()
    values: dict[str, pl.Series] = {name: column(points.field(name)) for name in _value_names(points)}
    frame = pl.DataFrame({"metric_row": parents(lists), "time": column(points.field("time_unix_nano"))}).with_columns(
        flags=column(points.field("flags")), **values
    )
    recorded = (pl.col("flags") & NO_RECORDED_VALUE_MASK) == 0
    number = pl.coalesce(pl.col("as_double"), pl.col("as_int").cast(pl.Float64)) if "as_int" in values else pl.lit(None)
    total = pl.col("sum") if "sum" in values else pl.lit(None)
    count = pl.col("count") if "count" in values else pl.lit(None)
    return frame.select(
        "metric_row",
        point_kind=pl.lit(kind),
        time_ns=time_or_null("time"),
        value=pl.when(recorded).then(number).cast(pl.Float64),
        sum=pl.when(recorded).then(total).cast(pl.Float64),
        count=pl.when(recorded).then(count).cast(pl.UInt64),
    ), points.field("attributes")


def _value_names(points: pa.StructArray) -> list[str]:
    return [field.name for field in points.type if field.name in {"as_double", "as_int", "sum", "count"}]


def _twice_set(batch: pa.RecordBatch) -> Iterable[int]:
    """Metrics with points of two kinds, or with a number point that has two values."""
    kinds = [pc.cast(batch.column(kind).is_valid(), pa.int32()) for kind in POINT_KINDS]
    total = kinds[0]
    for kind in kinds[1:]:
        total = pc.add(total, kind)
    rows = set(pc.indices_nonzero(pc.greater(total, 1)).to_pylist())
    for kind in ("gauge", "sum"):
        lists = batch.column(kind).field("data_points")
        points = lists.flatten()
        both = pc.and_(points.field("as_double").is_valid(), points.field("as_int").is_valid())
        rows |= set(pc.list_parent_indices(lists).filter(both).to_pylist())
    return sorted(rows)
