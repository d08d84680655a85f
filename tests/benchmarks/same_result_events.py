"""OTLP log messages → events as dicts, located: every column of `events` that the benchmarks' traffic fills.

The columns that it never fills are absent, and so NULL in the store. What would fill one is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_pipeline.domain.event import DOMAINS, OUTCOMES
from onshore_pipeline.normalise import genai, generic, onshore_attributes, parties, shapes
from onshore_pipeline.wire.any_value import text_of
from same_result_places import NotWritten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.broker import Message
    from same_result_places import Places

Event = dict[str, Any]
READ = {
    *("onshore.domain", "onshore.action", "onshore.outcome", "onshore.actor.id", "client.address"),
    *("onshore.source.country", "onshore.destination.country", "onshore.transfer.basis"),
    *("onshore.data.home", "onshore.data.categories", "onshore.data.set", "onshore.data.bytes"),
}
REFUSED = {*generic.KEYS, *parties.KEYS, *genai.KEYS, *shapes.KEYS, *onshore_attributes.KEYS} - READ
REFUSED_OF_RESOURCE = {*onshore_attributes.RESOURCE_KEYS}
LARGEST_TIME, LARGEST_COUNT, NS_A_DAY = 2**63, 2**64, 86_400_000_000_000


def text(value: Any) -> str:
    """Strings and integers here, the rest by the product's own function for one value."""
    kind = value.WhichOneof("value")
    return (
        value.string_value
        if kind == "string_value"
        else str(value.int_value)
        if kind == "int_value"
        else text_of(value) or ""
    )


def texts(attributes: Any) -> dict[str, str]:
    """Attributes in order of their keys; of a key sent twice the last one counts."""
    return dict(sorted({pair.key: pair.value.string_value or text(pair.value) for pair in attributes}.items()))


@lru_cache(1 << 16)
def words(text: str | None, *, lower: bool) -> tuple[str, ...]:
    """The words of a comma-separated text."""
    if text is None:
        return ()
    if text.lstrip()[:1] in {"{", "["}:
        raise NotWritten(f"the list {text!r}")
    found = (word.lower() if lower or word.strip().lower() == "none" else word for word in text.split(","))
    unique = tuple(dict.fromkeys(word.strip() for word in found if word.strip()))
    return () if "none" in unique and len(unique) > 1 else unique


@lru_cache(1 << 16)
def word(text: str | None) -> str:
    return (text or "").strip().lower()


def statement(text: str | None) -> str | None:
    return "none" if word(text) == "none" else text or None


def count(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number < LARGEST_COUNT else None


def identifier(value: bytes, size: int) -> bytes | None:
    if len(value) == size:
        return value if any(value) else None
    if value:
        raise NotWritten(f"an id of {len(value)} bytes")
    return None


def decode(message: Message) -> Iterator[tuple[int, dict[str, str], str | None, Any]]:
    """Number of the resource, its attributes, schema URL, and the record; record by record."""
    for number, of_resource in enumerate(ExportLogsServiceRequest.FromString(message.value).resource_logs):
        resource = texts(of_resource.resource.attributes)
        if not REFUSED_OF_RESOURCE.isdisjoint(resource):
            raise NotWritten("a resource that names its collector")
        for of_scope in of_resource.scope_logs:
            if of_scope.scope.attributes:
                raise NotWritten("attributes of a scope")
            schema_url = of_scope.schema_url or of_resource.schema_url or None
            for record in of_scope.log_records:
                yield number, resource, schema_url, record


@lru_cache(1 << 16)
def provenance(actor: str, source: str, owner: str, destination: str) -> str | None:
    """What places and owners follow from; of what nothing is known there is nothing."""
    told = {"actor": f"{actor}/-", "source": f"{source}/{owner}", "destination": f"{destination}/-"}
    return " ".join(f"{party}={said}" for party, said in told.items() if said != "-/-") or None


def event_of(
    record: Any, index: int, resource: dict[str, str], schema_url: str | None, message: Message, places: Places
) -> Event:
    """One event, located; columns in the table's order."""
    sent = texts(record.attributes)
    if not REFUSED.isdisjoint(sent) or record.event_name:
        raise NotWritten(f"an event with {', '.join(sorted(REFUSED & sent.keys())) or record.event_name}")
    get, observed = sent.get, record.observed_time_unix_nano
    occurred = record.time_unix_nano or observed or message.timestamp_ns
    domain, action, outcome = word(get("onshore.domain")), word(get("onshore.action")), word(get("onshore.outcome"))
    if domain not in DOMAINS or not action or not get("client.address") or max(occurred, observed) >= LARGEST_TIME:
        raise NotWritten("an event without domain, action or caller, or beyond 2262")
    dataset = get("onshore.data.set") or None
    if dataset and "://" in dataset:
        raise NotWritten("a data set that is named by its place")
    address = places.address(get("client.address"))
    source_claim, destination = (
        places.country(get("onshore.source.country")),
        places.country(get("onshore.destination.country")),
    )
    actor = places.weigh("actor", address.claims)
    source = places.weigh(
        "source", ((("declared", source_claim, "asserted"),) if source_claim else ()) + address.claims
    )
    owner_country, owner_control = places.owner(address.entity, occurred // NS_A_DAY)
    return {
        "event_id": 0,
        "tenant": "",
        "domain": domain,
        "action": action,
        "outcome": outcome if outcome in OUTCOMES else "unknown",
        "occurred_at": occurred,
        "observed_at": observed or None,
        "ingested_at": message.timestamp_ns if message.clock == "broker" else None,
        "source_format": "otlp.log",
        "schema_url": schema_url,
        "kafka_topic": message.topic,
        "topic_id": message.topic_id,
        "kafka_partition": message.partition,
        "kafka_offset": message.offset,
        "record_index": index,
        "trace_id": identifier(record.trace_id, 16),
        "span_id": identifier(record.span_id, 8),
        "attempt_id": None,
        "actor_id": get("onshore.actor.id") or None,
        "actor_address": address.packed,
        "actor_country": actor.country,
        "actor_country_basis": actor.basis,
        "actor_country_candidates": actor.candidates,
        "actor_entity": None,
        "actor_entity_country": None,
        "actor_control_country": None,
        "source_id": None,
        "source_address": address.packed,
        "source_country": source.country,
        "source_country_basis": source.basis,
        "source_country_candidates": source.candidates,
        "source_entity": address.entity,
        "source_entity_country": owner_country,
        "source_control_country": owner_control,
        "destination_id": None,
        "destination_address": None,
        "destination_country": destination,
        "destination_country_basis": "asserted" if destination else "unknown",
        "destination_country_candidates": (),
        "destination_entity": None,
        "destination_entity_country": None,
        "destination_control_country": None,
        "transit_basis": "unknown",
        "key_country": None,
        "key_country_basis": "unknown",
        "object_type": "dataset" if dataset and action.startswith("data.") else None,
        "dataset": dataset,
        "categories": words(get("onshore.data.categories"), lower=True),
        "home_jurisdictions": places.home(words(get("onshore.data.home"), lower=False)),
        "bytes": count(get("onshore.data.bytes")),
        "transfer_basis": statement(get("onshore.transfer.basis")),
        "contradictions": tuple(claim for claim in (actor.contradiction, source.contradiction) if claim),
        "provenance": provenance(actor.claim, source.claim, address.owner, "declared" if destination else "-"),
        "resource_attributes": resource,
        "attributes": sent,
        "body": record.body.string_value or text(record.body) or None,
        "leaf_hash": b"",
    }
