"""A control that looks at more than one event over what the store holds: day by day, beside another text of it.

Of several texts each judges what begins in its own time.

The store judges, by the SELECT that `controls.windowed_sql` writes for it, as of the moment at which the windows were
judged last, so that the text in force says here what it said there. What is counted is windows, sequences and absences,
on the day on which they begin; only counts come back. Days go to the store together until they hold as many events as
are well read at one go, and keys in parts where what they come to might not fit into a reader's memory.
"""

# ruff: noqa: S608 - what is put into the text are checked conditions, and names and numbers of ours

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.controls.windowed_sql import events_select, verdicts_select
from onshore_pipeline.controls.windowed_sql_parts import NEVER, Asked, floored
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.jobs.backtest import Day, Estimate, agreement_of, by_verdict, by_version, days_of, nanoseconds
from onshore_pipeline.jobs.windowed_statements import ARRIVED
from onshore_pipeline.jobs.windowed_time import now_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.jobs.backtest import Counts
    from onshore_pipeline.store.reader import Reader

# Events that are read at a time, what keeps a question within a reader's time; and events in scope, each as often as it
# is in a window, that are judged at a time: what bounds memory.
_EVENTS_AT_ONCE: Final = 4_000_000
_FACTS_AT_ONCE: Final = 750_000
_ASSUMED_ROWS_A_SECOND: Final = 1_000_000
_SAMPLED: Final = 20_000
_DAY_NS: Final = timedelta(days=1) // timedelta(microseconds=1) * 1_000
_NEVER: Final = Verdict.NOT_APPLICABLE.value
_COUNTED: Final = pl.Schema(
    {"day": pl.Int64(), "old": pl.String(), "new": pl.String(), "version": pl.Int64(), "events": pl.UInt64()}
)
# As numbers they take less room than as texts.
_VERDICTS: Final = str([Verdict.SATISFIED.value, Verdict.VIOLATED.value, Verdict.UNDETERMINED.value])
_LAST_RUN: Final = """
SELECT toUnixTimestamp64Nano(watermark) AS watermark, toUnixTimestamp64Nano(judged_at) AS judged FROM windowed_runs
ORDER BY generation DESC LIMIT 1
"""
_STORED: Final = """
SELECT toString(toDate32(w.since)) AS day, control_version AS version, toString(verdict) AS verdict, count() AS events
FROM windowed_current AS w
WHERE control_id = {control:String} AND toUnixTimestamp64Nano(w.since) >= {since:Int64}
    AND toUnixTimestamp64Nano(w.since) < {until:Int64}
GROUP BY day, version, verdict
"""


@dataclass(frozen=True, slots=True)
class _Portion:
    """Some days that are judged together; `events` happened in the time that bears on them."""

    since: datetime
    until: datetime
    events: int


class WindowedBacktest:
    """One control of more than one event, or another text of it beside it, over a period. Asked as `Backtest` is."""

    counts: Final = "windows, sequences or absences"

    def __init__(
        self,
        store: Reader,
        old: Sequence[WindowedControl],
        new: WindowedControl | None,
        *,
        events_at_once: int = _EVENTS_AT_ONCE,
        facts_at_once: int = _FACTS_AT_ONCE,
    ) -> None:
        """Take a reading store; `old` are the control's texts, none for one that is not in force yet.

        Of days together no more are read once they hold `events_at_once` events, and their keys are taken apart where
        more than about `facts_at_once` facts would be judged together.
        """
        self._store, self._old, self._new = store, old, new
        self._events_at_once, self._facts_at_once = events_at_once, facts_at_once
        self._texts = [*old, *([new] if new is not None else [])]
        self._domains = tuple(dict.fromkeys(name for each in self._texts for name in each.control.domains))
        self._span = timedelta(microseconds=max(each.span_ns for each in self._texts) // 1_000)

    def estimate(self, since: datetime, until: datetime) -> Estimate:
        """What reading this period, and what follows on it, will cost for each text, from a count and a sample."""
        where = f"WHERE {self._within(since, until + self._span)}"
        [counted] = self._store.rows(f"SELECT count() AS n FROM events {where}")
        rows, size = int(counted["n"]), 0.0
        for control in self._texts:
            columns = dict.fromkeys(
                (*(each.name for role in control.roles for each in role.columns),
                 *(each.name for each in (*control.key, *control.values)), "ingested_at", "attempt_id")
            )  # fmt: skip
            read = ", ".join(columns)
            sample = f"SELECT avg(byteSize({read})) AS size FROM (SELECT {read} FROM events {where} LIMIT {_SAMPLED})"
            size += rows * float(self._store.rows(sample)[0]["size"] or 0) if rows else 0
        return Estimate(rows, round(size), rows * len(self._texts) / _ASSUMED_ROWS_A_SECOND)

    def days(self, since: datetime, until: datetime) -> Iterator[Day]:
        """Judge day by day, the oldest first. `rows` is what began or happened on it."""
        stored, as_of = self._stored(since, until), self._as_of()
        for portion in self._portions(since, until):
            began = time.monotonic()
            counted = self._counted(portion, as_of)
            took_s, total = time.monotonic() - began, int(counted["events"].sum())
            for start, end in days_of(portion.since, portion.until):
                own = counted.filter(pl.col("day") == nanoseconds(start) // _DAY_NS)
                said, rows = stored.get(f"{start:%Y-%m-%d}", {}), int(own["events"].sum())
                changed = own.filter(pl.col("old") != pl.col("new"))["events"].sum()
                yield Day(
                    since=start,
                    until=end,
                    rows=rows,
                    old=by_verdict(own, "old"),
                    new=by_verdict(own, "new") if self._new else None,
                    stored=said,
                    compared=(start, end),
                    agreement=agreement_of(by_version(own, [each.control.version for each in self._old]), said),
                    changed=int(changed) if self._old and self._new else 0,
                    seconds=took_s * rows / max(1, total),
                )

    def differing(self, since: datetime, until: datetime, at_most: int) -> list[dict[str, Any]]:
        """The first units that the texts say other things about: an event of each, when it begins, both verdicts."""
        as_of, found = self._as_of(), list[dict[str, Any]]()
        for portion in self._portions(since, until):
            rows = [
                row
                for asked in self._asked(portion, as_of)
                for row in self._store.rows(
                    f"SELECT if(old_sample = '', new_sample, old_sample) AS sample, since,"
                    f" toString(fromUnixTimestamp64Nano(since, 'UTC')) AS occurred_at, old, new, keys"
                    f" FROM ({self._units(asked, sampled=True)}) WHERE old != new ORDER BY since, keys LIMIT {at_most}"
                )
            ]
            found += sorted(rows, key=lambda row: row["since"])
            if len(found) >= at_most:
                break
        return [
            {
                "event_id": row["sample"], "occurred_at": row["occurred_at"], "old": row["old"], "new": row["new"],
                "key": row["keys"],
            }
            for row in found[:at_most]
        ]  # fmt: skip

    def _counted(self, portion: _Portion, as_of: tuple[int, int]) -> pl.DataFrame:
        """How many units began on each day (days since 1970), by both verdicts and the version that gave `old`."""
        sql = (
            f"SELECT {floored('since', _DAY_NS)} AS day, old, new, version, count() AS events FROM ({{}}) GROUP BY ALL"
        )
        parts = [
            self._store.frame(sql.format(self._units(asked))).cast(_COUNTED) for asked in self._asked(portion, as_of)
        ]
        return (
            pl.concat([pl.DataFrame(schema=_COUNTED), *parts])
            .group_by("day", "old", "new", "version")
            .agg(pl.col("events").sum())
        )

    def _units(self, asked: Asked, *, sampled: bool = False) -> str:
        """A SELECT of units: keys, since, event_id, `old` and the `version` that says so, `new`, and samples."""
        sides = [(each, "old", each.control.version) for each in self._old]
        sides += [(self._new, "new", 0)] if self._new is not None else []
        selected = []
        for control, side, version in sides:
            verdicts = verdicts_select(control, self._events(control, asked), asked, sampled=sampled)
            own = {"old_said": "0", "new_said": "0", "old_sample": "''", "new_sample": "''"}
            own[f"{side}_said"] = f"toUInt8(indexOf({_VERDICTS}, verdict))"
            if sampled:
                own[f"{side}_sample"] = "sample"
            told = ", ".join(f"{value} AS {name}" for name, value in own.items())
            selected.append(f"SELECT keys, since, event_id, {told}, {version} AS version FROM ({verdicts})")
        every = " UNION ALL ".join(selected)
        kept = ["version", *(["old_sample", "new_sample"] if sampled else [])]
        if self._old and self._new:
            merged = ", ".join(f"max(u.{name}) AS {name}" for name in ("old_said", "new_said", *kept))
            every = f"SELECT keys, since, event_id, {merged} FROM ({every}) AS u GROUP BY keys, since, event_id"
        words = [f"if({side}_said = 0, '{_NEVER}', {_VERDICTS}[{side}_said]) AS {side}" for side in ("old", "new")]
        return f"SELECT keys, since, event_id, {', '.join([*words, *kept])} FROM ({every})"

    def _events(self, control: WindowedControl, asked: Asked) -> str:
        """A SELECT of what bears on units that begin in the time that is asked for."""
        listed = ", ".join(f"'{name}'" for name in control.control.domains)
        high = min(asked.until_ns - 1 + control.span_ns, NEVER)
        within = (
            f"e.domain IN ({listed}) AND e.occurred_at BETWEEN fromUnixTimestamp64Nano({asked.since_ns}, 'UTC')"
            f" AND fromUnixTimestamp64Nano({high}, 'UTC')"
        )
        return events_select(control, ARRIVED.format(which="l.attempt_id IS NOT NULL", events=within), "1")

    def _portions(self, since: datetime, until: datetime) -> Iterator[_Portion]:
        """The days of the period by portions, each as long at least as what bears on it reaches past it."""
        day = floored("toUnixTimestamp64Nano(occurred_at)", _DAY_NS)
        within = self._within(since, until + self._span)
        counted = self._store.rows(f"SELECT {day} AS day, count() AS n FROM events WHERE {within} GROUP BY day")
        held = {int(row["day"]): int(row["n"]) for row in counted}

        def events(first: datetime, last: datetime) -> int:
            days = range(nanoseconds(first) // _DAY_NS, nanoseconds(last - timedelta(microseconds=1)) // _DAY_NS + 1)
            return sum(held.get(each, 0) for each in days)

        first = since
        for _, end in days_of(since, until):
            if end == until or (end - first >= self._span and events(first, end) >= self._events_at_once):
                yield _Portion(first, end, events(first, end + self._span))
                first = end

    def _asked(self, portion: _Portion, as_of: tuple[int, int]) -> Iterator[Asked]:
        """The parts that the keys of a portion are taken apart into."""
        if not portion.events:
            return
        whole = Asked(nanoseconds(portion.since), nanoseconds(portion.until), *as_of)
        rows = 0
        for control in self._texts:
            every, weight = control.windowed.every_ns, 1
            if every:
                weight = min(control.windowed.period_ns // every, -(-(whole.until_ns - whole.since_ns) // every))
            facts = portion.events
            if facts * weight * len(self._texts) > self._facts_at_once:
                facts = int(self._store.rows(f"SELECT count() AS n FROM ({self._events(control, whole)})")[0]["n"])
            rows += facts * weight
        pieces = max(1, -(-rows // self._facts_at_once))
        for piece in range(pieces):
            yield replace(whole, pieces=pieces, piece=piece)

    def _within(self, since: datetime, until: datetime) -> str:
        listed = ", ".join(f"'{name}'" for name in self._domains)
        low, high = (f"fromUnixTimestamp64Nano({min(nanoseconds(each), NEVER)}, 'UTC')" for each in (since, until))
        return f"domain IN ({listed}) AND occurred_at >= {low} AND occurred_at < {high}"

    def _as_of(self) -> tuple[int, int]:
        """The watermark and the time of the last run of the windows' own job; the present if it never ran."""
        ran = self._store.rows(_LAST_RUN)
        if not ran:
            now = now_ns()
            return now, now
        return int(ran[0]["watermark"]), max(int(ran[0]["watermark"]), int(ran[0]["judged"]))

    def _stored(self, since: datetime, until: datetime) -> dict[str, dict[int, Counts]]:
        """What the windows' own job said, by day, version and verdict."""
        control = self._texts[0].control.id
        asked: Mapping[str, Any] = {"control": control, "since": nanoseconds(since), "until": nanoseconds(until)}
        stored: dict[str, dict[int, Counts]] = {}
        for row in self._store.rows(_STORED, asked):
            by_version = stored.setdefault(str(row["day"]), {})
            by_version.setdefault(int(row["version"]), {})[str(row["verdict"])] = int(row["events"])
        return stored
