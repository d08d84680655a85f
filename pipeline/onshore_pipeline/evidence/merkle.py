"""Merkle trees as in RFC 6962 section 2.1: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
DIGEST_SIZE: Final = 32
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
    """Roots of many trees at once.

    Args:
        leaf_hashes: shape (leaves, 32), the trees' leaves one tree after the other.
        sizes: leaves of each tree; they add up to `leaves`.

    Returns:
        One root a tree, shape (trees, 32).
    """
    # Here, because the sequencer needs one leaf at a time and no compiler.
    from onshore_pipeline.evidence.trees import hash_trees

    out = np.empty((len(sizes), DIGEST_SIZE), np.uint8)
    out[sizes == 0] = np.frombuffer(EMPTY_ROOT, np.uint8)
    hash_trees(leaf_hashes.copy(order="C"), sizes, out)
    return out
