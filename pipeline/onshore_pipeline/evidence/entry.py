"""Entries of the evidence log: canonical JSON (RFC 8785 for integers, texts and objects), one a message."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING

from onshore_pipeline.evidence.canonical import LINE_VERSION

if TYPE_CHECKING:
    from uuid import UUID

    from onshore_pipeline.broker import Gap, Message


def message_entry(
    message: Message,
    *,
    tenant: str,
    records: int,
    events: int,
    dead_lettered: int,
    events_root: bytes,
    verdicts_root: bytes,
    pipeline: str,
    context: str,
    controls: str,
    salt_key_id: str,
    attempt: UUID,
) -> bytes:
    """The entry of one message. `records` = `events` + `dead_lettered`; roots are raw, digests are text."""
    return canonical_json(
        {
            "kind": "message",
            "line_version": LINE_VERSION,
            "topic": message.topic,
            "topic_id": str(message.topic_id),
            "partition": message.partition,
            "offset": message.offset,
            "timestamp": message.timestamp_ns,
            "clock": message.clock,
            "tenant": tenant,
            "headers_sha256": headers_digest(message.headers).hex(),
            "message_sha256": hashlib.sha256(message.value).hexdigest(),
            "records": records,
            "events": events,
            "events_root": events_root.hex(),
            "verdicts_root": verdicts_root.hex(),
            "dead_lettered": dead_lettered,
            "pipeline": pipeline,
            "context": context,
            "controls": controls,
            "salt_key": salt_key_id,
            "attempt": str(attempt),
        }
    )


def gap_entry(gap: Gap, *, pipeline: str, attempt: UUID) -> bytes:
    """The entry that stands for offsets [first, end) which the broker had no message at; `empty`: see `Gap`."""
    return canonical_json(
        {
            "kind": "gap",
            "line_version": LINE_VERSION,
            "topic": gap.topic,
            "topic_id": str(gap.topic_id),
            "partition": gap.partition,
            "offset": gap.first,
            "end": gap.end,
            "empty": gap.empty,
            "pipeline": pipeline,
            "attempt": str(attempt),
        }
    )


def lost_entry(
    *, topic: str, topic_id: UUID, partition: int, offset: int, end: int, pipeline: str, attempt: UUID
) -> bytes:
    """The entry that says of sealed messages at offsets [offset, end) that nobody has their rows or their bytes."""
    return canonical_json(
        {
            "kind": "lost",
            "line_version": LINE_VERSION,
            "topic": topic,
            "topic_id": str(topic_id),
            "partition": partition,
            "offset": offset,
            "end": end,
            "pipeline": pipeline,
            "attempt": str(attempt),
        }
    )


def amends_entry(
    message: dict[str, str | int],
    *,
    dead_letter: UUID,
    indexes: tuple[int, ...] | None,
    amended: int,
    dead_lettered: int,
    who: str,
    why: str,
) -> bytes:
    """The entry that makes events of a dead letter's records; the message's own entry stays as it was sealed.

    Args:
        message: the members of `message_entry` as today's pipeline gives them for these records alone.
        dead_letter: id of the letter, which this entry closes.
        indexes: the records it stood for; None for the whole message.
        amended: how many records the log has counted for it.
        dead_lettered: records that failed again; they are dead letters of their own now.
        who: the person who asked for it.
        why: the reason given.
    """
    return canonical_json(
        message
        | _about_letter("amends", dead_letter, indexes, who, why)
        | {"amended": amended, "dead_lettered": dead_lettered, "records": int(message["events"]) + dead_lettered}
    )


def discards_entry(
    message: Message,
    *,
    dead_letter: UUID,
    indexes: tuple[int, ...] | None,
    discarded: int,
    who: str,
    why: str,
    pipeline: str,
    attempt: UUID,
) -> bytes:
    """The entry that gives a dead letter up for good; its bytes stay in the store. `attempt` names no rows."""
    told: dict[str, str | int] = {
        "line_version": LINE_VERSION,
        "topic": message.topic,
        "topic_id": str(message.topic_id),
        "partition": message.partition,
        "offset": message.offset,
        "message_sha256": hashlib.sha256(message.value).hexdigest(),
        "discarded": discarded,
        "pipeline": pipeline,
        "attempt": str(attempt),
    }
    return canonical_json(told | _about_letter("discards", dead_letter, indexes, who, why))


def _about_letter(
    kind: str, dead_letter: UUID, indexes: tuple[int, ...] | None, who: str, why: str
) -> dict[str, str | int]:
    return {
        "kind": kind,
        "dead_letter": str(dead_letter),
        "record_indexes": "all" if indexes is None else ",".join(map(str, indexes)),
        "who": who,
        "why": why,
    }


def canonical_json(value: dict[str, str | int]) -> bytes:
    """Members sorted by name, no white space, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def headers_digest(headers: tuple[tuple[str, bytes], ...]) -> bytes:
    """SHA-256 over each header's name and value in order, each led by its length (u32, big-endian)."""
    digest = hashlib.sha256()
    for name, value in headers:
        encoded = name.encode()
        digest.update(struct.pack(">I", len(encoded)) + encoded)
        digest.update(struct.pack(">I", len(value)) + value)
    return digest.digest()
