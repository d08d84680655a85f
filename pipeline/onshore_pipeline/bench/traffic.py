"""OTLP log messages to measure with: about 450 bytes and 12 attributes an event, the same for every seed.

They read like the audit trail of an object store: who copied which dataset, from where to where, on what basis. Most
copies are lawful; one in fifty goes to a place that its sender cannot name, a few have no basis. Clients have addresses
of the country that the sender declares; `scattered` ones lie anywhere, so that nearly every claim is disputed.
"""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RECORDS_A_MESSAGE: Final = 500
_START_NS: Final = 1_790_000_000_000_000_000
_MESSAGE_NS: Final = 1_000_000_000
_RESOURCE: Final = {
    "service.name": "gateway",
    "cloud.provider": "aws",
    "cloud.region": "ap-southeast-2",
    "host.id": "i-0f3a9c",
}
# Where clients are, and the first address and number of addresses of a large network there (RIR delegations).
_CLIENTS: Final = {"AU": ("1.128.0.0", 1 << 21), "JP": ("126.0.0.0", 1 << 24), "MY": ("175.136.0.0", 1 << 19)}
_COUNTRIES: Final = tuple(_CLIENTS)
# Golden ratio of 2^32: consecutive numbers become addresses all over a network, no two the same.
_SCATTER: Final = 2_654_435_761
_FIRST_ADDRESS, _ADDRESS_SPAN = 1 << 24, 0xDF000000 - (1 << 24)  # 1.0.0.0 to 222.255.255.255
# What the five registries hand out to networks: 2400::/12 and so on, the upper 32 bits of each.
_BLOCKS_V6: Final = (0x24000000, 0x26000000, 0x28000000, 0x2A000000, 0x2C000000)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the messages are like.

    Attributes:
        attributes: an event; beyond 12 they are the application's own, short texts.
        addresses: distinct client addresses, evenly used. Unless `scattered`, Malaysia's begin anew after 2^19 of them,
            Australia's after 2^21.
        addresses_from: the number of the first of them: two traffics can have none in common.
        scattered: the addresses lie all over the Internet, wherever their senders declare them to be.
        v6_every: each so-manieth scattered address is an IPv6 one; 0: none.
        records: a message.
        registered: false: no registry knows the parties, and nobody says where they are.
        seed: of the generator.
    """

    attributes: int = 12
    addresses: int = 5_000
    addresses_from: int = 0
    scattered: bool = False
    v6_every: int = 0
    records: int = RECORDS_A_MESSAGE
    registered: bool = True
    seed: int = 1


def log_messages(messages: int, traffic: Traffic | None = None) -> Iterator[bytes]:
    """`messages` serialized log requests, a second of event time apart."""
    traffic = traffic or Traffic()
    rng = random.Random(traffic.seed)  # noqa: S311 - repeatable traffic, not a secret
    own = [f"app.field.{number}" for number in range(max(0, traffic.attributes - 12))]
    for number in range(messages):
        request = ExportLogsServiceRequest()
        resource_logs = request.resource_logs.add()
        for key, value in _RESOURCE.items():
            resource_logs.resource.attributes.add(key=key).value.string_value = value
        log_records = resource_logs.scope_logs.add().log_records
        for index in range(traffic.records):
            record = log_records.add()
            record.time_unix_nano = _START_NS + number * _MESSAGE_NS + index * 1_000_000
            record.observed_time_unix_nano = record.time_unix_nano + 5_000
            record.trace_id = rng.randbytes(16)
            record.span_id = rng.randbytes(8)
            record.body.string_value = "object copied"
            attributes = _attributes(rng, traffic) if traffic.registered else _unregistered(rng, traffic)
            for key, given in attributes[: traffic.attributes]:
                sent = record.attributes.add(key=key).value
                if isinstance(given, int):
                    sent.int_value = given
                else:
                    sent.string_value = given
            for key in own:
                record.attributes.add(key=key).value.string_value = f"value-{rng.randrange(100)}"
        yield request.SerializeToString()


def distinct_addresses(messages: Iterable[bytes]) -> int:
    """How many different client addresses these messages name."""
    return len(
        {
            attribute.value.string_value
            for message in messages
            for record in ExportLogsServiceRequest.FromString(message).resource_logs[0].scope_logs[0].log_records
            for attribute in record.attributes
            if attribute.key == "client.address"
        }
    )


def endless(messages: Sequence[bytes]) -> Iterator[bytes]:
    """What `log_messages` gave, again and again, each time as if it happened later: event time never goes back.

    A store merges rows of equal times far more slowly than rows of successive ones, and no sender repeats itself.
    """
    for repetition in count():
        later_ns = repetition * len(messages) * _MESSAGE_NS
        for message in messages:
            yield _later(message, later_ns) if later_ns else message


def _later(message: bytes, by_ns: int) -> bytes:
    request = ExportLogsServiceRequest.FromString(message)
    for record in request.resource_logs[0].scope_logs[0].log_records:
        record.time_unix_nano += by_ns
        record.observed_time_unix_nano += by_ns
    return request.SerializeToString()


def _attributes(rng: random.Random, traffic: Traffic) -> list[tuple[str, str | int]]:
    """The twelve, the ones that controls read first."""
    client = traffic.addresses_from + rng.randrange(traffic.addresses)
    country = _COUNTRIES[client % len(_COUNTRIES)]
    address = _scattered(client, traffic.v6_every) if traffic.scattered else _address(client, country)
    data_set = rng.randrange(200)
    who = 5 * data_set + rng.randrange(5)  # whoever works with data works with few of its sets
    return [
        ("onshore.domain", "data_movement"),
        ("onshore.action", rng.choices(("data.copy", "data.read", "backup.write"), (60, 35, 5))[0]),
        ("onshore.outcome", "success"),
        ("onshore.data.home", rng.choice(("AU", "JP", "MY"))),
        # A continent is no country: such a destination stays unknown.
        ("onshore.destination.country", rng.choices(("AU", "JP", "SG", "US", "EU"), (60, 25, 10, 3, 2))[0]),
        ("onshore.data.categories", rng.choice(("personal", "health", "telemetry"))),
        ("onshore.transfer.basis", rng.choices(("contract", "consent", "none"), (60, 37, 3))[0]),
        ("onshore.actor.id", f"user-{who}"),
        ("onshore.source.country", country),
        ("onshore.data.set", f"dataset-{data_set}"),
        ("client.address", address),
        ("onshore.data.bytes", rng.getrandbits(30)),
    ]


def _unregistered(rng: random.Random, traffic: Traffic) -> list[tuple[str, str | int]]:
    """As many of an estate that nobody has registered: companies by name, private addresses, no country."""
    here, there = (f"company-{rng.randrange(2_000)}" for _ in range(2))
    told = {
        "onshore.destination.country": ("onshore.destination.entity", there),
        "onshore.source.country": ("onshore.source.entity", here),
        "client.address": ("client.address", str(ipaddress.IPv4Address((10 << 24) + rng.randrange(traffic.addresses)))),
    }
    return [told.get(key, (key, given)) for key, given in _attributes(rng, traffic)]


def _address(number: int, country: str) -> str:
    first, size = _CLIENTS[country]
    return str(ipaddress.IPv4Address(first) + number * _SCATTER % size)


def _scattered(number: int, v6_every: int) -> str:
    scattered = number * _SCATTER
    if v6_every and number % v6_every == 0:
        block = _BLOCKS_V6[number // v6_every % len(_BLOCKS_V6)]
        return str(ipaddress.IPv6Address((block + scattered % (1 << 20)) << 96 | number))
    return ".".join(map(str, (_FIRST_ADDRESS + scattered % _ADDRESS_SPAN).to_bytes(4, "big")))
