from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.controls.examples import run_examples
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from onshore_pipeline.controls.compiled import Compiled


@pytest.mark.parametrize("compiled", load_controls().executable, ids=lambda compiled: compiled.control.id)
def test_every_example_of_a_shipped_control_gets_the_verdict_it_expects(compiled: Compiled) -> None:
    results = run_examples(compiled)
    assert [result.example.name for result in results if not result.passed] == []
    assert {Verdict.VIOLATED, Verdict.SATISFIED, Verdict.UNDETERMINED} <= {result.verdict for result in results}


def test_an_example_that_expects_another_verdict_fails() -> None:
    [compiled, *_] = load_controls().executable
    [first, *_] = compiled.control.examples
    wrong = dataclasses.replace(first, verdict=Verdict.SATISFIED)
    control = dataclasses.replace(compiled.control, examples=(wrong,))
    [result] = run_examples(dataclasses.replace(compiled, control=control))
    assert (result.passed, result.verdict) == (False, Verdict.VIOLATED)
