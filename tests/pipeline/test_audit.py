"""An audit names the exact place of whatever was done to the store behind the pipeline's back."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

import otlp_messages as otlp
from auditing import keep, put_back
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
from onshore_pipeline.evidence.keyring import new_keyring
from onshore_pipeline.evidence.self_check import check_compiled
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.head_signer import HeadSigner
from onshore_pipeline.jobs import audit_portions
from onshore_pipeline.jobs.audit import Audited, audit
from onshore_pipeline.signing_key import KeySource, journal_path, key_path
from onshore_pipeline.stack import salt_master
from running_stack import run_onshore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TABLES: Final = ("events", "violations", "message_verdicts", "evidence_log", "checkpoints", "findings_built")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2260, 1, 1, tzinfo=UTC)
_AWKWARD: Final = 'line\n"quoted" \\ \t\x00\x1f 名前'


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Messages of two partitions, with violations, maps, awkward texts, resources and one that is unreadable."""
    check_compiled()
    with running_pipeline(tmp_path_factory.mktemp("audit")) as running:
        resource = {"service.name": "copier", "cloud.region": "eu-central-1", "é\n": _AWKWARD}
        three = otlp.logs(
            [otlp.movement(actor_id=f"a{number}", reason=_AWKWARD) for number in range(3)], resource=resource
        )
        running.send(
            "otlp_logs", [three, otlp.logs([otlp.movement()]), b"\xff\xff", otlp.logs([{}, otlp.movement()]) + three]
        )
        running.send("otlp_spans", [otlp.span({"gen_ai.request.model": "gpt-5"}, resource)] * 2)
        running.work(max_messages=2)
        running.sequence()
        HeadSigner(
            running.client, _log_id(running), KeySource(running.settings), HeadJournal(journal_path(running.settings))
        ).sign(caught_up=True)
        keep(running, _TABLES)
        yield running


@pytest.fixture
def pipeline(shared: Pipeline) -> Iterator[Pipeline]:
    yield shared
    put_back(shared, _TABLES)


def _log_id(pipeline: Pipeline) -> Any:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        return reader.log_id


def _audit(
    pipeline: Pipeline,
    since: datetime = _FIRST,
    until: datetime = _LAST,
    told: Callable[[str, int, int | None], None] = lambda *_: None,
) -> Audited:
    keys = KeySource(pipeline.settings)().verifier_keys()
    journal = HeadJournal(journal_path(pipeline.settings))
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        master = salt_master(pipeline.settings)
        return audit(pipeline.client, reader, master, keys, journal, since, until, told)


def _named(done: Audited) -> set[tuple[str, str]]:
    return {(each.what, each.where) for each in done.problems}


def _rewrite(pipeline: Pipeline, table: str, columns: str, where: str = "1") -> None:
    """Put other rows in the place of those that `where` names."""
    pipeline.client.command(f"TRUNCATE TABLE {table}")
    pipeline.client.command(f"INSERT INTO {table} SELECT * FROM kept_{table} WHERE NOT ({where})")
    if columns:
        pipeline.client.command(
            f"INSERT INTO {table} SELECT * REPLACE ({columns}) FROM (SELECT * FROM kept_{table} WHERE {where})"
        )


_EVENT: Final = "kafka_topic = 'otlp_logs' AND kafka_offset = 0 AND record_index = 1"


def _event(pipeline: Pipeline) -> str:
    event = pipeline.one(f"SELECT event_id FROM kept_events WHERE {_EVENT}")
    return f"otlp_logs[0]@0 record 1 (event {event})"


def test_what_is_as_it_was_sealed_is_found_so(pipeline: Pipeline) -> None:
    done = _audit(pipeline)
    assert done.problems == []
    assert (done.events, done.entries) == (11, 6)


@pytest.mark.parametrize(
    "change",
    [
        "'NZ' AS destination_country",
        "NULL AS destination_country",
        "'someone' AS actor_id",
        "occurred_at + INTERVAL 1 NANOSECOND AS occurred_at",
        "toIPv6('2001:db8::9') AS source_address",
        "['AU', 'JP'] AS home_jurisdictions",
        "mapUpdate(attributes, map('a', 'b')) AS attributes",
        "mapUpdate(resource_attributes, map('service.name', 'another')) AS resource_attributes",
        "unhex('ff41') AS body",
        "unhex('ff41') AS dataset",
        "mapUpdate(attributes, map('a', unhex('ff'))) AS attributes",
        "unhex(repeat('ab', 32)) AS leaf_hash",
        "'another' AS tenant",
        "toUUID('00000000-0000-8000-8000-000000000001') AS event_id",
        "ingested_at + INTERVAL 1 SECOND AS ingested_at",
    ],
)
def test_an_altered_event_is_named(pipeline: Pipeline, change: str) -> None:
    expected = _event(pipeline)
    _rewrite(pipeline, "events", change, _EVENT)
    done = _audit(pipeline)
    altered = [each for each in done.problems if each.what == "altered"]
    assert len(altered) == 1
    assert altered[0].where.split(" (")[0] == expected.split(" (")[0]
    assert ("no UTF-8" in altered[0].why) == ("unhex('ff" in change)


def test_an_event_altered_together_with_its_leaf_is_found_in_its_message(pipeline: Pipeline) -> None:
    _rewrite(pipeline, "events", "'NZ' AS destination_country, unhex(repeat('ab', 32)) AS leaf_hash", _EVENT)
    assert ("altered", _event(pipeline)) in _named(_audit(pipeline))


def test_portions_that_are_looked_at_side_by_side_name_the_same(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rewrite(pipeline, "events", "'NZ' AS destination_country", "record_index = 0")
    whole = _audit(pipeline)
    monkeypatch.setattr(audit_portions, "_EVENTS_AT_ONCE", 1)
    told: list[tuple[str, int]] = []
    in_portions = _audit(pipeline, told=lambda step, done, _: told.append((step, done)))
    assert len(whole.problems) > 2
    assert _named(in_portions) == _named(whole)
    assert in_portions.counts == whole.counts
    done = [count for step, count in told if step == "events"]
    assert (len(set(done)) > 1, done == sorted(done), done[-1]) == (True, True, 11)


def test_a_deleted_event_is_named_by_its_record(pipeline: Pipeline) -> None:
    _rewrite(pipeline, "events", "", _EVENT)
    found = [each for each in _audit(pipeline).problems if each.what == "missing"]
    assert [(each.where, each.why) for each in found] == [("otlp_logs[0]@0", "1 of 3 events have no row: record 1")]


def test_all_events_of_a_message_deleted_are_named_by_their_message(pipeline: Pipeline) -> None:
    _rewrite(pipeline, "events", "", "kafka_topic = 'otlp_logs' AND kafka_offset = 1")
    assert ("missing", "otlp_logs[0]@1") in _named(_audit(pipeline))


def test_an_inserted_event_is_named(pipeline: Pipeline) -> None:
    pipeline.client.command(f"INSERT INTO events SELECT * FROM kept_events WHERE {_EVENT}")
    found = [each for each in _audit(pipeline).problems if each.what == "inserted"]
    assert [(each.where, each.why) for each in found] == [
        ("otlp_logs[0]@0", "4 rows instead of 3; records 1 stand twice")
    ]


def test_two_events_that_changed_places_are_both_named(pipeline: Pipeline) -> None:
    where = "kafka_topic = 'otlp_logs' AND kafka_offset = 0 AND record_index < 2"
    _rewrite(pipeline, "events", "1 - record_index AS record_index", where)
    altered = [each.place for each in _audit(pipeline).problems if each.what == "altered"]
    assert {place["record_index"] for place in altered if "record_index" in place} == {0, 1}


def test_rows_of_an_attempt_that_nobody_made_are_named(pipeline: Pipeline) -> None:
    attempt = "11111111-1111-4111-8111-111111111111"
    pipeline.client.command(
        f"INSERT INTO events SELECT * REPLACE (toUUID('{attempt}') AS attempt_id)"
        f" FROM (SELECT * FROM kept_events WHERE {_EVENT})"
    )
    assert ("inserted", f"events, attempt {attempt}") in _named(_audit(pipeline))


def test_an_event_of_a_message_that_the_log_does_not_name_is_named(pipeline: Pipeline) -> None:
    pipeline.client.command(
        f"INSERT INTO events SELECT * REPLACE (999 AS kafka_offset) FROM (SELECT * FROM kept_events WHERE {_EVENT})"
    )
    found = [each for each in _audit(pipeline).problems if each.what == "inserted"]
    assert [each.place["offset"] for each in found] == [999]


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("message_verdicts", "events + 1 AS events"),
        ("message_verdicts", "'satisfied' AS verdict"),
        ("message_verdicts", ""),
        ("violations", "'AU-APP8-02' AS control_id"),
        ("violations", ""),
    ],
)
def test_altered_or_deleted_verdicts_are_named_by_their_message(pipeline: Pipeline, table: str, change: str) -> None:
    where = "(kafka_topic = 'otlp_logs')" if table == "never" else "verdict = 'violated'" if table[0] == "m" else "1"
    event = pipeline.one("SELECT event_id FROM kept_events WHERE kafka_topic = 'otlp_logs' AND kafka_offset = 1")
    where += f" AND event_id = '{event}'" if table == "violations" else " AND kafka_offset = 1"
    assert pipeline.one(f"SELECT count() FROM kept_{table} WHERE {where}")
    _rewrite(pipeline, table, change, where)
    assert ("verdicts", "otlp_logs[0]@1") in _named(_audit(pipeline))


def test_a_finding_that_counts_otherwise_is_named(pipeline: Pipeline) -> None:
    finding = pipeline.one("SELECT finding_id FROM findings WHERE control_id = 'AU-APP8-01' LIMIT 1")
    _rewrite(pipeline, "findings_built", "events + 7 AS events", f"finding_id = '{finding}'")
    assert ("rollup", f"finding {finding} (AU-APP8-01)") in _named(_audit(pipeline))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("replace(entry, 'otlp_logs', 'otlp_lags') AS entry", "altered"),
        ("unhex(repeat('ab', 32)) AS entry_hash", "altered"),
        ("events + 1 AS events", "altered"),
        ("", "missing"),
    ],
)
def test_an_altered_or_deleted_row_of_the_log_is_named_and_its_head_no_longer_holds(
    pipeline: Pipeline, change: str, what: str
) -> None:
    _rewrite(pipeline, "evidence_log", change, "topic = 'otlp_logs' AND offset = 1")
    done = _audit(pipeline)
    found = [each for each in done.problems if each.what == what and "log entry" in each.where]
    assert len(found) == 1
    assert (found[0].place["topic"], found[0].place["offset"]) == ("otlp_logs", 1)
    assert any(each.what in {"head", "log"} for each in done.problems) == ("entry_hash" in change or not change)


def test_a_row_of_the_log_that_the_log_does_not_have_is_named(pipeline: Pipeline) -> None:
    pipeline.client.command(
        "INSERT INTO evidence_log SELECT * REPLACE (log_position + 90 AS log_position, log_index + 90 AS log_index,"
        " offset + 90 AS offset) FROM (SELECT * FROM kept_evidence_log WHERE topic = 'otlp_logs' AND offset = 1)"
    )
    found = [each for each in _audit(pipeline).problems if each.what == "inserted" and "log entry" in each.where]
    assert [each.place["offset"] for each in found] == [91]


def test_a_tail_cut_off_the_copy_is_named_entry_by_entry_and_by_the_head(pipeline: Pipeline) -> None:
    last = pipeline.one("SELECT max(log_position) FROM kept_evidence_log")
    _rewrite(pipeline, "evidence_log", "", f"log_position = {last}")
    done = _audit(pipeline)
    heads = [each for each in done.problems if each.what == "head"]
    assert heads
    assert all("its tail is missing" in each.why for each in heads)


def test_a_forged_head_is_named(pipeline: Pipeline) -> None:
    now = datetime.now(UTC)
    origin, size = pipeline.rows("SELECT origin, size FROM kept_checkpoints WHERE kind = 'deployment'")[0]
    note = pipeline.one("SELECT note FROM kept_checkpoints WHERE kind = 'deployment'")
    forged = new_keyring("onshore/another", now).signed(note.split("\n\n")[0] + "\n", now, timed=True)
    _rewrite(pipeline, "checkpoints", f"'{forged}' AS note", "kind = 'deployment'")
    found = [each for each in _audit(pipeline).problems if each.what == "head"]
    assert [(each.where, "forged" in each.why) for each in found] == [(f"head of {origin} over {size} entries", True)]


def test_a_time_span_looks_at_its_own_messages_only(pipeline: Pipeline) -> None:
    _rewrite(pipeline, "events", "'NZ' AS destination_country", _EVENT)
    at = pipeline.one("SELECT max(appended_at) FROM evidence_log") + timedelta(hours=1)
    assert _audit(pipeline, since=at.replace(tzinfo=UTC)).problems == []


def test_another_salt_key_is_said_and_not_taken_for_altered_rows(pipeline: Pipeline) -> None:
    keys, journal = KeySource(pipeline.settings)().verifier_keys(), HeadJournal(journal_path(pipeline.settings))
    done = audit(pipeline.client, None, b"x" * 32, keys, journal, _FIRST, _LAST, lambda *_: None)
    assert set(done.counts) == {"uncheckable"}
    assert done.entries is None


def test_the_command_exits_by_what_it_found(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.settings_file(tmp_path)
    good = run_onshore(tmp_path, "audit")
    assert (good.returncode, good.stdout.strip().endswith("all is as it was sealed")) == (0, True), good.stderr
    public = key_path(pipeline.settings).with_name("signing.key.pub")
    shutil.move(public, tmp_path / "away")
    pipeline.client.command("TRUNCATE TABLE checkpoints")
    assert run_onshore(tmp_path, "audit").returncode == 2
    shutil.move(tmp_path / "away", public)
    _rewrite(pipeline, "events", "'NZ' AS destination_country", _EVENT)
    bad = run_onshore(tmp_path, "audit", "--json")
    assert bad.returncode == 1
    named = [each["place"]["offset"] for each in json.loads(bad.stdout)["problems"] if each["what"] == "altered"]
    assert named == [0]
    assert run_onshore(tmp_path, "audit", "--from", "tomorrow").returncode == 2


def test_entries_are_only_read(pipeline: Pipeline) -> None:
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        before = reader.read(after={}, max_entries=100, timeout_s=0.0)
        _audit(pipeline)
        assert reader.read(after={}, max_entries=100, timeout_s=0.0) == before
    assert EVIDENCE_LOG_TOPIC
