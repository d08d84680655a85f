"""The evidence format in plain Python, written from docs/evidence-format.md: slow, and obviously right."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from typing import Any
from uuid import UUID

COMMITTED = {
    *(f"{party}_{part}" for party in ("actor", "source", "destination") for part in ("id", "address", "host")),
    "contradictions",
    "body",
}


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def identity(topic_id: UUID, partition: int, offset: int, index: int) -> bytes:
    return topic_id.bytes + struct.pack(">IQI", partition, offset, index)


def event_id(topic_id: UUID, partition: int, offset: int, index: int) -> UUID:
    raw = bytearray(sha(b"\x04" + identity(topic_id, partition, offset, index))[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


def salt_key(master: bytes, tenant: str, month: str) -> bytes:
    return hmac.digest(master, b"onshore salt key v1\0" + tenant.encode() + b"\0" + month.encode(), "sha256")


def salt_key_id(key: bytes, month: str) -> str:
    return f"{month}-{sha(b'onshore salt key id' + bytes(1) + key).hex()[:16]}"


def event_salt(key: bytes, named: bytes) -> bytes:
    return hmac.digest(key, named, "sha256")[:16]


def resource_salt(key: bytes, topic_id: UUID, partition: int, offset: int, attributes: dict[str, str]) -> bytes:
    ordered = dict(sorted(attributes.items(), key=lambda item: item[0].encode()))
    return event_salt(key, identity(topic_id, partition, offset, 0xFFFFFFFF) + sha(text(ordered)))


def salt_of_field(salt: bytes, name: bytes) -> bytes:
    return sha(b"\x02" + salt + name)


def commitment(salt: bytes, column: str, value: Any) -> str:
    name = column.encode()
    return sha(salt_of_field(salt, name) + name + b"\0" + text(value)).hex()


def map_root(salt: bytes, column: str, attributes: dict[str, str]) -> str:
    leaves = []
    for place, (key, value) in enumerate(sorted(attributes.items(), key=lambda item: item[0].encode())):
        block = sha(b"\2" + salt + column.encode() + struct.pack(">I", place // 2))
        leaf_salt = block[:16] if place % 2 == 0 else block[16:]
        leaves.append(sha(b"\0" + leaf_salt + text([key, value])))
    return sha(b"\x03" + bytes(31) + b"".join(leaves)).hex()


def line(columns: list[str], values: dict[str, Any], salt: bytes, salt_of_resource: bytes) -> bytes:
    """`values`: JSON-ready values by column (times as integers, addresses and ids as hex); absent = unknown."""
    members: dict[str, Any] = {}
    for column in columns:
        value = values.get(column)
        if column in COMMITTED:
            members[column] = commitment(salt, column, [] if column == "contradictions" and value is None else value)
        elif column == "attributes" and value:
            members[column] = map_root(salt, column, value)
        elif column == "resource_attributes" and value:
            members[column] = map_root(salt_of_resource, column, value)
        elif value is not None and value not in ([], {}):
            members[column] = value
    return text(members)


def leaf(data: bytes) -> bytes:
    return sha(b"\0" + data)


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written there: split at the largest power of two."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\x01" + root(leaves[:split]) + root(leaves[split:]))
