"""An audit names what stands where no comparison of rows with entries looks."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

import otlp_messages as otlp
from auditing import audited, keep, put_back
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.evidence.self_check import check_compiled
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.head_signer import HeadSigner
from onshore_pipeline.jobs.audit_outside import foreign_entries
from onshore_pipeline.signing_key import KeySource, journal_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.jobs.audit_problem import Problem

_TABLES = ("checkpoints", "events", "evidence_log", "restores", "findings_built", "message_verdicts")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    check_compiled()
    with running_pipeline(tmp_path_factory.mktemp("outside")) as running:
        running.send("otlp_logs", [otlp.logs([otlp.movement()]), otlp.logs([otlp.movement(), {}])])
        running.work(max_messages=1)
        running.sequence()
        journal = HeadJournal(journal_path(running.settings))
        with closing(assembly.entry_reader(running.settings)) as reader:
            HeadSigner(running.client, reader.log_id, KeySource(running.settings), journal).sign(caught_up=True)
        keep(running, _TABLES)
        yield running


@pytest.fixture
def pipeline(shared: Pipeline) -> Iterator[Pipeline]:
    yield shared
    put_back(shared, _TABLES)


def _audit(pipeline: Pipeline) -> list[Problem]:
    return audited(pipeline).problems


def test_rows_filed_under_the_attempt_of_an_entry_that_stands_for_none_are_named(pipeline: Pipeline) -> None:
    assert _audit(pipeline) == []
    attempt = uuid4()
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * REPLACE (toUUID('{attempt}') AS attempt_id, 'discards' AS kind,"
        " log_position + 9 AS log_position, log_index + 9 AS log_index) FROM kept_evidence_log LIMIT 1"
    )
    pipeline.client.command(
        f"INSERT INTO events SELECT * REPLACE (toUUID('{attempt}') AS attempt_id, generateUUIDv4() AS event_id)"
        " FROM kept_events LIMIT 1"
    )
    assert pipeline.one(f"SELECT count() FROM events_current WHERE attempt_id = '{attempt}'") == 1  # readers see it
    assert ("inserted", f"events, attempt {attempt}") in {(each.what, each.where) for each in _audit(pipeline)}


def test_a_message_called_lost_by_an_entry_of_a_log_that_nobody_signed_is_named(pipeline: Pipeline) -> None:
    log = uuid4()
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * REPLACE (toUUID('{log}') AS log_id, 'lost' AS kind,"
        " offset + 1 AS end_offset) FROM kept_evidence_log LIMIT 1"
    )
    [found] = [each for each in _audit(pipeline) if each.where == f"evidence log {log}"]
    assert (found.what, found.why) == ("inserted", "1 entries (lost) of a log that no signed head is about")


def test_a_head_that_names_no_log_vouches_for_no_log_by_what_its_row_says(pipeline: Pipeline) -> None:
    log = uuid4()
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * REPLACE (toUUID('{log}') AS log_id, 'lost' AS kind,"
        " offset + 1 AS end_offset) FROM kept_evidence_log LIMIT 1"
    )
    pipeline.client.command(
        f"INSERT INTO checkpoints SELECT * REPLACE (toUUID('{log}') AS log_id, 99 AS log_size)"
        " FROM kept_checkpoints WHERE NOT endsWith(toString(origin), toString(log_id))"
    )
    assert ("inserted", f"evidence log {log}") in {(each.what, each.where) for each in _audit(pipeline)}


def test_a_log_that_is_known_to_have_been_before_this_one_is_not_called_inserted(pipeline: Pipeline) -> None:
    log = uuid4()
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * REPLACE (toUUID('{log}') AS log_id) FROM kept_evidence_log LIMIT 1"
    )
    (current,) = {row[0] for row in pipeline.client.query("SELECT DISTINCT log_id FROM kept_evidence_log").result_rows}
    for covered, earlier, what in (
        ({current: 2}, [], "inserted"),
        ({current: 2}, [log], "uncheckable"),
        ({}, [], "uncheckable"),
    ):
        [found] = foreign_entries(pipeline.client, current, covered, earlier)
        assert (found.what, found.where) == (what, f"evidence log {log}")


def test_of_an_earlier_log_what_calls_messages_lost_behind_its_last_head_cannot_be_checked(pipeline: Pipeline) -> None:
    earlier = uuid4()
    pipeline.client.command(
        f"INSERT INTO evidence_log SELECT * REPLACE (toUUID('{earlier}') AS log_id, 'lost' AS kind)"
        " FROM kept_evidence_log"
    )
    (current,) = {row[0] for row in pipeline.client.query("SELECT DISTINCT log_id FROM kept_evidence_log").result_rows}
    assert list(foreign_entries(pipeline.client, current, {current: 2, earlier: 2}, ())) == []
    [found] = foreign_entries(pipeline.client, current, {current: 2, earlier: 1}, ())
    assert (found.what, found.place) == ("uncheckable", {"log_id": str(earlier)})
    assert "1 entries that call messages lost" in found.why


def test_a_sealed_message_that_a_restore_keeps_from_view_is_named(pipeline: Pipeline) -> None:
    attempt = pipeline.one("SELECT attempt_id FROM kept_events LIMIT 1")
    seen = pipeline.one("SELECT count() FROM events_current")
    pipeline.client.command(f"INSERT INTO restores SELECT generateUUIDv4(), toUUID('{attempt}'), now64(3)")
    assert pipeline.one("SELECT count() FROM events_current") < seen
    [found] = [each for each in _audit(pipeline) if each.what == "hidden"]
    assert found.where == f"attempt {attempt}"
    assert "`onshore restore` ends it" in found.why
