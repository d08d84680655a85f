"""A control that looks at more than one event over what the store holds: day by day, beside another text of it.

Of several texts each judges what begins in its own time.

The facts are asked of the store and judged by the functions that judge them as they come, as of the moment at which the
windows were judged last, so that the text in force says here what it said there. What is counted is windows, sequences
and absences, on the day on which they begin.
"""

# ruff: noqa: S608 - what is put into the text are checked conditions and names of ours

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.controls.windowed_facts import FACTS_SCHEMA, facts_select
from onshore_pipeline.controls.windowed_history import nothing
from onshore_pipeline.controls.windowed_verdicts import begins_within, judge_windowed
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

# Rows of facts, each as often as it is in a window, that are judged at a time: what bounds memory.
ROWS_AT_ONCE: Final = 1_000_000
# What one core gets through, with the store's part.
_ASSUMED_ROWS_A_SECOND: Final = 100_000
_UNIT: Final = ("keys", "since", "event_id")
_NEVER: Final = Verdict.NOT_APPLICABLE.value
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


class WindowedBacktest:
    """One control of more than one event, or another text of it beside it, over a period. Asked as `Backtest` is."""

    counts: Final = "windows, sequences or absences"

    def __init__(self, store: Reader, old: Sequence[WindowedControl], new: WindowedControl | None) -> None:
        """Take a reading store; `old` are the control's texts, none for one that is not in force yet."""
        self._store, self._old, self._new = store, old, new
        self._units: pl.DataFrame | None = None

    def estimate(self, since: datetime, until: datetime) -> Estimate:
        """How many facts, and of how many bytes, both texts need of this period."""
        rows, size = 0, 0
        for control in self._texts():
            sql = f"SELECT count() AS n, sum(byteSize(keys, vals)) AS size FROM ({_facts(control)})"
            [found] = self._store.rows(sql, _reach(control, since, until))
            rows, size = rows + int(found["n"]), size + int(found["size"])
        return Estimate(rows, size, rows / _ASSUMED_ROWS_A_SECOND)

    def days(self, since: datetime, until: datetime) -> Iterator[Day]:
        """Judge the period, then tell it day by day, the oldest first. `rows` is what began or happened on it."""
        began = time.monotonic()
        units = self._judged(since, until)
        stored = self._stored(since, until)
        took_s = time.monotonic() - began
        for start, end in days_of(since, until):
            own = units.filter(pl.col("since").is_between(nanoseconds(start), nanoseconds(end), closed="left"))
            old, new = by_verdict(own, "old"), by_verdict(own, "new")
            said = stored.get(f"{start:%Y-%m-%d}", {})
            yield Day(
                since=start,
                until=end,
                rows=own.height,
                old=old,
                new=new if self._new else None,
                stored=said,
                agreement=agreement_of(by_version(own, [each.control.version for each in self._old]), said),
                changed=own.filter(pl.col("old") != pl.col("new")).height if self._old and self._new else 0,
                seconds=took_s * own.height / max(1, units.height),
            )

    def differing(self, since: datetime, until: datetime, at_most: int) -> list[dict[str, Any]]:
        """The first units that the texts say other things about: an event of each, when it begins, both verdicts."""
        units = self._judged(since, until).filter(pl.col("old") != pl.col("new"))
        shown = units.sort("since", "keys").head(at_most)
        return [
            {
                "event_id": row["sample"],
                "occurred_at": f"{row['begins']:%Y-%m-%d %H:%M:%S.%f}",
                "old": row["old"],
                "new": row["new"],
                "key": row["keys"],
            }
            for row in shown.with_columns(pl.col("since").cast(pl.Datetime("ns", "UTC")).alias("begins")).to_dicts()
        ]

    def _texts(self) -> list[WindowedControl]:
        return [*self._old, *([self._new] if self._new is not None else [])]

    def _judged(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Every unit that begins in the period, as `_sides` has it, with `events`, which is 1."""
        if self._units is None:
            old, new = self._sides(since, until)
            both = old.join(new, on=_UNIT, how="full", coalesce=True, nulls_equal=True)
            self._units = both.with_columns(
                pl.coalesce("sample", "sample_right").alias("sample"),
                pl.col("old").fill_null(_NEVER),
                pl.col("new").fill_null(_NEVER),
                pl.lit(1).alias("events"),
            )
        low, high = nanoseconds(since), nanoseconds(until)
        return self._units.filter(pl.col("since").is_between(low, high, closed="left"))

    def _sides(self, since: datetime, until: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """By unit, with a `sample`: `old` and the `version` that says so of the texts in force; and `new`."""
        watermark_ns, now = self._as_of()
        nobody = _last(nothing()).with_columns(pl.lit(0, pl.Int64).alias("version"))
        own = [
            self._verdicts(each, since, until, watermark_ns, now).with_columns(
                pl.lit(each.control.version, pl.Int64).alias("version")
            )
            for each in self._old
        ]
        new = [self._verdicts(self._new, since, until, watermark_ns, now)] if self._new is not None else []
        return (
            pl.concat([nobody, *own]).rename({"verdict": "old"}),
            pl.concat([_last(nothing()), *new]).rename({"verdict": "new"}),
        )

    def _as_of(self) -> tuple[int, int]:
        """The watermark and the time of the last run of the windows' own job; the present if it never ran."""
        ran = self._store.rows(_LAST_RUN)
        if not ran:
            now = now_ns()
            return now, now
        return int(ran[0]["watermark"]), max(int(ran[0]["watermark"]), int(ran[0]["judged"]))

    def _verdicts(
        self, control: WindowedControl, since: datetime, until: datetime, watermark_ns: int, now: int
    ) -> pl.DataFrame:
        """What one text says last about each unit that begins in the period."""
        facts, reach = _facts(control), _reach(control, since, until)
        [counted] = self._store.rows(f"SELECT count() AS n FROM ({facts})", reach)
        every = control.windowed.every_ns
        pieces = max(1, -(-int(counted["n"]) * (control.windowed.period_ns // every if every else 1) // ROWS_AT_ONCE))
        # A fact whose key is not wholly known may belong to any key.
        sql = (
            f"SELECT *, cityHash64(toString(keys)) % {pieces} = {{piece:UInt32}} AS own FROM ({facts})"
            " WHERE own OR arrayExists(each -> each IS NULL, keys)"
        )
        found = []
        for piece in range(pieces):
            rows = self._store.frame(sql, {**reach, "piece": piece})
            if rows.is_empty():
                continue
            event_id = pl.col("event_id").str.replace_all("-", "").str.decode("hex")
            taken = rows.with_columns(event_id).select(*FACTS_SCHEMA.names(), "own")
            own = taken.filter(pl.col("own").cast(pl.Boolean)).select("keys").unique()
            history = judge_windowed(
                control, taken.drop("own").cast(FACTS_SCHEMA), watermark_ns=watermark_ns, now_ns=now
            )
            found.append(_last(history.join(own, on="keys", how="semi")))
        units = pl.concat([_last(nothing()), *found])
        low, high = nanoseconds(since), nanoseconds(until)
        return units.filter(pl.col("since").is_between(low, high, closed="left") & begins_within(control))

    def _stored(self, since: datetime, until: datetime) -> dict[str, dict[int, Counts]]:
        """What the windows' own job said, by day, version and verdict."""
        control = self._texts()[0].control.id
        asked = {"control": control, "since": nanoseconds(since), "until": nanoseconds(until)}
        stored: dict[str, dict[int, Counts]] = {}
        for row in self._store.rows(_STORED, asked):
            by_version = stored.setdefault(str(row["day"]), {})
            by_version.setdefault(int(row["version"]), {})[str(row["verdict"])] = int(row["events"])
        return stored


def _facts(control: WindowedControl) -> str:
    """A SELECT of what bears on units that begin in a period."""
    within = "e.occurred_at BETWEEN fromUnixTimestamp64Nano({low:Int64}, 'UTC')"
    within += " AND fromUnixTimestamp64Nano({high:Int64}, 'UTC')"
    events = ARRIVED.format(which="l.attempt_id IS NOT NULL", events=within)
    return " UNION ALL ".join(facts_select(control, role, events, "1") for role in range(len(control.roles)))


def _reach(control: WindowedControl, since: datetime, until: datetime) -> Mapping[str, int]:
    return {"low": nanoseconds(since) - control.span_ns, "high": nanoseconds(until) + control.span_ns}


def _last(history: pl.DataFrame) -> pl.DataFrame:
    """The verdict that stands, with the hexadecimal id of an event that it rests on."""
    sample = pl.col("samples").list.first().bin.encode("hex").alias("sample")
    last = history.sort("stated_at", maintain_order=True).unique(_UNIT, keep="last", maintain_order=True)
    return last.select(*_UNIT, "verdict", sample)
