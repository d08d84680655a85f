"""The scenario's expectations were written by hand; here they meet the engine, so that neither can drift silently."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from demo_judgement import judge
from onshore_collectors.demo.play import Request, requests_of
from onshore_collectors.demo.scenario import TEMPLATES, TENANTS
from onshore_collectors.demo.schedule import Cell
from onshore_collectors.demo.truth import Truth
from onshore_pipeline.controls.load import load_controls

if TYPE_CHECKING:
    from demo_judgement import Judged
    from onshore_collectors.demo.scenario.template import Template
    from onshore_pipeline.assess import Judgement

END_NS = 1_795_000_000_000_000_000
EVENTS = 6
CELLS = [Cell(tenant, template, EVENTS) for tenant in TENANTS for template in TEMPLATES if template.happens_at(tenant)]


@pytest.fixture(scope="module")
def judged(judgement: Judgement) -> Judged:
    """Every cell as one message, in the order of `CELLS`."""
    requests: list[Request] = []
    for cell in CELLS:
        requests += requests_of([cell], Truth("test"), seed=1, end_ns=END_NS, stored_as=str)
    return judge(requests, judgement)


def _name(cell: Cell) -> str:
    return f"{cell.tenant.id}: {cell.template.name}"


def test_the_engine_gives_every_event_the_verdicts_that_stand_beside_its_template(judged: Judged) -> None:
    found: dict[str, dict[tuple[str, str], int]] = {_name(cell): {} for cell in CELLS}
    rows = judged.verdicts.select("message", "control_id", "verdict", "events").iter_rows()
    for message, control, verdict, events in rows:
        counts = found[_name(CELLS[message])]
        counts[control, verdict] = counts.get((control, verdict), 0) + events
    expected = {
        _name(cell): {
            (control, verdict.value): EVENTS for control, verdict in cell.template.expected_of(cell.tenant).items()
        }
        for cell in CELLS
    }
    drifted = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
    assert drifted == {}


def test_every_event_arrives_in_the_domain_of_its_template(judged: Judged) -> None:
    found = judged.events.group_by("message", "domain").len().sort("message").rows()
    assert found == [(message, cell.template.domain, EVENTS) for message, cell in enumerate(CELLS)]


def test_every_control_of_the_pack_is_violated_satisfied_and_undetermined_somewhere() -> None:
    wanted = {
        (compiled.control.id, verdict)
        for compiled in load_controls().executable
        for verdict in ("satisfied", "violated", "undetermined")
    }
    expected = {
        (control, verdict.value)
        for cell in CELLS
        for control, verdict in cell.template.expected_of(cell.tenant).items()
    }
    assert wanted == expected


def test_all_three_domains_and_all_three_signals_are_played_at_every_tenant() -> None:
    for tenant in TENANTS:
        own = [cell.template for cell in CELLS if cell.tenant is tenant]
        assert {template.domain for template in own} == {"infrastructure", "model_access", "data_movement"}
        assert {template.shape.signal for template in own} == {"log", "span", "metric"}


def test_templates_have_names_of_their_own() -> None:
    names = [template.name for template in TEMPLATES]
    assert len(set(names)) == len(names)


def test_no_address_is_a_public_one_so_that_no_geolocation_data_changes_the_truth() -> None:
    texts = [text for template in TEMPLATES for text in _texts(template)]
    addresses = [
        ipaddress.ip_address(text) for text in texts if text.replace(".", "").isdigit() and text.count(".") == 3
    ]
    assert addresses
    assert not [address for address in addresses if address.is_global]


def _texts(template: Template) -> list[str]:
    return [value for value in template.attributes.values() if isinstance(value, str)]
