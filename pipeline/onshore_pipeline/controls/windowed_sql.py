"""The verdict that stands on each window, sequence or absence, as one SELECT for ClickHouse.

It is what the last row of `windowed_verdicts.judge_windowed` says of the unit, without its history and without words
for what is missing.
"""

# ruff: noqa: S608 - what is put into the text are checked conditions, and names and numbers of ours

from __future__ import annotations

from typing import TYPE_CHECKING

from onshore_pipeline.controls.windowed_sql_chains import absences, sequences
from onshore_pipeline.controls.windowed_sql_parts import Asked, key_texts
from onshore_pipeline.controls.windowed_sql_windows import windows

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl


def events_select(control: WindowedControl, events: str, where: str) -> str:
    """A SELECT of the events that have a role, or may have one: a row each, whatever number of roles it has.

    `event_id`, `at` and `arrival` (nanoseconds), the key columns by their own names, `v0`, ... (the columns of the
    aggregates), `r0`, ... (whether it has the role; NULL: nobody knows) and `disputed` (claims that the first role
    reads disagree).

    Args:
        control: the control.
        events: what stands behind FROM: rows of `events` with `arrival` in nanoseconds beside their columns, once each.
        where: an SQL condition that narrows them.
    """
    roles = [f"{role.clickhouse.applies} AS r{number}" for number, role in enumerate(control.roles)]
    values = [f"{column.name} AS v{place}" for place, column in enumerate(control.values)]
    said = [
        "event_id", "toUnixTimestamp64Nano(occurred_at) AS at", "arrival", *(column.name for column in control.key),
        *values, *(f"r{number}" for number in range(len(roles))),
        f"{control.roles[0].clickhouse.contradicted} AS disputed",
    ]  # fmt: skip
    some = " OR ".join(f"ifNull(r{number}, true)" for number in range(len(roles)))
    return f"SELECT {', '.join(said)} FROM (SELECT *, {', '.join(roles)} FROM {events} WHERE {where}) WHERE {some}"


def verdicts_select(control: WindowedControl, events: str, asked: Asked, *, sampled: bool = False) -> str:
    """A SELECT of the units about which something is said: `keys`, `since`, `event_id`, `verdict`.

    `keys` are texts; `since` is in nanoseconds; `event_id` is that of a sequence's first step, or of what came at the
    moment from which on nothing came, and NULL for a window.

    Args:
        control: the control.
        events: a SELECT as `events_select`, of all that bears on these units.
        asked: which units, as of when.
        sampled: add `sample`, the id of an event that the verdict rests on.
    """
    units = {"window": windows, "sequence": sequences, "absence": absences}[control.windowed.kind](
        control, events, asked, sampled=sampled
    )
    sample = ", sample" if sampled else ""
    return (
        f"SELECT {key_texts(control)} AS keys, since, event_id, assumeNotNull(said) AS verdict{sample}"
        f" FROM ({units}) WHERE said IS NOT NULL AND {asked.is_own(control)}"
    )
