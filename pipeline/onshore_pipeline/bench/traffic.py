"""OTLP log messages to measure with: about 450 bytes and 12 attributes an event, the same for every seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS_A_MESSAGE: Final = 500
_START_NS: Final = 1_790_000_000_000_000_000
_RESOURCE: Final = {
    "service.name": "gateway",
    "cloud.provider": "aws",
    "cloud.region": "ap-southeast-2",
    "host.id": "i-0f3a9c",
}


def log_messages(count: int, *, seed: int = 1) -> Iterator[bytes]:
    """`count` serialized log requests of 500 records each."""
    rng = random.Random(seed)  # noqa: S311 - repeatable traffic, not a secret
    for number in range(count):
        request = ExportLogsServiceRequest()
        resource_logs = request.resource_logs.add()
        for key, value in _RESOURCE.items():
            resource_logs.resource.attributes.add(key=key).value.string_value = value
        records = resource_logs.scope_logs.add().log_records
        for index in range(RECORDS_A_MESSAGE):
            record = records.add()
            record.time_unix_nano = _START_NS + number * 1_000_000_000 + index * 1_000_000
            record.observed_time_unix_nano = record.time_unix_nano + 5_000
            record.event_name = "data.copy"
            record.trace_id = rng.randbytes(16)
            record.span_id = rng.randbytes(8)
            record.body.string_value = "object copied between buckets by the nightly replication job"
            for key, text in _attributes(rng):
                record.attributes.add(key=key).value.string_value = text
            record.attributes.add(key="onshore.data.bytes").value.int_value = rng.getrandbits(30)
        yield request.SerializeToString()


def _attributes(rng: random.Random) -> list[tuple[str, str]]:
    return [
        ("onshore.domain", "data_movement"),
        ("onshore.action", rng.choice(("data.copy", "data.read"))),
        ("onshore.outcome", "success"),
        ("onshore.actor.id", f"user-{rng.randrange(1000)}@factory.example"),
        ("onshore.source.country", rng.choice(("AU", "JP", "MY"))),
        ("onshore.destination.country", rng.choices(("AU", "JP", "SG", "US"), (70, 20, 9, 1))[0]),
        ("onshore.data.set", f"dataset-{rng.randrange(200)}"),
        ("onshore.data.classification", rng.choice(("protected", "internal", "public"))),
        ("onshore.data.categories", rng.choice(("personal", "health", "none"))),
        ("onshore.data.home", rng.choice(("AU", "JP", "none"))),
        ("client.address", f"203.0.113.{rng.randrange(255)}"),
    ]
