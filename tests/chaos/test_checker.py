"""The checker of the invariants finds nothing where nothing is wrong, and names everything that was tampered with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from broker_contents import Contents, local_contents
from chaos_load import SMALL, load
from embedded_pipeline import Pipeline, running_pipeline
from invariants import complaints
from onshore_pipeline import assembly
from onshore_pipeline.stack import DataDir, salt_master

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Filled:
    """A pipeline that has worked off a play."""

    pipeline: Pipeline
    contents: Contents
    master: bytes

    def complaints(self, contents: Contents | None = None) -> str:
        return "\n".join(complaints(self.pipeline.client, contents or self.contents, self.master))

    @contextmanager
    def tampered(self, table: str, picked: str, becomes: str = "*", times: int = 1) -> Iterator[str]:
        """The row of `table` that the query `picked` names is there `times` times with other columns; what is said."""
        command = self.pipeline.client.command
        row = f"(SELECT * FROM whole WHERE {picked} LIMIT 1)"
        command(f"RENAME TABLE {table} TO whole")
        try:
            command(f"CREATE TABLE {table} AS whole")
            rest = f"SELECT * FROM whole WHERE toString(tuple(*)) NOT IN (SELECT toString(tuple(*)) FROM {row})"
            command(f"INSERT INTO {table} {rest}" + f" UNION ALL SELECT {becomes} FROM {row}" * times)
            yield self.complaints()
        finally:
            command(f"DROP TABLE IF EXISTS {table}")
            command(f"RENAME TABLE whole TO {table}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("filled")
    with running_pipeline(folder) as pipeline:
        producer = assembly.local_log(pipeline.settings).producer()
        for messages in load(2, events=SMALL).rounds:
            for topic, message in messages:
                producer.send(topic, [message])
        producer.close()
        pipeline.work(max_messages=10)
        pipeline.sequence()
        yield Filled(pipeline, local_contents(DataDir(folder).messages), salt_master(pipeline.settings))


def test_nothing_is_wrong_with_what_the_pipeline_made(filled: Filled) -> None:
    assert filled.contents.count == len(filled.contents.entries) > 15
    assert filled.pipeline.one("SELECT count() FROM events_current") > SMALL
    assert len(filled.contents.dead_letters) == 2
    assert filled.complaints() == ""


@pytest.mark.parametrize(
    ("table", "picked", "named"),
    [
        ("events", "domain = 'data_movement'", "events_root does not derive"),
        ("violations", "1", "verdicts_root does not derive"),
        ("message_verdicts", "verdict = 'satisfied'", "verdicts_root does not derive"),
        ("message_flows", "1", "message_flows"),
        ("message_access", "1", "message_access"),
        ("message_collectors", "1", "message_collectors"),
        ("metric_points", "1", "metric points, not the"),
        ("dead_letters", "1", "on the topic and not in the store"),
        ("evidence_log", "1", "is not in evidence_log"),
        ("verdict_counts_built", "1", "verdict_counts"),
        ("flows_hourly_built", "1", "flows_hourly"),
        ("access_hourly_built", "1", "access_hourly"),
        ("findings_built", "1", "findings"),
    ],
)
def test_a_row_that_is_gone_is_named(filled: Filled, table: str, picked: str, named: str) -> None:
    with filled.tampered(table, picked, times=0) as said:
        assert named in said
    assert filled.complaints() == ""


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("events", "is there 2 times"),
        ("violations", "verdicts_root does not derive"),
        ("message_verdicts", "verdicts_root does not derive"),
        ("message_flows", "message_flows"),
        ("message_access", "message_access"),
        ("message_collectors", "message_collectors"),
        ("metric_points", "metric points, not the"),
        ("dead_letters", "in the store and not on the topic as often"),
        ("verdict_counts_built", "verdict_counts"),
        ("findings_built", "findings"),
    ],
)
def test_a_row_that_is_doubled_is_named(filled: Filled, table: str, named: str) -> None:
    with filled.tampered(table, "1", times=2) as said:
        assert named in said


@pytest.mark.parametrize(
    ("table", "becomes", "named"),
    [
        ("events", "* REPLACE ('elsewhere' AS dataset)", "its leaf does not derive"),
        ("events", "* REPLACE ('somebody' AS actor_id)", "its leaf does not derive"),
        ("events", "* REPLACE (occurred_at + INTERVAL 1 NANOSECOND AS occurred_at)", "its leaf does not derive"),
        ("events", "* REPLACE (unhex(repeat('00', 32)) AS leaf_hash)", "its leaf does not derive"),
        ("events", "* REPLACE (generateUUIDv4() AS event_id)", "its id is not that of its place"),
        ("events", "* REPLACE (generateUUIDv4() AS attempt_id)", "which the log does not name"),
        ("message_verdicts", "* REPLACE (events + 1 AS events)", "verdicts_root does not derive"),
        ("violations", "* REPLACE (control_version + 1 AS control_version)", "verdicts_root does not derive"),
        ("violations", "* REPLACE (generateUUIDv4() AS attempt_id)", "which the log does not name"),
        ("dead_letters", "* REPLACE ('other bytes' AS payload)", "in the store and not on the topic"),
        ("evidence_log", "* REPLACE (events + 1 AS events)", "as the log has it"),
        ("evidence_log", "* REPLACE (concat(entry, ' ') AS entry)", "as the log has it"),
        ("flows_hourly_built", "* REPLACE (bytes + 1 AS bytes)", "flows_hourly"),
        ("access_hourly_built", "* REPLACE (calls + 1 AS calls)", "access_hourly"),
    ],
)
def test_a_value_that_is_changed_is_named(filled: Filled, table: str, becomes: str, named: str) -> None:
    with filled.tampered(table, "1", becomes) as said:
        assert named in said


def test_what_no_attempt_of_the_log_wrote_is_named(filled: Filled) -> None:
    filled.pipeline.client.command("TRUNCATE TABLE IF EXISTS attempts")
    with filled.tampered("events", "1", "* REPLACE (generateUUIDv4() AS attempt_id)") as said:
        assert "events_current shows rows of attempt" in said


def test_an_entry_that_is_gone_doubled_or_moved_is_named(filled: Filled) -> None:
    entries = filled.contents.entries
    assert "without" in filled.complaints(replace(filled.contents, entries=[*entries[:3], *entries[4:]]))
    assert "the log speaks of offsets up to" in filled.complaints(replace(filled.contents, entries=entries[:-1]))
    assert "again" in filled.complaints(replace(filled.contents, entries=[*entries, entries[-1]]))
    assert "offset" in filled.complaints(replace(filled.contents, entries=list(reversed(entries))))


def test_messages_that_the_log_does_not_speak_of_or_speaks_of_wrongly_are_named(filled: Filled) -> None:
    contents = filled.contents
    source = next(source for source, kept in contents.messages.items() if kept)
    ends = contents.ends | {source: contents.ends[source] + 1}
    assert "the log speaks of offsets up to" in filled.complaints(replace(contents, ends=ends))
    other = contents.messages | {source: contents.messages[source] | {0: b"other bytes"}}
    assert "is the hash of other bytes" in filled.complaints(replace(contents, messages=other))


def test_dead_letters_that_never_were_on_the_topic_are_named(filled: Filled) -> None:
    said = filled.complaints(replace(filled.contents, dead_letters=filled.contents.dead_letters[:-1]))
    assert "in the store and not on the topic as often" in said


def test_another_salt_master_opens_nothing(filled: Filled) -> None:
    said = "\n".join(complaints(filled.pipeline.client, filled.contents, bytes(32)))
    assert "its leaf does not derive" in said
