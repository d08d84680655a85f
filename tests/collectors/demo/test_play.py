from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from demo_judgement import judge
from onshore_collectors.demo.play import EVENTS_A_REQUEST, Request, requests_of
from onshore_collectors.demo.scenario import TEMPLATES, TENANTS
from onshore_collectors.demo.schedule import Cell, allot, fewest_events, times_of
from onshore_collectors.demo.truth import Truth
from onshore_pipeline.jobs.check_truth import read_truth

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.assess import Judgement

HOUR_NS = 3_600_000_000_000
END_NS = 1_795_000_000_000_000_000
EVENTS = 6000


def _play(*, run: str = "run-1", seed: int = 1, events: int = EVENTS) -> tuple[list[Request], Truth]:
    truth = Truth(run)
    cells = allot(TENANTS, TEMPLATES, events)
    return list(requests_of(cells, truth, seed=seed, end_ns=END_NS, stored_as=str)), truth


def test_the_same_run_and_seed_give_the_same_bytes() -> None:
    first, truth = _play()
    second, again = _play()
    assert first == second
    assert truth == again


def test_another_seed_plays_another_day_with_the_same_verdicts() -> None:
    first, truth = _play()
    other, other_truth = _play(seed=2)
    assert [request.payload for request in first] != [request.payload for request in other]
    assert truth.counts == other_truth.counts


def test_two_runs_share_no_event() -> None:
    first, second = ({uid for uid, _ in _play(run=run)[1].violations} for run in ("run-1", "run-2"))
    assert first
    assert not first & second


def test_requests_are_of_one_tenant_and_one_signal_and_come_as_they_arrive() -> None:
    requests, truth = _play()
    assert sum(request.events for request in requests) == truth.events == EVENTS
    assert max(request.events for request in requests) <= EVENTS_A_REQUEST
    times = [request.first_ns for request in requests]
    assert times == sorted(times)
    assert times[0] >= END_NS - 24 * HOUR_NS
    assert times[-1] < END_NS


def test_a_few_events_come_late_and_out_of_order() -> None:
    late = 0
    for request in _play()[0]:
        if request.signal == "log":
            told = ExportLogsServiceRequest.FromString(request.payload)
            times = [
                record.time_unix_nano
                for of_resource in told.resource_logs
                for of_scope in of_resource.scope_logs
                for record in of_scope.log_records
            ]
            late += sum(time < request.first_ns for time in times)
    assert 0 < late < EVENTS / 10


def test_the_pipeline_finds_every_violation_of_a_whole_play_and_no_other(judgement: Judgement) -> None:
    requests, truth = _play()
    judged = judge(requests, judgement)
    assert sorted(judged.violations.select("uid", "control_id").rows()) == sorted(truth.violations)
    counts: Counter[tuple[str, str, str]] = Counter()
    for tenant, control, verdict, events in judged.verdicts.select(
        "tenant", "control_id", "verdict", "events"
    ).iter_rows():
        counts[tenant, control, verdict] += events
    assert counts == truth.counts
    assert judged.events.height == EVENTS


def test_the_truth_counts_by_the_tenant_that_the_store_will_know() -> None:
    truth = Truth("run-1")
    list(requests_of(allot(TENANTS, TEMPLATES, EVENTS), truth, seed=1, end_ns=END_NS, stored_as=lambda _: "default"))
    assert {tenant for tenant, _, _ in truth.counts} == {"default"}


def test_check_truth_reads_the_file_as_it_was_meant(tmp_path: Path) -> None:
    _, truth = _play()
    truth.write(tmp_path / "truth.json")
    read = read_truth(tmp_path / "truth.json")
    assert (read.run, read.events) == ("run-1", EVENTS)
    assert read.violations == set(truth.violations)
    assert read.counts == truth.counts


@pytest.mark.parametrize("events", [420, 6000, 20_000, 123_457])
def test_events_are_shared_out_to_the_last_one_and_everything_happens(events: int) -> None:
    cells = allot(TENANTS, TEMPLATES, events)
    assert sum(cell.events for cell in cells) == events
    assert min(cell.events for cell in cells) >= 1
    assert len(cells) == fewest_events(TENANTS, TEMPLATES)


@pytest.mark.parametrize("events", [6000, 20_000])
def test_at_least_95_of_100_events_are_everyday_ones(events: int) -> None:
    planted = sum(cell.events for cell in allot(TENANTS, TEMPLATES, events) if cell.template.is_planted)
    assert planted <= 0.05 * events


def test_offices_are_busier_by_day_than_by_night() -> None:
    tenant = TENANTS[0]
    chat = next(template for template in TEMPLATES if template.name == "chat with our own model at home")
    times = times_of(Cell(tenant, chat, 2000), random.Random(1), END_NS)
    hours = Counter((time_ns // HOUR_NS + tenant.utc_offset_h) % 24 for time_ns in times)
    assert all(END_NS - 24 * HOUR_NS <= time_ns < END_NS for time_ns in times)
    assert sum(hours[hour] for hour in range(8, 18)) > 5 * sum(hours[hour] for hour in (22, 23, 0, 1, 2, 3, 4, 5))


def test_fewer_events_than_templates_cannot_be_shared_out() -> None:
    with pytest.raises(ValueError, match="fewer than"):
        allot(TENANTS, TEMPLATES, 3)
