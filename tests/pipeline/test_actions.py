"""What an operator does becomes a sealed event, once, and only where an operator's command recorded it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, Recorded, encoded, record_action
from onshore_pipeline.broker import ACTIONS_TOPIC, Advance, Message, Outgoing
from onshore_pipeline.errors import OnshoreError, SettingsError
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIVER = Action("waiver.approve", "acme", "rina", "the auditor agreed", {"onshore.waiver.id": "w-1"})
ROWS = "SELECT toString(event_id), action_id, tenant, action, who, reason, attributes FROM message_actions_current"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(pipeline: Pipeline) -> None:
    for table in ("message_actions", "events"):
        pipeline.client.command(f"TRUNCATE TABLE {table}")


def record(pipeline: Pipeline, action: Action = WAIVER) -> Recorded:
    with closing(assembly.recorder(pipeline.settings)) as recorder:
        return record_action(recorder, action)


def processed(pipeline: Pipeline) -> None:
    pipeline.work()
    pipeline.sequence()


def test_an_action_is_an_event_under_the_id_that_its_command_was_told(pipeline: Pipeline) -> None:
    recorded = record(pipeline)
    processed(pipeline)
    ((event_id, action_id, tenant, action, who, reason, attributes),) = pipeline.rows(ROWS)
    assert (event_id, action_id) == (str(recorded.event_id), str(recorded.action_id))
    assert (tenant, action, who, reason) == ("acme", "waiver.approve", "rina", "the auditor agreed")
    assert attributes["onshore.waiver.id"] == "w-1"
    events = pipeline.rows("SELECT toString(event_id), action, actor_id, kafka_topic, outcome FROM events_current")
    assert events == [(event_id, "waiver.approve", "rina", ACTIONS_TOPIC, "success")]


def test_it_has_its_entry_in_the_evidence_log_at_the_place_that_was_told(pipeline: Pipeline) -> None:
    place = record(pipeline).place
    processed(pipeline)
    told = {"id": str(place.topic_id), "partition": place.partition, "offset": place.offset}
    where = "topic_id = {id:UUID} AND partition = {partition:UInt32} AND offset = {offset:UInt64}"
    entries = pipeline.client.query(f"SELECT entry FROM evidence_log WHERE {where}", parameters=told).result_rows
    ((entry,),) = entries
    assert (json.loads(entry)["events"], json.loads(entry)["tenant"]) == (1, "acme")


def test_a_record_that_claims_to_be_an_action_on_any_other_topic_is_none(pipeline: Pipeline) -> None:
    claimed = encoded(WAIVER, record(pipeline).action_id)
    pipeline.send("otlp_logs", [claimed], tenant="acme")
    processed(pipeline)
    assert pipeline.one("SELECT count() FROM events_current WHERE action = 'waiver.approve'") == 2
    assert len(pipeline.rows(ROWS)) == 1


def test_two_actions_keep_the_order_in_which_they_were_recorded(pipeline: Pipeline) -> None:
    first, second = record(pipeline), record(pipeline)
    processed(pipeline)
    ordered = pipeline.rows(
        "SELECT toString(event_id) FROM message_actions_current ORDER BY kafka_offset, record_index"
    )
    assert ordered == [(str(first.event_id),), (str(second.event_id),)]


def test_restore_is_told_where_only_the_actions_rows_are_gone(pipeline: Pipeline) -> None:
    record(pipeline)
    processed(pipeline)
    assert "message_actions" not in {table for each in incomplete(pipeline.client) for table in each.tables}
    pipeline.client.command("TRUNCATE TABLE message_actions")
    assert "message_actions" in {table for each in incomplete(pipeline.client) for table in each.tables}


def test_an_action_without_a_person_or_with_a_book_for_a_reason_is_refused(pipeline: Pipeline) -> None:
    for action, why in (
        (Action("finding.comment", "acme", " ", "", {}), "--as"),
        (Action("finding.comment", "acme", "rina", "x" * 8_193, {}), "8,192 are allowed"),
    ):
        with pytest.raises(OnshoreError, match=why):
            record(pipeline, action)


def test_an_action_needs_a_log_that_a_stack_reads(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no stack was started"):
        assembly.recorder(load_settings({"data_dir": tmp_path / "nobody"}))


def test_actions_stay_in_the_local_log_when_other_messages_of_their_age_are_let_go(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [encoded(WAIVER, record(pipeline).action_id)])
    processed(pipeline)
    short = load_settings({"data_dir": pipeline.settings.data_dir, "local_log_kept_hours": 0})
    log = assembly.local_log(short)
    with closing(log.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(b"later")])
    with closing(assembly.consumer(short)) as consumer:
        polled = consumer.poll(max_messages=10, max_bytes=1 << 20, timeout_s=1.0)
        advances = [_advance(message) for message in polled.messages]
        consumer.commit([b"{}" for _ in advances], advances)
    kept = {size.topic: size.kept_messages for size in log.sizes()}
    assert kept["otlp_logs"] == 0
    assert kept[ACTIONS_TOPIC] > 0


def _advance(message: Message) -> Advance:
    return Advance(message.topic, message.topic_id, message.partition, message.offset, message.offset + 1)
