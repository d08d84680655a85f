"""An audit names what was done to rows that repeat what was sealed: deletions, deeds, violations, rollups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

import otlp_messages as otlp
from auditing import act, altered, audited, sealing
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.actions import Action
from onshore_pipeline.context.retention import Retention, RetentionRule
from onshore_pipeline.evidence.self_check import check_compiled
from onshore_pipeline.jobs.deletions import Deleter

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELETION: Final = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Movements of two tenants; those of one were deleted, the deletion is sealed, and a hold was placed."""
    check_compiled()
    with running_pipeline(tmp_path_factory.mktemp("copies")) as running:
        for tenant in ("acme", "other"):
            running.send("otlp_logs", [otlp.logs([otlp.movement(actor_id="kim")] * 3)] * 2, tenant=tenant)
        call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.address": "api.openai.com"}
        running.send("otlp_spans", [otlp.span(call, {"service.name": "app"})], tenant="other")
        running.work()
        running.sequence()
        retention = Retention((RetentionRule("acme", None, None, "1d", "a test", "here"),))
        later = datetime.now(UTC) + timedelta(days=2)
        (deleted,) = Deleter(running.client, sealing(running)).run(retention, list, later)
        assert deleted.events == 6
        scope = {"onshore.hold.id": "h1", "onshore.hold.tenant": "acme", "onshore.hold.review": "2027-01-31"}
        act(running, Action("hold.place", "acme", "ana", "a case", scope))
        yield running


def whats(pipeline: Pipeline) -> set[str]:
    """The kinds of problems that an audit finds."""
    return set(audited(pipeline).counts)


def test_what_a_sealed_tombstone_names_is_not_missing_and_what_lies_beside_it_is_still_checked(
    pipeline: Pipeline,
) -> None:
    assert audited(pipeline).problems == []
    with altered(pipeline, "violations", "", "event_id IN (SELECT event_id FROM leaves)"):
        assert "verdicts" in whats(pipeline)


def test_a_deletion_that_nobody_sealed_hides_no_event(pipeline: Pipeline) -> None:
    hidden = "tenant = 'other' AND kafka_topic = 'otlp_logs' AND record_index = 1"
    place = pipeline.one(f"SELECT concat('otlp_logs[0]@', toString(min(kafka_offset))) FROM events WHERE {hidden}")
    hidden += f" AND kafka_offset = {place.split('@')[1]}"
    client = pipeline.client
    client.command(
        f"INSERT INTO leaves SELECT toUUID('{_DELETION}'), attempt_id, event_id, topic_id, kafka_topic,"
        " kafka_partition, kafka_offset, record_index, leaf_hash, tenant, domain, action,"
        f" collector_sequence IS NOT NULL, assumeNotNull(ingested_at) FROM events WHERE {hidden}"
    )
    for step in ("planned", "sealing", "sealed", "deleted"):
        client.command(
            f"INSERT INTO deletions SELECT '{_DELETION}', '{step}', now64(3), 'a rule', any(tenant), any(domain),"
            f" count(), min(ingested_at), max(ingested_at), any(lower(hex(leaf_hash))) FROM leaves"
            f" WHERE deletion_id = '{_DELETION}'"
        )
    try:
        with altered(pipeline, "events", "", hidden):
            found = {(each.what, each.where): each.why for each in audited(pipeline).problems}
    finally:
        for table in ("leaves", "deletions"):
            client.command(f"ALTER TABLE {table} DELETE WHERE deletion_id = '{_DELETION}' SETTINGS mutations_sync = 2")
    assert found["missing", place] == "1 of 3 events have no row: record 1"
    assert found["deletion", f"deletion {_DELETION}"] == "no sealed tombstone names it"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("'all: keep 99y' AS rule", "rule"),
        ("events + 1 AS events", "events"),
        ("repeat('ab', 32) AS root", "root"),
        ("'other' AS tenant", "tenant"),
        ("first_at - INTERVAL 1 DAY AS first_at", "first"),
    ],
)
def test_a_row_that_says_of_a_deletion_what_was_not_sealed_is_named(
    pipeline: Pipeline, change: str, named: str
) -> None:
    with altered(pipeline, "deletions", change, "step = 'deleted'"):
        (found,) = audited(pipeline).problems
    assert (found.what, found.why) == ("deletion", f"its row says another {named} than its tombstone")


@pytest.mark.parametrize(
    "change", ["unhex(repeat('ab', 32)) AS leaf_hash", "'other' AS tenant", "record_index + 9 AS record_index", ""]
)
def test_leaves_that_are_not_those_of_the_tombstone_stand_for_nothing(pipeline: Pipeline, change: str) -> None:
    with altered(pipeline, "leaves", change, "record_index = 0"):
        assert {"deletion", "missing"} <= whats(pipeline)


def test_a_tombstone_that_was_altered_proves_nothing(pipeline: Pipeline) -> None:
    told = "mapUpdate(attributes, map('onshore.deletion.events', '7')) AS attributes"
    with altered(pipeline, "events", told, "action = 'evidence.delete'"):
        assert {"altered", "deletion", "missing"} <= whats(pipeline)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("'eve' AS who", "who"),
        ("'another case' AS reason", "reason"),
        ("unhex('ff') AS reason", "reason"),
        ("mapUpdate(attributes, map('onshore.hold.tenant', 'other')) AS attributes", "attributes"),
        ("mapFilter((k, v) -> k != 'onshore.hold.tenant', attributes) AS attributes", "attributes"),
        ("'hold.release' AS action", "action"),
        ("'x' AS action_id", "action_id"),
        ("'other' AS tenant", "tenant"),
        ("received_at + INTERVAL 1 NANOSECOND AS received_at", "received_at"),
        ("kafka_offset + 9 AS kafka_offset, 7 AS record_index", "kafka_offset, record_index"),
    ],
)
def test_a_deed_whose_row_says_another_thing_than_its_event_is_named(
    pipeline: Pipeline, change: str, named: str
) -> None:
    event = pipeline.one("SELECT event_id FROM message_actions WHERE action = 'hold.place'")
    with altered(pipeline, "message_actions", change, "action = 'hold.place'"):
        (found,) = audited(pipeline).problems
    assert (found.what, found.where) == ("altered", f"message_actions, event {event}")
    assert found.why == f"its row says another {named} than its event"


def test_a_deed_without_row_and_a_row_without_deed_are_named(pipeline: Pipeline) -> None:
    with altered(pipeline, "message_actions", "toUUID(attempt_id) AS event_id", "action = 'hold.place'"):
        found = {(each.what, each.why) for each in audited(pipeline).problems}
    assert found == {("inserted", "a row that no event gives"), ("missing", "it has no row")}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("'info' AS severity", "severity"),
        ("'review' AS kind", "kind"),
        ("mapUpdate(fingerprint, map('actor_id', 'eve')) AS fingerprint", "fingerprint"),
        ("mapUpdate(fingerprint, map('actor_id', 'deleted')) AS fingerprint", "fingerprint"),
        ("mapFilter((k, v) -> k != 'actor_id', fingerprint) AS fingerprint", "fingerprint"),
        ("'acme' AS tenant", "tenant"),
        ("bytes + 1 AS bytes", "bytes"),
        ("NULL AS bytes", "bytes"),
        ("occurred_at + INTERVAL 1 DAY AS occurred_at", "occurred_at"),
        ("NULL AS ingested_at", "ingested_at"),
        ("toUUID('11111111-1111-4111-8111-111111111111') AS finding_id", "finding_id"),
    ],
)
def test_a_violation_that_says_another_thing_than_event_and_control_is_named(
    pipeline: Pipeline, change: str, named: str
) -> None:
    where = "tenant = 'other' AND control_id = 'AU-APP8-01'"
    with altered(pipeline, "violations", change, where):
        found = [each.why for each in audited(pipeline).problems if each.what == "violation"]
    assert found
    assert set(found) == {f"its row says another {named} than event and control give"}


@pytest.mark.parametrize(
    ("table", "change", "where", "named"),
    [
        (
            "controls",
            "replaceOne(text, 'severity: ', 'severity: low #') AS text",
            "control_id = 'AU-APP8-01'",
            "altered",
        ),
        ("controls", "'low' AS severity", "control_id = 'AU-APP8-01'", "altered"),
        ("controls", "", "control_id = 'AU-APP8-01'", "missing"),
        ("rule_files", "concat(content, ' ') AS content", "sha256 IN (SELECT max(sha256) FROM rule_files)", "altered"),
        ("rule_sets", "unhex(repeat('ab', 32)) AS sha256", "name = 'control/AU-APP8-01'", "altered"),
        ("rule_sets", "", "name = 'control/AU-APP8-01'", "altered"),
        ("rule_sets", "'2' AS version", "kind = 'context' AND name IN (SELECT max(name) FROM rule_sets)", "altered"),
    ],
)
def test_a_text_that_is_not_the_one_whose_digest_was_sealed_is_named(
    pipeline: Pipeline, table: str, change: str, where: str, named: str
) -> None:
    with altered(pipeline, table, change, where):
        found = audited(pipeline).problems
    assert (named, table) in {(each.what, each.where.split(",")[0].split(" ")[0]) for each in found}


@pytest.mark.parametrize(
    ("table", "change", "named"),
    [
        ("verdict_counts_built", "events + 1000 AS events", "verdict_counts, hour"),
        ("verdict_counts_built", "'undetermined' AS verdict", "verdict_counts, hour"),
        ("verdict_counts_built", "", "verdict_counts, hour"),
        ("flows_hourly_built", "bytes + 1 AS bytes", "flows_hourly, hour"),
        ("flows_hourly_built", "'NZ' AS destination_country", "flows_hourly, hour"),
        ("access_hourly_built", "calls + 1 AS calls", "access_hourly, hour"),
        ("access_hourly_built", "NULL AS model_requested", "access_hourly, hour"),
        ("findings_built", "'low' AS severity", "finding"),
        ("findings_built", "'acme' AS tenant", "finding"),
        ("findings_built", "mapUpdate(fingerprint, map('actor_id', 'eve')) AS fingerprint", "finding"),
        ("findings_built", "last_seen + INTERVAL 1 DAY AS last_seen", "finding"),
        ("findings_built", "bytes + 1 AS bytes", "finding"),
        ("findings_built", "", "finding"),
    ],
)
def test_a_rollup_that_says_another_thing_than_the_facts_is_named(
    pipeline: Pipeline, table: str, change: str, named: str
) -> None:
    where = "tenant = 'other' AND control_id = 'AU-APP8-01'"
    with altered(pipeline, table, change, "tenant = 'other'" if "hourly" in table else where):
        found = audited(pipeline)
    assert set(found.counts) == {"rollup"}
    assert all(each.where.startswith(named) for each in found.problems)


def test_hours_that_wait_to_be_rebuilt_are_told_and_not_named(pipeline: Pipeline) -> None:
    newest = pipeline.one("SELECT max(generation) FROM rollup_runs")
    with altered(pipeline, "rollup_runs", "", f"generation = {newest}"):
        found = audited(pipeline)
    assert found.problems == []
    assert found.waiting > 0
    assert audited(pipeline).waiting == 0
