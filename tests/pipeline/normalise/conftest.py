"""Small builders of decoded batches."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire import frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.normalise.frames import Normalised


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case list() | dict() | bool():
            return json.dumps(value, separators=(",", ":"))
        case _:
            return repr(value)


@dataclass
class Batch:
    """A batch of messages; every record goes into the message that was begun last."""

    records: list[dict[str, Any]] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    resource_attributes: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    point_attributes: list[dict[str, Any]] = field(default_factory=list)
    failures: list[frames.Failure] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def message(self, resource: Mapping[str, object] | None = None, *, schema_url: str | None = None) -> Batch:
        """Begin a message with one resource."""
        self.counts.append(0)
        return self.resource(resource, schema_url=schema_url)

    def resource(self, attributes: Mapping[str, object] | None = None, *, schema_url: str | None = None) -> Batch:
        """Begin another resource of the same message."""
        number = len(self.resources)
        self.resources.append({"resource": number, "message": len(self.counts) - 1, "schema_url": schema_url})
        self.resource_attributes += self._attributes("resource", number, attributes or {})
        return self

    def log(self, attributes: Mapping[str, object] | None = None, **columns: object) -> Batch:
        """Add a log record."""
        return self._record("log", attributes or {}, columns)

    def span(self, attributes: Mapping[str, object] | None = None, **columns: object) -> Batch:
        """Add a span."""
        return self._record("span", attributes or {}, columns)

    def point(
        self,
        metric: str,
        value: float | None,
        *,
        at_s: float | None = 0,
        attributes: Mapping[str, str] | None = None,
        **columns: object,
    ) -> Batch:
        """Add a metric point."""
        number = len(self.points)
        time_ns = None if at_s is None else int(at_s * 1e9)
        base = {"message": len(self.counts) - 1, "resource": len(self.resources) - 1, "point_kind": "gauge"}
        self.points.append({"point": number, "metric": metric, "value": value, "time_ns": time_ns, **base, **columns})
        rows = self._attributes("point", number, attributes or {})
        self.point_attributes += [{name: row[name] for name in ("point", "key", "text")} for row in rows]
        return self

    def decoded(self) -> frames.Decoded:
        """The batch as decoding gives it."""
        return frames.Decoded(
            records=pl.DataFrame(self.records, schema=frames.RECORDS_SCHEMA),
            attributes=pl.DataFrame(self.attributes, schema=frames.ATTRIBUTES_SCHEMA),
            resources=pl.DataFrame(self.resources, schema=frames.RESOURCES_SCHEMA),
            resource_attributes=pl.DataFrame(self.resource_attributes, schema=frames.RESOURCE_ATTRIBUTES_SCHEMA),
            points=pl.DataFrame(self.points, schema=frames.POINTS_SCHEMA),
            point_attributes=pl.DataFrame(self.point_attributes, schema=frames.POINT_ATTRIBUTES_SCHEMA),
            failures=tuple(self.failures),
            record_counts=tuple(self.counts),
        )

    def normalised(self) -> Normalised:
        """What normalising the batch gives."""
        return normalise(self.decoded())

    def events(self) -> list[dict[str, Any]]:
        """The batch's events as dictionaries."""
        return self.normalised().events.to_dicts()

    def event(self) -> dict[str, Any]:
        """The batch's only event."""
        (event,) = self.events()
        return event

    def _record(self, signal: str, attributes: Mapping[str, object], columns: Mapping[str, object]) -> Batch:
        if not self.counts:
            self.message()
        row, index = len(self.records), self.counts[-1]
        base = {"row": row, "message": len(self.counts) - 1, "record_index": index, "resource": len(self.resources) - 1}
        self.records.append({**base, "signal": signal, **columns})
        self.attributes += self._attributes("row", row, attributes)
        self.counts[-1] += 1
        return self

    @staticmethod
    def _attributes(index: str, number: int, attributes: Mapping[str, object]) -> list[dict[str, Any]]:
        return [
            {
                index: number,
                "key": key,
                "text": _text(value),
                "int_value": value if isinstance(value, int) and not isinstance(value, bool) else None,
            }
            for key, value in sorted(attributes.items(), key=lambda item: item[0].encode())
        ]


@pytest.fixture
def batch() -> Batch:
    """An empty batch."""
    return Batch()
