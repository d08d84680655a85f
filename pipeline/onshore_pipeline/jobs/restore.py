"""Write the rows of committed attempts again, from the messages that the broker still keeps.

An attempt is hidden while its rows are replaced: a row in `restores` hides it from before the first row is deleted
until `restores_done` names the same restore. One that dies in between leaves the attempt hidden, and the next one ends
it. What was sealed stays sealed: rows are written only where they give the sealed entry again, byte for byte but for
the names of code, registries and controls. One restore runs at a time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

import pyarrow as pa

from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.aggregate import rebuild
from onshore_pipeline.jobs.amending import note_again
from onshore_pipeline.jobs.control_runs import ROLLED_UP
from onshore_pipeline.jobs.deleted_copies import with_closed
from onshore_pipeline.jobs.deleted_rows import ROWS_OF_EVENTS, deleted_events, messages_with_deleted, without
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.kept_messages import assess_again, read_kept, sealed_messages
from onshore_pipeline.jobs.letter_copies import LetterCopies
from onshore_pipeline.jobs.lost import LostRange, ranges
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.jobs.stored_leaves import Altered, with_altered_leaves
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.jobs.windowed import forget
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Judgement, MessageId
    from onshore_pipeline.broker import MessageReader, Retained
    from onshore_pipeline.jobs.kept_messages import Verified

_AT_ONCE: Final = 16  # attempts whose rows are held in memory, and replaced together
_REBUILDS: Final = 5
_NAMED: Final = 20  # messages of each kind of difference that are named

_PRESENT: Final = """
SELECT DISTINCT topic_id, kafka_partition, kafka_offset FROM (
    SELECT topic_id, kafka_partition, kafka_offset FROM events WHERE attempt_id = {attempt:UUID}
    UNION ALL
    SELECT topic_id, kafka_partition, kafka_offset FROM dead_letters WHERE attempt_id = {attempt:UUID}
)
"""


@dataclass(slots=True)
class Restored:
    """What a restore found and did; messages that are in none of the counts had all their rows.

    Attributes:
        attempts: committed attempts whose rows were not what the log says.
        whole: those of them that are complete now.
        partly: those of which some messages could be written, and some not.
        left: those that were left as they were, because rows of theirs could not be made again.
        events: events written.
        differs: messages that come out as something else than was sealed, by the members of the entry that differ.
        examples: the first of them, by the same members, as topic[partition]@offset.
        altered: messages whose rows stay as they are and do not give the sealed root.
        lost: messages that the broker no longer has and that have no rows.
        unknown: messages without rows, by topic, of which the broker does not say whether it has them.
    """

    attempts: int = 0
    whole: int = 0
    partly: int = 0
    left: int = 0
    events: int = 0
    differs: Counter[tuple[str, ...]] = field(default_factory=Counter)
    examples: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    altered: list[Altered] = field(default_factory=list)
    lost: list[LostRange] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def lost_messages(self) -> int:
        """How many messages are lost."""
        return sum(each.end - each.offset for each in self.lost)


class Restorer:
    """Restores what is missing; everything it does may be cut short and done again."""

    def __init__(
        self,
        client: Client,
        reader: MessageReader,
        judgement: Judgement,
        *,
        plan: bool = False,
        hashes: bool = False,
        at: Callable[[str], None] = nowhere,
        say: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005
    ) -> None:
        """Take ready parts; with `plan` everything is looked at and nothing is written.

        With `hashes` the leaves of every message are held against its sealed root, not only those counted wrong.
        """
        self._client, self._reader, self._judgement = client, reader, judgement
        self._copies = LetterCopies(client, reader)
        self._plan, self._hashes, self._at, self._say = plan, hashes, at, say

    def run(self) -> Restored:
        """Restore every attempt whose rows are missing or incomplete.

        Raises:
            StoreUnavailable, StoreRefused, BrokerUnavailable: run again later; what was done stays done.
            EvidenceAltered: the store has other leaves than were just written to it; they stay hidden.
        """
        wanted = [each.attempt_id for each in incomplete(self._client)]
        if self._hashes:
            altered = dict.fromkeys(each.attempt_id for each in with_altered_leaves(self._client))
            wanted += [each for each in altered if each not in set(wanted)]
        done = Restored(attempts=len(wanted))
        if not self._plan:
            self._show(self._open() - set(wanted))  # complete: whoever wrote them died before showing them
            note_again(self._client)
        count = 0
        for some in portions(wanted, _AT_ONCE):
            # looked at anew for each portion: a broker that deletes what is old goes on doing so
            kept = {(each.topic_id, each.partition): each for each in self._reader.retained()}
            ready = {attempt: verified for attempt in some if (verified := self._prepare(attempt, kept, done))}
            if not self._plan:
                self._replace(ready, some)
            count += len(some)
            self._say(count, len(wanted))
        return done

    def roll_up(self, log_id: UUID) -> int:
        """Rebuild what restored attempts touched, also those of a restore that was killed; how many hours."""
        with store_errors():
            attempts = [row[0] for row in self._client.query("SELECT DISTINCT attempt_id FROM restores").result_rows]
            if not attempts:
                self._forget_ended()
                return 0
            position = self._client.query(ROLLED_UP, parameters={"log": str(log_id)}).result_rows[0][0]
        for _ in range(_REBUILDS):
            rebuilt = rebuild(self._client, attempts, position, log_id)
            if not rebuilt.overtaken:
                break
        self._at("9.rebuilt")
        forget(self._client)
        with store_errors():
            self._client.command("DELETE FROM restores WHERE restore_id IN (SELECT restore_id FROM restores_done)")
            self._at("9.cleared")
            self._forget_ended()
        return rebuilt.hours

    def _forget_ended(self) -> None:
        """Drop the ends of restores whose beginnings are gone; never the other way round, which would hide them."""
        orphans = "FROM restores_done WHERE restore_id NOT IN (SELECT restore_id FROM restores)"
        if int(self._client.query(f"SELECT count() {orphans}").result_rows[0][0]):
            self._client.command(f"DELETE {orphans}")

    def _prepare(self, attempt: UUID, kept: Mapping[tuple[UUID, int], Retained], done: Restored) -> Verified | None:
        """What to write in place of the attempt's rows; nothing where rows would be thrown away that cannot be made."""
        sealed = sealed_messages(self._client, attempt)
        found = read_kept(self._reader, kept, sealed)
        found |= self._copies.messages(attempt, {key: each for key, each in sealed.items() if key not in found})
        verified = assess_again(attempt, sealed, found, self._judgement, self._copies.failures)
        present, deleted = self._present(attempt), messages_with_deleted(self._client, attempt)
        here = present | deleted
        missing = {k: e for k, e in sealed.items() if k not in here and k not in found and e.has_rows}
        gone = [key for key, each in missing.items() if _is_gone(key, each.topic, kept)]
        done.unknown.update(each.topic for key, each in missing.items() if _is_unknown(key, each.topic, kept))
        done.lost += ranges(attempt, {key: sealed[key].topic for key in gone})
        for key, names in verified.differs.items():
            done.differs[names] += 1
            if len(named := done.examples.setdefault(names, [])) < _NAMED:
                named.append(f"{sealed[key].topic}[{key[1]}]@{key[2]}")
        if not present <= verified.messages:
            done.left += 1
            done.altered += with_altered_leaves(self._client, [attempt])
            return None
        if not verified.messages:
            return None
        if verified.messages | deleted >= sealed.keys():
            done.whole += 1
        else:
            done.partly += 1
        done.events += verified.attempt.events
        return verified

    def _present(self, attempt: UUID) -> frozenset[MessageId]:
        """Messages that have rows of their own."""
        with store_errors():
            rows = self._client.query(_PRESENT, parameters={"attempt": str(attempt)}).result_rows
        return frozenset((topic_id, int(partition), int(offset)) for topic_id, partition, offset in rows)

    def _replace(self, ready: Mapping[UUID, Verified], looked_at: Collection[UUID]) -> None:
        """Hide, delete, write, show; attempts that stay as they are are shown if a killed restore left them hidden."""
        if ready:
            self._hide(ready)
            self._at("9.hidden")
            self._delete(ready)
            self._at("9.deleted")
            deleted = deleted_events(self._client, ready)
            for table in FACT_TABLES:
                rows = [each.attempt.tables[table] for each in ready.values() if table in each.attempt.tables]
                if rows:
                    written = pa.concat_tables(rows)
                    if table in ROWS_OF_EVENTS:
                        written = without(written, deleted)
                    elif table == "violations":
                        written = with_closed(written, deleted)
                    insert(self._client, table, written)
                self._at(f"9.{table}")
            if wrong := next(with_altered_leaves(self._client, ready), None):
                raise EvidenceAltered(
                    "9", f"{wrong}: the rows just written do not give the sealed root; they stay hidden"
                )
        self._show(looked_at)
        self._at("9.shown")

    def _open(self) -> set[UUID]:
        with store_errors():
            return {row[0] for row in self._client.query("SELECT attempt_id FROM restores_open").result_rows}

    def _hide(self, attempts: Collection[UUID]) -> None:
        now = datetime.now(UTC)
        with store_errors():
            self._client.insert("restores", [[uuid4(), attempt, now] for attempt in attempts])

    def _delete(self, attempts: Collection[UUID]) -> None:
        named = {"attempts": [str(attempt) for attempt in attempts]}
        with store_errors():
            for table in FACT_TABLES:
                rows = f"FROM {table} WHERE attempt_id IN {{attempts:Array(UUID)}}"
                if int(self._client.query(f"SELECT count() {rows}", parameters=named).result_rows[0][0]):
                    self._client.command(f"DELETE {rows}", parameters=named)

    def _show(self, attempts: Collection[UUID]) -> None:
        """End every restore of these attempts, those that died included."""
        if not attempts:
            return
        named = {"attempts": [str(attempt) for attempt in attempts]}
        with store_errors():
            self._client.command(
                "INSERT INTO restores_done SELECT restore_id, attempt_id, now64(3) FROM restores"
                " WHERE attempt_id IN {attempts:Array(UUID)}"
                " AND restore_id NOT IN (SELECT restore_id FROM restores_done)",
                parameters=named,
            )


def _is_gone(key: MessageId, topic: str, kept: Mapping[tuple[UUID, int], Retained]) -> bool:
    """Whether the broker says itself that it no longer has the message; one that was not read is not gone.

    It says so of offsets in front of what it keeps, and where another topic has the name. A topic that is not there at
    all may be one that a broker has not heard of yet.
    """
    topic_id, partition, offset = key
    source = kept.get((topic_id, partition))
    if source is not None:
        return offset < source.begin
    return any(each.topic == topic and each.topic_id != topic_id for each in kept.values())


def _is_unknown(key: MessageId, topic: str, kept: Mapping[tuple[UUID, int], Retained]) -> bool:
    """Whether the broker says nothing about the message's partition at all."""
    return key[:2] not in kept and not _is_gone(key, topic, kept)
