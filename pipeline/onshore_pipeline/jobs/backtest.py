"""A control over what the store holds: what it says day by day, beside another text of it and beside what was sealed.

The store judges, by the text that `controls.compiled` writes for it, over committed events; of several texts in force
each judges the events of its own time, as when they came. Days are counted in UTC, by the event's own time, as
everything that a control dates.
"""

# ruff: noqa: S608 - what is put into the text are checked conditions and names of ours

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl

from onshore_pipeline.domain.event import DOMAINS
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from onshore_pipeline.controls.compiled import Compiled
    from onshore_pipeline.store.reader import Reader

DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_COUNTED: Final = (Verdict.SATISFIED, Verdict.VIOLATED, Verdict.UNDETERMINED)
_SAMPLED: Final = 20_000
# What one core of the machine that this was measured on gets through; the first day corrects it.
_ASSUMED_ROWS_A_SECOND: Final = 2_000_000
_NEVER: Final = f"'{Verdict.NOT_APPLICABLE}'"
_WITHIN: Final = (
    "occurred_at >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')"
    " AND occurred_at < fromUnixTimestamp64Nano({until:Int64}, 'UTC')"
)
_STORED: Final = """
SELECT toString(toDate32(hour)) AS day, control_version AS version, toString(verdict) AS verdict, sum(events) AS events
FROM message_verdicts_current
WHERE control_id = {control:String} AND hour >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
    AND hour < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
GROUP BY day, version, verdict
"""

Counts = dict[str, int]
# equal: as the worker judged. partly: the worker judged fewer events by this version (it came later, or another version
# judged the rest). differs: as many events and other verdicts, or verdicts on events that are not there. none: the
# worker did not judge by it, or there is no whole hour to compare.
Agreement = Literal["equal", "partly", "differs", "none"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a backtest will read: rows, uncompressed bytes of the columns that are read, and a guess at the time."""

    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Day:
    """One day, or the part of it that was asked for.

    Attributes:
        rows: events read.
        old: events by verdict under the texts in force, each in its time; not applicable ones are not counted.
        new: the same under the other text; None without one.
        stored: by version, events by verdict as they were sealed, of what is compared.
        compared: from when to when verdicts are held against what was sealed: its whole hours, for by the hour it is
            counted; None if it has none.
        agreement: whether the texts in force say what was sealed, of what is compared.
        changed: events whose verdict is another under the other text.
        seconds: that it took.
    """

    since: datetime
    until: datetime
    rows: int
    old: Counts
    new: Counts | None
    stored: Mapping[int, Counts]
    compared: tuple[datetime, datetime] | None
    agreement: Agreement
    changed: int
    seconds: float


class Backtest:
    """One control, or another text of it beside it, over a period."""

    counts: Final = "events"

    def __init__(self, store: Reader, old: Sequence[Compiled], new: Compiled | None) -> None:
        """Take a reading store; `old` are the control's texts, none for one that is not in force yet."""
        self._store, self._old, self._new = store, old, new
        texts = [*old, *([new] if new is not None else [])]
        self._control_id = texts[0].control.id
        self._columns = tuple(dict.fromkeys(column.name for each in texts for column in each.columns))
        self._contradictions = any(each.parties for each in texts)
        self.domains = tuple(name for name in DOMAINS if any(name in each.control.domains for each in texts))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that one of the texts reads."""
        return (*self._columns, *(["contradictions"] if self._contradictions else []))

    def estimate(self, since: datetime, until: datetime) -> Estimate:
        """What reading this period will cost, from a count and a sample."""
        within = self._within(since, until)
        read = ", ".join((*self.columns, "attempt_id"))
        rows = int(self._store.frame(f"SELECT count() AS n FROM events {self._where()}", within)["n"][0])
        sample = (
            f"SELECT avg(byteSize({read})) AS size FROM (SELECT {read} FROM events {self._where()} LIMIT {_SAMPLED})"
        )
        size = float(self._store.frame(sample, within)["size"][0] or 0) if rows else 0.0
        return Estimate(rows, round(rows * size), rows / _ASSUMED_ROWS_A_SECOND)

    def days(self, since: datetime, until: datetime) -> Iterator[Day]:
        """Judge day by day, the oldest first; a day without an event is told without asking the store for it."""
        within = self._within(since, until)
        stored = self._stored(since, until)
        lived = f"SELECT DISTINCT toString(toDate32(occurred_at)) AS day FROM events {self._where()}"
        with_events = {str(row["day"]) for row in self._store.rows(lived, within)}
        for start, end in days_of(since, until):
            day = f"{start:%Y-%m-%d}"
            if day in with_events:
                yield self._day(start, end, stored.get(day, {}))
            else:
                yield self._empty(start, end, stored.get(day, {}))

    def differing(self, since: datetime, until: datetime, at_most: int) -> list[dict[str, Any]]:
        """The first events whose verdict differs between the texts: id, time, both verdicts, and what they read."""
        shown = ", ".join(_shown(name) for name in self.columns if name != "occurred_at")
        read = f"SELECT event_id, {', '.join(self.columns)}, {self._verdicts()} FROM events_current {self._where()}"
        sql = (
            f"SELECT toString(event_id) AS event_id, toString(occurred_at) AS occurred_at, old, new, {shown}"
            f" FROM ({read}) WHERE old != new ORDER BY occurred_at, event_id LIMIT {at_most}"
        )
        return self._store.rows(sql, self._within(since, until))

    def _day(self, since: datetime, until: datetime, stored: Mapping[int, Counts]) -> Day:
        began = time.monotonic()
        within = self._within(since, until)
        compared = whole_hours(since, until)
        first, behind = (nanoseconds(each) for each in compared or (since, since))
        whole = (
            f"toUnixTimestamp64Nano(occurred_at) >= {first} AND toUnixTimestamp64Nano(occurred_at) < {behind} AS whole"
        )
        judged = f"SELECT {self._verdicts()}, {whole} FROM events_current {self._where()}"
        sql = f"SELECT old, new, version, whole, count() AS events FROM ({judged}) GROUP BY old, new, version, whole"
        counted = self._store.frame(sql, within)
        in_hours = counted.filter(counted["whole"] == 1)
        old = by_verdict(counted, "old")
        changed = counted.filter(counted["old"] != counted["new"])["events"].sum() if self._new and self._old else 0
        return Day(
            since=since,
            until=until,
            rows=int(counted["events"].sum()),
            old=old,
            new=by_verdict(counted, "new") if self._new else None,
            stored=stored,
            compared=compared,
            agreement=agreement_of(by_version(in_hours, self._versions()), stored) if compared else "none",
            changed=int(changed),
            seconds=time.monotonic() - began,
        )

    def _empty(self, since: datetime, until: datetime, stored: Mapping[int, Counts]) -> Day:
        none = dict.fromkeys((word.value for word in _COUNTED), 0)
        compared = whole_hours(since, until)
        agreement = agreement_of(dict.fromkeys(self._versions(), none), stored) if compared else "none"
        return Day(since, until, 0, none, dict(none) if self._new else None, stored, compared, agreement, 0, 0.0)

    def _stored(self, since: datetime, until: datetime) -> dict[str, dict[int, Counts]]:
        """What was sealed, by day, version and verdict, of the period's whole hours."""
        stored: dict[str, dict[int, Counts]] = {}
        compared = whole_hours(since, until)
        if compared is None:
            return stored
        for row in self._store.rows(_STORED, {**self._within(*compared), "control": self._control_id}):
            by_version = stored.setdefault(str(row["day"]), {})
            by_version.setdefault(int(row["version"]), {})[str(row["verdict"])] = int(row["events"])
        return stored

    def _verdicts(self) -> str:
        """What each text in force says (at most one judges an event), which version does, and what the new one says."""
        own = [f"{each.clickhouse.verdict} AS old_{each.control.version}" for each in self._old]
        judges = [(f"old_{version} != {_NEVER}", version) for version in self._versions()]
        old = "".join(f"{does}, old_{version}, " for does, version in judges)
        version = "".join(f"{does}, {version}, " for does, version in judges)
        chosen = [f"multiIf({old}{_NEVER}) AS old" if old else f"{_NEVER} AS old"]
        chosen.append(f"multiIf({version}0) AS version" if version else "0 AS version")
        return ", ".join([*own, *chosen, f"{self._new.clickhouse.verdict if self._new else 'old'} AS new"])

    def _versions(self) -> list[int]:
        return [each.control.version for each in self._old]

    def _where(self) -> str:
        listed = ", ".join(f"'{name}'" for name in self.domains)
        return f"WHERE domain IN ({listed}) AND {_WITHIN}"

    @staticmethod
    def _within(since: datetime, until: datetime) -> dict[str, Any]:
        return {"since": nanoseconds(since), "until": nanoseconds(until)}


def refused(compiled: Compiled) -> str | None:
    """Why a control cannot be run over history; None if it can."""
    status = compiled.control.status
    if status not in {"executable", "disabled"}:
        return f"{compiled.control.id} has no condition (its status is {status}): there is nothing to run"
    return None


def days_of(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The days of a period in UTC, the first and the last one as far as they were asked for."""
    while since < until:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        yield since, min(midnight, until)
        since = midnight


def whole_hours(since: datetime, until: datetime) -> tuple[datetime, datetime] | None:
    """From when to when a period consists of whole hours; None if it holds none."""
    first, behind = (each.replace(minute=0, second=0, microsecond=0) for each in (since, until))
    first += _HOUR if first < since else timedelta()
    return (first, behind) if first < behind else None


def nanoseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _MICROSECOND * 1_000


def _shown(name: str) -> str:
    return f"arrayMap(each -> toString(each), {name}) AS {name}" if name in _LISTS else f"toString({name}) AS {name}"


_LISTS: Final = frozenset({"categories", "home_jurisdictions", "transit_countries", "contradictions"})


def by_verdict(counted: pl.DataFrame, side: str) -> Counts:
    """How much of `counted`, which has `events` beside verdicts in the column `side`, has which verdict."""
    counts = dict.fromkeys((word.value for word in _COUNTED), 0)
    for verdict, events in counted.select(side, "events").iter_rows():
        if verdict in counts:
            counts[verdict] += int(events)
    return counts


def by_version(counted: pl.DataFrame, versions: Iterable[int]) -> dict[int, Counts]:
    """The same of the column `old`, by the version of the text that says so."""
    return {each: by_verdict(counted.filter(pl.col("version") == each), "old") for each in versions}


def agreement_of(old: Mapping[int, Counts], stored: Mapping[int, Counts]) -> Agreement:
    """How what the texts in force say compares with what is `stored`, both by version."""
    concerned = [version for version, counts in old.items() if version in stored or any(counts.values())]
    if not concerned:
        return "none" if stored or not old else "equal"
    found = {_agreement(old[version], stored.get(version)) for version in concerned}
    if len(found) == 1:
        return found.pop()
    return "differs" if "differs" in found else "partly"


def _agreement(old: Counts, sealed: Counts | None) -> Agreement:
    if sealed is None:
        return "none"
    if all(sealed.get(word, 0) == count for word, count in old.items()):
        return "equal"
    return "partly" if _total([sealed]) < _total([old]) else "differs"


def _total(counts: Sequence[Counts]) -> int:
    return sum(sum(each.values()) for each in counts)
