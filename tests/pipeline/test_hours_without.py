"""An hour in which no control ran is a finding; a silent one that somebody watched is none."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import LogLimits
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.head_signer import HeadSigner
from onshore_pipeline.jobs.hours_without import without_a_run
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.signing_key import KeySource, journal_path
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)
# Hours are told from the beginning: 0 is the first one in which something was sealed.
BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 12 * HOUR
FOUND = "SELECT first_seen, last_seen, events FROM findings WHERE control_id = 'ONS-COV-13'"
COVERED = "SELECT since, until, unit, expected, seen, why FROM coverage WHERE control_id = 'ONS-COV-13'"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """An hour in which an event was sealed and a head signed."""
    with running_pipeline(tmp_path / "data") as running:
        running.settings = running.settings.model_copy(update={"local_log_kept_hours": 100.0})
        RuleTexts().keep(running.client, running.judgement)
        send(running, at(0))
        work(running, at(0))
        sign(running, at(0))
        yield running


def at(hour: int, minute: int = 5) -> datetime:
    return BEGIN + hour * HOUR + timedelta(minutes=minute)


def _log_at(pipeline: Pipeline, moment: datetime) -> LocalLog:
    """The deployment's log whose clock stands at a moment."""
    limits = LogLimits(kept_bytes=1 << 30, kept_messages=1 << 20, kept_s=1 << 20)
    folder = DataDir(pipeline.settings.data_dir).messages
    return LocalLog(folder, now_ns=lambda: int(moment.timestamp()) * 10**9, limits=limits)


def send(pipeline: Pipeline, moment: datetime) -> None:
    with closing(_log_at(pipeline, moment).producer()) as producer:
        producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]), ((TENANT_HEADER, b"default"),))])


def work(pipeline: Pipeline, moment: datetime) -> None:
    pipeline.work(_log_at(pipeline, moment).consumer())
    pipeline.sequence()


def sign(pipeline: Pipeline, moment: datetime) -> None:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        log_id = reader.log_id
    journal = HeadJournal(journal_path(pipeline.settings))
    signer = HeadSigner(pipeline.client, log_id, KeySource(pipeline.settings), journal, now=lambda: moment)
    assert signer.sign(caught_up=True) is not None


def measure(pipeline: Pipeline, now: datetime) -> None:
    pipeline.judge_windows()
    pipeline.measure(now=now)
    pipeline.measure(now=now)  # findings are made of what the measurement before made visible


def test_an_hour_that_left_no_trace_is_a_finding_once_it_is_over(pipeline: Pipeline) -> None:
    measure(pipeline, at(2, 9))
    assert pipeline.rows(FOUND) == []
    measure(pipeline, at(2, 10))
    assert pipeline.rows(FOUND) == [(_naive(1), _naive(2), 1)]
    measure(pipeline, at(4, 30))
    assert pipeline.rows(FOUND) == [(_naive(1), _naive(4), 3)]
    [(since, until, unit, expected, seen, why)] = pipeline.rows(COVERED)
    assert (since, until, unit, expected, seen) == (_naive(1), _naive(4), "hours", 4, 1)
    assert why == f"no control ran in 3 hours: {at(1, 0):%Y-%m-%d %H:%M} to {at(4, 0):%Y-%m-%d %H:%M} UTC"


def test_a_silent_night_in_which_heads_were_signed_is_no_finding(pipeline: Pipeline) -> None:
    for hour in range(1, 6):
        sign(pipeline, at(hour))
    send(pipeline, at(6))
    work(pipeline, at(6))
    measure(pipeline, at(7, 30))
    assert pipeline.rows(FOUND) == []
    assert pipeline.rows(COVERED) == []


def test_messages_that_lay_there_until_the_hour_was_over_are_a_finding_though_heads_were_signed(
    pipeline: Pipeline,
) -> None:
    send(pipeline, at(2, 30))
    for hour in range(1, 5):
        sign(pipeline, at(hour))
    work(pipeline, at(5))
    measure(pipeline, at(6, 30))
    assert pipeline.rows(FOUND) == [(_naive(2), _naive(3), 1)]
    [(*_, why)] = pipeline.rows(COVERED)
    assert why.startswith("no control ran in 1 hours; in 1 of them messages waited: ")


def test_a_message_that_came_at_the_end_of_the_hour_and_was_sealed_in_the_next_is_no_finding(
    pipeline: Pipeline,
) -> None:
    sign(pipeline, at(1))
    send(pipeline, at(1, 55))
    work(pipeline, at(2, 1))
    measure(pipeline, at(3, 30))
    assert pipeline.rows(FOUND) == []


def test_what_is_said_of_an_hour_is_taken_back_when_heads_come_back_that_a_restored_store_lacked(
    pipeline: Pipeline,
) -> None:
    measure(pipeline, at(3, 30))
    assert pipeline.rows(FOUND) == [(_naive(1), _naive(3), 2)]
    sign(pipeline, at(1))
    sign(pipeline, at(2))
    measure(pipeline, at(3, 31))
    assert [events for *_, events in pipeline.rows(FOUND)] == [0]


def test_hours_before_the_first_head_say_nothing() -> None:
    hours = [BEGIN + each * HOUR for each in range(4)]
    assert without_a_run(hours, ran={hours[0]}, signed=set(), waited=set()) == []
    assert without_a_run(hours, ran={hours[0]}, signed={hours[2]}, waited=set()) == [hours[3]]
    assert without_a_run(hours, ran={hours[0]}, signed=set(), waited={hours[1]}) == [hours[1]]


def _naive(hour: int) -> datetime:
    """The beginning of an hour as the store tells times."""
    return at(hour, 0).replace(tzinfo=None)
