"""One event by itself: proved, disclosed later of a bundle that was handed over, and every way to cheat with that."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import bundles
import exporting
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.evidence.tlog_proof import parse_tlog_proof
from onshore_pipeline.evidence.verify import verify_bundle, verify_event
from onshore_pipeline.jobs.event_proof import ProvenEvent, SealedEvent, find_event, parse_opened, prove_event
from onshore_pipeline.jobs.export import ExportBlocked, Request
from onshore_pipeline.jobs.export_scope import Scope
from onshore_pipeline.jobs.log_proofs import newest_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEYRING = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
NOW_NS = 1_790_000_000_000_000_000
MOST_BYTES = 4096


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("proofs") / "data") as pipeline:
        exporting.send_messages(pipeline, NOW_NS)
        exporting.sign(pipeline, KEYRING)
        yield pipeline


def event_of(sealed: Pipeline, offset: int, record: int) -> str:
    where = f"kafka_offset = {offset} AND record_index = {record}"
    return str(sealed.one(f"SELECT toString(event_id) FROM events_current WHERE {where}"))


def prove(sealed: Pipeline, event_id: str, *opened: str, country: str = "AU") -> ProvenEvent:
    redacted, only_keys = parse_opened(opened)
    reader = exporting.reader_of(sealed)
    try:
        head = newest_head(reader)
        found = find_event(reader, head, event_id)
        assert isinstance(found, SealedEvent)
        told = found.entry.told
        request = Request(
            export_id=UUID(int=7), at=exporting.NOON, scope=Scope(told["timestamp"], told["timestamp"] + 1),
            recipient="Office of the Commissioner", recipient_country=country, person="Kim Lee", reason="Request 17",
            profile="full", redacted=redacted - frozenset(only_keys), closed_keys={},
        )  # fmt: skip
        return prove_event(
            reader, request, head, found, controls=sealed.judgement.controls,
            salt_master=sealed.judgement.salt_master, only_keys=only_keys,
        )  # fmt: skip
    finally:
        reader.close()


def said_by_both(lines: bytes, proof: bytes, keys: str = bundles.KEYS) -> tuple[int, str]:
    """Exit code, and the report or the problem; the same from both verifiers."""
    answers = []
    runs: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: standalone.verify_event(lines, proof, standalone.parse_keys(keys)),
        lambda: verify_event(lines, proof, keys),
    )
    for run in runs:
        try:
            answers.append((0, standalone.report(run())))
        except standalone.Problem as problem:
            answers.append((problem.exit_code, str(problem)))
    assert answers[0] == answers[1]
    return answers[0]


def test_every_event_is_proved_by_itself_in_at_most_four_kilobytes(sealed: Pipeline) -> None:
    ids = [row[0] for row in sealed.rows("SELECT toString(event_id) FROM events_current")]
    assert len(ids) == 8
    for event_id in ids:
        made = prove(sealed, event_id, "actor_id")
        assert said_by_both(made.lines, made.proof)[0] == 0
        assert len(made.proof) <= MOST_BYTES


def test_an_event_is_proved_with_nothing_of_it_opened(sealed: Pipeline) -> None:
    made = prove(sealed, event_of(sealed, 2, 0))
    assert said_by_both(made.lines, made.proof)[0] == 0
    assert (made.opened, made.lines.count(b"\n")) == ({}, 1)


def test_a_log_of_a_billion_entries_of_a_thousand_events_each_leaves_a_proof_under_four_kilobytes(
    sealed: Pipeline,
) -> None:
    made = prove(sealed, event_of(sealed, 2, 0))
    told = parse_tlog_proof(made.proof)
    entry, place, _ = (told.extra or b"").split(b"\n")
    hash_size = len(base64.b64encode(bytes(32)))
    inside = 10 * (hash_size + 3) + 16
    extra = (len(entry) + inside + 2) * 4 // 3 + 4
    assert len(place) < inside
    assert len(str(told.note)) + extra + 30 * (hash_size + 1) + 64 <= MOST_BYTES


def test_a_reader_of_tlog_proofs_that_knows_nothing_of_events_accepts_the_entry(sealed: Pipeline) -> None:
    told = parse_tlog_proof(prove(sealed, event_of(sealed, 2, 0)).proof)
    entry = (told.extra or b"").split(b"\n")[0]
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    head, signatures = told.verify(leaf, bundles_origin(sealed), [bundles.verifier()])
    assert head.size == 5
    assert len(signatures) == 1


def bundles_origin(sealed: Pipeline) -> str:
    return str(sealed.one("SELECT any(origin) FROM checkpoints WHERE kind = 'deployment'"))


def test_only_what_is_asked_for_is_opened(sealed: Pipeline) -> None:
    event_id = event_of(sealed, 2, 0)
    made = prove(sealed, event_id, "source_address", "actor_id", "attributes.onshore.data.set")
    code, text = said_by_both(made.lines, made.proof)
    assert code == 0, text
    assert f'actor_id is "{exporting.NAMES[0]}"' in text
    assert 'attributes.onshore.data.set is "patients"' in text
    assert made.opened == {"actor_id": 1, "source_address": 1, "attributes": 1}
    assert b"copied for" not in made.lines
    assert b"pseudonyms" not in made.lines
    assert exporting.NAMES[0].encode() not in made.proof


def test_what_the_event_has_not_and_what_is_no_field_is_named(sealed: Pipeline) -> None:
    with pytest.raises(OnshoreError, match=r"--open attributes\.nothing: the event has no such key"):
        prove(sealed, event_of(sealed, 2, 0), "attributes.nothing")
    with pytest.raises(OnshoreError, match="--open actor_ids"):
        parse_opened(["actor_ids"])


def test_what_repeats_a_value_that_stays_closed_is_not_opened(sealed: Pipeline) -> None:
    with pytest.raises(OnshoreError, match=r"body repeats a value that stays closed"):
        prove(sealed, event_of(sealed, 2, 0), "body")
    assert prove(sealed, event_of(sealed, 2, 0), "body", "actor_id").opened == {"actor_id": 1, "body": 1}


def test_an_event_whose_own_line_repeats_a_closed_value_does_not_go_out(sealed: Pipeline) -> None:
    with pytest.raises(OnshoreError, match="the sealed line itself repeats"):
        prove(sealed, event_of(sealed, 2, 1))


def test_what_a_control_forbids_is_not_handed_over(sealed: Pipeline) -> None:
    with pytest.raises(ExportBlocked) as blocked:
        prove(sealed, event_of(sealed, 2, 0), "actor_id", country="US")
    assert blocked.value.event["destination_country"] == "US"


def _place(proof: bytes, change: Callable[[bytes, list[Any]], tuple[bytes, list[Any]]]) -> bytes:
    """The proof with another entry or another place in it."""
    rows = proof.split(b"\n")
    entry, place, _ = base64.b64decode(rows[1][6:]).split(b"\n")
    changed, where = change(entry, json.loads(place))
    extra = changed + b"\n" + json.dumps(where, separators=(",", ":")).encode() + b"\n"
    rows[1] = b"extra " + base64.b64encode(extra)
    return b"\n".join(rows)


def _row(proof: bytes, number: int, row: bytes | None) -> bytes:
    rows = proof.split(b"\n")
    rows[number : number + 1] = [] if row is None else [row]
    return b"\n".join(rows)


ATTACKS_ON_PROOFS: dict[str, Callable[[bytes], bytes]] = {
    "another index": lambda proof: _row(proof, 2, b"index 3"),
    "an index behind the end": lambda proof: _row(proof, 2, b"index 9223372036854775807"),
    "an index of too many digits": lambda proof: _row(proof, 2, b"index " + b"9" * 5000),
    "a hash too few": lambda proof: _row(proof, 3, None),
    "a hash too many": lambda proof: _row(proof, 3, proof.split(b"\n")[3] + b"\n" + proof.split(b"\n")[3]),
    "a thousand hashes": lambda proof: _row(proof, 3, b"\n".join([proof.split(b"\n")[3]] * 1000)),
    "no hash": lambda proof: _row(proof, 3, b"AAAA"),
    "another first line": lambda proof: _row(proof, 0, b"c2sp.org/tlog-proof@v2"),
    "no extra": lambda proof: _row(proof, 1, None),
    "extra that is no base64": lambda proof: _row(proof, 1, b"extra \xff\xff"),
    "no checkpoint": lambda proof: proof.split(b"\n\n")[0],
    "nothing": lambda _: b"",
    "an entry that says more events": lambda proof: _place(
        proof, lambda entry, place: (entry.replace(b'"events":3', b'"events":4'), place)
    ),
    "another position": lambda proof: _place(proof, lambda entry, place: (entry, [place[0] + 1, place[1]])),
    "a position behind the end": lambda proof: _place(proof, lambda entry, place: (entry, [2**62, place[1]])),
    "no hashes inside": lambda proof: _place(proof, lambda entry, place: (entry, [place[0], []])),
    "a place that is none": lambda proof: _place(proof, lambda entry, _: (entry, [])),
    "a tree of size 0": lambda proof: _of_size(proof, 0),
    "a tree of size 1": lambda proof: _of_size(proof, 1),
    "a tree of size 2^63": lambda proof: _of_size(proof, 1 << 63),
}


def _of_size(proof: bytes, size: int) -> bytes:
    """The proof with a head of another size, which the operator signed."""
    above, _, note = proof.partition(b"\n\n")
    origin, _, root = note.decode().split("\n")[:3]
    return above + b"\n\n" + bundles.note(origin, size, root)


@pytest.mark.parametrize("name", ATTACKS_ON_PROOFS)
def test_a_proof_that_was_attacked_is_refused(sealed: Pipeline, name: str) -> None:
    made = prove(sealed, event_of(sealed, 2, 0))
    attacked = ATTACKS_ON_PROOFS[name](made.proof)
    assert attacked != made.proof
    code, text = said_by_both(made.lines, attacked)
    assert code == 1, text


def test_the_proof_of_one_event_proves_no_other(sealed: Pipeline) -> None:
    one, other = prove(sealed, event_of(sealed, 2, 0)), prove(sealed, event_of(sealed, 3, 0))
    assert said_by_both(other.lines, one.proof)[0] == 1
    assert said_by_both(one.lines, one.proof, f"{bundles.verifier(bundles.OTHER_KEY)}\n")[0] == 2


def test_no_bit_of_the_event_and_of_what_proves_it_can_be_flipped(sealed: Pipeline) -> None:
    made = prove(sealed, event_of(sealed, 2, 0), "actor_id")
    keys = standalone.parse_keys(bundles.KEYS)
    until = made.proof.index("\u2014".encode())  # of the signatures, one known and good is enough
    for raw, end, is_proof in ((made.lines, len(made.lines), False), (made.proof, until, True)):
        for place in range(0, end, 31):
            flipped = bytearray(raw)
            flipped[place] ^= 1 << place % 8
            some = (made.lines, bytes(flipped)) if is_proof else (bytes(flipped), made.proof)
            try:
                standalone.verify_event(*some, keys)
            except standalone.Problem:
                continue
            pytest.fail(f"good with a bit flipped in {bytes(flipped[max(place - 20, 0) : place + 20])!r}")


def test_a_field_is_disclosed_later_of_a_bundle_that_was_handed_over(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, profile="minimal")
    assert exporting.NAMES[0].encode() not in (tmp_path / "b.zip").read_bytes()
    made = prove(sealed, event_of(sealed, 2, 0), "actor_id")
    found = later(tmp_path / "b.zip", made.lines)
    assert isinstance(found, dict)
    said = [line for line in found["proved"] if line.startswith("Disclosed later")]
    assert len(said) == 1
    assert said[0].endswith(f'actor_id is "{exporting.NAMES[0]}"')


def later(bundle: Path, lines: bytes) -> dict[str, Any] | tuple[int, str]:
    """What both verifiers say of a bundle and what is disclosed of it."""
    answers: list[dict[str, Any] | tuple[int, str]] = []
    runs: tuple[Callable[[], dict[str, Any]], ...] = (
        lambda: standalone.verify(str(bundle), standalone.parse_keys(bundles.KEYS), disclosed=lines),
        lambda: verify_bundle(bundle, bundles.KEYS, disclosed=lines),
    )
    for run in runs:
        try:
            answers.append(run())
        except standalone.Problem as problem:
            answers.append((problem.exit_code, str(problem)))
    assert answers[0] == answers[1]
    return answers[0]


def test_a_later_disclosure_with_another_salt_value_or_event_is_refused(sealed: Pipeline, tmp_path: Path) -> None:
    since, until = exporting.bounds_of_third_message(sealed)
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, since=since, until=until, profile="minimal")
    line, opening, _ = prove(sealed, event_of(sealed, 2, 0), "actor_id").lines.split(b"\n")
    told = json.loads(opening)
    salt, value = told["actor_id"]
    wrong = {
        "another salt": {"actor_id": ["00" * 32, value]},
        "another value": {"actor_id": [salt, "somebody else"]},
        "another field": {"actor_host": [salt, value]},
        "no field of a line": {"tenant": [salt, value]},
    }
    for name, change in wrong.items():
        lines = line + b"\n" + json.dumps(change, separators=(",", ":")).encode() + b"\n"
        assert later(tmp_path / "b.zip", lines)[0] == 1, name  # type: ignore[index] # a tuple, or the test fails
    other = prove(sealed, event_of(sealed, 3, 0), "actor_id")
    assert later(tmp_path / "b.zip", other.lines) == (
        1,
        "step 8 (disclosed values): the event that is disclosed later is none of this bundle's",
    )
