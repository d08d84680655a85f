"""Merkle trees as in RFC 6962 section 2.1: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.evidence.hashing import DIGEST_SIZE, sha256_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Leaf hash of one piece of data."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes, in order; the empty tree's root is SHA-256 of nothing."""
    level = list(leaf_hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        pairs = [hashlib.sha256(NODE_PREFIX + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def roots(leaf_hashes: NDArray[np.uint8], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Roots of many trees at once, a level of all trees at a time.

    Args:
        leaf_hashes: shape (leaves, 32), the trees' leaves one tree after the other.
        sizes: leaves of each tree; they add up to `leaves`.

    Returns:
        One root a tree, shape (trees, 32).
    """
    out = np.empty((len(sizes), DIGEST_SIZE), np.uint8)
    out[sizes == 0] = np.frombuffer(EMPTY_ROOT, np.uint8)
    alive = np.flatnonzero(sizes > 0)
    level, counts = leaf_hashes, sizes[alive]
    while len(alive):
        done = counts == 1
        starts = np.cumsum(counts) - counts
        out[alive[done]] = level[starts[done]]
        keep = np.repeat(~done, counts)
        level, alive, counts = level[keep], alive[~done], counts[~done]
        level, counts = _parents(level, counts)
    return out


def _parents(level: NDArray[np.uint8], counts: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One level up: neighbours are hashed together, an odd last node is carried up as it is."""
    starts = np.cumsum(counts) - counts
    position = np.arange(len(level)) - np.repeat(starts, counts)
    size = np.repeat(counts, counts)
    is_left = (position % 2 == 0) & (position + 1 < size)
    is_carried = (position % 2 == 0) & (position + 1 == size)
    left = np.flatnonzero(is_left)
    joined = np.empty((len(left), 1 + 2 * DIGEST_SIZE), np.uint8)
    joined[:, 0] = NODE_PREFIX[0]
    joined[:, 1 : 1 + DIGEST_SIZE] = level[left]
    joined[:, 1 + DIGEST_SIZE :] = level[left + 1]
    parents = np.empty((int(is_left.sum() + is_carried.sum()), DIGEST_SIZE), np.uint8)
    slots = np.cumsum(is_left | is_carried) - 1
    if len(left):
        parents[slots[left]] = sha256_rows(joined)
    parents[slots[np.flatnonzero(is_carried)]] = level[is_carried]
    return parents, (counts + 1) // 2
