"""Two texts of a control of more than one event, put into force and ended by commands beside a running stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import otlp_messages as otlp
from running_stack import RunningStack, run_onshore, running_stack, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

OWN = "OWN-19"
TEXT = """\
id: OWN-19
version: 1
title: One person exports more in ten seconds than anybody has to
jurisdiction: '*'
instrument: Policy of the operator
effective_from: 2020-01-01
confidence: policy
checked_on: 2026-11-26
kind: review
severity: high
outcomes: [success]
domain: data_movement
applies: action = 'data.export'
violated: sum(bytes) > 1000
window: {every: 10s, period: 10s, group_by: [tenant, actor_id]}
lateness: 1s
group_by: [tenant, actor_id]
needs: Exports with the actor and onshore.data.bytes.
rationale: A limit that changes.
evidence: The exports.
remediation: Ask.
examples:
  - name: much
    events:
      - {occurred_at: 2026-11-02T09:00:00Z, action: data.export, actor_id: kim, bytes: 300000}
    verdict: violated
  - name: little
    events:
      - {occurred_at: 2026-11-02T09:00:00Z, action: data.export, actor_id: kim, bytes: 1}
    verdict: satisfied
  - name: unknown
    events:
      - {occurred_at: 2026-11-02T09:00:00Z, action: data.export, actor_id: kim}
    verdict: undetermined
    missing: bytes
"""
_WINDOW = timedelta(seconds=10)
SAID = """SELECT key['actor_id'], control_version, toString(verdict) FROM windowed_current
WHERE control_id = 'OWN-19' AND verdict IN ('violated', 'satisfied') ORDER BY since, key['actor_id']"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack with a folder of controls of its own."""
    controls = tmp_path / "controls"
    controls.mkdir()
    (controls / f"{OWN}.yaml").write_text(TEXT, encoding="utf-8")
    with running_stack(tmp_path, "--no-dashboard", ONSHORE_CONTROLS_DIR=str(controls)) as running:
        yield running


def onshore(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    controls = str(stack.folder / "controls")
    done = run_onshore(stack.folder, *arguments, "--data-dir", str(stack.data_dir), ONSHORE_CONTROLS_DIR=controls)
    assert done.returncode == 0, done.stderr
    return done


def decide(stack: RunningStack, verb: str, what: str, at: datetime) -> dict[str, Any]:
    said = ("--as", "ada", "--reason", "the limit changes", "--at", at.isoformat(), "--json")
    told: dict[str, Any] = json.loads(onshore(stack, "controls", verb, what, *said).stdout)
    return told


def export(stack: RunningStack, who: str, at: datetime, size: int) -> None:
    told = otlp.movement(action="data.export", actor_id=who, data_bytes=size)
    stack.send_logs(otlp.logs([told], at_ns=int(at.timestamp()) * 10**9))


def grid(moment: datetime) -> datetime:
    """The first window that begins at or after a moment."""
    seconds = -(-int(moment.timestamp()) // 10) * 10
    return datetime.fromtimestamp(seconds, UTC)


def test_a_window_is_judged_by_the_text_in_whose_time_it_begins_until_the_control_is_retired(
    stack: RunningStack,
) -> None:
    changes = grid(datetime.now(UTC) + timedelta(seconds=25)) + timedelta(seconds=5)  # amid a window
    following = stack.folder / "next.yaml"
    following.write_text(TEXT.replace("version: 1\n", "version: 2\n").replace("> 1000", "> 10"), encoding="utf-8")
    assert decide(stack, "activate", str(following), changes)["before"] == 1
    straddles, after = grid(changes) - _WINDOW, grid(changes)
    export(stack, "before", straddles - _WINDOW, 500)
    export(stack, "straddles", straddles + timedelta(seconds=9), 500)  # an event of later, in a window of before
    export(stack, "after", after, 500)
    expected = [("before", 1, "satisfied"), ("straddles", 1, "satisfied"), ("after", 2, "violated")]
    wait_until(lambda: stack.rows(SAID) == expected, f"{expected}, not {stack.rows(SAID)}")

    ends = grid(datetime.now(UTC) + timedelta(seconds=25))
    assert decide(stack, "retire", OWN, ends)["digest"] == ""
    export(stack, "last", ends - _WINDOW, 500)
    export(stack, "too late", ends, 500)
    taken = """SELECT count() FROM windowed_facts WHERE at >= {at:Int64} AND rule IN (
        SELECT rule FROM windowed_verdicts_built WHERE control_id = 'OWN-19')"""
    stack.wait_for(taken, 2, at=int(ends.timestamp()) * 10**9)  # by the rules of both texts
    # Whoever judged before the decision was read said something about the last one; it is taken back.
    expected.append(("last", 2, "violated"))
    wait_until(lambda: stack.rows(SAID) == expected, f"{expected}, not {stack.rows(SAID)}")
    findings = """SELECT fingerprint['actor_id'], events, control_version FROM findings
        WHERE control_id = 'OWN-19' AND events > 0 ORDER BY 1"""
    assert stack.rows(findings) == [("after", 1, 2), ("last", 1, 2)]

    told = json.loads(onshore(stack, "controls", "history", OWN, "--json").stdout)
    assert [(each["version"], each["who"]) for each in told["decisions"]] == [("2", "ada"), ("0", "ada")]
    deeds = "SELECT action FROM message_actions_current WHERE action LIKE 'control.%' ORDER BY kafka_offset"
    assert [action for (action,) in stack.rows(deeds)] == ["control.activate", "control.retire"]
    stack.wait_for("SELECT uniqExact(control_version) FROM control_runs WHERE control_id = 'OWN-19'", 2, 150)
    lines = onshore(stack, "controls", "history", OWN).stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["v1", "v2"]
    assert "no text, by ada: the limit changes" in lines[-1]
    shown = onshore(stack, "controls", "show", OWN, "--as-of", (changes - timedelta(seconds=1)).isoformat()).stdout
    assert "violated: sum(bytes) > 1000" in shown
