"""Where findings stand, told when it changes: in the store's `finding_states`, and to a SIEM where there is Kafka.

Told are a new finding and a new state, owner, severity, deadline or waiver at once, and counts alone at most once a
minute. Messages go out before the store notes them: one that is told twice, after a kill, has the same `metadata.uid`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

import pyarrow as pa
import structlog

from onshore_pipeline.broker import FINDINGS_TOPIC, Outgoing
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.findings.people_keys import usable_people
from onshore_pipeline.findings.standing import Folders, Standing, Wanted, standings
from onshore_pipeline.reports.ocsf import ocsf_finding
from onshore_pipeline.reports.report import ReportedFinding
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.findings.people_keys import KeyUnusable
    from onshore_pipeline.findings.standing import Store

log = structlog.get_logger("findings")

_COUNTS_EVERY: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = UUID("0d1f3f8e-2c64-5b0e-9d6b-6a4b1b0f2f55")
# What a state is derived from; a waiver also ends by itself.
_NEWEST: Final = """
SELECT (SELECT max(generation) FROM rollup_runs), (SELECT count() FROM message_actions_current),
    (SELECT count() FROM controls)
"""
_TOLD: Final = """
SELECT toString(finding_id) AS finding_id, told_at, toString(status) AS status, toString(severity) AS severity,
    toValidUTF8(owner) AS owner, due, toString(waiver_id) AS waiver_id, control_version, events, bytes, last_seen
FROM finding_states ORDER BY told_at DESC LIMIT 1 BY finding_id
"""
# Of these a change is told at once.
_AT_ONCE: Final = ("status", "severity", "owner", "due", "waiver_id", "control_version")
_COUNTS: Final = ("events", "bytes", "last_seen")


@dataclass(slots=True)
class FindingStates:
    """Compares and tells.

    Attributes:
        store: what is read.
        client: a writing connection.
        where: people's keys and lists of holidays.
        controls: gives the controls in force.
        send: hands messages to a topic and returns when the broker has them; None where no SIEM can read them.
        software: name and version.
        clock: the time in UTC.
    """

    store: Store
    client: Client
    where: Folders
    controls: Callable[[], ControlSet]
    send: Callable[[str, Sequence[Outgoing]], object] | None
    software: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _seen: tuple[Any, ...] = ()
    _looked: datetime = _LONG_AGO
    _unusable: list[KeyUnusable] = field(default_factory=list)

    def look(self) -> int:
        """Tell what changed since it was told last; how many findings did.

        A broker that does not take them is tried again with the next look: nothing else waits for a SIEM.

        Raises:
            StoreUnavailable: try again later.
            KeyUnusable: all is told; signatures of the person whose key cannot be used count for nothing.
        """
        told = self._tell(self.clock())
        if self._unusable:
            raise self._unusable[0]
        return told

    def _tell(self, now: datetime) -> int:
        seen = self.store.frame(_NEWEST).row(0)
        if seen == self._seen and now - self._looked < _COUNTS_EVERY:
            return 0
        people, self._unusable = usable_people(self.where.keys)
        told = {row["finding_id"]: row for row in self.store.frame(_TOLD).iter_rows(named=True)}
        found = standings(self.store, Wanted(), now, self.where, people)
        different = [each for each in found if _differs(_row(each, now), told.get(each.finding_id))]
        changed = [each for each in different if _is_due(_row(each, now), told.get(each.finding_id))]
        if changed and not self._sent(changed, now):
            return 0
        rows = [_row(each, now) | {"finding_id": UUID(each.finding_id).bytes} for each in changed]
        if rows:
            insert(self.client, "finding_states", pa.Table.from_pylist(rows, schema=SCHEMAS["finding_states"]))
        # Counts that wait for their minute are looked at again whether or not anything else is new.
        self._seen, self._looked = (seen if len(changed) == len(different) else ()), now
        return len(rows)

    def _sent(self, changed: Sequence[Standing], now: datetime) -> bool:
        if self.send is None:
            return True
        controls = {each.id: each for each in self.controls().controls}
        messages = [
            Outgoing(
                ocsf_finding(_reported(each), controls.get(each.control_id), self.software, now, _uid(_row(each, now))),
                key=each.finding_id.encode(),
            )
            for each in changed
        ]
        try:
            self.send(FINDINGS_TOPIC, messages)
        except BrokerUnavailable as error:
            log.warning("findings not told", topic=FINDINGS_TOPIC, findings=len(messages), reason=str(error))
            return False
        return True


def _row(standing: Standing, now: datetime) -> dict[str, Any]:
    """What is told of a finding, as a row of `finding_states`; its id as text."""
    due = standing.due
    return {
        "finding_id": standing.finding_id,
        "told_at": now,
        "status": standing.state,
        "severity": standing.severity,
        "owner": standing.life.owner,
        "due": _to_ms(due.due) if due is not None and due.due is not None else None,
        "waiver_id": standing.waiver.waiver_id if standing.waiver is not None else "",
        "control_version": standing.control_version,
        "events": standing.events,
        "bytes": standing.bytes,
        "last_seen": standing.last_seen,
    }


def _differs(row: Mapping[str, Any], told: Mapping[str, Any] | None) -> bool:
    return told is None or any(row[name] != told[name] for name in (*_AT_ONCE, *_COUNTS))


def _is_due(row: Mapping[str, Any], told: Mapping[str, Any] | None) -> bool:
    """Whether a difference is told now."""
    if told is None or any(row[name] != told[name] for name in _AT_ONCE):
        return True
    return bool(row["told_at"] - told["told_at"] >= _COUNTS_EVERY)


def _to_ms(moment: datetime) -> datetime:
    """As the store keeps it, so that it compares equal."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _uid(row: Mapping[str, Any]) -> str:
    """The same for the same telling: what was told twice is recognised by it."""
    said = "\x00".join(str(row[name]) for name in ("finding_id", *_AT_ONCE, *_COUNTS))
    return str(uuid5(_NAMES, said))


def _reported(standing: Standing) -> ReportedFinding:
    due = standing.due
    return ReportedFinding(
        finding_id=UUID(standing.finding_id),
        tenant=standing.tenant,
        domain=standing.domain,
        control_id=standing.control_id,
        control_version=standing.control_version,
        kind=standing.kind,
        severity=standing.severity,
        fingerprint=standing.fingerprint,
        first_seen=standing.first_seen,
        last_seen=standing.last_seen,
        events=standing.events,
        bytes=standing.bytes,
        state=standing.state,
        due=due.due if due is not None else None,
        restated_on=standing.restated_on,
    )
