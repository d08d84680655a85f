"""Running the examples that a control carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.controls.compiled import Span, within
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.load import control_set
from onshore_pipeline.controls.windowed_facts import facts_of
from onshore_pipeline.controls.windowed_verdicts import judge_windowed
from onshore_pipeline.domain.event import EVENT_COLUMNS, Kind
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.event_frame import POLARS_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.domain.control import Control, EventValue, Example

_FRAME_COLUMNS: Final = tuple(column for column in EVENT_COLUMNS if column.kind not in {Kind.TEXT_MAP, Kind.DIGEST})

_LONG_AFTER: Final = 2**62
_WORSE: Final = (Verdict.NOT_APPLICABLE, Verdict.SATISFIED, Verdict.UNDETERMINED, Verdict.VIOLATED)
_NONE: Final = (Verdict.NOT_APPLICABLE.value, "", "")


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
    if compiled.windowed is not None:
        return _run_windowed(compiled.windowed)
    if not control.examples:
        return ()
    counts = judge(example_events(control), control_set([within(compiled, Span())], {}, run_disabled=True)).counts
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


def _run_windowed(windowed: WindowedControl) -> tuple[ExampleResult, ...]:
    """Judge the events of each example together; the worst verdict is what they come to."""
    control, results = windowed.control, []
    for example in windowed.control.examples:
        events = example_frame(control, example.events).with_columns(
            pl.Series("event_id", [place.to_bytes(16) for place in range(len(example.events))]),
            pl.Series("arrival", example.received).dt.timestamp("ns"),
        )
        as_of = _LONG_AFTER if example.as_of is None else int(example.as_of.timestamp()) * 1_000_000_000
        seen = facts_of(windowed, events).filter(pl.col("arrival") <= as_of)
        history = judge_windowed(windowed, seen, watermark_ns=as_of, now_ns=as_of)
        by_unit = history.group_by("keys", "since", "event_id", maintain_order=True)
        last = by_unit.agg(pl.col("verdict", "missing", "before").last())
        verdict, missing, before = max(last.select("verdict", "missing", "before").rows(), key=_badness, default=_NONE)
        passed = verdict == example.verdict and example.missing in {None, missing}
        passed = passed and before == ("" if example.restated_from is None else example.restated_from)
        results.append(ExampleResult(control, example, Verdict(verdict), missing, passed))
    return tuple(results)


def _badness(said: tuple[str, str, str]) -> int:
    return _WORSE.index(Verdict(said[0]))


def example_events(control: Control) -> pl.DataFrame:
    """The examples of a control as located events, one a message."""
    return example_frame(control, [example.event for example in control.examples])


def example_frame(control: Control, events: Sequence[Mapping[str, EventValue]]) -> pl.DataFrame:
    """Events of examples as located events, one a message.

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
    rows = [{**basis, **always, **event} for event in events]
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
