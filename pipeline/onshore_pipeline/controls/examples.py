"""Running the examples that a control carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.load import control_set
from onshore_pipeline.domain.event import EVENT_COLUMNS, Kind
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.event_frame import POLARS_TYPES

if TYPE_CHECKING:
    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.domain.control import Control, EventValue, Example

_FRAME_COLUMNS: Final = tuple(column for column in EVENT_COLUMNS if column.kind not in {Kind.TEXT_MAP, Kind.DIGEST})


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What came of one example.

    Attributes:
        verdict: the verdict given.
        missing: what was missing, if it is undetermined; else ''.
        passed: it is the verdict expected, for want of what was expected.
    """

    control: Control
    example: Example
    verdict: Verdict
    missing: str
    passed: bool


def run_examples(compiled: Compiled) -> tuple[ExampleResult, ...]:
    """Judge each example of one control, as a message of its own, and compare."""
    control = compiled.control
    if not control.examples:
        return ()
    counts = judge(example_events(control), control_set([compiled], {}, run_disabled=True)).counts
    given = {
        message: (Verdict(word), missing)
        for message, word, missing in counts.select("message", "verdict", "missing").iter_rows()
    }
    results = []
    for index, example in enumerate(control.examples):
        verdict, missing = given.get(index, (Verdict.NOT_APPLICABLE, ""))
        passed = verdict is example.verdict and example.missing in {None, missing}
        results.append(ExampleResult(control, example, verdict, missing, passed))
    return tuple(results)


def example_events(control: Control) -> pl.DataFrame:
    """The examples of a control as located events, one a message.

    What an example leaves out is unknown, except what every event has: tenant 'example', source format 'otlp.log', the
    control's first domain and outcome, and noon of the day on which the control was last checked (or came into force,
    if that is later).
    """
    day = max(control.effective_from, control.checked_on)
    always: dict[str, EventValue] = {
        "tenant": "example",
        "source_format": "otlp.log",
        "domain": control.domains[0],
        "outcome": control.outcomes[0],
        "occurred_at": datetime.combine(day, time(12), tzinfo=UTC),
    }
    basis = {column.name: "unknown" for column in _FRAME_COLUMNS if column.name.endswith("_basis") and column.required}
    rows = [{**basis, **always, **example.event} for example in control.examples]
    frame = pl.DataFrame(
        {
            column.name: pl.Series(
                [_cell(row.get(column.name), column.kind) for row in rows], dtype=POLARS_TYPES[column.kind]
            )
            for column in _FRAME_COLUMNS
        }
    )
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    return frame.with_columns(number.alias("row"), number.alias("message"))


def _cell(value: EventValue, kind: Kind) -> object:
    if kind is Kind.WORDS:
        return list(value) if isinstance(value, tuple) else []
    return value
