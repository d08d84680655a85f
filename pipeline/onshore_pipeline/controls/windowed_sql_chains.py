"""Sequences and absences in ClickHouse's SQL: a key's events are gone through backwards, and running minima are kept.

How long something may take, and how long it is waited for, says for which first ones an event comes in time: those of a
stretch of time that ends at the event. So a first one is followed if, of all events behind it, the least beginning of
such a stretch is not behind it. That costs the same however many events lie between.
"""

# ruff: noqa: S608 - what is put into the text are checked conditions, and names and numbers of ours

from __future__ import annotations

from typing import TYPE_CHECKING

from onshore_pipeline.controls.windowed_sql_parts import NEVER, floored, key_columns, lacks_key, next_doubt
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.controls.windowed_sql_parts import Asked


def sequences(control: WindowedControl, events: str, asked: Asked, *, sampled: bool) -> str:
    """A SELECT of first steps: the key's columns, `since`, `event_id` and `said`; NULL where nothing is said yet."""
    steps = len(control.roles)
    doubts = [
        f"{next_doubt(control, f'ifNull(r{step}, true)', 'CURRENT ROW')} AS doubt_{step}" for step in range(1, steps)
    ]
    rows = (
        f"SELECT *, NOT ({lacks_key(control)}) AS named, {', '.join(doubts)} FROM ({events})"
        f" WHERE {asked.bears(control)}"
    )
    last = steps - 1
    rows = (
        f"SELECT *, named AND ifNull(r{last}, false) AS certain_{last}, named AND ifNull(r{last}, true)"
        f" AS possible_{last}, arrival AS there_{last} FROM ({rows})"
    )
    for step in range(last, 1, -1):
        rows = _step_before(control, rows, step)
    said = (
        f"multiIf(due AND NOT whole, '{Verdict.UNDETERMINED}', due AND certain, '{Verdict.VIOLATED}',"
        f" due AND (possible OR disputed), '{Verdict.UNDETERMINED}', due, '{Verdict.SATISFIED}',"
        f" whole AND in_time, '{Verdict.VIOLATED}', close <= {asked.now_ns}, '{Verdict.UNDETERMINED}', NULL)"
    )
    return _units(control, _first_step(control, rows), said, asked, sampled=sampled)


def _step_before(control: WindowedControl, rows: str, step: int) -> str:
    """The rows, and whether and since when the step before `step` is one that is followed to the end.

    Since when is the least that is found in the stretch of time behind the event that is as long as `within`. In blocks
    of time of that length it reaches into the next block: one running minimum goes to the end of the event's own block,
    another from the beginning of the next one to the stretch's end. For that moment each event is there a second time.
    """
    within, key, before = control.windowed.within_ns[step - 1], key_columns(control), step - 1
    to_the_end = (
        f"SELECT *, {_follows(control, step)}, min(if(certain_{step}, there_{step}, NULL)) OVER"
        f" (PARTITION BY {key}, {floored('at', within)} ORDER BY at DESC"
        f" RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS rest_before FROM ({rows})"
    )
    twice = f"SELECT *, is_end, at + is_end * {within} AS moment FROM ({to_the_end}) ARRAY JOIN [0, 1] AS is_end"
    both = (
        f"SELECT *, min(if(certain_{step} AND is_end = 0, there_{step}, NULL)) OVER (PARTITION BY {key},"
        f" {floored('moment', within)} ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        f" AS rest_behind FROM ({twice})"
    )
    rest = f"least(ifNull(rest_before, {NEVER}), ifNull(rest_behind, {NEVER}))"
    return (
        f"SELECT * EXCEPT (next_certain, next_possible, tied, rest_before, rest_behind, is_end, moment),"
        f" named AND ifNull(r{before}, false) AND {_is_followed(within)} AS certain_{before},"
        f" named AND ifNull(r{before}, true) AND {_may_be_followed(step, within)} AS possible_{before},"
        f" greatest(arrival, {rest}) AS there_{before} FROM ({both}) WHERE is_end = 1"
    )


def _first_step(control: WindowedControl, rows: str) -> str:
    """The first steps, whether the others follow, and whether those that arrived in time do."""
    within, waits = control.windowed.within_ns[0], control.span_ns + control.windowed.lateness_ns
    followed = (
        f"SELECT *, {_follows(control, 1)}, min(if(certain_1, greatest(at - {within}, there_1 - {waits} + 1), NULL))"
        f" OVER {_behind(control)} AS covered_from FROM ({rows})"
    )
    return (
        f"SELECT *, named AND r0 IS NOT NULL AS whole, {_is_followed(within)} AS certain,"
        f" {_may_be_followed(1, within)} AS possible, ifNull(covered_from <= at, false) AS covered"
        f" FROM ({followed}) WHERE ifNull(r0, true)"
    )


def _follows(control: WindowedControl, step: int) -> str:
    """When the next step comes, for certain and perhaps, and how many others of its kind come at the same moment."""
    key = key_columns(control)
    return (
        f"min(if(certain_{step}, at, NULL)) OVER {_behind(control)} AS next_certain,"
        f" min(if(possible_{step}, at, NULL)) OVER {_behind(control)} AS next_possible,"
        f" sum(possible_{step}) OVER (PARTITION BY {key}, at) - possible_{step} AS tied"
    )


def _is_followed(within: int) -> str:
    return f"ifNull(next_certain <= at + {within}, false)"


def _may_be_followed(step: int, within: int) -> str:
    """Events at one moment have no order; one whose key is not wholly known may be the one that follows."""
    return f"(ifNull(next_possible <= at + {within}, false) OR tied > 0 OR doubt_{step} <= at + {within})"


def absences(control: WindowedControl, events: str, asked: Asked, *, sampled: bool) -> str:
    """A SELECT of moments at which something came: as `sequences`; `event_id` is the surest that came then."""
    within, waits = control.span_ns, control.span_ns + control.windowed.lateness_ns
    key = key_columns(control)
    # Sorted, for a state of argMin would be several times as large as what it chooses from.
    moments = (
        f"SELECT {key}, at, event_id, arrival, r0 IS NOT NULL AS sure, disputed, NOT ({lacks_key(control)}) AS named"
        f" FROM ({events}) WHERE {asked.bears(control)}"
        f" ORDER BY {key}, at, r0 IS NULL, disputed, arrival, UUIDStringToNum(toString(event_id)) LIMIT 1 BY {key}, at"
    )
    ends = "sure AND NOT disputed"
    followed = (
        f"SELECT *, min(if({ends}, at, NULL)) OVER {_behind(control)} AS next_certain,"
        f" min(CAST(at AS Nullable(Int64))) OVER {_behind(control)} AS next_possible,"
        f" min(if({ends}, greatest(at - {within}, arrival - {waits} + 1), NULL)) OVER {_behind(control)}"
        f" AS covered_from, {next_doubt(control, '1', '1 PRECEDING')} AS doubt_1 FROM ({moments})"
    )
    rows = (
        f"SELECT *, named AND sure AS whole, {_is_followed(within)} AS certain,"
        f" (ifNull(next_possible <= at + {within}, false) OR doubt_1 <= at + {within}) AS possible,"
        f" ifNull(covered_from <= at, false) AS covered FROM ({followed})"
    )
    said = (
        f"multiIf(due AND NOT whole, '{Verdict.UNDETERMINED}', due AND certain AND NOT disputed, '{Verdict.SATISFIED}',"
        f" due AND possible, '{Verdict.UNDETERMINED}', due, '{Verdict.VIOLATED}',"
        f" whole AND in_time AND NOT disputed, '{Verdict.SATISFIED}', close <= {asked.now_ns},"
        f" '{Verdict.UNDETERMINED}', NULL)"
    )
    return _units(control, rows, said, asked, sampled=sampled)


def _behind(control: WindowedControl) -> str:
    """The events of the same key behind a moment."""
    return f"(PARTITION BY {key_columns(control)} ORDER BY at DESC RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"


def _units(control: WindowedControl, rows: str, said: str, asked: Asked, *, sampled: bool) -> str:
    """Those that begin in the time that is asked for, with what is said of them."""
    since, until = asked.within(control)
    waits = control.span_ns + control.windowed.lateness_ns
    sample = ", replaceAll(toString(event_id), '-', '') AS sample" if sampled else ""
    return (
        f"SELECT {key_columns(control)}, at AS since, CAST(event_id AS Nullable(UUID)) AS event_id,"
        f" at + {waits} AS close, close <= {asked.watermark_ns} AS due, covered AND arrival < close AS in_time,"
        f" {said} AS said{sample}"
        f" FROM ({rows}) WHERE at >= {since} AND at < {until}"
    )
