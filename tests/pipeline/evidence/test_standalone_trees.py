"""The verifier's own trees and proofs beside the pipeline's, and beside public vectors."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onshore_pipeline.evidence import tree_proofs
from onshore_pipeline.evidence import verify_standalone as standalone

VECTORS: Final = Path(__file__).parents[2] / "golden" / "merkle-vectors.json"
LEAVES: Final = [hashlib.sha256(bytes([number])).digest() for number in range(70)]


def ranges_of(size: int, ranges: list[tuple[int, int]]) -> list[bytes]:
    held = np.frombuffer(b"".join(LEAVES[:size]), np.uint8).reshape(-1, 32)
    return tree_proofs.range_roots(held, ranges)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.data())
def test_a_multiproof_of_the_pipeline_proves_what_it_is_made_for_and_nothing_else(
    size: int, data: st.DataObject
) -> None:
    indexes = sorted(data.draw(st.sets(st.integers(0, size - 1))))
    proof = ranges_of(size, tree_proofs.multiproof_ranges(indexes, size))
    shown = [LEAVES[index] for index in indexes]
    root = standalone.tree_root(LEAVES[:size])
    assert standalone.multiproof_root(indexes, shown, size, proof) == root
    if shown:
        assert standalone.multiproof_root(indexes, [b"\x00" * 32, *shown[1:]], size, proof) != root
    with pytest.raises(ValueError, match="too long"):
        standalone.multiproof_root(indexes, shown, size, [*proof, b"\x00" * 32])
    if proof:
        with pytest.raises(ValueError, match="too short"):
            standalone.multiproof_root(indexes, shown, size, proof[:-1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 70), st.integers(0, 70))
def test_consistency_is_seen_where_it_is(one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = ranges_of(new, tree_proofs.consistency_ranges(old, new))
    roots = standalone.tree_root(LEAVES[:old]), standalone.tree_root(LEAVES[:new])
    assert standalone.consistency_holds(old, new, *roots, proof)
    if old or not new:  # every tree begins with the empty one
        assert not standalone.consistency_holds(old, new, roots[0], b"\x01" * 32, proof)
    assert not standalone.consistency_holds(old, new, *roots, [*proof, b"\x00" * 32])


def test_public_vectors_of_consistency_get_their_verdicts() -> None:
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text())["consistency"]
    assert len(vectors) == 41
    for told in vectors:
        old, new = base64.b64decode(told["root1"]), base64.b64decode(told["root2"])
        proof = [base64.b64decode(each) for each in told["proof"] or ()]
        good = standalone.consistency_holds(told["size1"], told["size2"], old, new, proof)
        assert good is not bool(told["wantErr"]), told["file"]


def test_inclusion_proofs_of_public_vectors_are_taken_and_refused_as_they_say() -> None:
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text())["inclusion"]
    for told in vectors:
        leaf, proof = base64.b64decode(told["leafHash"]), [base64.b64decode(each) for each in told["proof"] or ()]
        root: bytes | None = None
        with contextlib.suppress(ValueError):
            root = standalone.inclusion_root(leaf, told["leafIdx"], told["treeSize"], proof)
        assert (root == base64.b64decode(told["root"])) is not bool(told["wantErr"]), told["file"]
