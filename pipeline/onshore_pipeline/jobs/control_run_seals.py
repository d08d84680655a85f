"""Seals runs of controls: once an hour is complete, a record in the evidence log commits to the rows of that hour.

The record is an action of the deployment itself (`control.seal`), on the topic that operators' actions come over: the
worker makes an event of it, with a leaf and an entry, and restore and audit treat it as any other. Each hour is sealed
once: before a record is appended, those that the topic holds and no entry names yet are read, so that one that a killed
sequencer left is not made again. Where two sequencers lead for a moment both may record an hour; the first one counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.assembly import DEFAULT_TENANT
from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.aggregate import claim
from onshore_pipeline.jobs.control_run_rows import Run, derive, root, stored, write
from onshore_pipeline.jobs.control_runs import HOUR
from onshore_pipeline.jobs.incomplete import LOST, WITH_ROWS, incomplete
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import MessageReader, Recorder

log = structlog.get_logger("runs")

SEAL: Final = "control.seal"
WHO: Final = "onshore sequencer"
PREFIX: Final = "onshore.control_runs"
# What is appended in an hour may be seen some time after it: a transaction, a worker's report, windows that are judged.
SETTLED: Final = timedelta(minutes=10)
_AT_ONCE: Final = 24  # hours
_READ_BYTES: Final = 16 << 20

# Hours that are not sealed; one with nothing but seals in it waits for one with more, or seals would never end.
_DUE: Final = """
SELECT hour, sum(said) > sum(seals) FROM (
    SELECT hour, entries AS said, 0 AS seals FROM control_runs_and_totals WHERE control_id = ''
    UNION ALL
    SELECT DISTINCT hour, 1, 0 FROM control_runs_and_totals WHERE control_id != '' AND entries = 0
    UNION ALL
    SELECT toDateTime64(toStartOfHour(appended_at), 0, 'UTC') AS hour, 0, count() FROM (
        SELECT topic_id, offset, appended_at FROM evidence_log WHERE topic = {actions:String} AND kind = 'message'
        LIMIT 1 BY topic_id, partition, log_index
    ) WHERE (topic_id, offset) IN (
        SELECT topic_id, kafka_offset FROM message_actions_current WHERE action = {seal:String}
    ) GROUP BY hour
)
WHERE hour < {over:DateTime64(0, 'UTC')}
    AND hour NOT IN (SELECT toDateTime64(sealed.hour, 0, 'UTC') FROM control_run_seals AS sealed)
GROUP BY hour HAVING sum(said) > 0 ORDER BY hour
"""
# Hours that are not counted yet.
_UNCOUNTED: Final = f"""
SELECT count() FROM evidence_log WHERE {WITH_ROWS} AND appended_at < {{over:DateTime64(0, 'UTC')}}
    AND toStartOfHour(appended_at) > (SELECT max(hour) FROM control_runs_and_totals)
"""  # noqa: S608 - fixed text
_WINDOWS: Final = """
SELECT watermark >= {over:DateTime64(0, 'UTC')} AND notEmpty(texts) FROM windowed_runs ORDER BY generation DESC LIMIT 1
"""
# Actions that were sealed and have no row now, a seal among them perhaps.
_LACKING: Final = f"""
SELECT toInt64(sum(events)) - toInt64((SELECT count() FROM message_actions_current)) FROM (
    SELECT events FROM evidence_log WHERE topic = {{actions:String}} AND {WITH_ROWS}
        AND (attempt_id, topic_id, partition, offset) NOT IN ({LOST})
    LIMIT 1 BY topic_id, partition, log_index
)
"""  # noqa: S608 - fixed text
_ATTEMPTS: Final = f"""
SELECT DISTINCT assumeNotNull(attempt_id) FROM evidence_log WHERE {WITH_ROWS}
    AND appended_at >= {{since:DateTime64(0, 'UTC')}} AND appended_at < {{until:DateTime64(0, 'UTC')}}
"""  # noqa: S608 - fixed text
_ENDS: Final = """
SELECT topic_id, partition, max(end_offset) FROM evidence_log WHERE topic = {actions:String}
GROUP BY topic_id, partition
"""


@dataclass(slots=True)
class RunSeals:
    """Looks for hours that are complete, and seals them.

    Attributes:
        client: a writing connection.
        messages: opens a reader of the broker's messages.
        recorder: opens what records actions.
        has_windowed: whether a control in force looks at more than one event.
        clock: the time in UTC; None: that of this machine or the store, whichever is earlier.
        at: failpoints.
    """

    client: Client
    messages: Callable[[], AbstractContextManager[MessageReader]]
    recorder: Callable[[], AbstractContextManager[Recorder]]
    has_windowed: Callable[[], bool]
    clock: Callable[[], datetime] | None = None
    at: Callable[[str], None] = nowhere
    _sealed_up_to: datetime = field(default=datetime(1970, 1, 1, tzinfo=UTC))

    def look(self, log_position: Mapping[int, int], log_id: UUID) -> int:
        """Seal the hours that are over and complete; all that the log holds has been copied and rolled up. How many.

        A broker that does not take a record is tried again with the next look: nothing else waits for it.

        Raises:
            StoreUnavailable: try again later; an hour that was recorded stays so.
        """
        try:
            return self._look(log_position, log_id)
        except BrokerUnavailable as error:
            log.warning("runs not sealed", topic=ACTIONS_TOPIC, reason=str(error))
            return 0

    def _look(self, log_position: Mapping[int, int], log_id: UUID) -> int:
        over = (self._now() - SETTLED).replace(minute=0, second=0, microsecond=0)
        if over <= self._sealed_up_to:
            return 0
        with store_errors():
            if int(self.client.query(_UNCOUNTED, parameters={"over": over}).result_rows[0][0]):
                return 0
            due, later = self._due(over)
            if due and not self._is_complete(over, due):
                return 0
            self.at("15.before")
            waiting = self._waiting() if due else set()
            fresh = [hour for hour in due if hour not in waiting]
            for hour in fresh:
                self._seal(hour, self._derived(hour, log_position, log_id))
            self.at("15.after")
        if not (fresh or waiting or later):
            self._sealed_up_to = over
        return len(fresh)

    def _now(self) -> datetime:
        """A clock that ran ahead must not seal an hour that is not over."""
        if self.clock is not None:
            return self.clock()
        with store_errors():
            stored: datetime = self.client.query("SELECT now('UTC')").result_rows[0][0]
        return min(datetime.now(UTC), stored.replace(tzinfo=UTC))

    def _due(self, over: datetime) -> tuple[list[datetime], bool]:
        """The oldest hours to be sealed, and whether more of them wait."""
        asked = {"over": over, "actions": ACTIONS_TOPIC, "seal": SEAL}
        rows = [(at.replace(tzinfo=UTC), busy) for at, busy in self.client.query(_DUE, parameters=asked).result_rows]
        last = max((place for place, (_, busy) in enumerate(rows) if busy), default=-1)
        hours = [hour for hour, _ in rows[: last + 1]]
        return hours[:_AT_ONCE], len(hours) > _AT_ONCE

    def _is_complete(self, over: datetime, due: list[datetime]) -> bool:
        """Whether all that bears on these hours is in the store, and windows were judged beyond them."""
        ran = self.client.query(_WINDOWS, parameters={"over": over}).result_rows
        if self.has_windowed() and not (ran and ran[0][0]):
            return False
        if int(self.client.query(_LACKING, parameters={"actions": ACTIONS_TOPIC}).result_rows[0][0] or 0):
            return False
        for hour in due:
            within = {"since": hour, "until": hour + HOUR}
            attempts = [row[0] for row in self.client.query(_ATTEMPTS, parameters=within).result_rows]
            if self._hidden(attempts) or incomplete(self.client, attempts):
                log.warning("runs not sealed: rows are missing; onshore restore writes them again", hour=_named(hour))
                return False
        return True

    def _hidden(self, attempts: list[UUID]) -> bool:
        sql = "SELECT count() FROM restores_open WHERE attempt_id IN {attempts:Array(UUID)}"
        named = {"attempts": [str(each) for each in attempts]}
        return bool(self.client.query(sql, parameters=named).result_rows[0][0])

    def _derived(self, hour: datetime, log_position: Mapping[int, int], log_id: UUID) -> list[Run]:
        """The rows that are sealed are those that readers see."""
        began = time.monotonic()
        runs = derive(self.client, hour, hour + HOUR)
        if runs != stored(self.client, hour, hour + HOUR):
            generation = claim(self.client)
            write(self.client, runs, generation)
            took_ms = int((time.monotonic() - began) * 1000)
            done = [generation, datetime.now(UTC), dict(log_position), 0, 0, took_ms, log_id]
            self.client.insert("rollup_runs", [done])
        self.at("15.derived")
        return runs

    def _seal(self, hour: datetime, runs: list[Run]) -> None:
        events = [run for run in runs if run.looks_at == "event"]
        told = {
            f"{PREFIX}.hour": f"{hour:%Y-%m-%dT%H:%M:%SZ}",
            f"{PREFIX}.rows": str(len(runs)),
            f"{PREFIX}.events": str(sum(run.events_seen for run in runs if not run.control_id)),
            f"{PREFIX}.root": root(events),
            f"{PREFIX}.windowed_root": root(run for run in runs if run.looks_at != "event"),
        }
        with self.recorder() as recorder:
            record_action(recorder, Action(SEAL, DEFAULT_TENANT, WHO, "", told, actor_type="service"))
        self.at("15.recorded")
        log.info("runs sealed", hour=_named(hour), rows=len(runs), root=told[f"{PREFIX}.root"])

    def _waiting(self) -> set[datetime]:
        """Hours whose record lies on the topic and has no entry yet."""
        ends = {
            (topic_id, int(partition)): int(end)
            for topic_id, partition, end in self.client.query(_ENDS, parameters={"actions": ACTIONS_TOPIC}).result_rows
        }
        found: set[datetime] = set()
        with self.messages() as reader:
            for source in reader.retained():
                if source.topic != ACTIONS_TOPIC:
                    continue
                first = max(ends.get((source.topic_id, source.partition), 0), source.begin)
                while messages := reader.read(source, first, source.end, max_bytes=_READ_BYTES):
                    found.update(hour for message in messages for hour in _hours(message.value))
                    first = messages[-1].offset + 1
        return found


def _named(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H:00}"


def _hours(value: bytes) -> list[datetime]:
    """The hours that a message of the actions' topic seals."""
    try:
        request = ExportLogsServiceRequest.FromString(value)
    except DecodeError:
        return []
    records = [each for logs in request.resource_logs for scope in logs.scope_logs for each in scope.log_records]
    return [
        datetime.fromisoformat(pair.value.string_value)
        for record in records
        for pair in record.attributes
        if record.event_name == SEAL and pair.key == f"{PREFIX}.hour"
    ]
