"""Many Merkle trees at once, as compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onshore_pipeline.compiled import address_of, compiled, copy_bytes
from onshore_pipeline.evidence.merkle import NODE_PREFIX
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING, digest_into

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hash_trees(nodes: NDArray[np.uint8], sizes: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """The root of every tree that has leaves into its row of `out`; `nodes`, first the leaves, is written over."""
    pair = np.zeros(1 + 2 * DIGEST_SIZE + PADDING, np.uint8)
    pair[0] = NODE_PREFIX[0]
    _hash_trees(nodes, sizes, pair, out)


@compiled
def _hash_trees(
    nodes: NDArray[np.uint8], sizes: NDArray[np.int64], pair: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    """Each tree's nodes are replaced by their parents, level after level; an odd last node is carried up as it is."""
    buffer, at = address_of(pair), address_of(nodes)
    for tree in range(len(sizes)):
        left = sizes[tree]
        while left > 1:
            for parent in range(left // 2):
                copy_bytes(buffer + 1, at + 2 * DIGEST_SIZE * parent, 2 * DIGEST_SIZE)
                digest_into(buffer, 1 + 2 * DIGEST_SIZE, at + DIGEST_SIZE * parent)
            if left % 2:
                copy_bytes(at + DIGEST_SIZE * (left // 2), at + DIGEST_SIZE * (left - 1), DIGEST_SIZE)
            left = (left + 1) // 2
        if sizes[tree]:
            copy_bytes(address_of(out) + DIGEST_SIZE * tree, at, DIGEST_SIZE)
        at += DIGEST_SIZE * sizes[tree]
