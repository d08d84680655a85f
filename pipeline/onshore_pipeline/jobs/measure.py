"""Measures coverage from rollups: rows of the table `coverage`, and findings, as one generation that readers see whole.

It reads rollups by the hour, never events, of the last `WINDOW`; measuring again, or on another host, gives the same.
A finding is written when it is new or says something else than before.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.context.expected_sources import Register
from onshore_pipeline.errors import ContextError
from onshore_pipeline.jobs import coverage_rules as rules
from onshore_pipeline.jobs.aggregate import claim
from onshore_pipeline.jobs.control_runs import build_control_runs, of_control_runs
from onshore_pipeline.jobs.coverage import finding_id
from onshore_pipeline.jobs.coverage_rows import COLUMNS, CONTROLS, VERSION, Covered, Found, Measured, one_a_fingerprint
from onshore_pipeline.jobs.coverage_statements import of_statements
from onshore_pipeline.jobs.hours_without import of_hours
from onshore_pipeline.jobs.offsets import Offsets
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.context.expected_sources import ExpectedSource, Sender

WINDOW: Final = timedelta(days=30)
_HOURS: Final = int(WINDOW / timedelta(hours=1)) + 2  # the first and the last one are not whole

_HEARD: Final = """
SELECT intDiv(toInt64(toUnixTimestamp(hour)), 3600) AS hour, toString(tenant) AS tenant,
    toValidUTF8(toString(collector_id)) AS collector_id, toString(source_format) AS source_format,
    toString(kafka_topic) AS kafka_topic, toValidUTF8(toString(resource)) AS resource,
    toValidUTF8(toString(losses)) AS losses, minutes, events, last_occurred, last_received, least_delay_ms,
    least_heartbeat_delay_ms
FROM heard_hourly AS h WHERE h.hour >= {since:DateTime64(0, 'UTC')} AND h.hour <= {until:DateTime64(0, 'UTC')}
"""
# All of a start of a sender, also what came before the window: its numbers begin at 0.
_SEQUENCES: Final = """
SELECT toString(tenant) AS tenant, toValidUTF8(toString(collector_id)) AS collector_id, toValidUTF8(run) AS run, first,
    last, received, first_received, last_received
FROM sequences_hourly AS s WHERE (s.tenant, s.collector_id, s.run) IN (
    SELECT tenant, collector_id, run FROM sequences_hourly WHERE hour >= {since:DateTime64(0, 'UTC')}
)
"""
_STATEMENTS: Final = """
SELECT toString(tenant) AS tenant, toValidUTF8(toString(collector_id)) AS collector_id, toString(action) AS action,
    toValidUTF8(source) AS source, since, until, toValidUTF8(why) AS why, toValidUTF8(object) AS object,
    toValidUTF8(listed_by) AS listed_by, max(items) AS items, max(received_at) AS said_at
FROM message_statements_current WHERE received_at >= {since:DateTime64(0, 'UTC')}
GROUP BY ALL ORDER BY ALL LIMIT 200000
"""
_STANDING: Final = """
SELECT finding_id, toUnixTimestamp64Micro(first_seen), toUnixTimestamp64Micro(last_seen), events, generation,
    toString(control_id), mapValues(fingerprint)
FROM findings_built WHERE control_id IN {controls:Array(String)} AND generation IN (SELECT generation FROM rollup_runs)
ORDER BY generation DESC LIMIT 1 BY finding_id
"""


class Measurer:
    """Measures again and again; what does not change between two times is not read twice.

    Args:
        client: a writing connection.
        register: reads the register of expected sources anew.
        is_behind: whether messages wait for a worker; then nothing later than the newest entry is judged.
        now: the clock.
    """

    def __init__(
        self,
        client: Client,
        register: Callable[[], Register],
        is_behind: Callable[[], bool] = lambda: False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._read_register, self._is_behind, self._now = client, register, is_behind, now
        self._register = Register()
        self._offsets = Offsets()
        self._known: dict[Sender, tuple[str, ...]] = {}

    def measure(self, log_position: Mapping[int, int], log_id: UUID) -> int:
        """Measure once; `log_position` of `log_id` is what was rolled up. How many findings were written.

        Raises:
            StoreUnavailable: try again later; readers see nothing of it.
        """
        began = time.monotonic()
        with store_errors():
            generation = claim(self._client)
            trouble = self._renew_register()
            self._offsets.read(self._client)
            now = self._now()
            judged_at = min(now, self._offsets.newest) if self._is_behind() else now
            build_control_runs(self._client, generation, judged_at - WINDOW)
            covered, found = self._measured(judged_at)
            covered += trouble
            covered.append(self._about(judged_at, began))
            self._client.insert(
                "coverage_built",
                [[generation, now, *(getattr(row, name) for name in COLUMNS)] for row in covered],
                column_names=["generation", "measured_at", *COLUMNS],
            )
            changed = self._changed(found, judged_at - WINDOW)
            if changed:
                self._client.insert("findings_built", [_finding_row(each, generation) for each in changed])
            took_ms = int((time.monotonic() - began) * 1000)
            run = [generation, datetime.now(UTC), dict(log_position), 0, len(changed), took_ms, log_id]
            self._client.insert("rollup_runs", [run])
        return len(changed)

    def _renew_register(self) -> list[Covered]:
        """Read the register; one that cannot be used leaves the last one in force, and says so."""
        try:
            register = self._read_register()
        except ContextError as error:
            return [Covered("register", "wrong", why=str(error))]
        if register.sha256 != self._register.sha256:
            self._known.clear()
        self._register = register
        return []

    def _measured(self, judged_at: datetime) -> Measured:
        first_hour = int((judged_at - WINDOW).timestamp()) // 3600
        since = datetime.fromtimestamp(first_hour * 3600, UTC)
        within = {"since": since, "until": judged_at + timedelta(hours=1)}
        heard = self._frame(_HEARD, within)
        distinct = heard.select(rules.SENDER).unique(maintain_order=True).with_row_index("sender")
        heard = heard.join(distinct, on=rules.SENDER, how="left")
        sources = self._register.sources
        matches = self._matches(distinct)
        parts = (
            rules.of_sources(sources, heard, matches, first_hour, _HOURS, judged_at),
            rules.of_sequences(self._frame(_SEQUENCES, within), judged_at),
            of_statements(self._frame(_STATEMENTS, within)),
            rules.of_clocks(heard, _limits(sources, matches)),
            rules.of_losses(heard),
            of_control_runs(self._frame, since),
            of_hours(self._frame, since, judged_at),
        )
        registered = frozenset(sender for own in matches.values() for sender in own)
        covered = [row for rows, _ in parts for row in rows]
        covered += [*self._offsets.covered(), *rules.of_unregistered(heard, registered)]
        return covered, one_a_fingerprint(each for _, found in parts for each in found)

    def _matches(self, distinct: pl.DataFrame) -> dict[str, list[int]]:
        """By source, the numbers of its senders."""
        found: dict[str, list[int]] = {source.name: [] for source in self._register.sources}
        for row in distinct.iter_rows(named=True):
            sender = rules.sender_of(row)
            names = self._known.get(sender)
            if names is None:
                names = tuple(each.name for each in self._register.sources if each.recognises(sender))
                self._known[sender] = names
            for name in names:
                found[name].append(row["sender"])
        return found

    def _about(self, judged_at: datetime, began: float) -> Covered:
        register = self._register
        about = {
            "sources": len(register.sources),
            "register_version": register.version,
            "register_sha256": register.sha256,
            "days": WINDOW.days,
            "took_ms": int((time.monotonic() - began) * 1000),
        }
        return Covered("measured", "seen", since=judged_at - WINDOW, until=judged_at, why=json.dumps(about))

    def _changed(self, found: list[Found], since: datetime) -> list[Found]:
        """Findings that say something new, and those of the window that nothing stands behind any more, as 0 events."""
        standing = {
            row[0]: row for row in self._client.query(_STANDING, parameters={"controls": list(CONTROLS)}).result_rows
        }
        changed = []
        for each in found:
            before = standing.pop(finding_id(each.control, dict(enumerate_fingerprint(each))), None)
            if before is None:
                changed += [each] if each.events else []
            elif tuple(map(int, before[1:4])) != (*_micros(each), each.events):
                changed.append(each)
        for _, first, last, events, _, control, fingerprint in standing.values():
            first_seen, last_seen = (_EPOCH + timedelta(microseconds=int(micros)) for micros in (first, last))
            if events and last_seen >= since:
                changed.append(Found(control, tuple(fingerprint), first_seen, last_seen, 0))
        return changed

    def _frame(self, sql: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        frame = pl.from_arrow(self._client.query_arrow(sql, parameters=dict(parameters), use_strings=True))
        assert isinstance(frame, pl.DataFrame)
        return frame


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(found: Found) -> tuple[int, int]:
    one = timedelta(microseconds=1)
    return (found.first_seen - _EPOCH) // one, (found.last_seen - _EPOCH) // one


def enumerate_fingerprint(found: Found) -> list[tuple[str, str]]:
    """The fingerprint's columns and values, in the control's order."""
    return list(zip(CONTROLS[found.control][1], found.fingerprint, strict=True))


def _finding_row(found: Found, generation: int) -> list[object]:
    severity, _ = CONTROLS[found.control]
    fingerprint = dict(enumerate_fingerprint(found))
    about = ("infrastructure", found.control, VERSION, "review", severity, fingerprint)
    times = (found.first_seen, found.last_seen)
    return [finding_id(found.control, fingerprint), generation, found.tenant, *about, *times, found.events, 0, []]


def _limits(sources: tuple[ExpectedSource, ...], matches: Mapping[str, list[int]]) -> dict[int, timedelta]:
    """By sender, the tightest limit of its clock."""
    limits: dict[int, timedelta] = {}
    for source in sources:
        for sender in matches[source.name]:
            limits[sender] = min(limits.get(sender, source.clock_within), source.clock_within)
    return limits
