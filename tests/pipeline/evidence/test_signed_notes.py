"""Signed notes, checkpoints, cosignatures and proofs as text, as C2SP writes them."""

from __future__ import annotations

import base64
import hashlib
from uuid import UUID

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onshore_pipeline.evidence import checkpoint, signed_note
from onshore_pipeline.evidence.checkpoint import Checkpoint, parse_checkpoint
from onshore_pipeline.evidence.frontier import Frontier
from onshore_pipeline.evidence.signed_note import KeyType, Note, NoteRefused, VerifierKey, parse_note
from onshore_pipeline.evidence.tlog_proof import TlogProof, parse_tlog_proof
from onshore_pipeline.evidence.tree_proofs import NotProven, inclusion_ranges, range_roots

# The examples of c2sp.org/signed-note and c2sp.org/tlog-checkpoint.
_SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
_SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
    "OBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
_NAME, _WITNESS_NAME = "onshore/test", "witness.example/w1"
_VERIFIER = VerifierKey(_NAME, KeyType.NOTE, _KEY.public_key().public_bytes_raw())
_TIMED = VerifierKey(_NAME, KeyType.COSIGNATURE, _KEY.public_key().public_bytes_raw())
_WITNESSED = VerifierKey(_WITNESS_NAME, KeyType.COSIGNATURE, _WITNESS.public_key().public_bytes_raw())
_TOPIC = UUID("018f4e7a-5b1c-7c3a-9d2e-4f6a8b0c1d2e")


def _head(leaves: list[bytes]) -> Checkpoint:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return Checkpoint(checkpoint.log_origin(_NAME, _TOPIC, 3), len(leaves), frontier.root())


def _signed(head: Checkpoint) -> Note:
    text = str(head)
    return Note(
        text,
        (
            signed_note.sign(text, _NAME, _KEY),
            signed_note.cosign(text, _NAME, _KEY, 1_764_000_000),
            signed_note.cosign(text, _WITNESS_NAME, _WITNESS, 1_764_000_060),
        ),
    )


def test_the_specifications_example_is_verified() -> None:
    key = signed_note.parse_verifier_key(_SPEC_KEY)
    assert str(key) == _SPEC_KEY
    note = parse_note(_SPEC_NOTE.encode())
    assert str(note) == _SPEC_NOTE
    assert [each.key for each in note.verified([key])] == [key]


def test_the_specifications_cosigned_checkpoint_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    head = parse_checkpoint(text)
    assert (head.origin, head.size, str(head)) == ("example.com/behind-the-sofa", 20852163, text)


def test_a_head_is_verified_by_its_key_and_by_whoever_cosigned_it() -> None:
    note = parse_note(str(_signed(_head([bytes(32)] * 5))).encode())
    found = {(each.key.name, each.time) for each in note.verified([_VERIFIER, _TIMED, _WITNESSED])}
    assert found == {(_NAME, None), (_NAME, 1_764_000_000), (_WITNESS_NAME, 1_764_000_060)}
    assert len({_VERIFIER.key_id, _TIMED.key_id}) == 2


def test_signing_the_same_head_again_gives_the_same_bytes() -> None:
    head = _head([bytes(32)])
    assert str(_signed(head)) == str(_signed(head))


@settings(max_examples=200)
@given(st.data())
def test_no_note_with_a_flipped_bit_is_taken_for_the_note(data: st.DataObject) -> None:
    raw = str(_signed(_head([bytes(32)] * 9))).encode()
    at, bit = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7))
    flipped = bytes([*raw[:at], raw[at] ^ (1 << bit), *raw[at + 1 :]])
    try:
        note = parse_note(flipped)
        found = note.verified([_VERIFIER, _TIMED, _WITNESSED])
    except NoteRefused:
        return
    assert len(found) < 3, "a signature's line names a key that is not known now"


def test_a_signature_by_a_known_key_that_is_bad_refuses_the_whole_note() -> None:
    good = _signed(_head([bytes(32)]))
    other = signed_note.sign("something else\n", _NAME, _KEY)
    with pytest.raises(NoteRefused, match="is bad"):
        Note(good.text, (*good.signatures, other)).verified([_VERIFIER, _WITNESSED])


def test_a_note_that_only_unknown_keys_signed_is_refused() -> None:
    unknown = VerifierKey(_NAME, KeyType.NOTE, _WITNESS.public_key().public_bytes_raw())
    with pytest.raises(NoteRefused, match="none of these is a key that is trusted"):
        _signed(_head([])).verified([unknown])


def test_a_cosignature_says_one_time_and_no_other() -> None:
    text = str(_head([bytes(32)]))
    line = signed_note.cosign(text, _WITNESS_NAME, _WITNESS, 7)
    later = signed_note.Signature(line.name, line.key_id, (8).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(NoteRefused, match="is bad"):
        Note(text, (later,)).verified([_WITNESSED])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno signature\n",
        b"text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name AAAAAAAA".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        "text\n\n—  AAAAAAAA\n".encode(),
        "text\n\n— name AAAAAAA=\n\x00".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "te\rxt\n\n— name AAAAAAAA\n".encode(),
        b"\xff\n\n",
        b"x" * (1 << 20) + b"\n\n",
        b"text\n\n" + "— name AAAAAAAA\n".encode() * 65,
    ],
)
def test_what_is_no_note_is_refused(raw: bytes) -> None:
    with pytest.raises(NoteRefused):
        parse_note(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "onshore/test",
        "onshore/test+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "exa mple+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        signed_note.parse_verifier_key(text)


def test_a_file_of_keys_has_remarks_and_one_key_at_least() -> None:
    text = f"# of our deployment\n\n{_VERIFIER}\n{_WITNESSED}\n"
    assert signed_note.parse_verifier_keys(text) == (_VERIFIER, _WITNESSED)
    with pytest.raises(NoteRefused, match="no verifier key"):
        signed_note.parse_verifier_keys("# nothing\n")


_ROOT = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"origin\n1\n{_ROOT}",
        f"origin\n01\n{_ROOT}\n",
        f"origin\n-1\n{_ROOT}\n",
        f"origin\n{1 << 63}\n{_ROOT}\n",
        f"origin\n{'9' * 400}\n{_ROOT}\n",
        f"origin\n\u0661\n{_ROOT}\n",
        f"origin\n1\n{_ROOT[:-4]}\n",
        f"origin\n1\n{_ROOT[:-2]}B=\n",
        f"\n1\n{_ROOT}\n",
        f"origin\n1\n{_ROOT}\n\n",
        "origin\n1\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        parse_checkpoint(text)


@pytest.mark.parametrize("size", [0, 1, (1 << 63) - 1])
def test_sizes_up_to_the_largest_are_read(size: int) -> None:
    head = Checkpoint("origin", size, bytes(32), ("more",))
    assert parse_checkpoint(str(head)) == head


def test_a_deployments_head_commits_to_every_logs_head() -> None:
    logs = [Checkpoint(checkpoint.log_origin(_NAME, _TOPIC, number), number, bytes(32)) for number in (2, 0, 10, 1)]
    origin = checkpoint.deployment_origin(_NAME, UUID(int=5))
    head = checkpoint.deployment_head(origin, 13, bytes(32), logs)
    assert checkpoint.committed_logs(parse_checkpoint(str(head))) == (4, checkpoint.logs_root(logs[::-1]))
    assert checkpoint.logs_root(logs) != checkpoint.logs_root(logs[1:])
    with pytest.raises(NoteRefused, match="does not say which logs"):
        checkpoint.committed_logs(logs[0])


def _proof(count: int, index: int, extra: bytes | None = None) -> tuple[list[bytes], TlogProof]:
    leaves = [hashlib.sha256(b"\x00" + bytes([number])).digest() for number in range(count)]
    array = np.frombuffer(b"".join(leaves), np.uint8).reshape(-1, 32)
    hashes = range_roots(array, inclusion_ranges(index, count))
    return leaves, TlogProof(index, tuple(hashes), _signed(_head(leaves)), extra)


@example(1, None)
@given(st.integers(1, 60), st.one_of(st.none(), st.binary(max_size=40)))
def test_a_leafs_proof_is_text_that_verifies(count: int, extra: bytes | None) -> None:
    leaves, proof = _proof(count, count // 2, extra)
    again = parse_tlog_proof(str(proof).encode())
    assert again == proof
    head, signatures = again.verify(leaves[count // 2], _head(leaves).origin, [_VERIFIER, _WITNESSED])
    assert head == _head(leaves)
    assert [each.key.name for each in signatures] == [_NAME, _WITNESS_NAME]


def test_a_proof_for_another_leaf_or_log_is_refused() -> None:
    leaves, proof = _proof(20, 7)
    with pytest.raises(NotProven):
        proof.verify(leaves[8], _head(leaves).origin, [_VERIFIER])
    with pytest.raises(NoteRefused, match="not about another"):
        proof.verify(leaves[7], "another", [_VERIFIER])


def test_no_proof_with_a_flipped_bit_proves_what_the_whole_one_does() -> None:
    leaves, proof = _proof(20, 7)
    raw = str(proof).encode()
    for at in range(len(raw) - len(str(proof.note).encode())):  # flipped notes have a test of their own
        flipped = bytearray(raw)
        flipped[at] ^= 1 << (at % 8)
        with pytest.raises((NoteRefused, NotProven)):
            parse_tlog_proof(bytes(flipped)).verify(leaves[7], _head(leaves).origin, [_VERIFIER])


@pytest.mark.parametrize("count", [1, 64])
def test_a_proof_without_its_lines_is_refused(count: int) -> None:
    raw = str(_proof(count, 0, b"x")[1])
    lines = raw.split("\n")
    for wrong in ("\n".join(lines[1:]), "\n".join([lines[0], *lines[2:3][:0], "", *lines[4:]]), raw[:10], ""):
        with pytest.raises(NoteRefused):
            parse_tlog_proof(wrong.encode())
