"""Every question, asked of the real engine as the read-only user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import dashboard_history
from dashboard_history import CONTROLS, OPEN, TENANTS
from dashboard_stack import running_store
from onshore_dashboard import dispute_queries, finding_queries, queries, summaries, window_queries
from onshore_dashboard.finding_queries import FindingFilter
from onshore_dashboard.queries import Scope
from onshore_pipeline.domain.event import EVENT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from dashboard_stack import RunningStore
    from onshore_pipeline.store.reader import Reader


def test_an_empty_store_answers_every_question(empty_store: RunningStore, now: datetime) -> None:
    reader = empty_store.reader()
    assert not queries.anything_committed(reader)
    assert queries.tenants(reader) == []
    assert queries.last_commit(reader) is None
    assert queries.newest_hour(reader) is None
    frames = [
        queries.controls(reader), queries.control(reader, "X", 1), queries.rate(reader, now),
        queries.latest_entries(reader, now), queries.dead_letters(reader),
        queries.collectors(reader, now - timedelta(days=1), now), queries.newest_rollup(reader),
        queries.verdicts(reader, Scope()), queries.gaps(reader, Scope()), queries.flows(reader, Scope()),
        queries.flagged_destinations(reader, Scope()), finding_queries.findings(reader, FindingFilter(Scope()), now),
        finding_queries.finding(reader, UUID(int=1)), finding_queries.finding_events(reader, UUID(int=1)),
        finding_queries.event(reader, UUID(int=1), "nobody", 0),
        dispute_queries.disputes(reader, Scope()),
        window_queries.finding_windows(reader, UUID(int=1)), window_queries.window_events(reader, UUID(int=1)),
    ]  # fmt: skip
    assert all(frame.is_empty() for frame in frames)
    assert summaries.tally(queries.verdicts(reader, Scope())).applicable == 0
    assert summaries.classify_flows(
        queries.flows(reader, Scope()), queries.flagged_destinations(reader, Scope())
    ).is_empty()
    reader.close()


def test_the_rate_counts_a_log_entry_once_however_often_it_was_copied(store: Reader, now: datetime) -> None:
    rate = queries.rate(store, now)
    assert rate["messages"].sum() == 60
    assert rate["events"].sum() == 5997
    assert rate["dead_lettered"].sum() == 3
    newest = rate["newest"].max()
    assert isinstance(newest, datetime)
    assert newest == queries.last_commit(store)


def test_the_newest_log_entries_come_first(store: Reader, now: datetime) -> None:
    entries = queries.latest_entries(store, now, 5)
    assert entries["offset"].to_list() == [59, 58, 57, 56, 55]


def test_dead_letters_say_why(store: Reader, now: datetime) -> None:
    assert queries.dead_letter_counts(store, now).row(0) == (3, 3, 3)
    letter = queries.dead_letters(store, 1).row(0, named=True)
    assert (letter["topic"], letter["partition"], letter["offset"], letter["records"]) == ("otlp_logs", 0, 30, 1)
    assert letter["reason"] == "attribute value at byte 12 is <script>truncated</script>"


def test_a_dead_letter_that_was_discarded_is_counted_and_no_longer_listed(tmp_path: Path, now: datetime) -> None:
    with running_store(tmp_path) as running:
        admin, reader = running.admin(), running.reader()
        dashboard_history.fill(admin, now)
        open_before = queries.dead_letters(reader).height
        letter = admin.query("SELECT toString(any(dead_letter_id)) FROM dead_letters").result_rows[0][0]
        admin.command(
            "INSERT INTO evidence_log (* EXCEPT(log_id, end_offset)) SELECT 0, 60, now64(9), 'discards', 'otlp_logs',"
            f" '{dashboard_history.TOPIC}', 0, 30, 60, generateUUIDv4(), '', 0, 0, 0, unhex(repeat('ef', 32)),"
            f""" '{{"dead_letter":"{letter}","kind":"discards","who":"kim","why":"sent by a test"}}'"""
        )
        assert queries.dead_letter_counts(reader, now).row(0) == (2, 3, 3)
        assert queries.dead_letters(reader).height == open_before - 1 == 2
        admin.close()
        reader.close()


def test_collectors_are_counted_by_tenant_and_name(store: Reader, now: datetime) -> None:
    heard = queries.collectors(store, now - timedelta(days=30), now)
    assert heard.select("tenant", "collector", "events", "dropped_day").rows() == [
        ("hoshi-bank", "edge-2", 25000, 15),
        ("southern-cross-health", "edge-1", 6000, 0),
    ]


def test_only_the_newest_generation_of_a_rollup_counts(store: Reader) -> None:
    facts = store.frame("SELECT count() AS events FROM events_current WHERE domain != 'infrastructure'")
    assert queries.flows(store, Scope())["events"].sum() == facts["events"][0]


def test_facts_of_an_attempt_that_never_committed_are_not_there(store: Reader, now: datetime) -> None:
    open_events = store.frame("SELECT event_id FROM events WHERE attempt_id = {open:UUID}", {"open": OPEN})
    assert open_events.height == 50
    found = finding_queries.findings(store, FindingFilter(Scope()), now, limit=1000)
    facts = store.frame("SELECT count() AS violations FROM violations_current")
    assert found["events"].sum() == facts["violations"][0]


def test_undetermined_verdicts_are_neither_satisfied_nor_left_out(store: Reader) -> None:
    overall = summaries.tally(queries.verdicts(store, Scope()))
    gaps = queries.gaps(store, Scope())
    assert overall.undetermined == gaps["events"].sum() > 0
    assert set(gaps["missing"]) == {"destination_country"}
    assert overall.applicable == overall.satisfied + overall.violated + overall.undetermined


def test_a_scope_narrows_by_tenant_jurisdiction_and_time(store: Reader, now: datetime) -> None:
    everything = queries.verdicts(store, Scope())
    assert set(everything["tenant"]) == set(TENANTS)
    narrowed = queries.verdicts(store, Scope("southern-cross-health", "AU", now - timedelta(days=1)))
    assert set(narrowed["control_id"]) == {"AU-APP8-01", "AU-MHR77-01"}
    whole = everything.filter(control_id="AU-APP8-01")["events"].sum()
    assert 0 < narrowed.filter(control_id="AU-APP8-01")["events"].sum() < whole


def test_quotes_in_a_parameter_are_only_text(store: Reader) -> None:
    assert queries.verdicts(store, Scope(tenant="' OR 1 = 1 --")).is_empty()
    assert queries.flows(store, Scope(tenant="\\' OR 1 = 1 --")).is_empty()


def test_every_control_is_listed_once_in_its_newest_text(store: Reader) -> None:
    assert sorted(queries.controls(store)["control_id"]) == sorted(row[0] for row in CONTROLS)
    text = queries.control(store, "AU-APP8-01", 1).row(0, named=True)
    assert "violated: destination_country <> 'AU'" in text["text"]
    assert text["digest"] == "ab" * 32


def test_the_worst_findings_come_first(store: Reader, now: datetime) -> None:
    found = finding_queries.findings(store, FindingFilter(Scope()), now, limit=1000)
    order = ["critical", "high", "medium", "low"]
    ranks = [order.index(level) for level in found["severity"]]
    assert ranks == sorted(ranks)
    first_page = finding_queries.findings(store, FindingFilter(Scope()), now, limit=10)
    second_page = finding_queries.findings(store, FindingFilter(Scope()), now, limit=10, offset=10)
    assert not set(first_page["finding"]) & set(second_page["finding"])


def test_a_time_far_ahead_of_now_breaks_no_question_and_leads_no_list(tmp_path: Path, now: datetime) -> None:
    with running_store(tmp_path) as running:
        admin, reader = running.admin(), running.reader()
        admin.command("INSERT INTO rollup_runs (* EXCEPT(log_id)) VALUES (1, now64(3), map(0, 1), 1, 3, 1)")
        admin.command("""INSERT INTO verdict_counts_built VALUES
            (toDateTime64('2200-01-01 00:00:00', 0, 'UTC'), 1, 'acme', 'otlp.log', 'X', 1, 'satisfied', '', 1)""")
        for number, (severity, last_seen) in enumerate(
            [("high", f"{now:%F %T}"), ("high", "2200-01-01 00:00:00"), ("low", f"{now:%F %T}")]
        ):
            admin.command(f"""INSERT INTO findings_built VALUES
                (toUUID('{UUID(int=number)}'), 1, 'acme', 'data_movement', 'X', 1, 'violation', '{severity}', map(),
                toDateTime64('2026-01-01 00:00:00', 9, 'UTC'), toDateTime64('{last_seen}', 9, 'UTC'), 1, 0, [])""")
        admin.close()
        assert queries.newest_hour(reader) == datetime(2200, 1, 1, tzinfo=UTC)
        listed = finding_queries.findings(reader, FindingFilter(Scope(since=now - timedelta(days=1))), now)
        reader.close()
    assert [UUID(finding).int for finding in listed["finding"]] == [0, 1, 2]


@pytest.mark.parametrize("severity", ["critical", "low"])
def test_findings_are_counted_as_they_are_listed(store: Reader, severity: str, now: datetime) -> None:
    wanted = FindingFilter(Scope(), severity=severity)
    found = finding_queries.findings(store, wanted, now, limit=1000)
    counts = finding_queries.finding_counts(store, wanted)
    assert counts.select("severity", "findings", "events").rows() == [(severity, found.height, found["events"].sum())]


def test_a_finding_leads_to_its_events_and_each_event_to_its_raw_text(store: Reader, now: datetime) -> None:
    for row in finding_queries.findings(store, FindingFilter(Scope()), now, limit=4).iter_rows(named=True):
        events = finding_queries.finding_events(store, UUID(row["finding"]))
        assert events.height == row["events"]
        assert events["occurred_at"].max() == row["last_seen"]
    named = dict(summaries.fingerprint(row["fingerprint"]))
    assert named["tenant"] == row["tenant"]
    one = events.row(0, named=True)
    event = finding_queries.event(store, UUID(one["event"]), row["tenant"], one["occurred_ns"]).row(0, named=True)
    assert list(event) == [column.name for column in EVENT_COLUMNS]
    assert event["body"].endswith("<b>raw & untouched</b>")
    assert event["destination_address"] == "203.0.113.9"
    assert event["actor_nationality"] is None
    assert event["attributes"].startswith('{"onshore.action":"data.copy"')


def test_an_event_of_another_tenant_is_not_found(store: Reader, now: datetime) -> None:
    row = finding_queries.findings(store, FindingFilter(Scope(tenant="hoshi-bank")), now, limit=1).row(0, named=True)
    one = finding_queries.finding_events(store, UUID(row["finding"])).row(0, named=True)
    assert finding_queries.event(store, UUID(one["event"]), "klang-energy", one["occurred_ns"]).is_empty()


class _Asked:
    """Answers questions, and keeps how the engine means to answer them (which readers may not ask)."""

    def __init__(self, filled: RunningStore, store: Reader) -> None:
        self.admin, self.store, self.plan = filled.admin(), store, ""

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        plan = self.admin.query(f"EXPLAIN indexes = 1 {sql}", parameters=dict(parameters or {}))
        self.plan = "\n".join(line for (line,) in plan.result_rows)
        return self.store.frame(sql, parameters)


def test_events_are_looked_up_by_the_tables_order_and_never_by_a_scan(
    filled: RunningStore, store: Reader, now: datetime
) -> None:
    asked = _Asked(filled, store)
    row = finding_queries.findings(store, FindingFilter(Scope()), now, limit=1).row(0, named=True)
    one = finding_queries.finding_events(asked, UUID(row["finding"])).row(0, named=True)
    ten_minutes = "intDiv(toUnixTimestamp64Nano(occurred_at), 600000000000)"
    assert f"(tenant, domain, {ten_minutes}) in " in asked.plan
    finding_queries.event(asked, UUID(one["event"]), row["tenant"], one["occurred_ns"])
    assert f"{ten_minutes} in [" in asked.plan
    assert "tenant in [" in asked.plan
    asked.admin.close()
