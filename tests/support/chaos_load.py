"""What the chaos suite sends: a play of the demo with its truth, cut into rounds that touch every table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from onshore_collectors.demo.play import requests_of
from onshore_collectors.demo.scenario import TEMPLATES, TENANTS
from onshore_collectors.demo.schedule import allot, fewest_events
from onshore_collectors.demo.truth import Truth
from onshore_pipeline.actions import Action, encoded
from onshore_pipeline.broker import ACTIONS_TOPIC, TENANT_HEADER, Outgoing
from otlp_messages import AT_NS, logs, movement

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_collectors.demo.play import Request
    from onshore_pipeline.broker import Producer

TOPICS = {"log": "otlp_logs", "span": "otlp_spans", "metric": "otlp_metrics"}
NO_REQUEST = b"\xff not OTLP"
Round = list[tuple[str, Outgoing]]


@dataclass(frozen=True)
class Load:
    """Rounds of messages with their topics, and the truth of all the rounds together."""

    rounds: tuple[Round, ...]
    truth: Truth

    @property
    def messages(self) -> int:
        return sum(map(len, self.rounds))


@dataclass
class Play:
    """A load as it is sent, round by round, past every receiver: each message exactly once.

    Attributes:
        producer: makes what sends; asked anew for each round.
        sent: messages so far.
    """

    producer: Callable[[], Producer]
    load: Load
    sent: int = 0
    _round: int = 0

    def send(self) -> None:
        """The next round."""
        producer = self.producer()
        try:
            for topic, message in self.load.rounds[self._round]:
                producer.send(topic, [message])
                self.sent += 1
        finally:
            producer.close()
        self._round += 1

    def send_rest(self) -> None:
        """What is left of it."""
        while self._round < len(self.load.rounds):
            self.send()

    @property
    def dead_letters(self) -> int:
        """How many messages of the rounds sent cannot be read."""
        return self._round

    def __str__(self) -> str:
        return f"{self.load.truth.events:,} planted events, precision and recall 1.0"


SMALL: Final = fewest_events(TENANTS, TEMPLATES)  # events of a play in which everything happens once


def load(rounds: int, *, events: int = 1500, seed: int = 1) -> Load:
    """A play of `events` events in `rounds` rounds, each with metrics, a model call, a deed and what cannot be read."""
    truth = Truth("chaos")
    cells = allot(TENANTS, TEMPLATES, events)
    end_ns = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 10**9
    played = list(
        requests_of(
            cells, truth, seed=seed, end_ns=end_ns, stored_as=lambda name: name, events_a_request=events // rounds // 2
        )
    )
    cut = [played[number::rounds] for number in range(rounds)]
    return Load(tuple([*map(_message, some), *_each_round(number)] for number, some in enumerate(cut)), truth)


def _each_round(number: int) -> Round:
    call: dict[str, str | int] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.address": "::1"}
    gap: dict[str, str | int] = {
        "onshore.action": "telemetry.gap",
        "onshore.data.count": 2,
        "onshore.collector.id": "rounds",
        "onshore.collector.sequence": number,
    }
    deed = encoded(Action("finding.comment", "default", "ana", f"round {number}", {}), UUID(int=number))
    return [
        (ACTIONS_TOPIC, _outgoing("default", deed)),
        ("otlp_metrics", _outgoing("default", metrics(f"host-{number}"))),
        ("otlp_logs", _outgoing("default", logs([movement(), call, gap], event_name="round"))),
        ("otlp_logs", _outgoing("default", NO_REQUEST + str(number).encode())),
    ]


def metrics(host: str, points: int = 2) -> bytes:
    """One message with a gauge of so many points."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="host.name").value.string_value = host
    metric = group.scope_metrics.add().metrics.add(name="system.cpu.utilization", unit="1")
    for number in range(points):
        point = metric.gauge.data_points.add(time_unix_nano=AT_NS, as_double=number / points)
        point.attributes.add(key="cpu").value.string_value = str(number)
    return request.SerializeToString()


def _outgoing(tenant: str, value: bytes) -> Outgoing:
    return Outgoing(value, ((TENANT_HEADER, tenant.encode()),))


def _message(request: Request) -> tuple[str, Outgoing]:
    return TOPICS[request.signal], _outgoing(request.tenant, request.payload)
