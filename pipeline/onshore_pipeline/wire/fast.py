"""The fast decoder: many requests of one signal → frames, columnar from the first byte on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from onshore_pipeline.wire.envelope import open_requests
from onshore_pipeline.wire.metrics import read_points
from onshore_pipeline.wire.parts import Part, message_failures, record_failures
from onshore_pipeline.wire.records import read_logs, read_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.wire.envelope import Envelope, Request
    from onshore_pipeline.wire.frames import Failure

Signal = Literal["logs", "spans", "metrics"]
_READERS: Final = {"logs": read_logs, "spans": read_spans}


def read(signal: Signal, requests: Sequence[Request]) -> Part:
    """Decode requests of one signal, their messages rising; raises `FastPathRefused`."""
    envelope = open_requests(requests)
    if signal == "metrics":
        return _read_metrics(envelope, requests)
    records, attributes, bad = _READERS[signal](envelope)
    failures = message_failures(envelope.faults)
    if bad:
        failures += _failures(envelope, bad)
        records, attributes = _without(records, attributes, bad)
    return Part(
        records=records,
        attributes=attributes,
        resources=envelope.resources,
        resource_attributes=envelope.resource_attributes,
        failures=failures,
        counts=envelope.counts,
    )


def _read_metrics(envelope: Envelope, requests: Sequence[Request]) -> Part:
    points, point_attributes, faults = read_points(envelope)
    if faults:
        # A failed message leaves no rows anywhere, its resources included: read the others without it.
        part = read("metrics", [request for request in requests if request.message not in faults])
        return Part(
            resources=part.resources,
            resource_attributes=part.resource_attributes,
            points=part.points,
            point_attributes=part.point_attributes,
            failures=part.failures + message_failures(faults),
        )
    return Part(
        resources=envelope.resources,
        resource_attributes=envelope.resource_attributes,
        points=points,
        point_attributes=point_attributes,
        failures=message_failures(envelope.faults),
    )


def _failures(envelope: Envelope, bad: dict[int, str]) -> tuple[Failure, ...]:
    rows = sorted(bad)
    places = envelope.owners.select("message", "record_index")[rows].iter_rows()
    return record_failures((message, index, bad[row]) for row, (message, index) in zip(rows, places, strict=True))


def _without(records: pl.DataFrame, attributes: pl.DataFrame, bad: dict[int, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    gone = pl.Series(list(bad), dtype=pl.UInt32).implode()
    kept = records.filter(~pl.col("row").is_in(gone))
    new_row = kept.select("row").with_row_index("new_row")
    left = attributes.join(new_row, on="row", how="inner", maintain_order="left")
    dense = kept.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))
    return dense, left.select("new_row", "key", "text", "int_value").rename({"new_row": "row"})
