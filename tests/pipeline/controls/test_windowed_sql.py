"""What the store says of windows, sequences and absences by one SELECT is what is said of them as events come."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import windowed_cases as cases
from control_cases import ROWS
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.controls.texts import CLICKHOUSE, quoted
from onshore_pipeline.controls.windowed_sql import verdicts_select
from onshore_pipeline.controls.windowed_sql_parts import Asked
from onshore_pipeline.controls.windowed_verdicts import begins_within, judge_windowed
from onshore_pipeline.domain.event import COLUMNS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from clickhouse_engine import ClickHouse
    from onshore_pipeline.controls.windowed import WindowedControl
    from windowed_reference import Fact

SHIPPED: Final = {each.control.id: each for each in load_controls().windowed}
FOUR_STEPS: Final = """
sequence:
  - {when: action = 'data.read'}
  - {when: action = 'data.copy', within: 6s}
  - {when: "action IN ('data.copy', 'data.export')", within: 20s}
  - {when: action = 'data.export', within: 3s}
group_by: [tenant, actor_id]
lateness: 2s
"""
OF_THE_TENANT: Final = """
applies: action = 'data.export'
violated: count(*) < 3 AND count(distinct bytes) >= 2 AND count(distinct encrypted_at_rest) <> 1
window: {every: 3s, period: 9s, group_by: [tenant]}
group_by: [tenant]
lateness: 30s
"""
LONG_SILENCE: Final = """
absence: {of: action = 'backup.write', longer_than: 20s, group_by: [tenant, source_id, dataset]}
lateness: 0s
"""
MADE_UP: Final = (*cases.EVERY_KIND, FOUR_STEPS, OF_THE_TENANT, LONG_SILENCE)
without_deadline = settings(
    deadline=None,
    max_examples=max(25, ROWS // 100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Said = dict[tuple[tuple[str | None, ...], int, str], str]


@pytest.fixture(scope="module", params=[*SHIPPED, *range(len(MADE_UP))])
def control(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WindowedControl:
    if isinstance(request.param, str):
        return SHIPPED[request.param]
    return cases.read(tmp_path_factory.mktemp("control"), MADE_UP[request.param])


def events_of(control: WindowedControl, facts: Sequence[Fact]) -> str:
    """A SELECT of the facts as `events_select` has them."""
    events: dict[bytes, list[Fact]] = {}
    for fact in facts:
        events.setdefault(fact.event_id, []).append(fact)
    columns = ["event_id UUID", "at Int64", "arrival Int64"]
    columns += [f"{each.name} {COLUMNS_BY_NAME[each.name].clickhouse_type}" for each in control.key]
    columns += [f"v{place} {each.kind.value}" for place, each in enumerate(control.values)]
    columns += [f"r{role} Nullable(Bool)" for role in range(len(control.roles))]
    rows = ", ".join(_row(control, some) for some in events.values())
    return f"SELECT * FROM values({quoted(', '.join([*columns, 'disputed Bool']), CLICKHOUSE)}, {rows})"


def _row(control: WindowedControl, facts: Sequence[Fact]) -> str:
    [first, *_] = facts
    name = first.event_id.hex()
    roles = {fact.role: "true" if fact.sure else "NULL" for fact in facts}
    texts = [*first.keys, *first.vals]
    cells = [f"'{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}'", str(first.at), str(first.arrival)]
    cells += ["NULL" if text is None else quoted(text, CLICKHOUSE) for text in texts]
    cells += [roles.get(role, "false") for role in range(len(control.roles))]
    disputed = any(fact.disputed for fact in facts if fact.role == 0)
    return f"({', '.join([*cells, str(disputed).lower()])})"


def last_said(control: WindowedControl, facts: Sequence[Fact], asked: Asked) -> Said:
    """By unit, the verdict that stands."""
    history = judge_windowed(control, cases.frame(facts), watermark_ns=asked.watermark_ns, now_ns=asked.now_ns)
    begins = pl.col("since").is_between(asked.since_ns, asked.until_ns, closed="left") & begins_within(control)
    said: Said = {}
    for row in history.filter(begins).sort("stated_at", maintain_order=True).iter_rows(named=True):
        said[tuple(row["keys"]), row["since"], (row["event_id"] or b"").hex()] = row["verdict"]
    return said


def said_by(clickhouse: ClickHouse, control: WindowedControl, facts: Sequence[Fact], asked: Asked) -> Said:
    sql = verdicts_select(control, events_of(control, facts), asked)
    rows: list[tuple[Any, ...]] = clickhouse.rows(f"SELECT keys, since, toString(event_id), verdict FROM ({sql})")
    said = {(tuple(keys), since, (event or "").replace("-", "")): verdict for keys, since, event, verdict in rows}
    assert len(said) == len(rows)
    return said


def drawn(control: WindowedControl, data: st.DataObject) -> tuple[list[Fact], Asked]:
    """Some facts, before 1970, around it or today, and which units are asked for as of when."""
    step = cases.tick_of(control)
    origin = data.draw(st.sampled_from([0, -23 * step - 1, 1_767_225_600 * cases.SECOND]))
    facts = [
        dataclasses.replace(fact, at=fact.at + origin, arrival=fact.arrival + origin)
        for fact in data.draw(cases.facts_for(control, step))
    ]
    watermark = data.draw(st.sampled_from([999, 999, 5, 12, 20, 33, 45]))
    now = watermark + data.draw(st.sampled_from([0, 0, 4, 20]))
    since = data.draw(st.sampled_from([-999 * step, -999 * step, 3 * step, 11 * step + 1]))
    until = data.draw(st.sampled_from([999 * step, 999 * step, 18 * step, 25 * step - 1]))
    return facts, Asked(origin + since, origin + until, origin + watermark * step, origin + now * step)


@given(data=st.data())
@without_deadline
def test_the_store_says_what_is_said_as_events_come(
    control: WindowedControl, data: st.DataObject, clickhouse: ClickHouse
) -> None:
    facts, asked = drawn(control, data)
    assert said_by(clickhouse, control, facts, asked) == last_said(control, facts, asked)


@given(data=st.data())
@settings(without_deadline, max_examples=5)
def test_what_is_asked_in_pieces_is_what_is_asked_at_once(
    control: WindowedControl, data: st.DataObject, clickhouse: ClickHouse
) -> None:
    facts, asked = drawn(control, data)
    pieces = [
        said_by(clickhouse, control, facts, dataclasses.replace(asked, pieces=3, piece=piece)) for piece in range(3)
    ]
    whole = last_said(control, facts, asked)
    assert sum(len(piece) for piece in pieces) == len(whole)
    assert {unit: said for piece in pieces for unit, said in piece.items()} == whole
