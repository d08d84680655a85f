"""Heads, proofs, rotations and cosignatures of format version 1 are read for ever, by both readers; bad ones never."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import evidence_reference as reference
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.checkpoint import parse_checkpoint
from onshore_pipeline.evidence.signed_note import KeyType, NoteRefused, parse_note, parse_verifier_keys
from onshore_pipeline.evidence.tree_proofs import NotProven, verify_consistency
from onshore_pipeline.evidence.witnessing import add_checkpoint, parse_cosigned
from onshore_pipeline.head_journal import HeadJournal

if TYPE_CHECKING:
    from onshore_pipeline.evidence.checkpoint import Checkpoint

_GOLDEN: Final[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "golden" / "heads-v1.json").read_text())
_OWN: Final = parse_verifier_keys("\n".join(_GOLDEN["operator"]))
_WITNESS: Final = parse_verifier_keys(_GOLDEN["witness"])
_ALL: Final = standalone.parse_keys("\n".join([*_GOLDEN["operator"], _GOLDEN["witness"]]))


def _head(note: str) -> Checkpoint:
    """As `onshore checkpoints import` and `onshore verify` read it: signed by the operator, cosigned by the witness."""
    read = parse_note(note.encode())
    read.verified([key for key in _OWN if key.type is KeyType.NOTE])
    read.verified([*_OWN, *_WITNESS])
    return parse_checkpoint(read.text)


def test_the_file_is_of_the_version_that_this_test_is_about() -> None:
    assert _GOLDEN["version"] == 1


def test_a_journal_of_version_1_is_read_and_its_heads_are_those_of_the_entries(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text(_GOLDEN["journal"])
    notes = list(HeadJournal(tmp_path / "heads"))
    leaves = [reference.leaf(each.encode()) for each in _GOLDEN["entries"]]
    heads = [parse_checkpoint(note.text) for note in notes]
    assert [(head.origin, head.size) for head in heads] == [(_GOLDEN["origin"], 3), (_GOLDEN["origin"], 8)]
    assert [head.root for head in heads] == [reference.root(leaves[:3]), reference.root(leaves)]
    assert HeadJournal(tmp_path / "heads").newest() == notes[1]
    again = HeadJournal(tmp_path / "again")
    for note in notes:
        again.append(note)
    assert (tmp_path / "again").read_text() == _GOLDEN["journal"], "today's code writes the same bytes"


def test_while_a_key_was_rotated_either_key_is_enough_and_afterwards_only_the_new_one() -> None:
    new, old = _OWN[:2], _OWN[2:]
    during = parse_note(json.loads(_GOLDEN["journal"].splitlines()[1])["note"].encode())
    assert len(during.verified(new)) == len(during.verified(old)) == 2
    after = parse_note(_GOLDEN["after_rotation"].encode())
    assert len(after.verified(new)) == 2
    with pytest.raises(NoteRefused):
        after.verified(old)


def test_a_cosignature_is_read_by_both_readers() -> None:
    assert [each.time for each in parse_note(_GOLDEN["cosigned"].encode()).verified(_WITNESS)] == [
        _GOLDEN["cosigned_at"]
    ]
    told = standalone.open_note(_GOLDEN["cosigned"].encode(), _ALL, 4, "the head")
    assert (told.size, [at for at, _ in told.witnesses]) == (8, [_GOLDEN["cosigned_at"]])


@pytest.mark.parametrize("bad", _GOLDEN["refused"], ids=lambda each: each["about"])
def test_what_is_no_such_head_is_refused_by_both_readers(bad: dict[str, str]) -> None:
    with pytest.raises(NoteRefused):
        _head(bad["note"])
    with pytest.raises((standalone.Altered, standalone.Uncheckable)):
        standalone.open_note(bad["note"].encode(), _ALL, 4, "the head")


def _proof() -> list[bytes]:
    return [base64.b64decode(each) for each in _GOLDEN["consistency"]]


def test_the_second_head_goes_on_from_the_first_and_from_no_other() -> None:
    first, second = (parse_checkpoint(parse_note(json.loads(line)["note"].encode()).text)
                     for line in _GOLDEN["journal"].splitlines())  # fmt: skip
    verify_consistency(first.size, second.size, first.root, second.root, _proof())
    for bad in _GOLDEN["not_consistent"]:
        other = _head(bad["note"])
        with pytest.raises(NotProven):
            verify_consistency(first.size, other.size, first.root, other.root, _proof())
    for changed in (_proof()[:-1], [*_proof(), bytes(32)], [*_proof()[:-1], bytes(32)]):
        with pytest.raises(NotProven):
            verify_consistency(first.size, second.size, first.root, second.root, changed)


def test_another_implementations_witness_took_our_requests_and_its_answers_are_read() -> None:
    told = _GOLDEN["litewitness"]
    own, witness = parse_verifier_keys("\n".join(told["operator"])), parse_verifier_keys(told["witness"])
    heads = []
    for request, answer in zip(told["requests"], told["answers"], strict=True):
        note = parse_cosigned((request + answer).encode())
        assert note.verified(own)
        assert len(note.verified(witness)) == 1
        heads.append(parse_checkpoint(note.text))
    above, _, sent = told["requests"][1].partition("\n\n")
    proof = [base64.b64decode(line) for line in above.split("\n")[1:]]
    verify_consistency(heads[0].size, heads[1].size, heads[0].root, heads[1].root, proof)
    assert add_checkpoint(heads[0].size, proof, sent) == told["requests"][1], "today's code asks the same"
