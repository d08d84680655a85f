"""The sequencer accepts a log without holes only, and says how it is."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, Gap
from onshore_pipeline.commands.attention import attention
from onshore_pipeline.commands.status import status
from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.evidence.entry import canonical_json, gap_entry
from onshore_pipeline.jobs.keep import keep
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.sequencer_status import last_words, say, say_trouble, status_path
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

_ATTEMPT: Final = uuid4()


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


def _message(topic: UUID, offset: int, *, kind: str = "message", partition: int = 0, dead_lettered: int = 0) -> bytes:
    return canonical_json(
        {
            "kind": kind, "topic": "otlp_logs", "topic_id": str(topic), "partition": partition, "offset": offset,
            "tenant": "default", "records": 1, "events": 1 - dead_lettered, "dead_lettered": dead_lettered,
            "attempt": str(_ATTEMPT),
        }
    )  # fmt: skip


def _gap(topic: UUID, first: int, end: int, empty: int = 0) -> bytes:
    return gap_entry(Gap("otlp_logs", topic, 0, first, end, empty), pipeline="", attempt=_ATTEMPT)


def _copy(pipeline: Pipeline, *entries: bytes) -> int:
    """Append to the log, and copy with a sequencer that starts anew."""
    pipeline.send(EVIDENCE_LOG_TOPIC, entries)
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    try:
        return sequencer.step(max_entries=100, timeout_s=0.0).entries
    finally:
        sequencer.close()


def test_a_partition_may_begin_anywhere_and_goes_on_without_a_hole(pipeline: Pipeline) -> None:
    topic = uuid4()
    assert _copy(pipeline, _message(topic, 40), _message(topic, 7, partition=1), _message(topic, 41)) == 3
    assert _copy(pipeline, _message(topic, 42), _message(topic, 8, partition=1)) == 2


def test_a_hole_that_no_gap_covers_stops_the_sequencer(pipeline: Pipeline) -> None:
    topic = uuid4()
    _copy(pipeline, _message(topic, 4))
    with pytest.raises(EvidenceAltered, match=r"names otlp_logs\[0\]@7, but otlp_logs\[0\]@5 comes next"):
        _copy(pipeline, _message(topic, 7))
    assert pipeline.one("SELECT count() FROM evidence_log") == 1


def test_an_offset_within_a_gap_stops_the_sequencer_also_after_a_restart(pipeline: Pipeline) -> None:
    topic = uuid4()
    _copy(pipeline, _message(topic, 4), _gap(topic, 5, 9))
    with pytest.raises(EvidenceAltered, match=r"@7 again: the log has otlp_logs\[0\] up to 8"):
        _copy(pipeline, _message(topic, 7))


@pytest.mark.parametrize(("first", "end"), [(6, 9), (4, 9), (5, 5), (5, 3)])
def test_a_gap_that_does_not_begin_where_the_log_ends_or_is_empty_stops_the_sequencer(
    pipeline: Pipeline, first: int, end: int
) -> None:
    topic = uuid4()
    with pytest.raises(EvidenceAltered, match=rf"names otlp_logs\[0\]@{first}"):
        _copy(pipeline, _message(topic, 4), _gap(topic, first, end))


def test_after_a_gap_comes_its_end_also_after_a_restart(pipeline: Pipeline) -> None:
    topic = uuid4()
    assert _copy(pipeline, _gap(topic, 0, 9), _message(topic, 9)) == 2
    assert _copy(pipeline, _gap(topic, 10, 20)) == 1
    assert _copy(pipeline, _message(topic, 20)) == 1


def test_an_amendment_names_an_old_offset_and_moves_nothing(pipeline: Pipeline) -> None:
    topic = uuid4()
    assert _copy(pipeline, _message(topic, 4), _message(topic, 5), _message(topic, 4, kind="amends")) == 3
    assert _copy(pipeline, _message(topic, 6)) == 1
    assert pipeline.rows("SELECT log_index, offset FROM evidence_log ORDER BY log_index") == [
        (0, 4), (1, 5), (2, 4), (3, 6),
    ]  # fmt: skip


def test_the_sequencer_says_how_far_it_is_and_why_it_stopped(pipeline: Pipeline) -> None:
    path, topic = status_path(pipeline.settings), uuid4()
    pipeline.send(EVIDENCE_LOG_TOPIC, [_message(topic, 4)])
    reader, stop = assembly.entry_reader(pipeline.settings), threading.Event()
    runner = threading.Thread(
        target=keep, args=(Sequencer(reader, pipeline.client), pipeline.client, stop), kwargs={"status_file": path}
    )
    runner.start()
    pause = threading.Event()
    for _ in range(500):
        if (said := last_words(path)) and said.position:
            break
        pause.wait(0.02)
    stop.set()
    runner.join()
    reader.close()
    assert said is not None
    assert (said.position, said.error) == ({0: 0}, None)
    say_trouble(path, EvidenceAltered("6", "the log contradicts itself"))
    told = last_words(path)
    assert told == replace(said, at=told.at if told else "", error="step 6: the log contradicts itself")


def _status(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = status(pipeline.settings.data_dir, as_json=True)
    return code, json.loads(capsys.readouterr().out)


def _announce(pipeline: Pipeline) -> None:
    """What `onshore up` and a worker leave in the data directory."""
    data = DataDir(pipeline.settings.data_dir)
    writer = json.loads(data.credentials.read_text())["writer"]
    url = json.loads((pipeline.settings.data_dir / "store.ready").read_text())["url"]
    stack = {"store": url, "store_user": writer["user"], "store_password": writer["password"]}
    data.stack.write_text(json.dumps(stack))
    data.worker_status.write_text(json.dumps({"at": "2999-01-01T00:00:00+00:00", "lag": []}))


def test_status_shows_a_halted_sequencer_gaps_and_dead_letters_of_the_last_day(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(pipeline)
    path, topic = status_path(pipeline.settings), uuid4()
    say(path, {})
    code, told = _status(pipeline, capsys)
    assert (code, told["attention"]) == (0, [])

    _copy(pipeline, _message(topic, 4, dead_lettered=1), _gap(topic, 5, 9))
    pipeline.client.command(
        "INSERT INTO dead_letters (* EXCEPT(headers, clock, headers_trusted)) VALUES"
        f" ('{_ATTEMPT}', generateUUIDv4(), 'default', 'otlp_logs', '{topic}', 0, 4, [], 'decode', 'bad', now64(9), '')"
    )
    pipeline.send(EVIDENCE_LOG_TOPIC, [_message(topic, 11)])
    say_trouble(path, EvidenceAltered("6", "the log contradicts itself"))
    code, told = _status(pipeline, capsys)
    assert code == 1
    assert (told["log_behind"], told["gaps"], told["offsets_lost"], told["dead_lettered_last_day"]) == (1, 1, 4, 1)
    assert len(told["attention"]) == 3
    assert "the log contradicts itself" in told["attention"][0]

    age = (
        "ALTER TABLE evidence_log UPDATE appended_at = appended_at - INTERVAL 2 DAY WHERE 1 SETTINGS mutations_sync = 2"
    )
    pipeline.client.command(age)
    say(path, {0: 1})
    code, told = _status(pipeline, capsys)
    assert (code, told["attention"]) == (0, [])
    assert (told["gaps"], told["offsets_lost"], told["dead_lettered"]) == (1, 4, 1)


def test_offsets_that_never_were_a_message_are_counted_and_call_for_nobody(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(pipeline)
    topic = uuid4()
    say(status_path(pipeline.settings), {})
    _copy(pipeline, _message(topic, 4, dead_lettered=1), _gap(topic, 5, 9, empty=4))
    code, told = _status(pipeline, capsys)
    assert (code, told["attention"]) == (0, [])
    assert (told["gaps"], told["offsets_lost"], told["offsets_empty"]) == (0, 0, 4)
    _copy(pipeline, _message(topic, 9), _gap(topic, 10, 15, empty=2))
    code, told = _status(pipeline, capsys)
    assert (code, told["gaps"], told["offsets_lost"], told["offsets_empty"]) == (1, 1, 3, 6)
    assert told["events_missing"] == 1
    assert any(line.startswith("1 sealed events have no rows") for line in told["attention"])


def test_lost_messages_and_a_restore_that_died_call_for_attention(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(pipeline)
    topic = uuid4()
    say(status_path(pipeline.settings), {})
    lost = json.loads(_gap(topic, 5, 8)) | {"kind": "lost"}
    _copy(pipeline, *(_message(topic, offset) for offset in range(5, 8)), *[json.dumps(lost).encode()] * 2)
    code, told = _status(pipeline, capsys)
    assert (code, told["messages_lost"], told["gaps"]) == (1, 3, 0)
    assert [line[:24] for line in told["attention"]] == ["3 sealed messages were f"]
    pipeline.client.insert("restores", [[uuid4(), uuid4(), datetime.now(UTC)]])
    code, told = _status(pipeline, capsys)
    assert told["attempts_being_restored"] == 1
    assert "`onshore restore`" in told["attention"][1]


def test_a_log_that_is_not_copied_for_long_calls_for_attention() -> None:
    fine = {
        "store": "answers", "worker": "running", "worker_silent_s": 0, "sequencer": "running", "sequencer_silent_s": 0,
        "receiver": "answers", "refused": {}, "put_off_s": None,
        "sequencer_error": "", "log_behind": 3, "log_behind_s": 30, "log_error": "", "dead_lettered_last_day": 0,
        "gaps_last_day": 0, "offsets_lost_last_day": 0,
    }  # fmt: skip
    assert attention(fine) == []
    assert "3 entries of the evidence log" in attention(fine | {"log_behind_s": 31})[0]
    assert "10,000 entries or more" in attention(fine | {"log_behind_s": 99, "log_behind": 10_000})[0]
    silent = attention(fine | {"sequencer": "silent", "sequencer_silent_s": 45, "sequencer_error": "step 6: no"})
    assert silent == ["the sequencer is silent (45 s); it last said: step 6: no"]


def test_holds_that_nobody_reviewed_in_time_call_for_attention() -> None:
    fine = {
        "store": "answers", "worker": "running", "receiver": "answers", "put_off_s": None, "sequencer": "running",
        "sequencer_error": "", "log_behind": 0, "log_behind_s": 0, "log_error": "", "head_entries": 0,
    }  # fmt: skip
    assert attention(fine | {"holds_overdue": 0}) == []
    (said,) = attention(fine | {"holds_overdue": 2})
    assert said.startswith("2 legal holds should have been reviewed")


def test_a_worker_that_waits_and_senders_that_are_put_off_call_for_attention() -> None:
    waiting = {
        "store": "does not answer", "worker": "waiting", "worker_waits_for": "store", "worker_waits_s": 1200,
        "worker_waits_because": "connection refused", "receiver": "answers", "sequencer": "running", "log_behind": 0,
        "log_behind_s": 0, "log_error": "", "put_off_s": 3, "refused": {"log full": 1234, "bad request": 1},
    }  # fmt: skip
    assert attention(waiting) == [
        "the store does not answer; what is acknowledged waits in the log and is not lost",
        "the worker waits for the store for 1,200 s: connection refused; it goes on by itself",
        "the receiver put senders off 3 s ago (refused since its start: bad request 1, log full 1,234)",
    ]
    assert len(attention(waiting | {"put_off_s": 61})) == 2, "what is over calls for nothing"
