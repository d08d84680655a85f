"""The compiled side of `rows.map_roots`: salted leaves and the root over each owner's pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onshore_pipeline.compiled import bytes_at, compiled, copy_bytes
from onshore_pipeline.evidence.row_code import SALT_SIZE, put_row
from onshore_pipeline.evidence.sha256 import DIGEST_SIZE, PADDING, digest_into, digest_two_into

if TYPE_CHECKING:
    from numpy.typing import NDArray


@compiled
def hash_maps(
    table: int,
    blocks: int,
    block_size: int,
    leaf_size: int,
    trees: int,
    tree_size: int,
    salts: int,
    counts: NDArray[np.int64],
    out: int,
) -> None:
    """Leaf salts, leaves and root of one owner after the other; nothing is kept but the roots.

    What can be is hashed two at a time, roots of equally large maps too.
    """
    other_block = blocks + block_size + 4 + PADDING
    secrets = other_block + block_size + 4 + PADDING
    one = secrets + 2 * DIGEST_SIZE
    pair, waiting = 0, -1
    for owner in range(len(counts)):
        count = counts[owner]
        if not count:
            continue
        copy_bytes(blocks + 1, salts + SALT_SIZE * owner, SALT_SIZE)
        copy_bytes(other_block + 1, salts + SALT_SIZE * owner, SALT_SIZE)
        tree = trees if waiting < 0 else trees + tree_size
        for number in range(count):
            if number % 4 == 0:  # a block of 32 bytes holds two leaf salts
                _number_block(blocks + block_size, number // 2)
                _number_block(other_block + block_size, number // 2 + 1)
                digest_two_into(blocks, block_size + 4, secrets, other_block, block_size + 4, secrets + DIGEST_SIZE)
            if number % 2 == 0:
                salt, at = secrets + SALT_SIZE * (number % 4), tree + DIGEST_SIZE * (number + 1)
                _hash_leaves(one, leaf_size, salt, table, pair + number, min(2, count - number), at)
        pair += count
        if waiting < 0:
            waiting = owner
        else:
            size, other_size = DIGEST_SIZE * (counts[waiting] + 1), DIGEST_SIZE * (count + 1)
            digest_two_into(trees, size, out + DIGEST_SIZE * waiting, tree, other_size, out + DIGEST_SIZE * owner)
            waiting = -1
    if waiting >= 0:
        digest_into(trees, DIGEST_SIZE * (counts[waiting] + 1), out + DIGEST_SIZE * waiting)


@compiled
def _number_block(at: int, number: int) -> None:
    """A block's number behind its input, four bytes, the highest first."""
    number_of = bytes_at(at)
    for byte in range(4):
        number_of[byte] = np.uint8((number >> (24 - 8 * byte)) & 0xFF)


@compiled
def _hash_leaves(one: int, leaf_size: int, salt: int, table: int, pair: int, count: int, out: int) -> None:
    """A pair's leaf, or those of two that follow one another."""
    size = _put_leaf(one, salt, table, pair)
    if count == 1:
        digest_into(one, size, out)
        return
    other = one + leaf_size
    other_size = _put_leaf(other, salt + SALT_SIZE, table, pair + 1)
    digest_two_into(one, size, out, other, other_size, out + DIGEST_SIZE)


@compiled
def _put_leaf(at: int, salt: int, table: int, pair: int) -> int:
    """Write 0x00, the leaf's salt and the pair; returns their size."""
    bytes_at(at)[0] = 0
    copy_bytes(at + 1, salt, SALT_SIZE)
    return put_row(at + 1 + SALT_SIZE, table, 2, pair) - at
