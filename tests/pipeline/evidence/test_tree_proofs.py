"""Proofs about trees, against RFC 6962 as it is written there and the vectors of transparency-dev/merkle."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evidence_reference as reference
from onshore_pipeline.evidence import tree_proofs as proofs
from onshore_pipeline.evidence.frontier import Frontier
from onshore_pipeline.evidence.tree_proofs import NotProven

_VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "merkle-vectors.json").read_text())
_HUGE = (1 << 62, 1 << 63, (1 << 64) + 1)


def _leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(b"\x00" + str(number).encode()).digest() for number in range(count)]


def _array(leaves: list[bytes]) -> Any:
    return np.frombuffer(b"".join(leaves), np.uint8).reshape(-1, 32)


def _bytes(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or []]


def _included(index: int, leaves: list[bytes]) -> list[bytes]:
    return proofs.range_roots(_array(leaves), proofs.inclusion_ranges(index, len(leaves)))


def _consistent(old: int, leaves: list[bytes]) -> list[bytes]:
    return proofs.range_roots(_array(leaves), proofs.consistency_ranges(old, len(leaves)))


def _together(indexes: list[int], leaves: list[bytes]) -> list[bytes]:
    return proofs.range_roots(_array(leaves), proofs.multiproof_ranges(indexes, len(leaves)))


@pytest.mark.parametrize("case", _VECTORS["inclusion"], ids=lambda case: case["file"])
def test_published_inclusion_proofs_are_accepted_where_good_and_refused_where_bad(case: dict[str, Any]) -> None:
    leaf, root = base64.b64decode(case["leafHash"]), base64.b64decode(case["root"])

    def verify() -> None:
        proofs.verify_inclusion(leaf, case["leafIdx"], case["treeSize"], _bytes(case["proof"]), root)

    if case["wantErr"]:
        with pytest.raises(NotProven):
            verify()
    else:
        verify()


@pytest.mark.parametrize("case", _VECTORS["consistency"], ids=lambda case: case["file"])
def test_published_consistency_proofs_are_accepted_where_good_and_refused_where_bad(case: dict[str, Any]) -> None:
    old_root, new_root = base64.b64decode(case["root1"] or ""), base64.b64decode(case["root2"] or "")

    def verify() -> None:
        proofs.verify_consistency(case["size1"], case["size2"], old_root, new_root, _bytes(case["proof"]))

    if case["wantErr"]:
        with pytest.raises(NotProven):
            verify()
    else:
        verify()


@given(st.lists(st.integers(0, 40), max_size=12))
def test_a_frontier_has_the_root_of_the_whole_tree_however_it_grew(steps: list[int]) -> None:
    leaves = _leaves(sum(steps))
    frontier, at = Frontier(), 0
    for step in steps:
        frontier.extend(_array(leaves[at : at + step]) if step else np.empty((0, 32), np.uint8))
        at += step
        again = Frontier(frontier.size, frontier.nodes)
        assert again.root() == frontier.root() == reference.root(leaves[:at])


@pytest.mark.parametrize("begun", [0, 4095, 4096])
def test_a_frontier_that_grows_by_blocks_has_the_same_root(begun: int) -> None:
    leaves = _leaves(begun + 9000)
    frontier = Frontier()
    for leaf in leaves[:begun]:
        frontier.append(leaf)
    frontier.extend(_array(leaves[begun:]))
    assert frontier.root() == reference.root(leaves)


def test_a_frontier_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="no frontier of a tree of 3 leaves"):
        Frontier(3, [bytes(32)])


@given(st.integers(1, 70), st.data())
def test_every_leaf_is_proven_and_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    index = data.draw(st.integers(0, size - 1))
    root, proof = reference.root(leaves), _included(index, leaves)
    proofs.verify_inclusion(leaves[index], index, size, proof, root)
    assert len(proof) <= (size - 1).bit_length()
    other = data.draw(st.integers(0, size + 2).filter(lambda each: each != index))
    for wrong in (
        (leaves[index], other, size, proof, root),
        (leaves[index], index, size, [*proof, bytes(32)], root),
        (leaves[index][:-1], index, size, proof, root),
        (leaves[index], index, size, proof, reference.root(leaves[:-1])),
        *((leaves[index], index, huge, proof, root) for huge in (*_HUGE, 0, -1) if huge != size),
    ):
        with pytest.raises(NotProven):
            proofs.verify_inclusion(*wrong)


@given(st.integers(0, 70), st.data())
def test_every_earlier_tree_is_proven_to_be_the_beginning(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    old = data.draw(st.integers(0, size))
    roots, proof = (reference.root(leaves[:old]), reference.root(leaves)), _consistent(old, leaves)
    proofs.verify_consistency(old, size, *roots, proof)
    with pytest.raises(NotProven):
        proofs.verify_consistency(old, size, roots[0], roots[1], [*proof, bytes(32)])
    with pytest.raises(NotProven):
        proofs.verify_consistency(old, size, bytes(32), roots[1], proof)
    with pytest.raises(NotProven):
        proofs.verify_consistency(size + 1, size, *roots, proof)
    if proof:
        with pytest.raises(NotProven):
            proofs.verify_consistency(old, size, *roots, proof[:-1])
        with pytest.raises(NotProven):
            proofs.verify_consistency(old, size, roots[0], bytes(32), proof)
        for huge in _HUGE:
            with pytest.raises(NotProven):
                proofs.verify_consistency(old, huge, *roots, proof)


@given(st.integers(0, 70), st.data())
def test_many_leaves_are_proven_at_once_and_with_fewer_hashes(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    indexes = sorted(data.draw(st.sets(st.integers(0, size - 1)))) if size else []
    root, proof = reference.root(leaves), _together(indexes, leaves)
    named = {index: leaves[index] for index in indexes}
    proofs.verify_multiproof(named, size, proof, root)
    assert len(proof) <= max(1, sum(len(_included(index, leaves)) for index in indexes))
    with pytest.raises(NotProven):
        proofs.verify_multiproof(named, size, [*proof, bytes(32)], root)
    with pytest.raises(NotProven):
        proofs.verify_multiproof(named, size, proof, bytes(32))
    if proof:
        with pytest.raises(NotProven):
            proofs.verify_multiproof(named, size, proof[:-1], root)
        with pytest.raises(NotProven):
            proofs.verify_multiproof(named, size, [each[:31] for each in proof], root)
    if indexes:
        changed = named | {indexes[0]: bytes(32)}
        with pytest.raises(NotProven):
            proofs.verify_multiproof(changed, size, proof, root)
        moved = {index + 1: leaf for index, leaf in named.items()}
        with pytest.raises(NotProven):
            proofs.verify_multiproof(moved, size, proof, root)
        for huge in _HUGE:
            with pytest.raises(NotProven):
                proofs.verify_multiproof(named, huge, proof, root)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: proofs.inclusion_ranges(3, 3), "no leaf 3"),
        (lambda: proofs.inclusion_ranges(-1, 3), "no leaf -1"),
        (lambda: proofs.consistency_ranges(4, 3), "does not begin with"),
        (lambda: proofs.multiproof_ranges([1, 1], 3), "do not rise"),
        (lambda: proofs.multiproof_ranges([1, 3], 3), "no leaf 3"),
    ],
)
def test_what_nobody_can_prove_is_not_asked_for(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()
