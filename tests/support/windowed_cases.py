"""Windowed controls for tests, and random facts for them: unknowns, ties, strange texts, late and out of order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
from hypothesis import strategies as st

from onshore_pipeline.controls.condition import Type
from onshore_pipeline.controls.load import check_controls
from onshore_pipeline.controls.windowed_facts import FACTS_SCHEMA
from windowed_reference import Fact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.errors import ControlError

SECOND: Final = 1_000_000_000
_FRAME: Final = """
id: TEST-WIN-01
version: 1
title: A test
jurisdiction: '*'
instrument: none
effective_from: 2020-01-01
confidence: policy
checked_on: 2026-01-01
kind: violation
severity: high
status: disabled
domain: [infrastructure, data_movement, model_access]
needs: nothing
rationale: none
evidence: none
remediation: none
"""
_EXAMPLES: Final = """
examples:
  - {name: a, events: [{occurred_at: 2026-01-01T00:00:00Z}], verdict: violated}
  - {name: b, events: [{occurred_at: 2026-01-01T00:00:00Z}], verdict: satisfied}
  - {name: c, events: [{occurred_at: 2026-01-01T00:00:00Z}], verdict: undetermined}
"""
TUMBLING: Final = """
applies: action = 'data.export'
violated: sum(bytes) > 20 OR count(distinct destination_id) >= 3
window: {every: 10s, period: 10s, group_by: [tenant, actor_id]}
lateness: 5s
"""
SLIDING: Final = """
applies: starts_with(action, 'data.') AND bytes > 2
violated: NOT (count(*) <= 3 AND sum(bytes) < 12) AND actor_id <> 'ü'
window: {every: 4s, period: 12s, group_by: [tenant, actor_id, dataset]}
group_by: [tenant, actor_id]
lateness: 3s
"""
FEW: Final = """
applies: action = 'data.export' AND destination_country <> 'AU'
violated: count(*) = 2 OR count(distinct destination_id) BETWEEN 3 AND 4
window: {every: 8s, period: 8s, group_by: [tenant, actor_id]}
lateness: 0s
"""
TWO_STEPS: Final = """
sequence:
  - {when: action = 'model.weights.read'}
  - {when: action = 'model.weights.export' AND destination_country <> 'AU', within: 9s}
group_by: [tenant, actor_id]
lateness: 4s
"""
THREE_STEPS: Final = """
applies: bytes > 2
sequence:
  - {when: action = 'data.read'}
  - {when: "action IN ('data.read', 'data.copy')", within: 6s}
  - {when: action = 'data.export', within: 5s}
group_by: [tenant, actor_id, dataset]
lateness: 4s
"""
SILENCE: Final = """
absence: {of: action = 'backup.write' AND encrypted_at_rest, longer_than: 7s, group_by: [tenant, source_id]}
lateness: 6s
"""
EVERY_KIND: Final = (TUMBLING, SLIDING, FEW, TWO_STEPS, THREE_STEPS, SILENCE)


def read(tmp_path: Path, text: str, *, number: int = 1) -> WindowedControl:
    """The control that `text` makes together with what every control has."""
    file = tmp_path / f"TEST-WIN-{number:02}.yaml"
    file.write_text(_FRAME.replace("TEST-WIN-01", file.stem) + text + _EXAMPLES)
    controls, problems, _ = check_controls(file)
    assert not problems, problems[0]
    windowed = controls[0].windowed
    assert windowed is not None
    return windowed


def problems_of(tmp_path: Path, text: str) -> list[ControlError]:
    """What is wrong with such a control."""
    file = tmp_path / "TEST-WIN-01.yaml"
    file.write_text(_FRAME + text + _EXAMPLES)
    return check(file)


def check(file: Path) -> list[ControlError]:
    """What is wrong with a control file."""
    return list(check_controls(file)[1])


def facts_for(control: WindowedControl, tick_ns: int = SECOND) -> st.SearchStrategy[list[Fact]]:
    """Some facts, each event in one to all of the roles, at 40 moments that lie `tick_ns` apart."""
    text = st.sampled_from(["a", "ü", "\U0001f512", None])
    number = st.sampled_from(["0", "1", "3", "9", "18446744073709551615", None])
    of_type = {Type.INTEGER: number, Type.BOOLEAN: st.sampled_from(["true", "false", None])}
    kinds = [of_type.get(column.type, text) for column in control.values]

    @st.composite
    def event(draw: st.DrawFn) -> list[Fact]:
        at = draw(st.integers(0, 40)) * tick_ns
        delay = draw(st.sampled_from([0, 0, 1, 3, 8, 30])) * tick_ns
        keys = ("t", *(draw(text) for _ in control.key[1:]))
        vals = tuple(draw(kind) for kind in kinds)
        name = draw(st.binary(min_size=16, max_size=16))
        roles = draw(st.sets(st.integers(0, len(control.roles) - 1), min_size=1))
        disputed = draw(st.integers(0, 9)) == 0
        return [
            Fact(name, role, at, at + delay, keys, vals, draw(st.integers(0, 4)) > 0, disputed)
            for role in sorted(roles)
        ]

    events = st.lists(event(), min_size=1, max_size=14, unique_by=lambda facts: facts[0].event_id)
    return events.map(lambda groups: [fact for group in groups for fact in group])


def tick_of(control: WindowedControl) -> int:
    """So that the facts of 40 ticks fall into some units, and not all into one."""
    if control.control.id.startswith("TEST-"):
        return SECOND
    return max(control.span_ns // 8, control.windowed.every_ns // 2)


def frame(facts: Sequence[Fact]) -> pl.DataFrame:
    """The facts as the engine takes them."""
    rows = [
        {
            "event_id": fact.event_id, "role": fact.role, "at": fact.at, "arrival": fact.arrival,
            "keys": list(fact.keys), "vals": list(fact.vals), "sure": fact.sure,
            "missing": "" if fact.sure else "action", "disputed": fact.disputed,
        }
        for fact in facts
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=FACTS_SCHEMA)
