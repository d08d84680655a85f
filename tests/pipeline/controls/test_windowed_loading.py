"""What a windowed, sequence or absence control may say, and what it is told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import windowed_cases as cases
from onshore_pipeline.controls.load import load_controls

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = "window: {every: 1h, period: 1h, group_by: [tenant, actor_id]}"

COUNTED = "applies: action = 'data.export'\nviolated: {}\n" + WINDOW.replace("{", "{{").replace("}", "}}")
SEQUENCE = "group_by: [tenant]\nsequence: {}"


@pytest.mark.parametrize("text", cases.EVERY_KIND)
def test_every_kind_is_read(tmp_path: Path, text: str) -> None:
    control = cases.read(tmp_path, text)
    assert control.key[0].name == "tenant"
    assert set(control.control.group_by) <= {column.name for column in control.key}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (COUNTED.format("bytes > 3 AND count(*) > 1"), "bytes differs from event to event: ask it under applies"),
        (COUNTED.format("sum(bytes - input_tokens) > 1"), "can be negative"),
        (COUNTED.format("count(bytes) > 1"), "write count(*) or count(distinct column)"),
        (COUNTED.format("avg(bytes) > 1"), "avg is refused: there are sum(column), count(*)"),
        (COUNTED.format("sum(bytes) > sum(input_tokens)"), "compared with a whole number"),
        (COUNTED.format(f"sum(bytes) > {'9' * 5_000}"), "(5,000 characters) is larger than 9223372036854775807"),
        (COUNTED.format("sum(actor_id) > 1"), "actor_id is no column of type integer"),
        (COUNTED.format("sum(byte) > 1"), "did you mean bytes?"),
        (COUNTED.format("tenant = 'x'"), "compares an aggregate"),
        (COUNTED.format("decided_0 AND count(*) > 1"), "decided_0 differs from event to event"),
        (COUNTED.format("count(*) > 1 AND"), "cannot be read as an SQL condition"),
        (COUNTED.format("coalesce(count(*), 1) > 1"), "an aggregate is compared as it is"),
        (COUNTED.format("count(*) > 1").replace("every: 1h", "every: 2h"), "every is longer than period"),
        (COUNTED.format("count(*) > 1").replace("every: 1h", "every: 0s"), "longer than nothing"),
        (COUNTED.format("count(*) > 1").replace("period: 1h", "period: 90m"), "a multiple of every"),
        (COUNTED.format("count(*) > 1").replace("period: 1h", "period: 700h"), "more than 400"),
        (COUNTED.format("count(*) > 1").replace("tenant, ", ""), "group_by must hold tenant"),
        (COUNTED.format("count(*) > 1") + "\ngroup_by: [tenant, dataset]", "dataset may differ within what is judged"),
        ("applies: sum(bytes) > 1\nviolated: count(*) > 1\n" + WINDOW, "sum is refused"),
        (WINDOW + "\napplies: TRUE", "the field violated is missing"),
        ("lateness: 3h\napplies: TRUE\nviolated: TRUE\ngroup_by: [tenant]", "lateness belongs to a window"),
        (SEQUENCE.format("[{when: action = 'a'}, {when: action = 'b'}]"), "needs within"),
        (SEQUENCE.format("[{when: action = 'a', within: 1h}, {when: action = 'b', within: 1h}]"), "nothing before it"),
        (SEQUENCE.format("[{when: action = 'a'}]"), "2 to 5 steps"),
        (SEQUENCE.format("[{when: actio = 'a'}, {when: action = 'b', within: 1h}]"), "did you mean action?"),
        (SEQUENCE.format("[{when: action = 'a'}, {when: count(*) > 1, within: 1h}]"), "count is refused"),
        ("sequence: [{when: TRUE}, {when: TRUE, within: 1h}]", "a sequence needs group_by"),
        ("absence: {of: action = 'a', group_by: [tenant]}", "longer_than is missing"),
        ("absence: {of: action = 'a', longer_than: soon, group_by: [tenant]}", "longer_than is written 90s"),
        ("absence: {of: TRUE, longer_than: 1h, group_by: [tenant]}\nviolated: TRUE", "violated has no place beside"),
        ("absence: {of: TRUE, longer_than: 1h, group_by: [tenant]}\n" + WINDOW, "write two controls"),
        ("absence: {of: TRUE, longer_than: 1h, group_by: [tenant]}\nlateness: 999999d", "longer than 800 days"),
    ],
)
def test_what_it_may_not_say_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    problems = cases.problems_of(tmp_path, text)
    assert said in " | ".join(problem.why for problem in problems)
    assert all(problem.line and (problem.column or problem.line == 1) for problem in problems)


def test_an_example_of_several_events_says_when_each_happened(tmp_path: Path) -> None:
    file = tmp_path / "TEST-WIN-01.yaml"
    cases.read(tmp_path, cases.TUMBLING)
    file.write_text(file.read_text().replace("{occurred_at: 2026-01-01T00:00:00Z}", "{action: data.export}", 1))
    [problem] = cases.check(file)
    assert "needs occurred_at" in problem.why


def test_windowed_controls_are_none_of_those_that_single_events_are_judged_by() -> None:
    controls = load_controls()
    assert len(controls.windowed) >= 8
    assert {each.windowed.kind for each in controls.windowed} == {"window", "sequence", "absence"}
    assert not {each.control.id for each in controls.windowed} & {each.control.id for each in controls.executable}
