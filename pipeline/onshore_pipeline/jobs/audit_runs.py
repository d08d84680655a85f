"""Audit of sealed runs of controls: the rows of each sealed hour are derived again and held against its record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.jobs.control_run_rows import Run, derive, root, stored
from onshore_pipeline.jobs.control_runs import HOUR
from onshore_pipeline.jobs.incomplete import LOST, WITH_ROWS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

_SEALS: Final = """
SELECT sealed.hour, root, windowed_root, toString(event_id), toUnixTimestamp64Nano(sealed_at) FROM control_run_seals
    AS sealed WHERE sealed.hour >= {since:DateTime64(0, 'UTC')} AND sealed.hour < {until:DateTime64(0, 'UTC')}
ORDER BY sealed.hour
"""
# Messages of an hour whose rows nobody has any more, and sets of controls of which nobody knows what they were.
_GONE: Final = f"""
SELECT countIf((attempt_id, topic_id, partition, offset) IN ({LOST})),
    uniqExactIf(rules, rules NOT IN (SELECT lower(hex(digest)) FROM rule_sets WHERE kind = 'controls'))
FROM (
    SELECT attempt_id, topic_id, partition, offset, lower(JSONExtractString(entry, 'controls')) AS rules
    FROM evidence_log WHERE {WITH_ROWS} AND appended_at >= {{since:DateTime64(0, 'UTC')}}
        AND appended_at < {{until:DateTime64(0, 'UTC')}}
)
"""  # noqa: S608 - fixed text
# What makes windows of an hour come out otherwise today: events that retention deleted, messages that were taken before
# its end and judged after it was sealed, and texts that no run since then judged by.
_OTHERWISE: Final = f"""
SELECT (SELECT count() FROM leaves_deleted), (
    SELECT count() FROM evidence_log WHERE {WITH_ROWS} AND JSONExtractInt(entry, 'timestamp') < {{end_ns:Int64}}
        AND toUnixTimestamp64Nano(appended_at) > {{sealed_ns:Int64}}
), (
    SELECT count() FROM rule_sets WHERE kind = 'controls' AND sha256 IN (
        SELECT digest FROM controls WHERE status = 'executable' AND match(text, '(?m)^(window|sequence|absence):')
    ) AND lower(hex(rule_sets.digest)) IN (
        SELECT lower(JSONExtractString(entry, 'controls')) FROM evidence_log WHERE {WITH_ROWS}
            AND appended_at >= {{since:DateTime64(0, 'UTC')}} AND appended_at < {{until:DateTime64(0, 'UTC')}}
    ) AND lower(hex(sha256)) NOT IN (
        SELECT arrayJoin(texts) FROM windowed_runs WHERE finished_at >= {{until:DateTime64(0, 'UTC')}}
    )
)
"""  # noqa: S608 - fixed text


@dataclass(slots=True)
class SealedRuns:
    """What was looked at.

    Attributes:
        hours: sealed hours that were derived again.
        windows_open: those of which the runs of windowed controls can no longer be derived.
    """

    hours: int = 0
    windows_open: int = 0


def audit_runs(client: Client, since: datetime, until: datetime, seen: SealedRuns) -> Iterator[Problem]:
    """Problems of the hours that begin in a period; `seen` is told of each. Raises `StoreUnavailable`."""
    with store_errors():
        seals = client.query(_SEALS, parameters={"since": since, "until": until}).result_rows
    for at, sealed, windowed, event, sealed_ns in seals:
        hour = at.replace(tzinfo=UTC)
        with store_errors():
            yield from _of_hour(client, hour, (_text(sealed), _text(windowed)), (_text(event), int(sealed_ns)), seen)


def _of_hour(
    client: Client, hour: datetime, roots: tuple[str, str], by: tuple[str, int], seen: SealedRuns
) -> Iterator[Problem]:
    seen.hours += 1
    event, sealed_ns = by
    where = f"runs of controls in the hour from {hour:%Y-%m-%d %H:%M} UTC"
    place = {"hour": f"{hour:%Y-%m-%dT%H:%M:%SZ}", "event_id": event}
    within = {"since": hour, "until": hour + HOUR}
    ((lost, unknown),) = client.query(_GONE, parameters=within).result_rows
    if unknown:
        why = f"the store does not say what {unknown} sets of controls were that judged then"
        yield Problem("uncheckable", where, why, place)
        return
    derived, stands = derive(client, hour, hour + HOUR), stored(client, hour, hour + HOUR)
    end_ns = int((hour + HOUR).timestamp()) * 10**9
    asked = within | {"end_ns": end_ns, "sealed_ns": sealed_ns}
    is_open = bool(lost) or any(client.query(_OTHERWISE, parameters=asked).result_rows[0])
    seen.windows_open += is_open
    for rows, sealed, what, is_certain in (
        (_events(stands), roots[0], "the rows of control_runs are not those", not lost),
        (_events(derived), roots[0], "entries and verdicts do not give the rows", not lost),
        (_windowed(stands), roots[1], "the rows of control_runs about windows are not those", not is_open),
        (_windowed(derived), roots[1], "windows do not give the rows", not is_open),
    ):
        if is_certain and root(rows) != sealed:
            yield Problem("runs", where, f"{what} that were sealed", place)


def _events(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.looks_at == "event"]


def _windowed(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.looks_at != "event"]


def _text(raw: object) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
