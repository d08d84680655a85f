"""What the pipeline makes of the demo's requests, without processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl

from onshore_pipeline import context
from onshore_pipeline.assess import Judgement, assess
from onshore_pipeline.broker import TENANT_HEADER, Message, Polled
from onshore_pipeline.controls.load import load_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from onshore_collectors.demo.play import Request

TOPICS = {
    "log": ("otlp_logs", UUID(int=1)),
    "span": ("otlp_spans", UUID(int=2)),
    "metric": ("otlp_metrics", UUID(int=3)),
}
APPENDED_NS = 1_795_000_000_000_000_000


@dataclass(frozen=True)
class Judged:
    """What the pipeline makes of requests; `message` is the request's place."""

    events: pl.DataFrame
    verdicts: pl.DataFrame
    violations: pl.DataFrame


def shipped_judgement() -> Judgement:
    """The shipped controls and registries, without any geolocation: the demo must not need it."""
    return Judgement(
        context=context.load(None, uses_registry=False),
        controls=load_controls(),
        pipeline="test",
        salt_master=bytes(32),
        tenant_of=lambda message: dict(message.headers)[TENANT_HEADER].decode(),
        trusts=lambda _: True,
    )


def judge(requests: Sequence[Request], judgement: Judgement) -> Judged:
    """Requests → what the whole pipeline says about them."""
    messages = tuple(_message(place, request) for place, request in enumerate(requests))
    attempt = assess(Polled(messages), judgement, UUID(int=9))
    assert attempt.dead_lettered == 0
    table = attempt.tables["events"]
    events = _by_message(table.drop_columns(["attributes", "resource_attributes"]), requests)
    uids = events.select("event_id").with_columns(uid=pl.Series(_uids(table), dtype=pl.String))
    violations = _frame(attempt.tables["violations"]).join(uids, on="event_id", how="left")
    return Judged(events, _by_message(attempt.tables["message_verdicts"], requests), violations)


def _message(place: int, request: Request) -> Message:
    topic, topic_id = TOPICS[request.signal]
    headers = ((TENANT_HEADER, request.tenant.encode()),)
    return Message(topic, topic_id, 0, place, APPENDED_NS, "broker", headers, request.payload)


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _by_message(table: pa.Table, requests: Sequence[Request]) -> pl.DataFrame:
    places = pl.DataFrame(
        {
            "topic_id": pl.Series([TOPICS[request.signal][1].bytes for request in requests], dtype=pl.Binary),
            "kafka_offset": pl.Series(range(len(requests)), dtype=pl.UInt64),
            "message": pl.Series(range(len(requests)), dtype=pl.UInt32),
        }
    )
    return _frame(table).join(places, on=["topic_id", "kafka_offset"], how="left", maintain_order="left")


def _uids(events: pa.Table) -> list[str]:
    """As the truth names events: a log by its `log.record.uid`, a span by its id."""
    spans = events.column("span_id").to_pylist()
    maps = events.column("attributes").to_pylist()
    return [
        dict(attributes).get("log.record.uid") or (span or b"").hex()
        for attributes, span in zip(maps, spans, strict=True)
    ]
