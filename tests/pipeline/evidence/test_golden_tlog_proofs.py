"""A proof of one event that another implementation judged: ours give the same answers, for ever."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import bundles
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.merkle import leaf_hash
from onshore_pipeline.evidence.signed_note import parse_verifier_keys
from onshore_pipeline.evidence.tlog_proof import parse_tlog_proof
from onshore_pipeline.evidence.verify import verify_event

if TYPE_CHECKING:
    from collections.abc import Callable

_GOLDEN: Final[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "golden" / "tlog-proofs-v1.json").read_text())
_CASES: Final = _GOLDEN["cases"]


def ours(proof: bytes) -> bool:
    """Whether the reader that takes any log's proof takes it."""
    try:
        read = parse_tlog_proof(proof)
        leaf = leaf_hash(base64.b64decode(_GOLDEN["leaf"]))
        read.verify(leaf, _GOLDEN["origin"], parse_verifier_keys(_GOLDEN["key"]))
    except OnshoreError:
        return False
    return str(read).encode() == proof


def of_an_event(proof: bytes) -> set[bool]:
    """What `verify.py` and `onshore verify` say of the event that it is about."""
    event, said = _GOLDEN["event"].encode(), set[bool]()
    runs: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: standalone.verify_event(event, proof, standalone.parse_keys(bundles.KEYS)),
        lambda: verify_event(event, proof, bundles.KEYS),
    )
    for run in runs:
        try:
            run()
            said.add(True)
        except standalone.Problem:
            said.add(False)
    return said


def test_the_other_implementation_took_our_proof_and_refused_every_other() -> None:
    assert [case["about"] for case in _CASES if case["said"] == "accepted"] == ["as it was made"]
    assert any(row.startswith("github.com/transparency-dev/formats ") for row in _GOLDEN["judged_by"]["modules"])


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["about"])
def test_our_readers_say_what_the_other_implementation_said(case: dict[str, str]) -> None:
    proof, is_good = case["proof"].encode(), case["said"] == "accepted"
    assert ours(proof) == is_good
    # Any log of the key is one for them: which one it is, they say.
    assert of_an_event(proof) == {is_good}
