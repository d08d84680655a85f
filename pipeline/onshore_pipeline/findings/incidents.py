"""With what an incident of a finding began: its first violation, or the first one behind a closing.

When something was known is the broker's word, never the sender's: an event is known when the broker took it (where a
sender stamps messages, when the log had it), a window, sequence or absence when it was said to be violated. What
occurred occurred no later than that. None of it changes when more comes later: what was a recurrence stays one.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from onshore_pipeline.findings.life import Incident, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from onshore_pipeline.findings.standing import Store

Value = TypeVar("Value")

# What violated of some findings, and when that was known.
_VIOLATIONS: Final = """(
    SELECT v.finding_id AS finding_id, v.control_version AS control_version, v.occurred_at AS occurred_at,
        coalesce(v.ingested_at, nullIf(l.appended, toDateTime64(0, 9, 'UTC')), v.occurred_at) AS known_at
    FROM violations_current AS v LEFT JOIN (
        SELECT assumeNotNull(attempt_id) AS attempt, min(appended_at) AS appended FROM evidence_log
        WHERE attempt_id IN (
            SELECT attempt_id FROM violations_current WHERE finding_id IN {findings:Array(UUID)} AND ingested_at IS NULL
        ) GROUP BY attempt
    ) AS l ON l.attempt = v.attempt_id
    WHERE v.finding_id IN {findings:Array(UUID)}
)"""
_FIRST: Final = f"""
SELECT toString(finding_id) AS finding, control_version AS version, min(known_at) AS known,
    min(least(occurred_at, known_at)) AS occurred
FROM {_VIOLATIONS} GROUP BY finding, version
"""  # noqa: S608 - fixed text
# One more row a finding, of the closing 0, says that events violate it.
_BEHIND: Final = f"""
SELECT toString(finding_id) AS finding, closed, control_version AS version, min(known_at) AS known,
    min(least(occurred_at, known_at)) AS occurred
FROM (
    SELECT finding_id, control_version, occurred_at, known_at, arrayJoin(arrayConcat([toInt64(0)], arrayFilter(
        (t, f) -> f = finding_id AND t < toUnixTimestamp64Micro(least(occurred_at, known_at)),
        {{closings:Array(Int64)}}, {{closed:Array(UUID)}}))) AS closed
    FROM {_VIOLATIONS}
)
GROUP BY finding, closed, version
"""  # noqa: S608 - fixed text
# What was ever said of the windows, sequences and absences of some findings: rows come behind, and none changes.
SAID: Final = """(
    SELECT * FROM windowed_verdicts_built WHERE finding_id IN {findings:Array(UUID)} AND (unit_id, generation) IN (
        SELECT unit_id, max(generation) FROM windowed_verdicts_built
        WHERE finding_id IN {findings:Array(UUID)} AND generation IN (SELECT generation FROM rollup_runs)
        GROUP BY unit_id
    )
)"""
_FIRST_SAID: Final = f"""
SELECT toString(finding_id) AS finding, control_version AS version, min(stated_at) AS known,
    min(least(first_at, stated_at)) AS occurred
FROM {SAID} WHERE verdict = 'violated' GROUP BY finding, version
"""  # noqa: S608 - fixed text
# Units that reach behind the closing and were said to be violated only then.
_SAID_BEHIND: Final = f"""
SELECT toString(finding_id) AS finding, closed, control_version AS version, min(stated_at) AS known,
    min(least(until, stated_at)) AS occurred
FROM (
    SELECT finding_id, control_version, until, stated_at, arrayJoin(arrayFilter(
        (t, f) -> f = finding_id AND t < toUnixTimestamp64Micro(least(until, stated_at)),
        {{closings:Array(Int64)}}, {{closed:Array(UUID)}})) AS closed
    FROM {SAID} WHERE verdict = 'violated'
)
GROUP BY finding, closed, version
"""  # noqa: S608 - fixed text
# Events behind the closing, in windows that were said to be violated when they arrived.
_ADDED_BEHIND: Final = f"""
SELECT toString(finding) AS finding, closed, version, fromUnixTimestamp64Nano(min(arrival), 'UTC') AS known,
    fromUnixTimestamp64Nano(min(least(at, arrival)), 'UTC') AS occurred
FROM (
    SELECT u.finding AS finding, u.version AS version, f.at AS at, f.arrival AS arrival, arrayJoin(arrayFilter(
        (t, each) -> each = u.finding AND t * 1000 < least(f.at, f.arrival),
        {{closings:Array(Int64)}}, {{closed:Array(UUID)}})) AS closed
    FROM windowed_facts AS f INNER JOIN (
        SELECT rule, key_hash, any(finding_id) AS finding, any(control_version) AS version,
            toUnixTimestamp64Nano(any(since)) AS low, toUnixTimestamp64Nano(any(until)) AS high,
            arraySort(groupArray((toUnixTimestamp64Nano(stated_at), toString(verdict)))) AS said
        FROM {SAID} WHERE looks_at = 'window' GROUP BY rule, key_hash, unit_id
    ) AS u ON f.rule = u.rule AND f.key_hash = u.key_hash
    WHERE f.rule IN (SELECT rule FROM {SAID}) AND f.at > arrayMin({{closings:Array(Int64)}}) * 1000
        AND f.role = 0 AND f.sure AND f.at >= u.low AND f.at < u.high
        AND arrayFilter(each -> each.1 < f.arrival, u.said)[-1].2 = 'violated'
)
GROUP BY finding, closed, version
"""  # noqa: S608 - fixed text
_RESTATED: Final = f"""
SELECT toString(finding_id) AS finding, max(stated_at) AS at FROM {SAID} WHERE before != '' GROUP BY finding
"""  # noqa: S608 - fixed text
_CONTROLS: Final = """
SELECT toString(control_id) AS control_id, argMax(toString(looks_at), generation) AS looks_at
FROM windowed_verdicts_built GROUP BY control_id
"""
# Parameters travel in the URL.
_AT_ONCE: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def windowed_controls(store: Store) -> dict[str, str]:
    """The controls whose findings are of windows, sequences or absences, and which: `window`, `sequence`, `absence`."""
    return dict(store.frame(_CONTROLS).select("control_id", "looks_at").iter_rows())


def last_restated(store: Store, windowed: Collection[str]) -> dict[str, datetime]:
    """When something that came late last changed what is said about findings; where nothing did, they are left out."""
    found: dict[str, datetime] = {}
    for some in _some(sorted(windowed)):
        found |= dict(store.frame(_RESTATED, {"findings": some}).select("finding", "at").iter_rows())
    return found


def first_incidents(store: Store, findings: Sequence[str], windowed: Collection[str]) -> dict[str, Incident]:
    """With what each finding began, by its id; one that nothing violates is left out.

    `windowed` are those that are of windows, sequences or absences.
    """
    starts: dict[str, list[Start]] = defaultdict(list)
    for statement, own in ((_FIRST, False), (_FIRST_SAID, True)):
        for some in _some([each for each in findings if (each in windowed) is own]):
            for row in store.frame(statement, {"findings": some}).iter_rows(named=True):
                starts[row["finding"]].append(_start(row))
    return {finding: _incident(own) for finding, own in starts.items()}


def incidents_behind(
    store: Store,
    closings: Sequence[tuple[str, datetime]],
    last_seen: Mapping[str, tuple[int, datetime]],
    windowed: Collection[str],
) -> Callable[[str, datetime], Incident | None]:
    """By finding and closing: the first that occurred and was known only behind it; None where nothing did.

    Args:
        store: what is read.
        closings: of findings, when each was closed.
        last_seen: by finding, its control's version, and when it was last seen, which is all that is known of a
            finding of coverage.
        windowed: the findings of windows, sequences or absences.
    """
    starts: dict[tuple[str, int], list[Start]] = defaultdict(list)
    told = set(windowed)
    of_windows = [each for each in closings if each[0] in windowed]
    of_events = [each for each in closings if each[0] not in windowed and each[1] < last_seen[each[0]][1]]
    for statement, asked in ((_BEHIND, of_events), (_SAID_BEHIND, of_windows), (_ADDED_BEHIND, of_windows)):
        for some in _some(asked):
            parameters = {
                "findings": sorted({finding for finding, _ in some}),
                "closed": [finding for finding, _ in some],
                "closings": [_micros(at) for _, at in some],
            }
            for row in store.frame(statement, parameters).iter_rows(named=True):
                told.add(row["finding"])
                starts[row["finding"], row["closed"]].append(_start(row))

    def behind(finding: str, closed: datetime) -> Incident | None:
        if finding in told:
            own = starts.get((finding, _micros(closed)))
            return _incident(own) if own else None
        version, last = last_seen[finding]
        return Incident((Start(version, last, last),)) if last > closed else None

    return behind


def _incident(starts: Iterable[Start]) -> Incident:
    """One start a version, in the order in which they were known."""
    firsts: dict[int, Start] = {}
    for each in starts:
        known = firsts.setdefault(each.version, each)
        firsts[each.version] = Start(each.version, min(known.known, each.known), min(known.occurred, each.occurred))
    return Incident(tuple(sorted(firsts.values(), key=lambda each: (each.known, each.version))))


def _start(row: Mapping[str, Any]) -> Start:
    return Start(row["version"], row["known"], row["occurred"])


def _some(values: Sequence[Value]) -> Iterator[list[Value]]:
    for start in range(0, len(values), _AT_ONCE):
        yield list(values[start : start + _AT_ONCE])


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
