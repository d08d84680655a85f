"""The evidence of an event (identity, salts, commitments, canonical line, leaf) and of a message (its roots).

The format is docs/evidence-format.md. What happens once a message or a tenant is `evidence_reference`'s; what happens
for every event is written out here: the reference is written to be read, and makes a JSON encoder for every value.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from json import encoder
from typing import TYPE_CHECKING, Any

import evidence_reference as reference
from same_result_places import MAPPED, V4_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from onshore_pipeline.broker import Message

Event = dict[str, Any]
# The standard library's own, in C: what json.dumps(text, ensure_ascii=False) calls.
quoted: Callable[[str], str] = encoder.encode_basestring


@lru_cache(1 << 16)
def words(value: tuple[str, ...]) -> str:
    return f"[{','.join(map(quoted, value))}]"


def hexed(value: bytes) -> str:
    return f'"{value.hex()}"'


@lru_cache(1 << 20)
def address_text(packed: bytes | None) -> bytes:
    """As it is committed to: 16 bytes, v4 addresses v4-mapped."""
    if packed is None:
        return b"null"
    return hexed(packed if len(packed) > V4_SIZE else MAPPED + packed).encode()


# Plain columns of the line that this program can fill, in the table's order, and how each is written.
PLAIN: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("domain", "action", "outcome"), quoted),
    **dict.fromkeys(("occurred_at", "observed_at"), str),
    **dict.fromkeys(("source_format", "schema_url"), quoted),
    "record_index": str,
    **dict.fromkeys(("trace_id", "span_id"), hexed),
}
PLACE: dict[str, Callable[[Any], str]] = {
    "country": quoted,
    "country_basis": quoted,
    "country_candidates": words,
    "entity": quoted,
    "entity_country": quoted,
    "control_country": quoted,
}
AFTER: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("transit_basis", "key_country_basis", "object_type", "dataset"), quoted),
    **dict.fromkeys(("categories", "home_jurisdictions"), words),
    "bytes": str,
    "transfer_basis": quoted,
}
PARTIES = ("actor", "source", "destination")


def committed(column: str) -> tuple[str, bytes, bytes]:
    """A committed column's opening in the line, its name, and what stands in front of its salted value."""
    return f'"{column}":"', column.encode(), column.encode() + b"\0"


PARTY = [
    (
        [committed(f"{party}_{part}") for part in ("id", "address", "host")],
        [(f"{party}_{part}", f'"{party}_{part}":', spell) for part, spell in PLACE.items()],
        f"{party}_id",
        f"{party}_address",
    )
    for party in PARTIES
]
BEFORE_PARTIES = [(name, f'"{name}":', spell) for name, spell in PLAIN.items()]
AFTER_PARTIES = [(name, f'"{name}":', spell) for name, spell in AFTER.items()]
CONTRADICTIONS, BODY = committed("contradictions"), committed("body")
NOTHING: tuple[Any, ...] = (None, ())


@lru_cache
def salt_key(master: bytes, tenant: str, month: str) -> tuple[bytes, str]:
    key = reference.salt_key(master, tenant, month)
    return key, reference.salt_key_id(key, month)


def month_of(timestamp_ns: int) -> str:
    return datetime.fromtimestamp(timestamp_ns // 1_000_000_000, UTC).strftime("%Y-%m")


def event_id(identity: bytes) -> int:
    """As the number that a UUID is."""
    number = int.from_bytes(sha256(b"\x04" + identity).digest()[:16], "big")
    return number & ~(0xF << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62


def map_root(salted: bytes, column: bytes, attributes: dict[str, str]) -> str:
    """`salted`: 0x02 and the salt; `attributes` in order of their keys."""
    prefix, block = salted + column, b""
    hashes = [b"\x03" + bytes(31)]
    for place, (key, text) in enumerate(attributes.items()):
        if place % 2:
            leaf_salt = block[16:]
        else:
            block = sha256(prefix + (place // 2).to_bytes(4, "big")).digest()
            leaf_salt = block[:16]
        hashes.append(sha256(b"\0" + leaf_salt + f"[{quoted(key)},{quoted(text)}]".encode()).digest())
    return sha256(b"".join(hashes)).hexdigest()


def line(event: Event, salt: bytes, resource_root: str) -> bytes:
    """The canonical line."""
    salted = b"\x02" + salt

    def commitment(about: tuple[str, bytes, bytes], value: bytes) -> str:
        opening, name, led = about
        return f'{opening}{sha256(sha256(salted + name).digest() + led + value).hexdigest()}"'

    parts = [opening + spell(event[name]) for name, opening, spell in BEFORE_PARTIES if event[name] is not None]
    for (of_id, of_address, of_host), places, name, address in PARTY:
        who = event[name]
        parts += (
            commitment(of_id, b"null" if who is None else quoted(who).encode()),
            commitment(of_address, address_text(event[address])),
            commitment(of_host, b"null"),  # this program knows of none
        )
        parts += [opening + spell(event[column]) for column, opening, spell in places if event[column]]
    parts += [opening + spell(event[name]) for name, opening, spell in AFTER_PARTIES if event[name] not in NOTHING]
    parts.append(commitment(CONTRADICTIONS, words(event["contradictions"]).encode()))
    if event["provenance"]:
        parts.append(f'"provenance":{quoted(event["provenance"])}')
    if resource_root:
        parts.append(f'"resource_attributes":"{resource_root}"')
    if event["attributes"]:
        parts.append(f'"attributes":"{map_root(salted, b"attributes", event["attributes"])}"')
    parts.append(commitment(BODY, b"null" if event["body"] is None else quoted(event["body"]).encode()))
    return f"{{{','.join(parts)}}}".encode()


class MessageSeal:
    """Seals the events of one message."""

    def __init__(self, message: Message, master: bytes, tenant: str) -> None:
        self._key, self.key_id = salt_key(master, tenant, month_of(message.timestamp_ns))
        self._place: tuple[UUID, int, int] = (message.topic_id, message.partition, message.offset)
        self._message = reference.identity(*self._place, 0)[:-4]
        self._root_of_resource: dict[int, str] = {}

    def resource_root(self, attributes: dict[str, str]) -> str:
        """Of one resource's map; nothing for an empty one."""
        if not attributes:
            return ""
        salt = reference.resource_salt(self._key, *self._place, attributes)
        return map_root(b"\x02" + salt, b"resource_attributes", attributes)

    def seal(self, event: Event, resource_root: str) -> None:
        """Give an event its id and leaf hash."""
        identity = self._message + event["record_index"].to_bytes(4, "big")
        event["event_id"] = event_id(identity)
        salt = hmac.digest(self._key, identity, "sha256")[:16]
        event["leaf_hash"] = sha256(b"\0" + line(event, salt, resource_root)).digest()


def merkle_root(hashes: list[bytes]) -> bytes:
    """RFC 6962: level by level, an odd last node moves up."""
    if not hashes:
        return sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [
            sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=False)
        ]
        hashes = pairs + hashes[len(hashes) - len(hashes) % 2 :]
    return hashes[0]


def verdict_line(**members: str | int) -> bytes:
    return reference.text(dict(sorted(members.items())))


def lines_root(lines: list[bytes]) -> bytes:
    return merkle_root([sha256(b"\0" + each).digest() for each in sorted(lines)])
