"""`onshore dead-letters replay` and `discard` on Apache Kafka, killed between steps, with a worker beside them."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import invariants
import otlp_messages as otlp
from broker_contents import kafka_contents
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.assess import assess_without
from onshore_pipeline.broker import Message, Outgoing, Polled
from onshore_pipeline.jobs.aggregate import attempts_behind, rebuild
from onshore_pipeline.registration import registration
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir, salt_master
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.frames import Failure
from running_stack import command, environment

if TYPE_CHECKING:
    from pathlib import Path

_LETTERS = 6
_SAID = ("--as", "kim", "--reason", "the decoder was repaired", "--json")
# what a kill leaves: nothing; hidden rows; hidden rows and a note; entries that are aborted; all but the last note
_DEATHS = ("10.begun", "10.events", "10.noted", "5.entries", "10.committed")


def _fail(pipeline: Pipeline) -> None:
    """Messages of which a pipeline with a bug made dead letters: each whole, but for the last, which is no OTLP."""
    with closing(assembly.producer(pipeline.settings)) as producer:
        values = [otlp.logs([otlp.movement()] * 3) for _ in range(_LETTERS - 1)]
        producer.send("otlp_logs", [Outgoing(each, key=b"one partition") for each in (*values, b"\x0ano OTLP")])
    with closing(assembly.consumer(pipeline.settings)) as consumer:
        messages: list[Message] = []
        for _ in range(60):
            messages += consumer.poll(max_messages=_LETTERS, max_bytes=1 << 20, timeout_s=0.5).messages
            if len(messages) == _LETTERS:
                break
        broken = [Failure(at, None, "judge", "a bug of that day") for at in range(_LETTERS)]
        attempt = assess_without(Polled(tuple(messages)), pipeline.judgement, uuid4(), broken, lambda _: None)
        insert(pipeline.client, "attempts", registration(attempt, "test", pipeline.judgement, datetime.now(UTC)))
        for name, table in attempt.tables.items():
            insert(pipeline.client, name, table)
        consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)


def _sequence(pipeline: Pipeline) -> None:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        sequencer = Sequencer(reader, pipeline.client)
        while sequencer.step(max_entries=1000, timeout_s=2.0).entries:
            pass
        rebuild(pipeline.client, attempts_behind(pipeline.client), sequencer.position, sequencer.log_id)


def _onshore(arguments: tuple[str, ...], **settings: str) -> subprocess.CompletedProcess[str]:
    asked, told = command(*arguments), environment(**settings)
    return subprocess.run(asked, env=told, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.timeout(420)
def test_a_replay_killed_between_its_steps_beside_a_worker_closes_each_letter_once(
    fresh_kafka: str, tmp_path: Path
) -> None:
    own: dict[str, Any] = {"kafka_bootstrap_servers": fresh_kafka, "kafka_group": uuid4().hex[:8]}
    flags = {f"ONSHORE_{name.upper()}": str(value) for name, value in own.items()}
    with running_pipeline(tmp_path / "data") as local:
        data = DataDir(local.settings.data_dir)
        reader = json.loads(data.credentials.read_text())["reader"]
        told = {"store": local.url, "store_user": reader["user"], "store_password": reader["password"]}
        data.stack.write_text(json.dumps(told))
        settings = load_settings({"data_dir": data.path, "geoip_dir": tmp_path / "none", **own})
        pipeline = replace(local, settings=settings)
        _fail(pipeline)
        _sequence(pipeline)
        asked = command("worker", "--data-dir", str(data.path), "--store-url", local.url)
        worker = subprocess.Popen(asked, env=environment(**flags))
        replay = ("dead-letters", "replay", "--all", *_SAID, "--data-dir", str(data.path))
        try:
            with closing(assembly.producer(settings)) as producer:
                for point in _DEATHS:
                    producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()] * 2)) for _ in range(3)])
                    killed = _onshore(replay, **flags, ONSHORE_FAILPOINT=f"{point}:kill")
                    assert killed.returncode == -signal.SIGKILL, killed.stderr
            again = _onshore(replay, **flags)
            said = json.loads(again.stdout)
            assert again.returncode == 1, "the one that is no OTLP stays open"
            assert (said["closed"], said["already"]) == (0, {"replayed": _LETTERS - 1}), "the store does not know yet"
            assert [each["stage"] for each in said["failed"]] == ["decode"]
            discarded = _onshore(("dead-letters", "discard", *replay[2:]), **flags)
            assert (discarded.returncode, json.loads(discarded.stdout)["closed"]) == (0, 1), discarded.stderr
            until = _LETTERS + 3 * len(_DEATHS)
            for _ in range(60):
                _sequence(pipeline)
                if pipeline.one("SELECT count() FROM evidence_log WHERE kind = 'message'") == until:
                    break
            assert worker.poll() is None
        finally:
            worker.terminate()
            worker.wait(30)
        assert pipeline.rows("SELECT state, count() FROM dead_letter_states GROUP BY 1 ORDER BY 1") == [
            ("discarded", 1),
            ("replayed", _LETTERS - 1),
        ]
        assert pipeline.one("SELECT count() FROM events_current") == 3 * (_LETTERS - 1) + 2 * 3 * len(_DEATHS)
        invariants.check(pipeline.client, kafka_contents(assembly.kafka(settings)), salt_master(settings))
