"""The program that Onshore is measured against where results must be equal gives the same result, row by row."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import same_result
from control_cases import events_around
from demo_judgement import shipped_judgement
from embedded_pipeline import running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.assess import assess
from onshore_pipeline.bench.stages import messages_of
from onshore_pipeline.bench.traffic import Traffic, log_messages
from onshore_pipeline.broker import Polled
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.load import control_set, load_controls
from onshore_pipeline.evidence.merkle import leaf_hash
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.settings import load_settings
from same_result_controls import Controls
from same_result_places import NotWritten
from store_lines import line_of, stored_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from embedded_pipeline import Pipeline
    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.controls.compiled import Compiled

TRIED = UUID(int=7)
# What may differ: which try it was, when a row was copied, and where the copied log stood.
OF_THE_TRY = {"attempt_id", "appended_at", "log_id", "entry_hash", "entry"}
# Exactly-once, which the program leaves out; and what the sequencer's jobs make of the facts.
# What is written once a process, not once an event: which rules it judges by, and whose store it is.
NOT_ITS_TABLES = {"attempts", "controls", "rule_files", "rule_sets", "schema_migrations", "store_identity"}


@contextmanager
def pipelines(folder: Path) -> Iterator[tuple[Pipeline, Pipeline]]:
    """Two real stores; the first one's log has the messages.

    Nearly half of the Internet is in the United States here, and so is half of Harbour Compute, as geolocation has it.
    """
    for name in ("ours", "theirs", "geoip", "own"):
        (folder / name).mkdir()
    (folder / "geoip" / "geoip").write_text("0,1342177279,US\n1610612736,2147483647,US\n2147483648,3221225471,JP\n")
    (folder / "own" / "addresses.csv").write_text("network,country,entity\n64.0.0.0/3,AU,Harbour Compute\n")
    (folder / "own" / "entities.csv").write_text(
        "name,country,control_country,effective_from\nHarbour Compute,AU,SG,2020-01-01\n"
    )
    with running_pipeline(folder / "ours") as ours, running_pipeline(folder / "theirs") as theirs:
        given = {"data_dir": folder / "ours", "geoip_dir": folder / "geoip", "context_dir": folder / "own"}
        ours.judgement = assembly.judgement(load_settings(given))
        yield ours, theirs


def rows_of(client: Client, table: str) -> list[dict[str, Any]]:
    """Every row without what belongs to the try, times as nanoseconds; in an order of its own."""
    described = client.query(f"DESCRIBE TABLE {table}").named_results()
    spelled = {
        each["name"]: f"toUnixTimestamp64Nano({each['name']})" if "DateTime64(9" in each["type"] else each["name"]
        for each in described
        if each["name"] not in OF_THE_TRY
    }
    asked = ", ".join(f"{how} AS `{name}`" for name, how in spelled.items())
    return sorted(client.query(f"SELECT {asked} FROM {table}").named_results(), key=repr)


def entries_of(client: Client) -> list[dict[str, Any]]:
    """The log's entries in order, without the try."""
    texts = client.query("SELECT entry FROM evidence_log ORDER BY topic_id, partition, log_index").result_rows
    return [{name: value for name, value in json.loads(text).items() if name != "attempt"} for (text,) in texts]


def filled_tables(client: Client) -> set[str]:
    asked = "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
    return {name for (name,) in client.query(asked).result_rows}


def test_every_column_of_every_row_that_a_committed_attempt_has_is_the_same_in_both_stores(tmp_path: Path) -> None:
    with pipelines(tmp_path) as (ours, theirs):
        for number, attributes in enumerate((12, 12, 20)):
            ours.send(
                "otlp_logs",
                list(log_messages(6, Traffic(attributes=attributes, scattered=number == 1, records=80, seed=number))),
                tenant=f"tenant-{number}",
            )
        reader = assembly.consumer(ours.settings)
        messages = reader.poll(max_messages=1000, max_bytes=64 << 20, timeout_s=5.0).messages
        reader.close()
        ours.work(max_messages=5)
        sequencer = Sequencer(assembly.entry_reader(ours.settings), ours.client)
        while sequencer.step(max_entries=1000, timeout_s=0.0).entries:
            pass
        sequencer.close()
        program = same_result.Program(ours.judgement)
        for at in range(0, len(messages), 7):
            same_result.insert(theirs.client, program.rows(messages[at : at + 7], UUID(int=at)))

        assert filled_tables(ours.client) - NOT_ITS_TABLES == {*same_result.TABLES}
        for table in same_result.TABLES:
            assert rows_of(theirs.client, table) == rows_of(ours.client, table), table
        assert entries_of(theirs.client) == entries_of(ours.client)
        stored = stored_events(theirs.client)
        assert len(stored) == len(messages) * 80 == 1440
        assert any(event["contradictions"] for event in stored)
        assert {event["actor_country_basis"] for event in stored} == {"unknown", "inferred", "asserted"}
        for event in stored[:100]:
            assert event["leaf_hash"] == leaf_hash(line_of(event, ours.judgement.salt_master))


def assessed_alike(*values: bytes, judgement: Judgement | None = None) -> list[dict[str, Any]]:
    """The messages' entries, which seal every column and verdict, after the product has made the same ones."""
    judgement = judgement or shipped_judgement()
    polled = messages_of(values, tenants=2)
    ours = assess(Polled(polled.messages), judgement, TRIED)
    theirs = same_result.Program(judgement).rows(polled.messages, TRIED)
    assert [row["entry"].encode() for row in theirs["evidence_log"]] == list(ours.entries)
    return theirs["events"]


def log_message(**attributes: str | float) -> bytes:
    """One event with the traffic's attributes, some of them others; `__` stands for a dot."""
    request = ExportLogsServiceRequest.FromString(next(log_messages(1, Traffic(records=1))))
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    for name, value in attributes.items():
        sent = record.attributes.add(key=name.replace("__", ".")).value
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(sent, kind, value)
    return request.SerializeToString()


@pytest.mark.parametrize(
    "attributes",
    [
        {"onshore__outcome": "unknown"},
        {"onshore__outcome": "DENIED "},
        {"onshore__outcome": "no word of ours"},
        {"onshore__data__set": 'quotes " and \\ and \n and ü and \u2028'},
        {"onshore__data__set": ""},
        {"onshore__data__categories": "My_Health_Record, personal,,personal"},
        {"onshore__data__categories": "us_bulk_sensitive", "onshore__destination__country": "CHN"},
        {"onshore__data__categories": "us_bulk_sensitive", "onshore__destination__country": "Mars"},
        {"onshore__data__categories": ""},
        {"onshore__data__home": "Jpn , au"},
        {"onshore__data__home": "EU,JP", "onshore__action": "backup.write"},
        {"onshore__data__home": "none,JP"},
        {"onshore__data__bytes": -1},
        {"onshore__data__bytes": "18446744073709551616"},
        {"onshore__transfer__basis": "NONE", "onshore__destination__country": "US", "onshore__data__home": "AU,JP,SG"},
        {
            "onshore__transfer__basis": "",
            "onshore__destination__country": "US",
            "onshore__data__categories": "personal",
        },
        {"onshore__action": "data.delete"},
        {"onshore__action": "model.weights.export"},
        {"onshore__action": "telemetry.export", "onshore__domain": "infrastructure"},
        {"onshore__action": "model.invoke", "onshore__domain": "model_access"},
        {"onshore__action": "key.use", "onshore__actor__id": "ein Mensch"},
        {"client__address": "2001:db8::1"},
        {"client__address": "64:ff9b::808:808"},
        {"client__address": "52.62.0.1"},
        {"client__address": "10.0.0.1"},
        {"app__flag": True, "app__share": 1e-7, "app__ü": "1"},
    ],
)
def test_odd_values_come_out_alike(attributes: dict[str, str | float]) -> None:
    (event,) = assessed_alike(log_message(**attributes))
    assert event["leaf_hash"]


@pytest.mark.parametrize(
    "attributes",
    [{"gen_ai__system": "openai"}, {"server__address": "api.example.com"}, {"onshore__key__country": "DE"},
     {"onshore__domain": "weather"}, {"client__address": "a name"}, {"onshore__data__home": '["AU"]'}],
)  # fmt: skip
def test_what_it_would_answer_otherwise_it_refuses(attributes: dict[str, str | float]) -> None:
    program, polled = same_result.Program(shipped_judgement()), messages_of([log_message(**attributes)])
    with pytest.raises(NotWritten):
        program.rows(polled.messages, TRIED)


SHIPPED = load_controls()
NOTHING: dict[str, Any] = {"action": "log.record", "home_jurisdictions": (), "categories": (), "contradictions": ()}


@pytest.mark.parametrize("compiled", SHIPPED.executable, ids=lambda compiled: compiled.control.id)
def test_every_control_says_the_same_of_events_like_its_examples(compiled: Compiled) -> None:
    events = events_around(compiled)
    counts = judge(events, control_set([compiled], {})).counts
    ours = {row: (word, missing) for row, word, missing in counts.select("message", "verdict", "missing").rows()}

    program = Controls(SHIPPED)
    program.rules = [rule for rule in program.rules if rule.control.id == compiled.control.id]
    occurred = events["occurred_at"].dt.epoch("ns")
    theirs = {}
    for row, (event, at) in enumerate(zip(events.to_dicts(), occurred, strict=True)):
        lists = {name: tuple(value) for name, value in event.items() if isinstance(value, list)}
        for verdict in program.judge(NOTHING | event | lists | {"occurred_at": at}):
            theirs[row] = (verdict.word, verdict.missing)
    assert theirs == ours
