"""Before a process seals anything: does the compiled code compute what the standard library computes?

It also compiles all of it, so that the first message does not wait for that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from onshore_pipeline.compiled import MACHINE_CODE
from onshore_pipeline.evidence import merkle, rows
from onshore_pipeline.evidence.row_code import Spelling
from onshore_pipeline.evidence.sha256 import CompiledWrongly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# Around the end of a block, where the padding does or does not fit.
_SIZES = (0, 1, 55, 56, 63, 64, 65, 119, 120, 250)


def check_compiled() -> None:
    """Compare digests, commitments, roots of maps and roots of trees.

    Raises:
        CompiledWrongly: they differ.
    """
    values = [bytes(range(size)) for size in _SIZES]
    digests = rows.digests([rows.Part(pl.Series(values, dtype=pl.Binary), lead=b"\x00")], len(values))
    _compare("SHA-256", digests, (hashlib.sha256(b"\x00" + value).digest() for value in values))
    salts = np.arange(48, dtype=np.uint8).reshape(3, 16)  # two at a time, and one alone
    # Which is missing is told apart, as to ask Polars would start its threads, and who has threads cannot be forked.
    is_known = np.array([True, False, True])
    committed = rows.Part(pl.Series(["a", "", 70 * "b"]), Spelling.JSON, b'"', b'"', b"null", known=is_known)
    said = [b'"a"', b"null", b'"%s"' % (70 * b"b")]
    commitments = [_commitment(salt.tobytes(), b"name", value) for salt, value in zip(salts, said, strict=True)]
    _compare("a commitment", rows.commitments(b"name", salts, committed), commitments)
    maps = [[(key, str(size)) for key in "abcde"[:size]] for size in (5, 5, 3)]  # two at a time, and one alone
    keys, texts = (pl.Series([pair[side] for pairs in maps for pair in pairs]) for side in (0, 1))
    roots = rows.map_roots(b"name", np.ones((3, 16), np.uint8), np.array([5, 5, 3]), keys, texts)
    _compare("the root of a map", roots, [_map_root(bytes([1]) * 16, b"name", pairs) for pairs in maps])
    trees = merkle.roots(digests, np.array([len(values) - 3, 3]))
    leaves = [row.tobytes() for row in digests]
    _compare("the root of a tree", trees, [merkle.root(leaves[:-3]), merkle.root(leaves[-3:])])


def _commitment(salt: bytes, name: bytes, value: bytes) -> bytes:
    """Section 3 of docs/evidence-format.md."""
    return hashlib.sha256(hashlib.sha256(b"\x02" + salt + name).digest() + name + b"\x00" + value).digest()


def _map_root(salt: bytes, name: bytes, pairs: Sequence[tuple[str, str]]) -> bytes:
    """Section 4 of docs/evidence-format.md, for pairs of plain text."""
    tree = b"\x03" + bytes(31)
    for number, (key, value) in enumerate(pairs):
        block = hashlib.sha256(b"\x02" + salt + name + (number // 2).to_bytes(4, "big")).digest()
        leaf_salt = block[16 * (number % 2) :][:16]
        tree += hashlib.sha256(b"\x00" + leaf_salt + f'["{key}","{value}"]'.encode()).digest()
    return hashlib.sha256(tree).digest()


def _compare(what: str, found: NDArray[np.uint8], expected: Iterable[bytes]) -> None:
    if [row.tobytes() for row in found] != list(expected):
        raise CompiledWrongly(
            f"compiled code computes {what} otherwise than the standard library: delete"
            f" {MACHINE_CODE} and start again; if it stays, this processor cannot be trusted"
        )
