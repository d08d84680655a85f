"""Heads, proofs and audit are the same on the local log and on Apache Kafka, whose positions have holes."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import evidence_reference as reference
import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from invariant_heads import heads_that_differ
from onshore_pipeline import assembly
from onshore_pipeline.assess import assess
from onshore_pipeline.broker import Outgoing, Polled
from onshore_pipeline.evidence.self_check import check_compiled
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.head_signer import HeadSigner
from onshore_pipeline.jobs.aggregate import attempts_behind, rebuild
from onshore_pipeline.jobs.audit import audit
from onshore_pipeline.jobs.log_proofs import newest_head
from onshore_pipeline.jobs.witnesses import request
from onshore_pipeline.registration import registration
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.settings import load_settings
from onshore_pipeline.signing_key import KeySource, journal_path, own_verifier_keys
from onshore_pipeline.stack import DataDir, salt_master
from onshore_pipeline.store.reader import Reader
from onshore_pipeline.store.writer import insert
from witness import Witness

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.jobs.audit import Audited

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2260, 1, 1, tzinfo=UTC)
_NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(5, 37)))


def _send(pipeline: Pipeline, messages: int) -> None:
    """Messages of two topics, worked off two an attempt, copied and rolled up."""
    with closing(assembly.producer(pipeline.settings)) as producer:
        for _ in range(messages):
            producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()] * 2), key=b"one partition")])
            producer.send("otlp_spans", [Outgoing(otlp.span({}, {"service.name": "a"}), key=b"one partition")])
    sealed = 0
    with closing(assembly.consumer(pipeline.settings)) as consumer:
        while sealed < 2 * messages:
            polled = consumer.poll(max_messages=2, max_bytes=1 << 20, timeout_s=1.0)
            if polled == Polled():
                continue
            attempt = assess(polled, pipeline.judgement, uuid4())
            insert(pipeline.client, "attempts", registration(attempt, "w", pipeline.judgement, datetime.now(UTC)))
            for name, table in attempt.tables.items():
                insert(pipeline.client, name, table)
            consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)
            sealed += len(polled.messages)
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        sequencer = Sequencer(reader, pipeline.client)
        while sequencer.step(max_entries=1000, timeout_s=2.0).entries:
            pass
        rebuild(pipeline.client, attempts_behind(pipeline.client), sequencer.position, sequencer.log_id)


def _sign(pipeline: Pipeline, minute: int) -> Any:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        journal = HeadJournal(journal_path(pipeline.settings))
        now = _NOW + timedelta(minutes=minute)
        signer = HeadSigner(pipeline.client, reader.log_id, KeySource(pipeline.settings), journal, now=lambda: now)
        return signer.sign(caught_up=True)


def _audit(pipeline: Pipeline) -> Audited:
    keys, journal = own_verifier_keys(pipeline.settings), HeadJournal(journal_path(pipeline.settings))
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        master = salt_master(pipeline.settings)
        return audit(pipeline.client, reader, master, keys, journal, _FIRST, _LAST, lambda *_: None)


def _entries(pipeline: Pipeline) -> list[bytes]:
    """The log itself, not the store's copy of it."""
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        return [each.value for each in reader.read(after={}, max_entries=1_000, timeout_s=2.0)]


@pytest.mark.parametrize("broker", ["local log", "Apache Kafka"])
def test_a_log_is_signed_witnessed_and_audited_the_same_on_every_broker(
    broker: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    check_compiled()
    flags: dict[str, Any] = {"data_dir": tmp_path, "geoip_dir": tmp_path / "none"}
    if broker == "Apache Kafka":
        flags["kafka_bootstrap_servers"] = request.getfixturevalue("fresh_kafka")
        flags["kafka_group"] = f"heads-{uuid4().hex}"
    with running_pipeline(tmp_path) as local:
        pipeline = replace(local, settings=load_settings(flags))
        RuleTexts().keep(pipeline.client, pipeline.judgement)
        _send(pipeline, 3)
        first = _sign(pipeline, 0)
        keys = "".join(f"{key}\n" for key in own_verifier_keys(pipeline.settings))
        witness = Witness("witness.example/w1", _KEY, {first.head.origin: keys})
        _witnessed(pipeline, witness, 0)
        _send(pipeline, 4)
        second = _sign(pipeline, 1)
        _witnessed(pipeline, witness, first.head.size)
        entries = _entries(pipeline)
        leaves = [reference.leaf(each) for each in entries]
        assert (first.head.size, second.head.size) == (6, 14)
        assert first.head.root == reference.root(leaves[:6])
        assert second.head.root == reference.root(leaves)
        told = [(each, json.loads(each)) for each in entries]
        assert list(heads_that_differ(pipeline.client, told)) == []
        assert pipeline.one("SELECT uniqExact(origin) FROM checkpoints WHERE kind = 'log'") == 2
        positions = pipeline.one("SELECT max(log_position) + 1 FROM evidence_log")
        assert positions > 14 if broker == "Apache Kafka" else positions == 14, "transactions leave holes"

        done = _audit(pipeline)
        assert (done.problems, done.events, done.entries) == ([], 21, 14)
        _tampered_rows_are_named(pipeline)


def _witnessed(pipeline: Pipeline, witness: Witness, old: int) -> None:
    writer = pipeline.url, *_writer(pipeline)
    with closing(Reader(*writer)) as reader:
        assert witness.add_checkpoint(request(reader, newest_head(reader), old), 1).startswith("— witness.example/w1")


def _writer(pipeline: Pipeline) -> tuple[str, str]:
    writer = json.loads(DataDir(pipeline.settings.data_dir).credentials.read_text())["writer"]
    return writer["user"], writer["password"]


def _tampered_rows_are_named(pipeline: Pipeline) -> None:
    """An event and an entry's copy are altered behind our back, and the copy's tail is cut off."""
    command = pipeline.client.command
    for table in ("events", "evidence_log"):
        command(f"RENAME TABLE {table} TO {table}_whole")
        command(f"CREATE TABLE {table} AS {table}_whole")
    event = "kafka_topic = 'otlp_logs' AND kafka_offset = 1 AND record_index = 1"
    entry = "log_position = (SELECT min(log_position) FROM evidence_log_whole)"
    last = "log_position = (SELECT max(log_position) FROM evidence_log_whole)"
    command(
        f"INSERT INTO events SELECT * REPLACE (if({event}, 'NZ', destination_country) AS destination_country)"
        " FROM events_whole"
    )
    command(
        f"INSERT INTO evidence_log SELECT * REPLACE (if({entry}, unhex(repeat('ab', 32)), entry_hash) AS entry_hash)"
        f" FROM evidence_log_whole WHERE NOT {last}"
    )
    found = _audit(pipeline).problems
    altered = [each.where for each in found if each.what == "altered"]
    assert any(where.startswith("otlp_logs[") and "@1 record 1 " in where for where in altered), altered
    assert any("(log entry 0:0)" in where for where in altered), altered
    whys = {each.why.partition(":")[0] for each in found if each.what == "head"}
    assert len(whys) == 2, whys  # one root is wrong, one head is over more than there is
