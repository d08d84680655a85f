"""Heads go to witnesses and come back cosigned; what comes back is believed only if it is true."""

from __future__ import annotations

import base64
import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.commands import attention
from onshore_pipeline.errors import EvidenceAltered, OnshoreError, SettingsError
from onshore_pipeline.evidence.checkpoint import Checkpoint, deployment_origin, parse_checkpoint
from onshore_pipeline.evidence.keyring import new_keyring
from onshore_pipeline.evidence.signed_note import parse_note, parse_verifier_keys
from onshore_pipeline.evidence.witnessing import parse_cosigned
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.head_signer import HeadSigner
from onshore_pipeline.jobs.audit_log import Seen, audit_heads
from onshore_pipeline.jobs.log_proofs import newest_head, witnessed_head
from onshore_pipeline.jobs.witnesses import WitnessRefused, check_cosigned, keep, label_of, last_seen, request
from onshore_pipeline.settings import load_settings
from onshore_pipeline.signing_key import KeySource, journal_path, key_path, own_verifier_keys, witness_keys
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.reader import Reader
from running_stack import run_onshore
from witness import Refused, Witness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.jobs.witnesses import Cosigned

_NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_AT: Final = int(_NOW.timestamp())
_PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(3, 35)))
_OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(4, 36)))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("checkpoints")) as running:
        running.send("otlp_logs", [otlp.logs([otlp.movement()])] * 8)
        running.work()
        running.sequence()
        running.client.command("CREATE TABLE evidence_log_kept AS evidence_log")
        running.client.command("INSERT INTO evidence_log_kept SELECT * FROM evidence_log")
        yield running


@pytest.fixture
def pipeline(shared: Pipeline) -> Iterator[Pipeline]:
    """Three sealed messages with a signed head, five more that are not copied yet, and nobody has seen it."""
    _copy(shared, 3)
    _sign(shared)
    yield shared
    for table in ("checkpoints", "cosignatures"):
        shared.client.command(f"TRUNCATE TABLE {table}")
    shutil.rmtree(key_path(shared.settings).parent)
    key_path(shared.settings).parent.mkdir()


@pytest.fixture
def witness(pipeline: Pipeline) -> Witness:
    keys = "".join(f"{key}\n" for key in own_verifier_keys(pipeline.settings))
    return Witness("witness.example/w1", _PRIVATE, {_origin(pipeline): keys})


def _copy(pipeline: Pipeline, entries: int, columns: str = "*") -> None:
    """The store has copied so many entries."""
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT {columns} FROM evidence_log_kept ORDER BY log_position LIMIT {entries}"
    )


def _sign(pipeline: Pipeline, now: datetime = _NOW) -> Any:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        journal = HeadJournal(journal_path(pipeline.settings))
        signer = HeadSigner(pipeline.client, reader.log_id, KeySource(pipeline.settings), journal, now=lambda: now)
        return signer.sign(caught_up=True)


def _origin(pipeline: Pipeline) -> str:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        return deployment_origin(KeySource(pipeline.settings)().name, reader.log_id)


def _reader(pipeline: Pipeline) -> Reader:
    writer = json.loads(DataDir(pipeline.settings.data_dir).credentials.read_text())["writer"]
    return Reader(pipeline.url, writer["user"], writer["password"])


def _request(pipeline: Pipeline, old: int) -> str:
    with closing(_reader(pipeline)) as reader:
        return request(reader, newest_head(reader), old)


def _checked(pipeline: Pipeline, raw: str, *witnesses: Witness, now: datetime = _NOW) -> list[Cosigned]:
    note, own = parse_cosigned(raw.encode()), own_verifier_keys(pipeline.settings)
    keys = parse_verifier_keys("".join(f"{each.verifier_key()}\n" for each in witnesses))
    return check_cosigned(pipeline.client, note, own, keys, now)


def _import(pipeline: Pipeline, raw: str, *witnesses: Witness, now: datetime = _NOW) -> int:
    found = _checked(pipeline, raw, *witnesses, now=now)
    return keep(pipeline.client, parse_cosigned(raw.encode()), found, "Kim", now)


def test_a_witness_follows_the_log_from_head_to_head(pipeline: Pipeline, witness: Witness) -> None:
    first = _request(pipeline, 0)
    assert first.startswith("old 0\n\nonshore/")
    assert _import(pipeline, first + witness.add_checkpoint(first, _AT + 60), witness) == 1
    _copy(pipeline, 8)
    _sign(pipeline, _NOW + timedelta(minutes=2))
    with closing(_reader(pipeline)) as reader:
        [seen] = last_seen(reader, _origin(pipeline))
        assert (seen.witness, seen.size, seen.at) == (
            "+".join(witness.verifier_key().split("+", 2)[:2]),
            3,
            _NOW + timedelta(seconds=60),
        )
        later = _request(pipeline, seen.size)
        assert len(later.split("\n\n")[0].split("\n")) > 1, "there is a proof"
        answer = witness.add_checkpoint(later, _AT + 120)
        assert _import(pipeline, later + answer, witness) == 1
        assert _import(pipeline, later + answer, witness) == 0
        raw, size = witnessed_head(reader, newest_head(reader)) or (b"", 0)
    assert size == 8
    assert answer in raw.decode()
    keys = parse_verifier_keys(witness.verifier_key())
    assert [each.time for each in parse_note(raw).verified(keys)] == [_AT + 120]


def test_a_head_that_was_cosigned_for_months_of_silence_still_fits_into_a_note(
    pipeline: Pipeline, witness: Witness
) -> None:
    first = _request(pipeline, 0)
    answer = witness.add_checkpoint(first, _AT)
    assert _import(pipeline, first + answer, witness) == 1
    text = first.partition("\n\n")[2].rpartition("\n\n")[0] + "\n"
    for day in range(1, 70):
        _sign(pipeline, _NOW + timedelta(days=day))
        later = first + witness.line(text, _AT + day * 86_400)
        assert _import(pipeline, later, witness, now=_NOW + timedelta(days=day)) == 1
    with closing(_reader(pipeline)) as reader:
        raw, _ = witnessed_head(reader, newest_head(reader)) or (b"", 0)
    keys = parse_verifier_keys(witness.verifier_key())
    assert [each.time for each in parse_note(raw).verified(keys)] == [_AT + 69 * 86_400]


@pytest.mark.parametrize("old", [1, 2])
def test_every_proof_from_a_smaller_tree_convinces_a_witness(pipeline: Pipeline, witness: Witness, old: int) -> None:
    _copy(pipeline, old)
    pipeline.client.command("TRUNCATE TABLE checkpoints")
    journal_path(pipeline.settings).unlink()
    _sign(pipeline)
    witness.add_checkpoint(_request(pipeline, 0), _AT)
    for size in range(old + 1, 9):
        _copy(pipeline, size)
        _sign(pipeline, _NOW + timedelta(minutes=size))
        witness.add_checkpoint(_request(pipeline, size - 1), _AT)
        assert [seen for seen, _ in witness.seen.values()] == [size]


def test_a_witness_refuses_a_rewritten_log(pipeline: Pipeline, witness: Witness) -> None:
    witness.add_checkpoint(_request(pipeline, 0), _AT)
    _copy(pipeline, 8, "* REPLACE (if(log_position = 2, unhex(repeat('ab', 32)), entry_hash) AS entry_hash)")
    pipeline.client.command("TRUNCATE TABLE checkpoints")
    journal_path(pipeline.settings).unlink()
    _sign(pipeline, _NOW + timedelta(minutes=1))
    with pytest.raises(Refused, match="422"):
        witness.add_checkpoint(_request(pipeline, 3), _AT)


def test_a_forged_cosignature_is_refused_as_altered(pipeline: Pipeline, witness: Witness) -> None:
    first = _request(pipeline, 0)
    answer = witness.add_checkpoint(first, _AT)
    name, encoded = answer.rstrip("\n").rsplit(" ", 1)
    raw = bytearray(base64.b64decode(encoded))
    raw[-1] ^= 1
    with pytest.raises(EvidenceAltered, match=r"signature of witness\.example/w1 .* is bad"):
        _checked(pipeline, f"{first}{name} {base64.b64encode(raw).decode()}\n", witness)
    raw[-1] ^= 1
    raw[11] ^= 1  # the time that it says
    with pytest.raises(EvidenceAltered, match="is bad"):
        _checked(pipeline, f"{first}{name} {base64.b64encode(raw).decode()}\n", witness)


def test_a_witness_that_nobody_named_says_nothing(pipeline: Pipeline, witness: Witness) -> None:
    other = Witness("witness.example/w2", _OTHER, witness.logs)
    first = _request(pipeline, 0)
    with pytest.raises(WitnessRefused, match=r"no witness that witness_keys_file names.*witness\.example/w2"):
        _checked(pipeline, first + other.add_checkpoint(first, _AT), witness)
    both = first + witness.add_checkpoint(first, _AT) + other.line(_text(first), _AT)
    assert [each.witness.split("+")[0] for each in _checked(pipeline, both, witness)] == ["witness.example/w1"]
    assert len(_checked(pipeline, both, witness, other)) == 2


def _text(body: str) -> str:
    return body.partition("\n\n")[2].rpartition("\n\n")[0] + "\n"


def test_a_head_of_another_log_or_deployment_is_refused(pipeline: Pipeline, witness: Witness) -> None:
    head = parse_checkpoint(_text(_request(pipeline, 0)))
    other = new_keyring("onshore/another", _NOW)
    text = str(Checkpoint(f"onshore/another/{head.origin.rpartition('/')[2]}", head.size, head.root))
    raw = str(other.signed(text, _NOW, timed=True)) + witness.line(text, _AT)
    with pytest.raises(WitnessRefused, match="is a head of onshore/another/"):
        _checked(pipeline, raw, witness)
    text = str(Checkpoint(head.origin, head.size, head.root, ("logs 0 " + "A" * 43 + "=",)))
    raw = str(other.signed(text, _NOW, timed=True)) + witness.line(text, _AT)
    with pytest.raises(WitnessRefused, match="no head of this deployment"):
        _checked(pipeline, raw, witness)


def test_a_log_that_was_put_back_is_shown_by_its_witness(pipeline: Pipeline, witness: Witness) -> None:
    first = _request(pipeline, 0)
    witnessed = first + witness.add_checkpoint(first, _AT)
    _copy(pipeline, 2)
    with pytest.raises(EvidenceAltered, match=r"has seen 3 entries of .* and the store has 2"):
        _checked(pipeline, witnessed, witness)
    _copy(pipeline, 8, "* REPLACE (if(log_position = 2, unhex(repeat('ab', 32)), entry_hash) AS entry_hash)")
    with pytest.raises(EvidenceAltered, match="has cosigned another tree of the first 3 entries"):
        _checked(pipeline, witnessed, witness)
    assert pipeline.one("SELECT count() FROM cosignatures") == 0


def test_a_witness_whose_clock_is_ahead_is_refused(pipeline: Pipeline, witness: Witness) -> None:
    first = _request(pipeline, 0)
    answer = witness.add_checkpoint(first, _AT + 3_600)
    with pytest.raises(WitnessRefused, match="not over yet"):
        _checked(pipeline, first + answer, witness)
    with pytest.raises(WitnessRefused, match="not over yet"):
        _checked(pipeline, first + witness.line(_text(first), 2**63 - 1), witness)
    assert _checked(pipeline, first + answer, witness, now=_NOW + timedelta(hours=1))


def test_more_than_was_signed_is_no_size_to_prove_from(pipeline: Pipeline) -> None:
    with pytest.raises(WitnessRefused, match="seen 9 entries is ahead of the newest head, which has 3"):
        _request(pipeline, 9)


def test_a_witness_is_never_this_deployment_itself(pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "witnesses"
    settings = load_settings({"data_dir": pipeline.settings.data_dir, "witness_keys_file": path})
    own = own_verifier_keys(pipeline.settings)
    signs = Witness("w", _PRIVATE).verifier_key(1)
    for text, why in ((str(own[1]), "own key"), (signs, "type 0x04"), ("nothing", "no verifier key"), ("", "no ver")):
        path.write_text(f"{text}\n")
        with pytest.raises(SettingsError, match=why):
            witness_keys(settings)
    path.unlink()
    with pytest.raises(SettingsError, match="No such file"):
        witness_keys(settings)


def test_the_commands_take_a_head_to_a_witness_and_back(pipeline: Pipeline, witness: Witness, tmp_path: Path) -> None:
    (tmp_path / "witnesses").write_text(f"# ours\n{witness.verifier_key()}\n")
    pipeline.settings_file(tmp_path, f'witness_keys_file = "{tmp_path / "witnesses"}"\n')
    note = run_onshore(tmp_path, "checkpoints", "publish").stdout
    assert parse_note(note.encode()).verified(own_verifier_keys(pipeline.settings))
    made = run_onshore(tmp_path, "checkpoints", "publish", "--out", "to", "--json")
    assert made.returncode == 0, made.stderr
    checkpoint, body = (tmp_path / each for each in json.loads(made.stdout))
    assert checkpoint.read_text() == note
    (tmp_path / "answer").write_text(witness.add_checkpoint(body.read_text(), _AT))
    taken = run_onshore(tmp_path, "checkpoints", "import", str(body), "answer", "--as", "Kim")
    assert (taken.returncode, taken.stdout.startswith("witnessed up to entry 3 of onshore/")) == (0, True), taken.stderr
    assert pipeline.rows("SELECT size, imported_by FROM cosignatures") == [(3, "Kim")]
    [listed] = json.loads(run_onshore(tmp_path, "checkpoints", "list", "--json").stdout)
    assert (listed["size"], [each["at"] for each in listed["witnesses"]]) == (3, [_NOW.isoformat()])
    assert run_onshore(tmp_path, "checkpoints", "publish", "--witness", "w").returncode == 2
    alone = run_onshore(tmp_path, "checkpoints", "import", "answer", "--as", "Kim")
    assert (alone.returncode, "name the file that the witness was sent" in alone.stderr) == (2, True)
    told = json.loads(run_onshore(tmp_path, "audit", "--json").stdout)
    assert (told["witnessed"]["size"], told["witnessed"]["at"]) == (3, _AT)
    _copy(pipeline, 2)
    back = run_onshore(tmp_path, "checkpoints", "import", str(body), "answer", "--as", "Kim")
    assert (back.returncode, "an older copy" in back.stderr) == (1, True)
    assert run_onshore(tmp_path, "checkpoints", "publish", "--old", "1").returncode == 1


def test_an_audit_says_who_has_seen_how_much_and_names_what_does_not_hold(pipeline: Pipeline, witness: Witness) -> None:
    first = _request(pipeline, 0)
    assert _import(pipeline, first + witness.add_checkpoint(first, _AT), witness) == 1
    keys, journal = own_verifier_keys(pipeline.settings), HeadJournal(journal_path(pipeline.settings))
    named = parse_verifier_keys(witness.verifier_key())
    seen = Seen()
    assert list(audit_heads(pipeline.client, keys, journal, named, seen)) == []
    assert str(seen).startswith(f"witnessed up to entry 3 by {label_of(named[0])} at {_NOW:%Y-%m-%d %H:%M:%S} UTC")
    assert str(Seen()).startswith("NOT WITNESSED")
    assert {each.what for each in audit_heads(pipeline.client, keys, journal)} == {"uncheckable"}
    _copy(pipeline, 8, "* REPLACE (if(log_position = 2, unhex(repeat('ab', 32)), entry_hash) AS entry_hash)")
    problems = [each.where for each in audit_heads(pipeline.client, keys, journal, named)]
    assert f"head that {label_of(named[0])} cosigned of {_origin(pipeline)} over 3 entries" in problems
    _copy(pipeline, 8)
    line = witness.line("something else", _AT)[:-1]
    pipeline.client.command("CREATE TABLE cosignatures_kept AS cosignatures")
    pipeline.client.command("INSERT INTO cosignatures_kept SELECT * FROM cosignatures")
    pipeline.client.command(f"INSERT INTO cosignatures SELECT * REPLACE ('{line}' AS line) FROM cosignatures_kept")
    pipeline.client.command("DROP TABLE cosignatures_kept")
    [forged] = audit_heads(pipeline.client, keys, journal, named)
    assert (forged.what, "it is forged" in forged.why) == ("head", True)


def test_a_status_calls_for_a_person_when_named_witnesses_do_not_see_the_log() -> None:
    now = datetime.now(UTC)
    report = {"store": "answers", "head_entries": 3, "witnessed_at": "", "witnesses_awaited": "yes"}
    assert "no witness has cosigned a head yet" in attention._heads(report)[0]
    assert attention._heads(report | {"witnesses_awaited": "no"}) == []
    assert attention._heads(report | {"store": "does not answer"}) == []
    assert attention._heads(report | {"witnessed_at": (now - timedelta(hours=2)).isoformat()}) == []
    assert "since 20" in attention._heads(report | {"witnessed_at": (now - timedelta(hours=30)).isoformat()})[0]


def test_where_nothing_was_signed_that_is_said(pipeline: Pipeline) -> None:
    pipeline.client.command("TRUNCATE TABLE checkpoints")
    with closing(_reader(pipeline)) as reader, pytest.raises(OnshoreError, match="is the sequencer running"):
        newest_head(reader)
