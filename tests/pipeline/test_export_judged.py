"""What an export is judged as, and what it may rest on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import exporting
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.redaction import PROFILES
from onshore_pipeline.jobs.export_judged import (
    NOTHING_REGISTERED,
    Movement,
    approver,
    judged,
    movement_event,
    refuse_unregistered,
    violated,
)

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.context.registered import Registered

NOW = datetime(2026, 11, 26, tzinfo=UTC)
REGISTER = exporting.registers(
    approvals="approval,approved_by,valid_from,valid_to\nA-1,the board,,2026-11-26\nA-2,the board,,2026-11-25\n"
    "A-4,the new board,2026-11-01,2027-10-31\nA-4,the old board,,2026-10-31\nA-5,the board,2026-12-01,\n",
    transfer_bases="basis,source,destination,dataset\nbcr,acme,,\nscc,,OAIC,\ndsa,,,patients\n",
)

OF_ONE_TENANT = """
id: OWN-01
version: 1
title: Nothing of zeta's leaves
jurisdiction: AU
instrument: A contract
effective_from: 2024-01-01
confidence: policy
checked_on: 2026-11-21
kind: violation
severity: low
outcomes: [success]
domain: data_movement
applies: action = 'data.export'
violated: tenant = 'zeta' AND destination_country <> 'AU'
group_by: [tenant]
needs: something
rationale: something
evidence: something
remediation: something
maps_to: []
examples:
  - {name: it leaves, event: {action: data.export, tenant: zeta, destination_country: CN}, verdict: violated}
  - {name: it stays, event: {action: data.export, tenant: zeta, destination_country: AU}, verdict: satisfied}
  - name: nobody knows
    event: {action: data.export, tenant: zeta}
    verdict: undetermined
    missing: destination_country
"""


def movement(
    *, profile: str, categories: tuple[str, ...], homes: tuple[str, ...], other_homes: tuple[str, ...], basis: str = ""
) -> Movement:
    return Movement(
        tenants=("acme",), recipient="OAIC", recipient_country="CN", person="Kim Lee", reason="Request 17",
        categories=categories, homes=homes, other_homes=other_homes, redacted=frozenset(PROFILES[profile]),
        pseudonymous=profile == "pseudonymous", basis=basis or None, approval=None, events=1,
    )  # fmt: skip


def approved(approval: str | None, registered: Registered = REGISTER) -> str:
    """Who gave the approval that an export to the OAIC, in China, names."""
    asked = movement(profile="full", categories=("personal",), homes=("AU",), other_homes=())
    return approver(movement_event(replace(asked, approval=approval), NOW), registered)


def test_who_gave_it_is_what_the_register_says() -> None:
    assert approved("A-1") == "the board"
    assert approved("a-4") == "the new board"
    assert approved(None, NOTHING_REGISTERED) == "none"


@pytest.mark.parametrize(
    ("name", "why"),
    [("A-5", "it begins on 2026-12-01"), ("A-2", "it ended on 2026-11-26"), ("A-3", "has none of this id")],
)
def test_one_that_ended_or_that_nobody_knows_is_refused(name: str, why: str) -> None:
    with pytest.raises(OnshoreError, match=why):
        approved(name)


def test_one_is_refused_without_a_register() -> None:
    with pytest.raises(OnshoreError, match="no register of approvals"):
        approved("A-1", NOTHING_REGISTERED)


@pytest.mark.parametrize(
    ("limits", "covers"),
    [
        ("kim lee,data.export,CN,personal", True),
        ("Pat,,,", False),
        (",admin.session,,", False),
        (",,NZ,", False),
        (",,OAIC,", True),
        (",,,health", False),
    ],
)
def test_an_approval_covers_what_its_row_says(limits: str, covers: bool) -> None:  # noqa: FBT001 - a case
    columns = "approval,approved_by,actor,action,destination,category"
    registered = exporting.registers(approvals=f"{columns}\nA-1,the board,{limits}\n")
    if covers:
        assert approved("A-1", registered) == "the board"
    else:
        with pytest.raises(OnshoreError, match=r"A-1: it does not surely cover data\.export by Kim Lee to CN"):
            approved("A-1", registered)


@pytest.mark.parametrize(("basis", "covers"), [("bcr", True), ("SCC", True), ("dsa", False), ("consent", False)])
def test_a_basis_covers_what_its_row_says(basis: str, covers: bool) -> None:  # noqa: FBT001 - a case
    """By the tenant as source, by the recipient; not a data set that is another."""
    asked = movement(profile="full", categories=("personal",), homes=("AU",), other_homes=(), basis=basis)
    event = movement_event(asked, NOW)
    if covers:
        refuse_unregistered(event, REGISTER)
    else:
        with pytest.raises(OnshoreError, match=f"--basis {basis}: the register"):
            refuse_unregistered(event, REGISTER)


def test_a_basis_of_one_tenant_covers_nothing_of_another() -> None:
    asked = movement(profile="full", categories=("personal",), homes=("AU",), other_homes=(), basis="bcr")
    event = movement_event(asked, NOW)
    refuse_unregistered(event, REGISTER)
    with pytest.raises(OnshoreError, match="surely covers this transfer of tenant zeta to CN"):
        refuse_unregistered(event | {"tenant": "zeta"}, REGISTER)


def test_of_what_a_control_says_about_several_tenants_the_worst_counts(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OF_ONE_TENANT)
    controls = load_controls(tmp_path)
    event = movement_event(movement(profile="full", categories=(), homes=("AU",), other_homes=()), NOW)
    for tenants in (["acme", "zeta"], ["zeta", "acme"]):
        said = {each.control: each.verdict for each in judged(event, controls, tenants)}
        assert said["OWN-01"] == "violated"
    assert {each.control: each.verdict for each in judged(event, controls, ["acme"])}["OWN-01"] == "satisfied"


def blocking(asked: Movement) -> set[str]:
    return {each.control for each in violated(judged(movement_event(asked, NOW), load_controls(), asked.tenants))}


def test_closing_people_cures_what_is_personal_and_nothing_else() -> None:
    technology, both = ("jp_controlled_technology", "personal"), ("AU", "JP")
    full = movement(profile="full", categories=technology, homes=both, other_homes=("JP",))
    least = movement(profile="minimal", categories=technology, homes=both, other_homes=("JP",))
    assert blocking(full) >= {"AU-APP8-01", "JP-APPI28-01", "JP-FEFA25-01"}
    assert blocking(least) == {"JP-FEFA25-01"}


def test_where_only_personal_data_moves_closing_people_leaves_nothing() -> None:
    event = movement_event(
        movement(profile="minimal", categories=("eu_personal", "personal"), homes=("AU",), other_homes=()), NOW
    )
    assert (event["categories"], event["home_jurisdictions"]) == (["none"], ["none"])
