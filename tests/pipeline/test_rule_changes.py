"""A worker dies between a change of rules and the commit of a batch; what is left is derived again to the same."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from chaos_stack import ChaosStack, chaos_stack
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.controls.load import PACKS
from onshore_pipeline.jobs.control_run_rows import derive
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTROL = "AU-APP8-01"
SHIPPED = (PACKS / "au" / f"{CONTROL}.yaml").read_text(encoding="utf-8")
FIRST, NEXT = 2, 8
_HOUR = timedelta(hours=1)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[ChaosStack]:
    controls = tmp_path / "controls"
    controls.mkdir()
    own = SHIPPED.replace(f"id: {CONTROL}\n", "id: OWN-01\n", 1).replace("clocks: [", "#clocks: [")
    (controls / "OWN-01.yaml").write_text(own, encoding="utf-8")
    with chaos_stack(tmp_path) as running:
        running.settings_told["ONSHORE_CONTROLS_DIR"] = str(controls)
        yield running


def activate(stack: ChaosStack, at: datetime) -> None:
    text = stack.folder / "next.yaml"
    text.write_text(SHIPPED.replace(f"version: {FIRST}\n", f"version: {NEXT}\n", 1), encoding="utf-8")
    said = ("--as", "ada", "--reason", "the law changed", "--at", at.isoformat())
    done = stack.onshore("controls", "activate", str(text), *said)
    assert done.returncode == 0, done.stderr


def in_force(stack: ChaosStack) -> str:
    """The digest of the set of controls that the worker says it judges by."""
    status = stack.data.worker_status
    return str(json.loads(status.read_text()).get("controls_digest", "")) if status.exists() else ""


def send(stack: ChaosStack, *times: datetime) -> None:
    at_ns = [int(moment.timestamp()) * 10**9 for moment in times]
    message = otlp.logs([otlp.movement()] * len(times), at_ns=at_ns)
    with closing(stack.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(message, ((TENANT_HEADER, b"default"),))])


@pytest.mark.parametrize("seen", [True, False], ids=["judged by the new rules", "judged by the old rules"])
def test_a_batch_that_a_killed_worker_judged_is_judged_again_and_each_event_by_the_text_of_its_time(
    stack: ChaosStack, *, seen: bool
) -> None:
    stack.start("sequencer")
    stack.start("worker", "5.before:kill")
    wait_until(lambda: in_force(stack), "the worker says what it judges by")
    old = in_force(stack)
    changes = (datetime.now(UTC) + timedelta(seconds=30)).replace(microsecond=0)
    if seen:
        activate(stack, changes)
        wait_until(lambda: in_force(stack) != old, "the worker judges by the new rules")
        stack.settle(1, rollups=False)  # the decision itself
    stack.arming("worker").touch()
    send(stack, changes - timedelta(seconds=1), changes)
    stack.wait_dead("worker", "with a batch that is judged and not committed")
    assert stack.one("SELECT count() FROM events_current WHERE domain = 'data_movement'") == 0
    assert stack.one("SELECT count() FROM events WHERE domain = 'data_movement'") == 2
    if not seen:
        activate(stack, changes)
    stack.start("worker")
    stack.settle(2)
    judged = f"""SELECT control_version, sum(events) FROM message_verdicts_current WHERE control_id = '{CONTROL}'
        GROUP BY 1 ORDER BY 1"""
    assert [tuple(row) for row in stack.client.query(judged).result_rows] == [(FIRST, 1), (NEXT, 1)]
    sets = "SELECT uniqExact(JSONExtractString(entry, 'controls')) FROM evidence_log WHERE topic = 'otlp_logs'"
    assert stack.one(sets) == 1
    stack.check()
    done = stack.onshore("audit", "--json")
    assert json.loads(done.stdout)["problems"] == []
    hour = stack.one("SELECT toStartOfHour(min(appended_at)) FROM evidence_log").replace(tzinfo=UTC)
    runs = [run for run in derive(stack.client, hour, hour + 2 * _HOUR) if run.control_id == CONTROL]
    assert {run.version for run in runs} >= {FIRST, NEXT}
    said = sum(run.satisfied + run.violated + run.undetermined for run in runs)
    assert said == 2
