"""Proofs about Merkle trees: inclusion and consistency (RFC 9162, sections 2.1.3 and 2.1.4), and many leaves at once.

Each proof is the roots of some ranges of leaves. Which ranges stands here; `range_roots` computes them where all leaves
are at hand, and whoever has them elsewhere reads only those. Verification needs the standard library only.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.merkle import DIGEST_SIZE, EMPTY_ROOT, NODE_PREFIX, roots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Range = tuple[int, int]  # leaves [start, end)


class NotProven(OnshoreError):
    """A proof does not prove what it is said to prove."""


def range_roots(leaf_hashes: NDArray[np.uint8], ranges: Sequence[Range]) -> list[bytes]:
    """The root of each range of leaves, shape (leaves, 32), as a tree of its own."""
    if not ranges:
        return []
    held = np.concatenate([leaf_hashes[start:end] for start, end in ranges])
    sizes = np.array([end - start for start, end in ranges], np.int64)
    return [row.tobytes() for row in roots(held, sizes)]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Whose roots are the inclusion proof of leaf `index` in a tree of `size` leaves: the leaf's sibling first.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    found: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """Whose roots prove that the first `old` leaves of a tree of `new` are the tree of `old` leaves.

    Raises:
        ValueError: the old tree is larger.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not begin with one of {old}")
    if old in {0, new}:
        return []
    found: list[Range] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return [*([(start, end)] if start else []), *found[::-1]]


def multiproof_ranges(indexes: Sequence[int], size: int) -> list[Range]:
    """Whose roots prove the leaves `indexes` (rising, each once) together: the largest subtrees without any of them.

    They stand from left to right. Without indexes that is the whole tree.

    Raises:
        ValueError: the indexes do not rise, or are none of the tree's.
    """
    _refuse_unordered(indexes, size)
    found: list[Range] = []
    waiting = [(0, size, 0, len(indexes))] if size else []
    while waiting:
        start, end, first, last = waiting.pop()
        if first == last:
            found.append((start, end))
        elif end - start > 1:
            middle = start + _split(end - start)
            between = bisect_left(indexes, middle, first, last)
            waiting += [(middle, end, between, last), (start, middle, first, between)]
    return found


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf stands at `index` in the tree of `size` leaves with that root.

    Raises:
        NotProven: it is not proven.
    """
    if not 0 <= index < size:
        raise NotProven(f"a tree of {size} leaves has no leaf {index}")
    fn, sn = index, size - 1
    found = _checked(leaf_hash)
    for node in proof:
        if sn == 0:
            raise NotProven(f"the proof of leaf {index} of {size} is too long")
        if fn & 1 or fn == sn:
            found = _node(node, found)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = _node(found, node)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProven(f"the proof of leaf {index} of {size} is too short")
    _refuse_other_root(found, root, f"leaf {index} is not in the tree of {size} leaves with this root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `new` leaves begins with the tree of `old` leaves.

    Raises:
        NotProven: it is not proven.
    """
    if not 0 <= old <= new:
        raise NotProven(f"a tree of {new} leaves does not begin with one of {old}")
    if old in {0, new}:
        if proof:
            raise NotProven(f"the proof from {old} to {new} leaves is too long")
        _refuse_other_root(old_root, EMPTY_ROOT if old == 0 else new_root, f"two trees of {old} leaves differ")
        return
    nodes = list(proof) if old & (old - 1) else [old_root, *proof]
    from_old, from_new = _climbed(old, new, nodes)
    _refuse_other_root(from_old, old_root, f"the tree of {new} leaves does not begin with this tree of {old}")
    _refuse_other_root(from_new, new_root, f"the tree of {old} leaves does not lead to this tree of {new}")


def verify_multiproof(leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that each leaf hash of `leaves` stands at its index in the tree of `size` leaves with that root.

    Raises:
        NotProven: it is not proven.
    """
    indexes = sorted(leaves)
    try:
        _refuse_unordered(indexes, size)
    except ValueError as error:
        raise NotProven(str(error)) from None
    unused = iter(proof)

    def found(start: int, end: int, first: int, last: int) -> bytes:
        if first == last:
            node = next(unused, None)
            if node is None:
                raise NotProven(f"the proof of {len(indexes)} leaves of {size} is too short")
            return _checked(node)
        if end - start == 1:
            return _checked(leaves[start])
        middle = start + _split(end - start)
        between = bisect_left(indexes, middle, first, last)
        return _node(found(start, middle, first, between), found(middle, end, between, last))

    whole = found(0, size, 0, len(indexes)) if size else EMPTY_ROOT
    if next(unused, None) is not None:
        raise NotProven(f"the proof of {len(indexes)} leaves of {size} is too long")
    _refuse_other_root(whole, root, f"the {len(indexes)} leaves are not in the tree of {size} leaves with this root")


def _climbed(old: int, new: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees, as a consistency proof gives them (RFC 9162, section 2.1.4.2)."""
    if not nodes:
        raise NotProven(f"the proof from {old} to {new} leaves is too short")
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    from_old = from_new = nodes[0]
    for node in nodes[1:]:
        if sn == 0:
            raise NotProven(f"the proof from {old} to {new} leaves is too long")
        if fn & 1 or fn == sn:
            from_old, from_new = _node(node, from_old), _node(node, from_new)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            from_new = _node(from_new, node)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise NotProven(f"the proof from {old} to {new} leaves is too short")
    return from_old, from_new


def _split(size: int) -> int:
    """The largest power of two below `size`, which is above 1."""
    return 1 << ((size - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE_PREFIX + _checked(left) + _checked(right)).digest()


def _checked(node: bytes) -> bytes:
    """A hash of another length could move bytes between the two sides of a node."""
    if len(node) != DIGEST_SIZE:
        raise NotProven(f"a proof's hash has {len(node)} bytes instead of {DIGEST_SIZE}")
    return node


def _refuse_unordered(indexes: Sequence[int], size: int) -> None:
    if any(later <= earlier for earlier, later in itertools.pairwise(indexes)):
        raise ValueError("indexes of leaves do not rise")
    if indexes and not 0 <= indexes[0] <= indexes[-1] < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {indexes[0] if indexes[0] < 0 else indexes[-1]}")


def _refuse_other_root(found: bytes, expected: bytes, why: str) -> None:
    if not hmac.compare_digest(_checked(found), expected):
        raise NotProven(why)
