"""Events of a template, made ready: everything but time and identity as protobuf bytes.

A cell has a few variants, drawn once; an event then costs one merge of bytes and the fields that differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from onshore_collectors.demo.scenario.template import Between, Log, OneOf, State

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from onshore_collectors.demo.scenario.template import Gauge, Template, Value
    from onshore_collectors.demo.scenario.tenants import Emitter, Tenant
    from onshore_collectors.demo.schedule import Cell

RUN: Final = "onshore.demo.run"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.37.0"

_EVERYDAY_VARIANTS: Final = 48
_PLANTED_VARIANTS: Final = 4  # findings gather events that are alike
_KINDS: Final = {
    "internal": SpanMessage.SPAN_KIND_INTERNAL,
    "server": SpanMessage.SPAN_KIND_SERVER,
    "client": SpanMessage.SPAN_KIND_CLIENT,
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One concrete event without time and identity.

    Attributes:
        resource: the serialised resource that sends it.
        record: the serialised log record or span; for a state its metrics, each serialised.
        duration_ns: of a span.
    """

    resource: bytes
    record: bytes | tuple[bytes, ...]
    duration_ns: int = 0


def variants_of(cell: Cell, rng: random.Random, run: str) -> tuple[Variant, ...]:
    """Draw the cell's variants."""
    wanted = _PLANTED_VARIANTS if cell.template.is_planted else _EVERYDAY_VARIANTS
    return tuple(_variant(cell.template, cell.tenant, rng, run) for _ in range(min(wanted, cell.events)))


def _variant(template: Template, tenant: Tenant, rng: random.Random, run: str) -> Variant:
    emitter = tenant.emitters[template.emitter]
    resource = _resource(emitter, tenant, rng.choice(emitter.hosts), run)
    shape = template.shape
    if isinstance(shape, State):
        return Variant(resource, tuple(_metric(name, gauge, rng) for name, gauge in shape.gauges.items()))
    attributes = [
        _key_value(key, _drawn(value, tenant, rng)) for key, value in _described(template, tenant, rng).items()
    ]
    if isinstance(shape, Log):
        log = LogRecord(
            event_name=shape.event_name,
            severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
            severity_text="INFO",
            body=AnyValue(string_value=shape.body),
            attributes=attributes,
        )
        return Variant(resource, log.SerializeToString())
    span = SpanMessage(name=shape.name, kind=_KINDS[shape.kind], attributes=attributes)
    if shape.failed:
        span.status.code = Status.STATUS_CODE_ERROR
    duration_ms = rng.randint(shape.milliseconds.low, shape.milliseconds.high)
    return Variant(resource, span.SerializeToString(), duration_ms * 1_000_000)


def _described(template: Template, tenant: Tenant, rng: random.Random) -> Mapping[str, Value]:
    """The template's attributes and what its data set says of itself; the template's own win."""
    if not template.data:
        return template.attributes
    dataset = rng.choice(tenant.datasets[template.data])
    said: dict[str, Value] = {"onshore.data.set": dataset.name}
    if dataset.categories:
        said |= {
            "onshore.data.classification": dataset.classification,
            "onshore.data.categories": dataset.categories,
            "onshore.data.home": (tenant.home,),
        }
    return said | dict(template.attributes)


def _drawn(value: Value, tenant: Tenant, rng: random.Random) -> str | int | bool | tuple[str, ...]:
    match value:
        case OneOf(of):
            return rng.choice(tenant.lists[of])
        case Between(low, high):
            return rng.randint(low, high)
        case str():
            return value.format_map(tenant.words)
        case tuple():
            return tuple(word.format_map(tenant.words) for word in value)
        case _:
            return value


def _key_value(key: str, value: str | int | bool | tuple[str, ...]) -> KeyValue:  # noqa: FBT001 - an attribute's value
    match value:
        case bool():
            wire = AnyValue(bool_value=value)
        case int():
            wire = AnyValue(int_value=value)
        case str():
            wire = AnyValue(string_value=value)
        case _:
            wire = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=word) for word in value]))
    return KeyValue(key=key, value=wire)


def _resource(emitter: Emitter, tenant: Tenant, host: str, run: str) -> bytes:
    place = (
        {"cloud.provider": "aws", "cloud.region": tenant.words["region"]}
        if emitter.in_cloud
        else {"onshore.source.country": tenant.home, "onshore.source.facility": tenant.words["site"]}
    )
    attributes = {
        "service.name": emitter.service,
        "service.namespace": tenant.id,
        "deployment.environment.name": "production",
        "host.name": host,
        "onshore.collector.id": f"{tenant.words['site']}/otel-1",
        RUN: run,
        **place,
    }
    return Resource(attributes=[_key_value(*attribute) for attribute in attributes.items()]).SerializeToString()


def _metric(name: str, gauge: Gauge, rng: random.Random) -> bytes:
    metric = Metric(name=name, unit=gauge.unit)
    metric.gauge.data_points.add(as_double=round(rng.uniform(gauge.low, gauge.high), 3))
    return metric.SerializeToString()
