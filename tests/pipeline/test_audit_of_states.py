"""An audit folds again where findings and waivers stand, and names what the store tells otherwise."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from auditing import act, altered, waive
from embedded_pipeline import Pipeline, running_pipeline
from exporting import reader_of
from onshore_pipeline.actions import Action
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.findings import life
from onshore_pipeline.findings.standing import Folders
from onshore_pipeline.jobs.audit_states import Waivers, audit_states
from onshore_pipeline.jobs.finding_states import FindingStates
from recorded import RINA
from running_stack import run_onshore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.jobs.audit_problem import Problem


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Findings of three tenants: one waived, one assigned, one that nobody looked at; all are told."""
    with running_pipeline(tmp_path_factory.mktemp("states") / "data") as running:
        for tenant in ("waiving", "working", "idle"):
            running.send("otlp_logs", [otlp.logs([otlp.movement()])], tenant=tenant)
        running.work()
        running.sequence()
        waive(running, "waiving")
        finding = running.one("SELECT toString(finding_id) FROM findings WHERE tenant = 'working'")
        act(running, Action(life.ASSIGN, "working", RINA, "", {life.FINDING_ID: finding, life.OWNER: "omar"}))
        tell(running)
        yield running


def folders(pipeline: Pipeline) -> Folders:
    return Folders(pipeline.settings.data_dir / "people_keys")


def tell(pipeline: Pipeline) -> None:
    """As the sequencer does."""
    with closing(reader_of(pipeline)) as store:
        controls = load_controls()
        assert FindingStates(store, pipeline.client, folders(pipeline), lambda: controls, None, "onshore 1").look()


def found(pipeline: Pipeline, where: Folders | None = None) -> tuple[list[Problem], Waivers]:
    seen = Waivers()
    with closing(reader_of(pipeline)) as store:
        return list(audit_states(store, where or folders(pipeline), datetime.now(UTC), seen)), seen


def test_what_was_told_is_what_actions_give_and_waivers_are_counted(pipeline: Pipeline) -> None:
    assert found(pipeline) == ([], Waivers({"approved": 1}))


@pytest.mark.parametrize(
    ("tenant", "change", "why"),
    [
        ("idle", "'resolved' AS status", "it says status resolved, and sealed actions give status open"),
        ("idle", "'info' AS severity", "it says severity info, and sealed actions give severity high"),
        ("working", "'eve' AS owner", "it says owner eve, and sealed actions give owner omar"),
        ("working", "'' AS owner", "it says owner nobody, and sealed actions give owner omar"),
        ("waiving", "'w-2' AS waiver_id", "it says waiver_id w-2, and sealed actions give waiver_id w-1"),
        ("waiving", "'open' AS status", "it says status open, and sealed actions give status waived"),
    ],
)
def test_a_state_that_is_told_otherwise_is_named(pipeline: Pipeline, tenant: str, change: str, why: str) -> None:
    finding = pipeline.one(
        f"SELECT toString(finding_id) FROM findings WHERE tenant = '{tenant}' AND control_id = 'AU-APP8-01'"
    )
    with altered(pipeline, "finding_states", change, f"finding_id = '{finding}'"):
        (problem,), _ = found(pipeline)
    assert (problem.what, problem.where) == ("state", f"finding_states, finding {finding} (AU-APP8-01)")
    assert problem.why == why


def test_what_people_did_since_it_was_told_is_no_lie(pipeline: Pipeline) -> None:
    finding = pipeline.one(
        "SELECT toString(finding_id) FROM findings WHERE tenant = 'working' AND control_id = 'AU-APP8-01'"
    )
    act(pipeline, Action(life.ACKNOWLEDGE, "working", RINA, "", {life.FINDING_ID: finding}))
    act(pipeline, Action(life.RESOLVE, "working", RINA, "it was deleted", {life.FINDING_ID: finding}))
    assert found(pipeline)[0] == []
    tell(pipeline)
    assert found(pipeline)[0] == []


def test_without_peoples_keys_it_is_said_that_waivers_were_not_checked(pipeline: Pipeline, tmp_path: Path) -> None:
    problems, seen = found(pipeline, Folders(tmp_path))
    assert problems == []
    assert seen.unchecked == f"which waivers stand: {tmp_path} holds nobody's public key"


def test_the_command_says_how_many_waivers_stand(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.settings_file(tmp_path)
    said = run_onshore(tmp_path, "audit")
    assert "waivers: 1 approved\n" in said.stdout, said.stderr
    told = json.loads(run_onshore(tmp_path, "audit", "--json").stdout)
    assert (told["waivers"], told["problems"]) == ({"approved": 1}, [])
