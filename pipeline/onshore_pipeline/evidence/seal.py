"""Seal a batch: a canonical line and leaf for every event, a root over each message's events (protocol step 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.evidence import canonical, merkle
from onshore_pipeline.evidence.hashing import binary_column, sha256_column
from onshore_pipeline.evidence.rows import Part, digests, map_roots, texts
from onshore_pipeline.evidence.salts import SaltKey, identities, salts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from numpy.typing import NDArray

# Stands where an event has its record index: no message holds so many records.
RESOURCE_INDEX: Final = 0xFFFFFFFF
_EVENT_ID_PREFIX: Final = b"\x04"


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """What identifies a message to its seal.

    Attributes:
        topic_id: the topic's own UUID.
        salt: the salt key of its tenant and month.
    """

    topic_id: UUID
    partition: int
    offset: int
    salt: SaltKey


def event_ids(messages: Sequence[SealedMessage], message: NDArray[np.uint32], index: NDArray[np.uint32]) -> pl.Series:
    """UUIDv8 of every event from its identity: the first 16 bytes of SHA-256(0x04 || identity), Binary(16)."""
    identity = _identities(messages, message, index)
    digest = digests([Part(identity, lead=_EVENT_ID_PREFIX)], len(identity))[:, :16].copy()
    digest[:, 6] = (digest[:, 6] & 0x0F) | 0x80
    digest[:, 8] = (digest[:, 8] & 0x3F) | 0x80
    return binary_column(digest)


def leaf_hashes(
    events: pl.DataFrame, attributes: pl.DataFrame, resource_attributes: pl.DataFrame, messages: Sequence[SealedMessage]
) -> NDArray[np.uint8]:
    """Leaf hash of every event: digests of shape (rows, 32).

    Args:
        events: every column of `domain.event.EVENT_COLUMNS` that stands in the line except the maps, and `row` (dense,
            0-based), `message` (index into `messages`), `resource`.
        attributes: `row`, `key`, `text`; sorted by row and key bytes, unique.
        resource_attributes: `resource`, `key`, `text`; sorted by resource and key bytes, unique.
        messages: the batch's messages.
    """
    parts = _line_parts(events, attributes, resource_attributes, messages)
    return digests([Part(None, lead=merkle.LEAF_PREFIX), *parts], len(events))


def lines(
    events: pl.DataFrame, attributes: pl.DataFrame, resource_attributes: pl.DataFrame, messages: Sequence[SealedMessage]
) -> pl.Series:
    """Canonical line of every event, as String; takes what `leaf_hashes` takes."""
    return texts(_line_parts(events, attributes, resource_attributes, messages), len(events))


def _line_parts(
    events: pl.DataFrame, attributes: pl.DataFrame, resource_attributes: pl.DataFrame, messages: Sequence[SealedMessage]
) -> list[Part]:
    if events.is_empty():
        return []
    salt_of_event = event_salts(events, messages)
    counts = np.bincount(attributes["row"].to_numpy(), minlength=len(events))
    hashed = {name: Part(digest) for name, digest in canonical.commitments(events, salt_of_event).items()}
    hashed["attributes"] = Part(
        map_roots(b"attributes", salt_of_event, counts, attributes["key"], attributes["text"]), known=counts > 0
    )
    resources = salted_resources(events, resource_attributes, messages)
    roots = map_roots(
        b"resource_attributes", resources.salts, resources.counts, resources.pairs["key"], resources.pairs["text"]
    )
    hashed["resource_attributes"] = Part(roots, index=resources.of_event, known=resources.counts > 0)
    return canonical.line_parts(events, hashed)


def event_salts(events: pl.DataFrame, messages: Sequence[SealedMessage]) -> NDArray[np.uint8]:
    """Each event's salt, shape (rows, 16); `events` needs `message` and `record_index`."""
    message = events["message"].to_numpy()
    identity = _identities(messages, message, events["record_index"].to_numpy())
    return salts(identity, [item.salt for item in messages], message)


def _identities(
    messages: Sequence[SealedMessage], message: NDArray[np.uint32], index: NDArray[np.uint32]
) -> NDArray[np.uint8]:
    topic_ids = np.array([list(item.topic_id.bytes) for item in messages], np.uint8).reshape(-1, 16)
    partitions = np.array([item.partition for item in messages], np.uint32)
    offsets = np.array([item.offset for item in messages], np.uint64)
    return identities(topic_ids[message], partitions[message], offsets[message], index)


@dataclass(frozen=True, slots=True)
class SaltedResources:
    """The resources of a batch: events of one message that share a resource share its leaves.

    Attributes:
        salts: shape (resources, 16).
        counts: pairs of each.
        pairs: `owner` (dense), `key`, `text`, by owner and key.
        of_event: which resource an event has.
    """

    salts: NDArray[np.uint8]
    counts: NDArray[np.int64]
    pairs: pl.DataFrame
    of_event: NDArray[np.int64]


def salted_resources(
    events: pl.DataFrame, resource_attributes: pl.DataFrame, messages: Sequence[SealedMessage]
) -> SaltedResources:
    """The salt of every resource: HMAC(salt key, identity with index 0xFFFFFFFF || SHA-256 of the map's JSON).

    `events` needs `message` and `resource`; the rest is what `leaf_hashes` takes.
    """
    resources = events.select("resource", "message").unique("resource", maintain_order=True).with_row_index("owner")
    pairs = (
        resource_attributes.join(resources.select("resource", "owner"), on="resource", how="inner")
        .sort("owner", maintain_order=True)
        .select("owner", "key", "text")
    )
    member = (
        canonical.json_strings(pairs["key"])
        .rename("k")
        .to_frame()
        .select(pl.col("k") + ":" + pl.lit(canonical.json_strings(pairs["text"])))
    )
    maps = (
        pairs.select("owner")
        .with_columns(member.to_series().alias("m"))
        .group_by("owner")
        .agg(pl.col("m").str.join(","))
    )
    content = (
        resources.select("owner")
        .join(maps, on="owner", how="left", maintain_order="left")
        .select((pl.lit("{") + pl.col("m").fill_null("") + "}").cast(pl.Binary))
        .to_series()
    )
    message = resources["message"].to_numpy()
    index = np.full(len(message), RESOURCE_INDEX, np.uint32)
    inputs = np.concatenate([_identities(messages, message, index), sha256_column(content)], axis=1)
    resource_salts = salts(inputs, [item.salt for item in messages], message)
    counts = np.bincount(pairs["owner"].to_numpy(), minlength=len(resources))
    owners = events.select("resource").join(resources, on="resource", how="left", maintain_order="left")["owner"]
    return SaltedResources(resource_salts, counts, pairs, owners.to_numpy().astype(np.int64))
