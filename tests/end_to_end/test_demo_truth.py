"""The whole way: a factory's events through receiver, log, worker, store, and back to the planted truth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.controls.load import load_controls
from running_stack import RunningStack, run_onshore, running_stack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

EVENTS = 5000
# Of the deployment's own: the demo knows nothing of it.
OWN = """\
id: ACME-01
version: 1
title: Nothing moves
jurisdiction: AU
instrument: Acme's house rule
effective_from: 2024-01-01
effective_to: null
confidence: policy
checked_on: 2026-11-28
kind: review
severity: low
outcomes: [success]
domain: data_movement
applies: action <> 'delete'
violated: bytes > 0
group_by: [tenant]
needs: the size of what moved
rationale: Acme wants to see every movement.
evidence: the event
remediation: none
maps_to: []
examples:
  - name: something moves
    event: {action: read, bytes: 1}
    verdict: violated
  - name: nothing moves
    event: {action: read, bytes: 0}
    verdict: satisfied
  - name: nobody knows
    event: {action: read}
    verdict: undetermined
    missing: bytes
"""


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of this module's own: what the demo plays must not stand between other tests' events."""
    own = tmp_path_factory.mktemp("own")
    (own / "ACME-01.yaml").write_text(OWN)
    folder = tmp_path_factory.mktemp("factory")
    with running_stack(folder, "--no-dashboard", ONSHORE_CONTROLS_DIR=str(own)) as stack:
        yield stack


def _onshore(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_onshore(stack.folder, *arguments, "--data-dir", str(stack.data_dir), "--json", within_s=240)


def _told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr + done.stdout
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_store_holds_exactly_what_the_demo_planted_whatever_was_played_before(factory: RunningStack) -> None:
    first, second = factory.folder / "first.json", factory.folder / "second.json"
    _told(_onshore(factory, "demo", "--events", "1000", "--seed", "1", "--truth", str(first)))
    played = _told(_onshore(factory, "demo", "--events", str(EVENTS), "--seed", "2", "--truth", str(second)))
    assert played["events"] == EVENTS
    assert set(played["stored_as"].values()) == set(played["tenants"])

    checked = _told(_onshore(factory, "check-truth", str(second)))
    assert (checked["precision"], checked["recall"], checked["wrong_counts"]) == (1.0, 1.0, [])
    assert checked["events_found"] == checked["events_expected"] == EVENTS
    executable = {compiled.control.id for compiled in load_controls().executable}
    seen = {control for control, verdicts in checked["controls"].items() if len(verdicts) == 3}
    assert seen == executable
    planted = json.loads(second.read_text())["windows"]
    assert {(control, verdict) for _, control, _, verdict in planted} == {
        (windowed.control.id, verdict)
        for windowed in load_controls().windowed
        for verdict in ("violated", "satisfied", "undetermined")
    }
    assert checked["wrong_windows"] == []
    assert list(checked["not_compared"]) == ["ACME-01"]
    assert 0 < checked["not_compared"]["ACME-01"] < EVENTS
    assert sum(checked["windows"].values()) == len(planted)

    again = _told(_onshore(factory, "check-truth", str(first)))
    assert (again["precision"], again["recall"], again["events_found"]) == (1.0, 1.0, 1000)


def test_what_could_not_be_decided_is_listed_by_the_fact_that_lacks_and_says_what_ends_that(
    factory: RunningStack,
) -> None:
    ever = ("controls", "coverage", "--from", "2000-01-01")
    done = _onshore(factory, *ever)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    # Beside what the demo planted, counted another way: from each message's own verdicts, and the windows that stand.
    counted = factory.rows(
        "SELECT control_id, toUInt64(sum(n)) FROM (SELECT toString(control_id) AS control_id, events AS n FROM"
        " message_verdicts_current WHERE verdict = 'undetermined' UNION ALL SELECT toString(control_id) AS control_id,"
        " 1 AS n FROM windowed_current WHERE verdict = 'undetermined') GROUP BY control_id"
    )
    assert sum(row["undetermined"] for row in listed) == sum(int(n) for _, n in counted) > 0
    assert {control for row in listed for control in row["controls"]} == {control for control, _ in counted}
    assert all(row["missing"] and row["remedy"] for row in listed)
    some, *_ = [
        row
        for row in listed
        if (row["missing"], row["source_format"]) == ("transfer_basis", "otlp.log") and "AU-APP8-01" in row["controls"]
    ]
    assert "register the agreement" in some["remedy"]

    own = json.loads(_onshore(factory, *ever, "--control", "AU-APP8-01").stdout)
    assert sum(row["undetermined"] for row in own) == int(dict(counted)["AU-APP8-01"])
    assert {control for row in own for control in row["controls"]} == {"AU-APP8-01"}
    ours = json.loads(_onshore(factory, *ever, "--tenant", some["tenant"]).stdout)
    assert ours == [row for row in listed if row["tenant"] == some["tenant"]]
    assert json.loads(_onshore(factory, *ever, "--to", "2001-01-01").stdout) == []


def test_what_one_analyst_gets_of_it_is_few(factory: RunningStack) -> None:
    """Every control is violated on purpose, many times; reviewed on 2026-11-26 (docs/findings.md)."""
    of_control = factory.rows("SELECT control_id, count() FROM findings GROUP BY control_id")
    most = dict.fromkeys((control for control, _ in of_control), 20)
    assert {control: found for control, found in of_control if found > most[control]} == {}
    (of_tenants,) = factory.rows("SELECT uniqExact(tenant), count(), sum(events) FROM findings")
    tenants, findings, events = map(int, of_tenants)
    assert findings <= 60 * tenants
    assert events >= 3 * findings


def test_a_truth_that_the_store_does_not_hold_is_wrong_and_says_where(factory: RunningStack) -> None:
    truth = factory.folder / "altered.json"
    _told(_onshore(factory, "demo", "--events", "1000", "--truth", str(truth)))
    told = json.loads(truth.read_text())
    forgotten = told["violations"].pop()
    told["violations"].append(["nobody", "SOV-01-01"])
    told["counts"][0]["events"] += 1
    truth.write_text(json.dumps(told))

    done = _onshore(factory, "check-truth", str(truth))
    assert done.returncode == 1
    checked = json.loads(done.stdout)
    assert checked["examples"] == {"missing": [["nobody", "SOV-01-01"]], "spurious": [forgotten]}
    assert [row["expected"] - row["found"] for row in checked["wrong_counts"]] == [1]
    assert checked["precision"] < 1.0
    assert checked["recall"] < 1.0
