"""Salts for commitments: unguessable without the salt key, different for every event and field."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.evidence.rows import Part, digests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SALT_SIZE: Final = 16
IDENTITY_SIZE: Final = 32
_BLOCK: Final = 64  # SHA-256's block, which HMAC pads its key to (RFC 2104)


@dataclass(frozen=True, slots=True)
class SaltKey:
    """One tenant's salt key of one month of broker time.

    Attributes:
        key_id: stands in the log entry; says nothing about the key.
        key: 32 secret bytes; whoever holds it can open every commitment of that tenant and month.
    """

    key_id: str
    key: bytes

    def __repr__(self) -> str:
        """Never show the key."""
        return f"SaltKey({self.key_id})"


def salt_key(master: bytes, tenant: str, timestamp_ns: int) -> SaltKey:
    """Derive a tenant's key of the month that `timestamp_ns` lies in (UTC), from the deployment's master secret.

    HMAC-SHA-256 as the pseudo-random function, so that giving away one month's key gives away no other.
    """
    month = datetime.fromtimestamp(timestamp_ns // 1_000_000_000, UTC).strftime("%Y-%m")
    key = hmac.digest(master, b"onshore salt key v1\x00" + tenant.encode() + b"\x00" + month.encode(), "sha256")
    fingerprint = hashlib.sha256(b"onshore salt key id\x00" + key).hexdigest()[:16]
    return SaltKey(f"{month}-{fingerprint}", key)


def master_id(master: bytes) -> str:
    """Tells one master secret from another; says nothing about it."""
    return hashlib.sha256(b"onshore salt master id\x00" + master).hexdigest()[:16]


def identities(
    topic_ids: NDArray[np.uint8], partitions: NDArray[np.uint32], offsets: NDArray[np.uint64], index: NDArray[np.uint32]
) -> NDArray[np.uint8]:
    """Topic UUID (16 bytes) || partition u32 || offset u64 || index u32, big-endian: shape (rows, 32)."""
    out = np.empty((len(index), IDENTITY_SIZE), np.uint8)
    out[:, :16] = topic_ids
    out[:, 16:20] = partitions.astype(">u4").view(np.uint8).reshape(-1, 4)
    out[:, 20:28] = offsets.astype(">u8").view(np.uint8).reshape(-1, 8)
    out[:, 28:] = index.astype(">u4").view(np.uint8).reshape(-1, 4)
    return out


def salts(inputs: NDArray[np.uint8], keys: Sequence[SaltKey], key_of_row: NDArray[np.int64]) -> NDArray[np.uint8]:
    """First 16 bytes of HMAC-SHA-256(key of the row, input of the row): shape (rows, 16)."""
    padded = np.zeros((len(keys), _BLOCK), np.uint8)
    for row, key in enumerate(keys):
        padded[row, : len(key.key)] = np.frombuffer(key.key, np.uint8)
    inner = digests([Part(padded ^ np.uint8(0x36), index=key_of_row), Part(inputs)], len(inputs))
    outer = digests([Part(padded ^ np.uint8(0x5C), index=key_of_row), Part(inner)], len(inputs))
    return np.ascontiguousarray(outer[:, :SALT_SIZE])
