"""Replay and discard on a real log and store: a letter's events become visible exactly once, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

import invariants
import otlp_messages as otlp
from broker_contents import local_contents
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.amend import amend
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.jobs.amending import Said, begin
from onshore_pipeline.jobs.letters import portions, sealed_entries, verified
from onshore_pipeline.jobs.sweep import sweep
from onshore_pipeline.registration import registration
from onshore_pipeline.stack import DataDir, salt_master
from onshore_pipeline.store.writer import insert
from replaying import SAID, close, fail_on, reader_of
from running_stack import command, environment, run_onshore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.broker import Amender
    from onshore_pipeline.jobs.replay import Action, Closing

BROKEN = b"\x0anothing that is OTLP"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("replay")) as running:
        data = DataDir(running.settings.data_dir)
        reader = json.loads(data.credentials.read_text())["reader"]
        addresses = {"store": running.url, "store_user": reader["user"], "store_password": reader["password"]}
        data.stack.write_text(json.dumps(addresses))
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_lost_or_doubled(pipeline: Pipeline) -> Iterator[None]:
    """After every test: records in = events + letters that are open or discarded, and every hash derives again."""
    yield
    pipeline.sequence()
    contents = local_contents(DataDir(pipeline.settings.data_dir).messages)
    invariants.check(pipeline.client, contents, salt_master(pipeline.settings))


def quoted(letters: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in letters)


def states(pipeline: Pipeline, letters: Sequence[str]) -> list[tuple[Any, ...]]:
    pipeline.sequence()
    return pipeline.rows(
        "SELECT DISTINCT state, closed_by, closed_why FROM dead_letter_states"
        f" WHERE dead_letter_id IN ({quoted(letters)})"
    )


def test_only_the_failed_records_become_events_and_under_their_original_identity(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 5), otlp.logs([otlp.movement()] * 2)], (1, 3), None)
    message = "(topic_id, kafka_partition, kafka_offset)"
    of_letters = f"{message} IN (SELECT {message} FROM dead_letters WHERE dead_letter_id IN ({quoted(letters)}))"
    before = pipeline.rows(f"SELECT toString(event_id), leaf_hash FROM events_current WHERE {of_letters} ORDER BY 1")
    assert len(before) == 3
    done = close(pipeline, "replay", letters)
    assert (len(done.closed), done.events, done.dead_again, done.refused) == (2, 4, 0, {})
    pipeline.sequence()
    after = pipeline.rows(f"SELECT toString(event_id), leaf_hash FROM events_current WHERE {of_letters} ORDER BY 1")
    assert len(after) == 7
    assert set(before) < set(after)
    assert states(pipeline, letters) == [("replayed", "kim", "the decoder was repaired")]
    told = pipeline.rows(
        "SELECT JSONExtractInt(entry, 'amended'), records, events, JSONExtractString(entry, 'record_indexes')"
        f" FROM evidence_log WHERE kind = 'amends' AND dead_letter_id IN ({quoted(letters)}) "
    )
    assert sorted(told) == [(1, 2, 2, "all"), (2, 2, 2, "1,3")]


def test_a_second_replay_and_a_discard_find_it_closed(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()])], None)
    close(pipeline, "replay", letters)
    for again in ("replay", "discard"):
        done = close(pipeline, again, letters)  # the store does not know yet: nothing was sequenced since
        assert (done.closed, dict(+done.already)) == ([], {"replayed": 1})
    pipeline.sequence()
    assert dict(+close(pipeline, "discard", letters).already) == {"replayed": 1}


def test_what_fails_again_stays_open_with_its_new_reason(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [BROKEN])
    done = close(pipeline, "replay", letters)
    (refusal,) = done.refused.values()
    assert (done.closed, refusal.stage) == ([], "decode")
    assert states(pipeline, letters)[0][0] == "open"
    actions = pipeline.rows(
        f"SELECT action, outcome, who, why, reason FROM dead_letter_actions WHERE dead_letter_id = '{letters[0]}'"
    )
    assert actions == [("replay", "failed", "kim", SAID.why, f"decode: {refusal.reason}")]


def test_of_a_message_that_is_readable_again_a_record_that_is_not_becomes_a_letter_of_its_own(
    pipeline: Pipeline,
) -> None:
    one_bad = otlp.with_invalid_utf8(otlp.logs([otlp.movement(), otlp.movement(actor_id="marker")]), b"marker")
    letters = fail_on(pipeline, [one_bad], None)
    done = close(pipeline, "replay", letters)
    if done.refused:  # the decoder refuses the whole message
        pytest.fail(str(done.refused))
    assert (done.events, done.dead_again) == (1, 1)
    pipeline.sequence()
    again = pipeline.rows(
        "SELECT toString(dead_letter_id), record_indexes FROM dead_letter_states WHERE state = 'open' AND tenant = ("
        f"SELECT tenant FROM dead_letters WHERE dead_letter_id = '{letters[0]}')"
    )
    assert [row[1] for row in again] == [[1]]
    assert list(close(pipeline, "replay", [again[0][0]]).refused) == [UUID(again[0][0])]
    close(pipeline, "discard", [again[0][0]])


def test_one_that_is_unreadable_still_does_not_hold_up_the_others_of_its_portion(pipeline: Pipeline) -> None:
    values = [otlp.logs([otlp.movement()] * 2) for _ in range(30)]
    letters = fail_on(pipeline, [*values[:11], BROKEN, *values[11:]], *[None] * 31)
    done = close(pipeline, "replay", letters)
    assert (len(done.closed), done.events, len(done.refused)) == (30, 60, 1)


def test_an_interrupted_replay_closes_what_is_under_way_says_how_far_it_came_and_goes_on_the_next_time(
    pipeline: Pipeline,
) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 4)], [(0,), (2, 3)])  # of one message: two portions
    arguments = ("dead-letters", "replay", *letters, "--as", "kim", "--reason", "repaired", "--json")
    asked = command(*arguments, "--data-dir", str(pipeline.settings.data_dir))
    paused = environment(ONSHORE_FAILPOINT="10.noted:pause")
    with subprocess.Popen(asked, env=paused, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as replay:
        try:
            os.waitid(os.P_PID, replay.pid, os.WSTOPPED)
            replay.send_signal(signal.SIGINT)
            replay.send_signal(signal.SIGCONT)
            said, words = replay.communicate(timeout=60)
        finally:
            replay.kill()
    told = json.loads(said)  # and nothing else: what is logged goes to standard error
    assert (replay.returncode, told["closed"], told["left"]) == (130, 1, 1), words
    assert "once more to stop at once" in words
    assert "FAILPOINT ARMED" in words
    assert len(close(pipeline, "replay", letters).closed) == 1


def test_a_discard_stands_in_the_log_with_who_and_why(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [BROKEN, BROKEN])
    done = close(pipeline, "discard", letters, said=Said("lee", "sent by a test"))
    assert len(done.closed) == 2
    assert states(pipeline, letters) == [("discarded", "lee", "sent by a test")]
    assert pipeline.rows(
        "SELECT JSONExtractInt(entry, 'discarded'), JSONExtractString(entry, 'who') FROM evidence_log"
        f" WHERE dead_letter_id = '{letters[0]}'"
    ) == [(1, "lee")]


def test_replays_and_discards_at_the_same_time_close_each_letter_once(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 2) for _ in range(12)], *[None] * 12)
    done: list[Closing] = []
    actions: tuple[Action, ...] = ("replay", "replay", "discard")
    threads = [
        threading.Thread(target=lambda action=action: done.append(close(pipeline, action, letters)))
        for action in actions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    closed = [letter for each in done for letter in each.closed]
    assert sorted(closed) == sorted(map(UUID, letters))
    assert sum(each.already.total() for each in done) == 24


class _Losing:
    """The real amender; its first commit is done, or not done, and nobody learns which."""

    def __init__(self, amender: Amender, *, done: bool) -> None:
        self._amender, self._done, self._lost = amender, done, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._amender, name)

    def commit(self, *arguments: Any) -> None:
        lost, self._lost = not self._lost, True
        if lost and not self._done:
            raise BrokerUnavailable("no answer")
        self._amender.commit(*arguments)
        if lost:
            raise BrokerUnavailable("no answer")


@pytest.mark.parametrize("was_done", [True, False])
def test_a_commit_whose_outcome_nobody_knows_is_found_out(pipeline: Pipeline, was_done: bool) -> None:  # noqa: FBT001
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 3)], (0, 2))
    done = close(pipeline, "replay", letters, amender=_Losing(assembly.amender(pipeline.settings), done=was_done))
    assert (len(done.closed), done.events, +done.already) == (1, 2, {})


def test_an_attempt_that_amends_is_not_swept_while_it_may_commit_and_is_once_it_cannot(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()] * 3)], (0, 2))
    reader, log = reader_of(pipeline), assembly.entry_reader(pipeline.settings)
    amender = assembly.amender(pipeline.settings)
    begin(amender, pipeline.client, log.log_id)
    ((letter,),) = portions(reader, letters)
    failed = verified(letter, sealed_entries(reader, [letter]))
    amendment = amend([failed], pipeline.judgement, uuid4(), who="kim", why="test")  # type: ignore[list-item]
    attempt = amendment.attempt
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    insert(pipeline.client, "attempts", registration(attempt, "kim", pipeline.judgement, long_ago))
    for name, table in attempt.tables.items():
        insert(pipeline.client, name, table)
    mine = f"SELECT count() FROM events WHERE attempt_id = '{attempt.attempt_id}'"
    sweep(pipeline.client, datetime.now(UTC) + timedelta(hours=1))
    assert pipeline.one(mine) == 2, "offsets of a later message say nothing about it"
    assert len(close(pipeline, "replay", letters).closed) == 1
    pipeline.sequence()
    sweep(pipeline.client, datetime.now(UTC) + timedelta(hours=1))
    assert pipeline.one(mine) == 0
    assert pipeline.one(f"SELECT count() FROM attempts WHERE attempt_id = '{attempt.attempt_id}'") == 1
    insert(pipeline.client, "events", attempt.tables["events"])  # one that was stopped wakes up and writes
    assert pipeline.one(f"SELECT count() FROM events_current WHERE attempt_id = '{attempt.attempt_id}'") == 0
    sweep(pipeline.client, datetime.now(UTC) + timedelta(hours=2))
    assert pipeline.one(mine) == 0
    amender.close()
    log.close()


def test_the_tenant_that_was_sealed_counts_and_not_the_one_that_settings_name_today(pipeline: Pipeline) -> None:
    letters = fail_on(pipeline, [otlp.logs([otlp.movement()])], None)
    today = replace(pipeline, judgement=replace(pipeline.judgement, tenant_of=lambda _: "another"))
    assert close(today, "replay", letters).events == 1
    pipeline.sequence()
    assert pipeline.rows("SELECT count() FROM events_current WHERE tenant = 'another'") == [(0,)]


def test_a_letter_whose_bytes_were_changed_in_the_store_is_not_replayed(pipeline: Pipeline) -> None:
    (letter,) = fail_on(pipeline, [otlp.logs([otlp.movement()])], None)
    ((kept,),) = portions(reader_of(pipeline), [letter])
    sealed = sealed_entries(reader_of(pipeline), [kept])
    other = replace(kept, message=replace(kept.message, value=kept.message.value + b"\x00"))
    assert "not those that the log has sealed" in verified(other, sealed).reason  # type: ignore[union-attr]
    other = replace(kept, message=replace(kept.message, headers=()), headers_known=False)
    assert "before headers were kept" in verified(other, sealed).reason  # type: ignore[union-attr]
    close(pipeline, "replay", [letter])


POINTS = (
    "10.begun", "10.computed", "10.registered", "10.events", "10.noted", "5.entries", "5.committed", "10.committed",
    "10.after",
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_replay_that_is_killed_at_any_step_is_finished_by_the_next_one(pipeline: Pipeline, point: str) -> None:
    (letter,) = fail_on(pipeline, [otlp.logs([otlp.movement()] * 3)], (0, 1))
    arguments = ("dead-letters", "replay", letter, "--as", "kim", "--reason", "repaired", "--json")
    here = ("--data-dir", str(pipeline.settings.data_dir))
    folder = pipeline.settings.data_dir.parent
    killed = run_onshore(folder, *arguments, *here, ONSHORE_FAILPOINT=f"{point}:kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run_onshore(folder, *arguments, *here)
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    committed = point in {"5.committed", "10.committed", "10.after"}
    assert told["closed"] == (0 if committed else 1)
    assert states(pipeline, [letter]) == [("replayed", "kim", "repaired")]
