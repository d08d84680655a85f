"""Heads of the evidence log: what is signed, who signs it, and what is never signed."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import evidence_reference as reference
import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.commands import attention
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.evidence.checkpoint import Checkpoint, committed_logs, logs_root, parse_checkpoint
from onshore_pipeline.evidence.keyring import KeyFileRefused, keyring_text, new_keyring, parse_keyring
from onshore_pipeline.evidence.signed_note import KeyType, NoteRefused, parse_note, parse_verifier_keys
from onshore_pipeline.head_journal import HeadJournal, JournalDamaged
from onshore_pipeline.head_keeper import HeadKeeper, heads_path, last_said
from onshore_pipeline.head_signer import HeadRefused, HeadSigner
from onshore_pipeline.log_trees import trees_at
from onshore_pipeline.settings import load_settings
from onshore_pipeline.signing_key import KeySource, journal_path, key_path, public_path, read_keyring, write_keyring
from onshore_pipeline.stack import DataDir
from running_stack import environment, run_onshore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("heads")) as running:
        running.send("otlp_logs", [otlp.logs([otlp.movement()])] * 5)
        running.send("otlp_spans", [otlp.span({}, {"service.name": "a"})] * 3)
        running.work()
        running.sequence()
        running.client.command("CREATE TABLE evidence_log_kept AS evidence_log")
        running.client.command("INSERT INTO evidence_log_kept SELECT * FROM evidence_log")
        yield running


@pytest.fixture
def pipeline(shared: Pipeline) -> Iterator[Pipeline]:
    """The same sealed messages, and no head yet."""
    yield shared
    for table in ("checkpoints", "evidence_log"):
        shared.client.command(f"TRUNCATE TABLE {table}")
    shared.client.command("INSERT INTO evidence_log SELECT * FROM evidence_log_kept")
    shutil.rmtree(key_path(shared.settings).parent)
    key_path(shared.settings).parent.mkdir()


def _log_id(pipeline: Pipeline) -> UUID:
    reader = assembly.entry_reader(pipeline.settings)
    reader.close()
    return reader.log_id


def _signer(pipeline: Pipeline, now: datetime = _NOW) -> HeadSigner:
    journal = HeadJournal(journal_path(pipeline.settings))
    return HeadSigner(pipeline.client, _log_id(pipeline), KeySource(pipeline.settings), journal, now=lambda: now)


def _sign(pipeline: Pipeline, now: datetime = _NOW, *, caught_up: bool = True) -> Any:
    return _signer(pipeline, now).sign(caught_up=caught_up)


def _leaves(pipeline: Pipeline, where: str = "1") -> list[bytes]:
    rows = pipeline.rows(f"SELECT entry FROM evidence_log WHERE {where} ORDER BY log_position")
    return [reference.leaf(row[0].encode()) for row in rows]


def _keep_first(pipeline: Pipeline, entries: int) -> None:
    """The store as it was when it had copied so many entries."""
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * FROM evidence_log_kept ORDER BY log_position LIMIT {entries}"
    )


def _copy_behind(pipeline: Pipeline, entries: int) -> None:
    """The store copies the rest."""
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * FROM evidence_log_kept ORDER BY log_position LIMIT 8 OFFSET {entries}"
    )


def test_a_head_says_size_and_root_of_the_whole_log_and_commits_to_every_partitions(pipeline: Pipeline) -> None:
    signed = _sign(pipeline)
    leaves = _leaves(pipeline)
    assert (signed.head.size, signed.head.root) == (8, reference.root(leaves))
    logs = [
        parse_checkpoint(parse_note(row[0].encode()).text)
        for row in pipeline.rows("SELECT note FROM checkpoints WHERE kind = 'log'")
    ]
    assert committed_logs(signed.head) == (2, logs_root(logs))
    assert sorted(log.size for log in logs) == [3, 5]
    for log in logs:
        topic = log.origin.split("/")[2]
        assert log.root == reference.root(_leaves(pipeline, f"topic_id = '{topic}'"))
    keys = parse_verifier_keys(public_path(key_path(pipeline.settings)).read_text())
    assert [(each.key.type, each.time) for each in signed.note.verified(keys)] == [
        (KeyType.NOTE, None),
        (KeyType.COSIGNATURE, int(_NOW.timestamp())),
    ]


def test_silence_is_signed_by_the_hour_and_not_before(pipeline: Pipeline) -> None:
    first = _sign(pipeline)
    assert _sign(pipeline, _NOW + timedelta(minutes=40)) is None
    again = _sign(pipeline, _NOW + timedelta(minutes=56))
    assert again.head == first.head
    assert again.at - first.at == timedelta(minutes=56)
    assert pipeline.one("SELECT count() FROM checkpoints WHERE kind = 'deployment'") == 2


def test_a_restart_in_the_silence_leaves_no_hour_without_a_head(pipeline: Pipeline) -> None:
    first = _sign(pipeline)
    passed = 49 * 60.0
    journal = HeadJournal(journal_path(pipeline.settings))
    restarted = HeadSigner(
        pipeline.client,
        _log_id(pipeline),
        KeySource(pipeline.settings),
        journal,
        now=lambda: _NOW + timedelta(seconds=passed),
        elapsed=lambda: passed,
    )
    assert restarted.sign_when_due(copied=0) is None
    passed = 56 * 60.0
    again = restarted.sign_when_due(copied=0)
    assert again is not None
    assert again.at - first.at == timedelta(minutes=56)


def test_whoever_leads_next_goes_on_from_the_last_head_and_one_size_has_one_root(pipeline: Pipeline) -> None:
    _keep_first(pipeline, 3)
    one, other = _signer(pipeline), _signer(pipeline)
    first, same = one.sign(caught_up=True), other.sign(caught_up=True)
    assert first is not None
    assert same is None
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.client.command("INSERT INTO evidence_log SELECT * FROM evidence_log_kept")
    later = [other.sign(caught_up=True), one.sign(caught_up=True)]
    assert [each and each.head.size for each in later] == [8, None]
    roots = pipeline.rows("SELECT origin, size, uniqExact(root) FROM checkpoints GROUP BY origin, size")
    assert {row[2] for row in roots} == {1}


def test_heads_that_the_store_lost_come_back_from_beside_the_key(pipeline: Pipeline) -> None:
    _keep_first(pipeline, 3)
    _sign(pipeline)
    _copy_behind(pipeline, 3)
    _sign(pipeline, _NOW + timedelta(minutes=1))
    before = pipeline.rows("SELECT note FROM checkpoints WHERE kind = 'deployment' ORDER BY signed_at")
    pipeline.client.command("TRUNCATE TABLE checkpoints")
    assert _sign(pipeline, _NOW + timedelta(minutes=2)) is None
    assert pipeline.rows("SELECT note FROM checkpoints WHERE kind = 'deployment' ORDER BY signed_at") == before


def test_a_lost_journal_is_no_rollback_and_the_stores_heads_still_bind(pipeline: Pipeline) -> None:
    _sign(pipeline)
    journal_path(pipeline.settings).unlink()
    assert _sign(pipeline, _NOW + timedelta(minutes=1)) is None
    _keep_first(pipeline, 7)
    with pytest.raises(HeadRefused, match="7 entries, but a head over 8"):
        _sign(pipeline)


def test_size_and_root_come_back_from_the_brokers_log_alone_and_from_the_store_alone(pipeline: Pipeline) -> None:
    log_id = _log_id(pipeline)
    signed = _sign(pipeline)
    name = KeySource(pipeline.settings)().name
    assert trees_at(pipeline.client, log_id, 8).heads(name)[0] == signed.head
    for table in ("checkpoints", "evidence_log"):
        pipeline.client.command(f"TRUNCATE TABLE {table}")
    journal_path(pipeline.settings).unlink()
    pipeline.sequence()
    again = _sign(pipeline, _NOW + timedelta(hours=1))
    assert again.head == signed.head, "what a witness cosigned still fits"
    assert again.at != signed.at, "when a head was signed first is nowhere in the log"


def test_a_log_that_was_put_back_is_not_signed_until_it_has_all_again(pipeline: Pipeline) -> None:
    _sign(pipeline)
    _keep_first(pipeline, 5)
    pipeline.client.command("TRUNCATE TABLE checkpoints")
    with pytest.raises(HeadRefused, match="5 entries, but a head over 8 was signed"):
        _sign(pipeline, _NOW + timedelta(hours=2))
    _copy_behind(pipeline, 5)
    assert _sign(pipeline, _NOW + timedelta(hours=2)).head.size == 8


def test_a_store_that_is_still_copying_is_waited_for(pipeline: Pipeline) -> None:
    _sign(pipeline)
    _keep_first(pipeline, 5)
    assert _sign(pipeline, _NOW + timedelta(hours=2), caught_up=False) is None


def test_a_log_that_was_rewritten_is_not_signed(pipeline: Pipeline) -> None:
    _sign(pipeline)
    pipeline.client.command("TRUNCATE TABLE evidence_log")
    pipeline.client.command(
        "INSERT INTO evidence_log SELECT * REPLACE"
        " (if(log_position = 2, unhex(repeat('ab', 32)), entry_hash) AS entry_hash) FROM evidence_log_kept"
    )
    with pytest.raises(HeadRefused, match="are not those that were signed"):
        _sign(pipeline, _NOW + timedelta(hours=2))


def test_a_head_in_the_store_that_nobody_signed_binds_nobody(pipeline: Pipeline) -> None:
    signed = _sign(pipeline)
    forged = Checkpoint(signed.head.origin, 99, bytes(32))
    note = new_keyring("onshore/another", _NOW).signed(str(forged), _NOW, timed=True)
    row = [forged.origin, 99, bytes(32), "deployment", _log_id(pipeline), 99, _NOW, str(note)]
    pipeline.client.insert("checkpoints", [row])
    assert _sign(pipeline, _NOW + timedelta(hours=2)).head == signed.head


def test_while_a_key_is_rotated_both_sign_and_afterwards_the_new_one(pipeline: Pipeline) -> None:
    _sign(pipeline)
    old = read_keyring(pipeline.settings)
    write_keyring(pipeline.settings, old.rotated(_NOW, timedelta(days=30)))
    during = _sign(pipeline, _NOW + timedelta(days=29))
    after = _sign(pipeline, _NOW + timedelta(days=31))
    new = read_keyring(pipeline.settings)
    assert len(during.note.verified(old.verifier_keys())) == 2
    assert len(during.note.verified([new.keys[0].verifier(KeyType.NOTE)])) == 1
    with pytest.raises(NoteRefused):
        after.note.verified(old.verifier_keys())
    write_keyring(pipeline.settings, new.rotated(_NOW + timedelta(days=40), timedelta(0)))
    kept = parse_verifier_keys(public_path(key_path(pipeline.settings)).read_text())
    assert set(kept) > {*old.verifier_keys(), *new.verifier_keys()}


def test_trouble_is_said_in_the_status_and_ends_when_it_is_over(pipeline: Pipeline) -> None:
    _sign(pipeline)
    _keep_first(pipeline, 5)
    path = heads_path(pipeline.settings)
    keeper = HeadKeeper(_signer(pipeline), path)
    keeper.look(copied=0)
    said = last_said(path)
    assert said is not None
    [line] = attention._heads({"heads_trouble": said.trouble})
    assert line.startswith("heads are not signed: the evidence log has 5 entries")
    _copy_behind(pipeline, 5)
    HeadKeeper(_signer(pipeline, datetime.now(UTC)), path).look(copied=3)
    said = last_said(path)
    assert said is not None
    assert (said.trouble, said.size) == ("", 8)


def test_a_line_that_a_crash_has_cut_was_never_signed(tmp_path: Path) -> None:
    keyring = new_keyring("onshore/test", _NOW)
    notes = [keyring.signed(str(Checkpoint("a", size, bytes(32))), _NOW, timed=True) for size in (1, 2, 3)]
    journal = HeadJournal(tmp_path / "heads")
    assert journal.newest() is None
    assert list(journal) == []
    journal.append(notes[0])
    with (tmp_path / "heads").open("a") as file:
        file.write('{"note": "cut')
    assert journal.newest() == notes[0]
    journal.append(notes[1])
    assert list(journal) == notes[:2]
    (tmp_path / "heads").write_text("no head\n")
    with pytest.raises(JournalDamaged, match="no head"):
        journal.newest()


@pytest.mark.quick
@pytest.mark.parametrize("point", ["13.before", "13.kept", "13.after"])
def test_a_sequencer_that_dies_while_it_signs_leaves_heads_that_the_next_one_goes_on_from(
    pipeline: Pipeline, point: str
) -> None:
    command = [sys.executable, "-m", "onshore_pipeline", "sequencer", "--data-dir", str(pipeline.settings.data_dir)]
    command += ["--store-url", pipeline.url, "--failpoint", f"{point}:kill"]
    died = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    left = list(HeadJournal(journal_path(pipeline.settings)))
    assert len(left) == (0 if point == "13.before" else 1)
    later = _sign(pipeline, datetime.now(UTC) + timedelta(hours=2))
    assert later.head.size == 8
    kept = list(HeadJournal(journal_path(pipeline.settings)))
    assert len(kept) == len(left) + 1
    stored = pipeline.rows("SELECT note FROM checkpoints FINAL WHERE kind = 'deployment' ORDER BY signed_at")
    assert [row[0] for row in stored] == [str(note) for note in kept]


def test_keys_are_made_shown_and_rotated_by_command(tmp_path: Path) -> None:
    made = run_onshore(tmp_path, "keys", "init", "--name", "acme", "--data-dir", "d", "--json")
    assert made.returncode == 0, made.stderr
    path = tmp_path / "d" / "keys" / "signing.key"
    assert path.stat().st_mode & 0o777 == 0o600
    shown = run_onshore(tmp_path, "keys", "show", "--data-dir", "d")
    keys = parse_verifier_keys(shown.stdout)
    assert [str(key) for key in keys] == json.loads(made.stdout)["verifier_keys"]
    assert {key.name for key in keys} == {"onshore/acme"}
    assert "PRIVATE" not in shown.stdout + made.stdout
    assert run_onshore(tmp_path, "keys", "init", "--data-dir", "d").returncode == 2
    rotated = run_onshore(tmp_path, "keys", "rotate", "--data-dir", "d")
    assert "signs beside it until" in rotated.stdout
    assert (rotated.returncode, rotated.stderr) == (0, "it is not recorded, since --as names nobody\n")
    listed = json.loads(run_onshore(tmp_path, "keys", "show", "--data-dir", "d", "--json").stdout)
    assert len({row["key_id"] for row in listed}) == 4
    path.chmod(0o644)
    refused = run_onshore(tmp_path, "keys", "rotate", "--data-dir", "d")
    assert (refused.returncode, "chmod 600" in refused.stderr) == (2, True)


def test_a_rotation_is_sealed_with_who_did_it_and_why(tmp_path: Path) -> None:
    with running_pipeline(tmp_path / "d") as running:
        before = KeySource(running.settings)().keys[0].verifier(KeyType.NOTE).key_id.hex()
        asked = ("keys", "rotate", "--data-dir", "d", "--as", "ana", "--reason", "yearly")
        done = run_onshore(tmp_path, *asked)
        assert (done.returncode, done.stderr) == (0, "")
        new, old = read_keyring(running.settings).keys
        running.work()
        running.sequence()
        rows = running.rows(
            "SELECT action, actor_id, reason, attributes['onshore.signing_key.id'],"
            " attributes['onshore.signing_key.ending'] FROM events_current"
        )
        assert old.retires is not None
        assert rows == [
            (
                *("signing_key.rotate", "ana", "yearly", new.verifier(KeyType.NOTE).key_id.hex()),
                f"{before} until {old.retires.isoformat()}",
            )
        ]


@pytest.mark.parametrize(("who", "why"), [("ana", "no stack was started"), (" ", "name the person")])
def test_a_rotation_that_cannot_be_recorded_is_not_done(tmp_path: Path, who: str, why: str) -> None:
    assert run_onshore(tmp_path, "keys", "init", "--data-dir", "d").returncode == 0
    if who == " ":
        DataDir(tmp_path / "d").make()
    done = run_onshore(tmp_path, "keys", "rotate", "--data-dir", "d", "--as", who)
    assert (done.returncode, len(read_keyring(load_settings({"data_dir": tmp_path / "d"})).keys)) == (2, 1)
    assert why in done.stderr


def test_a_passphrase_encrypts_the_key_and_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("battery\n")
    setting = {"data_dir": tmp_path, "signing_key_passphrase_file": tmp_path / "word"}
    made = KeySource(load_settings(setting))()
    assert "ENCRYPTED" in key_path(load_settings(setting)).read_text()
    assert read_keyring(load_settings(setting)).verifier_keys() == made.verifier_keys()
    with pytest.raises(SettingsError, match="set signing_key_passphrase_file"):
        read_keyring(load_settings({"data_dir": tmp_path}))
    with pytest.raises(SettingsError, match="passphrase is wrong"):
        read_keyring(load_settings({"data_dir": tmp_path, "signing_key_passphrase_file": tmp_path / "wrong"}))


def test_a_named_key_file_that_is_missing_is_never_made(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path, "signing_key_file": tmp_path / "none"})
    with pytest.raises(SettingsError, match="No such file"):
        KeySource(settings)()
    up = run_onshore(tmp_path, "up", "--data-dir", "d", ONSHORE_SIGNING_KEY_FILE=str(tmp_path / "none"))
    assert (up.returncode, up.stderr.startswith("onshore: setting signing_key_file")) == (2, True)


@pytest.mark.parametrize("change", ["name: onshore/b c", "created: yesterday", "-----END PUBLIC KEY-----"])
def test_a_damaged_file_of_keys_is_refused_without_showing_it(change: str) -> None:
    text = keyring_text(new_keyring("onshore/a", _NOW), None)
    secret = base64.b64encode(parse_keyring(text, None).keys[0].private.private_bytes_raw()).decode()
    name = change[:8]
    damaged = "".join(f"{change}\n" if line.startswith(name) else line for line in text.splitlines(keepends=True))
    with pytest.raises(KeyFileRefused) as refused:
        parse_keyring(damaged, None)
    assert secret not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a+b", "x" * 64, "-a"])
def test_a_name_that_would_make_an_origin_ambiguous_is_refused(name: str) -> None:
    with pytest.raises(KeyFileRefused, match="no name of a deployment"):
        new_keyring(f"onshore/{name}", _NOW)
