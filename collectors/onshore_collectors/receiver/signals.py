"""The three OTLP signals: where they arrive and which topic they go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Encoding = Literal["otlp_proto", "otlp_json"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One OTLP signal.

    Attributes:
        topic: the topic its requests become messages of.
        http_path: where OTLP/HTTP posts it.
        grpc_service: the full name of the service that exports it.
    """

    topic: str
    http_path: str
    grpc_service: str


def _signal(topic: str, http_path: str, package: str, service: str) -> Signal:
    return Signal(topic, http_path, f"opentelemetry.proto.collector.{package}.v1.{service}")


SIGNALS: Final = (
    _signal("otlp_logs", "/v1/logs", "logs", "LogsService"),
    _signal("otlp_spans", "/v1/traces", "trace", "TraceService"),
    _signal("otlp_metrics", "/v1/metrics", "metrics", "MetricsService"),
)
SIGNAL_BY_PATH: Final = {signal.http_path: signal for signal in SIGNALS}
