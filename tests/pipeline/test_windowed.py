"""Windows, sequences and absences over committed events: found, restated, the same however often they are judged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_dashboard import window_queries
from onshore_pipeline import assembly
from onshore_pipeline.controls.load import PACKS, check_controls, load_controls
from onshore_pipeline.jobs import windowed_run
from onshore_pipeline.jobs.backtest_windowed import WindowedBacktest
from onshore_pipeline.jobs.windowed import Windows, forget
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A day that is long over, whenever this runs.
DAY: Final = (datetime.now(UTC) - timedelta(days=5)).replace(hour=0, minute=0, second=0, microsecond=0)
GB: Final = 1_000_000_000
CONTROLS: Final = load_controls()
SAID: Final = """SELECT key['actor_id'], before, verdict, missing, known['sum(bytes)'] FROM windowed_verdicts
WHERE control_id = 'SOV-19-01' AND tenant = '{tenant}' ORDER BY key['actor_id'], stated_at"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("windowed") / "data") as running:
        yield running


def send(pipeline: Pipeline, tenant: str, hours: float, **changes: str | int | None) -> None:
    """One event in a message of its own, so many hours into the day; None leaves out what an event mostly says."""
    at_ns = int((DAY + timedelta(hours=hours)).timestamp()) * 10**9
    told = otlp.movement(**{name: "" if value is None else value for name, value in changes.items()})
    said = {name: value for name, value in told.items() if value != ""}
    pipeline.send("otlp_logs", [otlp.logs([said], at_ns=at_ns)], tenant=tenant)


def judge(pipeline: Pipeline, *, now: datetime | None = None, caught_up: bool = True, work: bool = True) -> int:
    if work:
        pipeline.work()
        pipeline.sequence()
    reader = assembly.entry_reader(pipeline.settings)
    sequencer = Sequencer(reader, pipeline.client)
    clock = now or datetime.now(UTC)
    windows = Windows(pipeline.client, lambda: CONTROLS.windowed, clock=lambda: int(clock.timestamp() * 1e9))
    changed = windows.judge(sequencer.position, sequencer.log_id, caught_up=caught_up)
    sequencer.close()
    return changed


def reader(pipeline: Pipeline) -> Reader:
    known = json.loads((pipeline.settings.data_dir / "credentials.json").read_text())["reader"]
    return Reader(pipeline.url, known["user"], known["password"])


def export(pipeline: Pipeline, tenant: str, hours: float, gigabytes: int | None, actor: str | None = "kim") -> None:
    size = None if gigabytes is None else gigabytes * GB
    send(pipeline, tenant, hours, action="data.export", actor_id=actor, data_bytes=size)


def everything(pipeline: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "units": pipeline.rows("SELECT * FROM windowed_verdicts ORDER BY unit_id, stated_at"),
        "findings": pipeline.rows(
            "SELECT finding_id, events, first_seen, last_seen, fingerprint FROM findings WHERE control_id LIKE 'SOV-%'"
            " AND finding_id IN (SELECT finding_id FROM windowed_verdicts) ORDER BY finding_id"
        ),
    }


def test_a_late_event_restates_and_both_verdicts_are_kept(pipeline: Pipeline) -> None:
    export(pipeline, "late", 9, 300)
    assert judge(pipeline) > 0
    assert pipeline.rows(SAID.format(tenant="late")) == [("kim", "", "satisfied", "", str(300 * GB))]
    export(pipeline, "late", 17, 300)
    judge(pipeline)
    assert pipeline.rows(SAID.format(tenant="late")) == [
        ("kim", "", "satisfied", "", str(300 * GB)),
        ("kim", "satisfied", "violated", "", str(600 * GB)),
    ]
    restated = pipeline.rows("SELECT verdict_before, verdict_after FROM restatements WHERE tenant = 'late'")
    assert restated == [("satisfied", "violated")]
    [(found, events, fingerprint, samples)] = pipeline.rows(
        "SELECT toString(finding_id), events, fingerprint, length(sample_event_ids) FROM findings"
        " WHERE control_id = 'SOV-19-01' AND tenant = 'late'"
    )
    assert (events, fingerprint["actor_id"], samples) == (1, "kim", 2)
    shown = window_queries.finding_windows(reader(pipeline), UUID(found))
    assert shown.select("before", "verdict").rows() == [("", "satisfied"), ("satisfied", "violated")]
    assert window_queries.window_events(reader(pipeline), UUID(found))["action"].to_list() == ["data.export"] * 2
    named = pipeline.one(
        "SELECT count() FROM events_current WHERE event_id IN ("
        "SELECT arrayJoin(sample_event_ids) FROM findings WHERE control_id = 'SOV-19-01' AND tenant = 'late')"
    )
    assert named == 2


def test_an_unknown_size_or_person_leaves_a_day_undetermined_until_the_known_part_suffices(pipeline: Pipeline) -> None:
    export(pipeline, "open", 9, None)
    judge(pipeline)
    assert pipeline.rows(SAID.format(tenant="open"))[-1][2:4] == ("undetermined", "bytes")
    export(pipeline, "open", 10, 600)
    judge(pipeline)
    assert pipeline.rows(SAID.format(tenant="open"))[-1][1:3] == ("undetermined", "violated")


def test_judging_again_or_from_nothing_gives_the_same(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(6):
        export(pipeline, "again", hour, 200, actor=f"person {hour % 2}")
        send(pipeline, "again", hour, action="backup.write", data_set="claims")
        if hour % 3 == 0:
            judge(pipeline)
    judge(pipeline)
    before = everything(pipeline)
    assert len(before["units"]) > 4
    assert judge(pipeline) == 0
    assert everything(pipeline) == before
    forget(pipeline.client)
    monkeypatch.setattr(windowed_run, "ROWS_AT_ONCE", 3)  # and in many parts
    assert judge(pipeline, work=False) > 0
    assert everything(pipeline) == before


def test_over_history_each_control_says_what_its_own_job_said_and_another_text_what_it_would_say(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    for hour, gigabytes, actor in ((9, 300, "kim"), (17, 300, "kim"), (18, 300, "lee"), (19, 10, None)):
        export(pipeline, "history", hour, gigabytes, actor=actor)
    send(pipeline, "history", 9, action="backup.write", data_set="claims")
    judge(pipeline)
    period = (DAY - timedelta(days=1), DAY + timedelta(days=3))
    stored = reader(pipeline)
    backtest = partial(WindowedBacktest, stored, events_at_once=12, facts_at_once=7)  # in many parts
    said = {}
    for each in CONTROLS.windowed:
        said[each.control.id] = list(backtest([each], None).days(*period))
        assert {day.agreement for day in said[each.control.id]} == {"equal"}, each.control.id
    [old] = [each for each in CONTROLS.windowed if each.control.id == "SOV-19-01"]
    before = said["SOV-19-01"][1].old
    assert before["violated"] > 0
    path = tmp_path / "SOV-19-01.yaml"
    text = (PACKS / "sovereignty" / path.name).read_text(encoding="utf-8")
    path.write_text(text.replace("> 500000000000", "> 250000000000").replace("version: 1\n", "version: 2\n"))
    [compiled], _, _ = check_controls(path)
    assert compiled.windowed is not None
    test = backtest([old], compiled.windowed)
    day = list(test.days(*period))[1]
    assert day.new is not None
    assert day.new["violated"] > before["violated"]
    assert day.changed > 0
    lee = [each for each in test.differing(*period, 100) if each["key"] == ["history", "lee"]]
    # Open under the text in force, for somebody unknown exported on that day, too.
    assert [(each["old"], each["new"]) for each in lee] == [("undetermined", "violated")]


def test_an_absence_waits_for_messages_and_then_says_what_is_missing(pipeline: Pipeline) -> None:
    asked = "SELECT verdict, missing FROM windowed_current WHERE control_id = 'SOV-22-01' AND tenant = 'quiet'"
    send(pipeline, "quiet", 120, action="backup.write", data_set="claims")  # today
    judge(pipeline, now=datetime.now(UTC))
    assert pipeline.rows(asked) == []
    later = datetime.now(UTC) + timedelta(days=3)
    judge(pipeline, now=later, caught_up=False)
    assert pipeline.rows(asked) == [("undetermined", "messages wait")]
    judge(pipeline, now=later + timedelta(minutes=1))
    assert pipeline.rows(asked) == [("violated", "")]
    assert pipeline.one("SELECT count() FROM restatements WHERE tenant = 'quiet'") == 0


def test_a_sequence_spans_messages_that_came_in_the_wrong_order(pipeline: Pipeline) -> None:
    send(pipeline, "chain", 12, action="model.weights.export", domain="data_movement", destination_country="US")
    judge(pipeline)
    send(pipeline, "chain", 8, action="model.weights.read", domain="model_access")
    judge(pipeline)
    asked = """SELECT verdict, length(sample_event_ids) FROM windowed_current
        WHERE control_id = 'SOV-20-01' AND tenant = 'chain'"""
    assert pipeline.rows(asked) == [("violated", 2)]
