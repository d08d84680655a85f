"""Deletes events whose time is over, so that the proofs of all others still work.

One deletion is of one tenant, domain and classification, in steps that may each be cut short and done again:

1. plan: leaves of the due events go to `leaves`; the deletion is *planned*. One that dies here is dropped.
2. seal: a tombstone (how many, from when to when, under which rule, the root over the leaves) becomes an event of its
   own, in the evidence log like any other (*sealing*). Once it is committed the deletion is *sealed*. One that dies
   here is sealed again: two tombstones of one deletion say the same.
3. delete: rows of the events go, from disk too, and what other rows repeat of them (`jobs.deleted_copies`). Then it is
   *deleted*.

What holds name is never due, nor what cannot be told apart from it, nor what operators did. Violations and findings
stay: they are the record of what was found, and count what they counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import numpy as np

from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.merkle import DIGEST_SIZE, EMPTY_ROOT, roots
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.deleted_copies import close_copies
from onshore_pipeline.jobs.deleted_panes import delete_panes
from onshore_pipeline.jobs.deleted_rows import COPIES_OF_EVENTS, ROWS_OF_EVENTS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.context.retention import Retention, RetentionRule

MOST_EVENTS: Final = 200_000

_KINDS: Final = """
SELECT toString(tenant), toString(domain), toNullable(toString(classification)), count(), min(ingested_at),
    countIf(ingested_at IS NULL)
FROM events_current WHERE kafka_topic != {actions:String} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_DUE: Final = """tenant = {tenant:String} AND domain = {domain:String}
    AND classification IS NOT DISTINCT FROM {classification:Nullable(String)}
    AND ingested_at < {before:DateTime64(9, 'UTC')} AND kafka_topic != {actions:String}
    AND event_id NOT IN (SELECT event_id FROM leaves)"""
_PLAN: Final = """
INSERT INTO leaves
SELECT {deletion:UUID}, attempt_id, event_id, topic_id, kafka_topic, kafka_partition, kafka_offset, record_index,
    leaf_hash, tenant, domain, action, collector_sequence IS NOT NULL, assumeNotNull(ingested_at)
FROM events_current WHERE %s
ORDER BY topic_id, kafka_partition, kafka_offset, record_index LIMIT {most:UInt64}
"""
_LEAVES: Final = """
SELECT leaf_hash FROM leaves WHERE deletion_id = {deletion:UUID}
ORDER BY topic_id, kafka_partition, kafka_offset, record_index
"""
_BOUNDS: Final = """
SELECT count(), min(ingested_at), max(ingested_at), any(toString(tenant)), any(toString(domain))
FROM leaves WHERE deletion_id = {deletion:UUID}
"""
_PLANNED_ONLY: Final = "FROM leaves WHERE deletion_id NOT IN (SELECT deletion_id FROM deletions WHERE step = 'sealing')"
_BEGUN: Final = """
SELECT deletion_id, max(step = 'sealed'), any(rule) FROM deletions GROUP BY 1
HAVING max(step = 'sealing') AND NOT max(step = 'deleted') ORDER BY min(at)
"""
_STEPS: Final = ("deletion_id", "step", "at", "rule", "tenant", "domain", "events", "first_at", "last_at", "root")


@dataclass(frozen=True, slots=True)
class Hold:
    """Events that nobody may delete, whatever their age; None stands for any."""

    hold_id: str
    tenant: str | None
    domain: str | None
    dataset: str | None
    actor_id: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Due:
    """Events of one kind whose time is over.

    Attributes:
        rule: why; None: nothing names them, they are kept for ever.
        events: how many there are in all, due or not.
        due: how many of them are due.
        held: how many would be due if no hold named them.
        ageless: how many have no time of arrival, and are never due.
    """

    tenant: str
    domain: str
    classification: str | None
    rule: RetentionRule | None
    before: datetime | None
    events: int
    due: int
    held: int
    ageless: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is sealed of one deletion; `root` is of the RFC 6962 tree over its leaves in the log's order, in hex."""

    deletion_id: UUID
    tenant: str
    domain: str
    rule: str
    events: int
    first_at: datetime
    last_at: datetime
    root: str


class HoldsChanged(OnshoreError):
    """What may be deleted is no longer what it was when it was worked out."""


class Deleter:
    """Plans, seals and deletes; one at a time runs, and never beside a restore."""

    def __init__(
        self,
        client: Client,
        seal: Callable[[Tombstone], None],
        *,
        most_events: int = MOST_EVENTS,
        at: Callable[[str], None] = nowhere,
    ) -> None:
        """Take a writing connection, and what records a tombstone and returns once it is committed."""
        self._client, self._seal, self._most, self._at = client, seal, most_events, at

    def due(self, retention: Retention, holds: Sequence[Hold], now: datetime) -> list[Due]:
        """What is due, kind by kind; nothing is written."""
        return list(self._kinds(retention, holds, now))

    def run(self, retention: Retention, holds_now: Callable[[], Sequence[Hold]], now: datetime) -> Iterator[Tombstone]:
        """End what an earlier run left, then delete what is due; yields each deletion once its rows are gone.

        `holds_now` is asked again before each deletion is sealed.

        Raises:
            HoldsChanged: somebody placed or released a hold meanwhile; nothing of that deletion was sealed.
            StoreUnavailable, BrokerUnavailable: run again later; what was done stays done.
        """
        yield from self.finish()
        holds = list(holds_now())
        for kind in self._kinds(retention, holds, now):
            left = kind.due
            while left > 0 and kind.rule is not None:
                deletion = uuid4()
                tombstone = self._plan(deletion, kind, holds)
                if tombstone is None:
                    break
                if list(holds_now()) != holds:
                    raise HoldsChanged("somebody placed or released a hold meanwhile: run again")
                yield self._carry_out(tombstone)
                left -= tombstone.events

    def finish(self) -> Iterator[Tombstone]:
        """Drop what was planned only, and end what was begun: what was to be sealed is sealed, then deleted."""
        with store_errors():
            if int(self._client.query(f"SELECT count() {_PLANNED_ONLY}").result_rows[0][0]):
                self._client.command(f"DELETE {_PLANNED_ONLY}")
            begun = self._client.query(_BEGUN).result_rows
        for deletion, is_sealed, rule in begun:
            tombstone = self._tombstone(deletion, str(rule))
            if tombstone is not None:
                yield self._carry_out(tombstone, sealed=bool(is_sealed))

    def _kinds(self, retention: Retention, holds: Sequence[Hold], now: datetime) -> Iterator[Due]:
        with store_errors():
            kinds = self._client.query(_KINDS, parameters={"actions": ACTIONS_TOPIC}).result_rows
        for tenant, domain, classification, events, _, ageless in kinds:
            rule = retention.rule_for(tenant, domain, classification, now)
            due = Due(
                tenant, domain, classification, rule, rule.keeps_since(now) if rule else None, events, 0, 0, ageless
            )
            if rule is None:
                yield due
                continue
            where, named = _due(due, holds)
            free, _ = _due(due, ())
            sql = f"SELECT countIf({where}), countIf({free}) FROM events_current WHERE {free}"  # noqa: S608 - parameters
            with store_errors():
                ((count, in_all),) = self._client.query(sql, parameters=named).result_rows
            yield Due(tenant, domain, classification, rule, due.before, events, count, in_all - count, ageless)

    def _plan(self, deletion: UUID, kind: Due, holds: Sequence[Hold]) -> Tombstone | None:
        where, named = _due(kind, holds)
        parameters = named | {"deletion": str(deletion), "most": self._most}
        assert kind.rule is not None
        with store_errors():
            self._client.command(_PLAN % where, parameters=parameters)
        self._at("14.leaves")
        rule = f"{kind.rule.place}: keep {kind.rule.keep} ({kind.rule.why})"
        tombstone = self._tombstone(deletion, rule)
        if tombstone is not None:
            self._note(tombstone, "planned")
        self._at("14.planned")
        return tombstone

    def _carry_out(self, tombstone: Tombstone, *, sealed: bool = False) -> Tombstone:
        if not sealed:
            self._note(tombstone, "sealing")
            if self._tombstone(tombstone.deletion_id, tombstone.rule) != tombstone:
                raise HoldsChanged("another run on another machine dropped what this one had planned: run again")
            self._at("14.sealing")
            self._seal(tombstone)
            self._at("14.tombstone")
            self._note(tombstone, "sealed")
        self._at("14.sealed")
        named = {"deletion": str(tombstone.deletion_id)}
        gone = "event_id IN (SELECT event_id FROM leaves WHERE deletion_id = {deletion:UUID})"
        with store_errors():
            for table in (*ROWS_OF_EVENTS, *COPIES_OF_EVENTS):
                self._client.command(f"DELETE FROM {table} WHERE {gone}", parameters=named)  # noqa: S608 - parameters
                self._at(f"14.{table}")
                # A DELETE hides rows until the next merge of their part; this takes them from the disk.
                self._client.command(f"ALTER TABLE {table} APPLY DELETED MASK SETTINGS mutations_sync = 2")
        delete_panes(self._client, tombstone.deletion_id, self._at)
        close_copies(self._client, tombstone.deletion_id, self._at)
        self._at("14.deleted")
        self._note(tombstone, "deleted")
        return tombstone

    def _tombstone(self, deletion: UUID, rule: str) -> Tombstone | None:
        named = {"deletion": str(deletion)}
        with store_errors():
            ((count, first, last, tenant, domain),) = self._client.query(_BOUNDS, parameters=named).result_rows
            leaves = self._client.query_arrow(_LEAVES, parameters=named)["leaf_hash"].combine_chunks()
        if not count:
            return None
        raw = np.frombuffer(b"".join(leaves.to_pylist()), np.uint8).reshape(-1, DIGEST_SIZE)
        root = roots(raw, np.array([len(raw)], np.int64))[0].tobytes() if len(raw) else EMPTY_ROOT
        return Tombstone(deletion, tenant, domain, rule, count, _utc(first), _utc(last), root.hex())

    def _note(self, tombstone: Tombstone, step: str) -> None:
        row: list[Any] = [tombstone.deletion_id, step, datetime.now(UTC), tombstone.rule, tombstone.tenant]
        row += [tombstone.domain, tombstone.events, tombstone.first_at, tombstone.last_at, tombstone.root]
        with store_errors():
            self._client.insert("deletions", [row], column_names=_STEPS)


def _due(kind: Due, holds: Sequence[Hold]) -> tuple[str, dict[str, Any]]:
    """The condition for what is due, with its parameters: nothing that a hold names, or might name."""
    named: dict[str, Any] = {
        "tenant": kind.tenant,
        "domain": kind.domain,
        "classification": kind.classification,
        "before": kind.before,
        "actions": ACTIONS_TOPIC,
    }
    held: list[str] = []
    for number, hold in enumerate(holds):
        if hold.tenant not in (None, kind.tenant) or hold.domain not in (None, kind.domain):
            continue
        parts = ["1"]
        for column in ("dataset", "actor_id"):
            if (value := getattr(hold, column)) is not None:
                parts.append(f"ifNull({column} = {{{column}_{number}:String}}, 1)")
                named[f"{column}_{number}"] = value
        for name, compared in (("since", ">="), ("until", "<")):
            if (moment := getattr(hold, name)) is not None:
                parts.append(f"occurred_at {compared} {{{name}_{number}:DateTime64(9, 'UTC')}}")
                named[f"{name}_{number}"] = moment
        held.append(f"({' AND '.join(parts)})")
    return (f"{_DUE} AND NOT ({' OR '.join(held)})" if held else _DUE), named


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
