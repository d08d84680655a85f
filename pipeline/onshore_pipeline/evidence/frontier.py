"""A Merkle tree that only grows, kept as its frontier: the roots of its full subtrees, one for each bit of its size."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from onshore_pipeline.evidence.merkle import DIGEST_SIZE, EMPTY_ROOT, NODE_PREFIX, roots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BLOCK: Final = 1 << 12  # leaves whose subtree is hashed at once by compiled code


class Frontier:
    """Size and root of a tree, and what is needed to append to it: 32 bytes for each bit of its size.

    Args:
        size: how many leaves it has.
        nodes: roots of its full subtrees, the largest (and first) one first.

    Raises:
        ValueError: there are not as many nodes as bits set in the size.
    """

    __slots__ = ("_nodes", "_size")

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(nodes) != size.bit_count() or any(len(node) != DIGEST_SIZE for node in nodes):
            raise ValueError(f"{len(nodes)} nodes are no frontier of a tree of {size} leaves")
        self._size, self._nodes = size, list(nodes)

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._size

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """Roots of the full subtrees, the largest one first."""
        return tuple(self._nodes)

    def copy(self) -> Frontier:
        """One that grows on its own."""
        return Frontier(self._size, self._nodes)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf."""
        self._push(leaf_hash, 1)

    def extend(self, leaf_hashes: NDArray[np.uint8]) -> None:
        """Add leaves, shape (leaves, 32), in order."""
        at, end = 0, len(leaf_hashes)
        while at < end:
            if self._size % _BLOCK == 0 and end - at >= _BLOCK:
                blocks = (end - at) // _BLOCK
                some = leaf_hashes[at : at + blocks * _BLOCK]
                for node in roots(some, np.full(blocks, _BLOCK, np.int64)):
                    self._push(node.tobytes(), _BLOCK)
                at += blocks * _BLOCK
            else:
                self._push(leaf_hashes[at].tobytes(), 1)
                at += 1

    def root(self) -> bytes:
        """The tree's root (RFC 6962, section 2.1)."""
        if not self._nodes:
            return EMPTY_ROOT
        root = self._nodes[-1]
        for node in reversed(self._nodes[:-1]):
            root = hashlib.sha256(NODE_PREFIX + node + root).digest()
        return root

    def _push(self, node: bytes, leaves: int) -> None:
        """Add the root of a full subtree, merging it with the equally large ones in front of it."""
        level = leaves
        while self._size & level:
            node = hashlib.sha256(NODE_PREFIX + self._nodes.pop() + node).digest()
            level <<= 1
        self._nodes.append(node)
        self._size += leaves
