"""Decoded parts of a batch and how they become one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.wire.frames import (
    ATTRIBUTES_SCHEMA,
    POINT_ATTRIBUTES_SCHEMA,
    POINTS_SCHEMA,
    RECORDS_SCHEMA,
    RESOURCE_ATTRIBUTES_SCHEMA,
    RESOURCES_SCHEMA,
    Decoded,
    Failure,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """What decoding some messages of a batch gave; frames as in `Decoded`, ids dense within the part.

    Attributes:
        records: as `Decoded.records`.
        attributes: as `Decoded.attributes`.
        resources: as `Decoded.resources`.
        resource_attributes: as `Decoded.resource_attributes`.
        points: as `Decoded.points`.
        point_attributes: as `Decoded.point_attributes`.
        failures: as `Decoded.failures`.
        counts: message → records sent.
        by_reference: messages that the reference decoder read.
    """

    records: pl.DataFrame = field(default_factory=RECORDS_SCHEMA.to_frame)
    attributes: pl.DataFrame = field(default_factory=ATTRIBUTES_SCHEMA.to_frame)
    resources: pl.DataFrame = field(default_factory=RESOURCES_SCHEMA.to_frame)
    resource_attributes: pl.DataFrame = field(default_factory=RESOURCE_ATTRIBUTES_SCHEMA.to_frame)
    points: pl.DataFrame = field(default_factory=POINTS_SCHEMA.to_frame)
    point_attributes: pl.DataFrame = field(default_factory=POINT_ATTRIBUTES_SCHEMA.to_frame)
    failures: tuple[Failure, ...] = ()
    counts: dict[int, int] = field(default_factory=dict)
    by_reference: tuple[int, ...] = ()


def message_failures(faults: dict[int, str]) -> tuple[Failure, ...]:
    """Failures of whole messages; `faults` is message → reason."""
    return tuple(Failure(message, None, "decode", reason) for message, reason in faults.items())


def record_failures(faults: Iterable[tuple[int, int, str]]) -> tuple[Failure, ...]:
    """Failures of records, one a message and reason; `faults` are (message, record index, reason)."""
    grouped: dict[tuple[int, str], list[int]] = {}
    for message, record_index, reason in faults:
        grouped.setdefault((message, reason), []).append(record_index)
    return tuple(
        Failure(message, tuple(sorted(indexes)), "decode", reason) for (message, reason), indexes in grouped.items()
    )


def combine(parts: Sequence[Part], message_count: int) -> Decoded:
    """One batch of its parts: ids dense over the batch, records, resources and points in message order."""
    filled = [part for part in parts if part.counts or part.resources.height]
    whole = filled[0] if len(filled) == 1 else _joined(filled or [Part()])
    counts = {message: count for part in parts for message, count in part.counts.items()}
    failures = sorted(
        (failure for part in parts for failure in part.failures),
        key=lambda failure: (failure.message, failure.record_indexes or ()),
    )
    return Decoded(
        records=whole.records,
        attributes=whole.attributes,
        resources=whole.resources,
        resource_attributes=whole.resource_attributes,
        points=whole.points,
        point_attributes=whole.point_attributes,
        failures=tuple(failures),
        record_counts=tuple(counts.get(message, 0) for message in range(message_count)),
        by_reference=tuple(sorted(message for part in parts for message in part.by_reference)),
    )


def stable_order(keys: pl.Series) -> pl.Series:
    """Positions that sort `keys`, equal ones in the order they have; UInt32."""
    return pl.DataFrame({"key": keys}).with_row_index("position").sort("key", maintain_order=True)["position"]


def _joined(parts: Sequence[Part]) -> Part:
    resources, resource_attributes, resource_ids = _stacked(
        [part.resources for part in parts], [part.resource_attributes for part in parts], "resource"
    )
    first_resource = _firsts([part.resources for part in parts])
    records, attributes, _ = _stacked(
        [_moved(part.records, first, resource_ids) for part, first in zip(parts, first_resource, strict=True)],
        [part.attributes for part in parts],
        "row",
    )
    points, point_attributes, _ = _stacked(
        [_moved(part.points, first, resource_ids) for part, first in zip(parts, first_resource, strict=True)],
        [part.point_attributes for part in parts],
        "point",
    )
    return Part(records, attributes, resources, resource_attributes, points, point_attributes)


def _stacked(
    owners: Sequence[pl.DataFrame], owned: Sequence[pl.DataFrame], key: str
) -> tuple[pl.DataFrame, pl.DataFrame, pl.Series]:
    """Stack owners in message order under new dense ids; also the new id of every stacked position."""
    first = _firsts(owners)
    stacked = pl.concat(owners).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(key))
    long = pl.concat([frame.with_columns(pl.col(key) + offset) for frame, offset in zip(owned, first, strict=True)])
    if stacked["message"].is_sorted():
        return stacked, long, stacked[key]
    order = stable_order(stacked["message"])
    new_ids = stable_order(order)
    stacked = stacked[order].with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(key))
    return stacked, long.with_columns(new_ids.gather(long[key]).alias(key)).sort(key, maintain_order=True), new_ids


def _firsts(frames: Sequence[pl.DataFrame]) -> list[int]:
    firsts = [0]
    for frame in frames:
        firsts.append(firsts[-1] + frame.height)
    return firsts[:-1]


def _moved(frame: pl.DataFrame, first_resource: int, resource_ids: pl.Series) -> pl.DataFrame:
    if not frame.height:
        return frame
    return frame.with_columns(resource_ids.gather(frame["resource"] + first_resource).alias("resource"))
