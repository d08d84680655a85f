"""Which entries of the log an export is about: a contiguous range of it, what bounds it, and later words about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.log_proofs import OF_LOG, KnownHead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onshore_pipeline.store.reader import Reader

WITH_EVENTS: Final = ("message", "amends")
_ABOUT_OTHERS: Final = ("amends", "lost", "discards")
_AT_ONCE: Final = 2_000

_STAMP: Final = "JSONExtractInt(entry, 'timestamp')"
_ASKED: Final = f"""
kind IN ('message', 'amends') AND {_STAMP} >= {{since:Int64}} AND {_STAMP} < {{until:Int64}}
AND (empty({{tenants:Array(String)}}) OR has({{tenants:Array(String)}}, tenant))
"""
_NUMBERED: Final = f"""
SELECT log_position, row_number() OVER (ORDER BY log_position) - 1 AS number,
    kind, tenant, topic_id, partition, offset, entry
FROM (SELECT * FROM evidence_log WHERE {OF_LOG} ORDER BY log_position LIMIT 1 BY log_position)
"""  # noqa: S608 - fixed text
_SPAN: Final = f"""
SELECT count() AS found, min(number) AS first, max(number) + 1 AS end FROM ({_NUMBERED})
WHERE kind = 'message' AND {_ASKED}
"""  # noqa: S608 - fixed text
_SILENCE: Final = f"""
SELECT uniqExact(log_position) AS first FROM evidence_log
WHERE {OF_LOG} AND appended_at < fromUnixTimestamp64Nano({{since:Int64}}, 'UTC')
"""  # noqa: S608 - fixed text
# Entries behind the range that speak about messages of it.
_LATER: Final = f"""
SELECT number, log_position, entry FROM ({_NUMBERED}) WHERE number > {{end:UInt64}} AND (
    (kind = 'amends' AND {_ASKED})
    OR (kind = 'discards' AND empty({{tenants:Array(String)}}) AND (topic_id, partition, offset) IN (
        SELECT topic_id, partition, offset FROM evidence_log WHERE {OF_LOG} AND kind = 'message' AND {_ASKED}
    ))
) ORDER BY number
"""  # noqa: S608 - fixed text
# What an entry calls lost may begin in front of what is asked for; it names no tenant, and may be of every one.
_LOST: Final = f"""
SELECT DISTINCT number, entry FROM ({_NUMBERED.replace("offset, entry", "offset, end_offset, entry")}) AS later
INNER JOIN (
    SELECT topic_id, partition, offset AS asked FROM evidence_log WHERE {OF_LOG} AND {_ASKED}
) AS messages USING (topic_id, partition)
WHERE kind = 'lost' AND number > {{end:UInt64}} AND asked >= offset AND asked < end_offset
"""  # noqa: S608 - fixed text
# Tombstones of deletions that took events of messages that are asked for.
_TOMBSTONES: Final = f"""
SELECT number, entry FROM ({_NUMBERED}) WHERE kind = 'message' AND (topic_id, offset) IN (
    SELECT topic_id, kafka_offset FROM message_actions_current
    WHERE action = 'evidence.delete' AND attributes['onshore.deletion.id'] IN (
        SELECT toString(deletion_id) FROM leaves_deleted WHERE (topic_id, kafka_partition, kafka_offset) IN (
            SELECT topic_id, partition, offset FROM evidence_log WHERE {OF_LOG} AND {_ASKED}
        )
    )
) ORDER BY number
"""  # noqa: S608 - fixed text
_RANGE: Final = f"""
SELECT log_position, kind, tenant, entry FROM evidence_log WHERE {OF_LOG} AND log_position >= {{after:UInt64}}
ORDER BY log_position LIMIT 1 BY log_position LIMIT {{most:UInt64}}
"""  # noqa: S608 - fixed text
_ENTRY: Final = f"""
SELECT number, entry FROM ({_NUMBERED}) WHERE kind IN ('message', 'amends') AND topic_id = {{topic:UUID}}
    AND partition = {{partition:UInt32}} AND offset = {{offset:UInt64}}
    AND JSONExtractString(entry, 'attempt') = {{attempt:String}}
ORDER BY number DESC LIMIT 1
"""  # noqa: S608 - fixed text
_POSITION: Final = f"SELECT log_position FROM ({_NUMBERED}) WHERE number = {{first:UInt64}}"  # noqa: S608 - fixed text


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for.

    Attributes:
        since, until: nanoseconds since 1970, by the messages' time; `until` is not part of it.
        tenants: only theirs; empty = all.
        controls: only events that violate one of these; empty = all events.
        findings: only events of these findings (ids), whose controls are among `controls`.
        jurisdictions: what `controls` were chosen by, for the reader.
    """

    since: int
    until: int
    tenants: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()

    def parameters(self, head: KnownHead) -> dict[str, Any]:
        """For the queries about the log under a head."""
        return {"log": head.log_id, "since": self.since, "until": self.until, "tenants": list(self.tenants)}

    def asks_for(self, told: Mapping[str, Any]) -> bool:
        """Whether an entry's events are asked for."""
        return (
            told["kind"] in WITH_EVENTS
            and self.since <= told["timestamp"] < self.until
            and (not self.tenants or told["tenant"] in self.tenants)
        )


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry with its place in the log.

    Attributes:
        index: its place.
        raw: as it was sealed.
        told: the same, read.
        asked: its events are asked for.
        tombstone: it says that events of the range were deleted, and is shown for that whether asked for or not.
    """

    index: int
    raw: bytes
    told: dict[str, Any] = field(repr=False)
    asked: bool
    tombstone: bool = False

    @property
    def place(self) -> str:
        """Where its message is, as people write it."""
        return f"{self.told['topic']}[{self.told['partition']}]@{self.told['offset']}"


@dataclass(frozen=True, slots=True)
class Span:
    """The range [first, end) of the log that an export is about; `found` messages of it are asked for."""

    first: int
    end: int
    found: int


def span_of(reader: Reader, scope: Scope, head: KnownHead) -> Span:
    """The smallest range with every message that was asked for; of none, the place where it would be."""
    asked = scope.parameters(head)
    row = reader.rows(_SPAN, asked)[0]
    if row["found"]:
        return Span(int(row["first"]), int(row["end"]), int(row["found"]))
    first = min(int(reader.rows(_SILENCE, asked)[0]["first"]), head.head.size)
    return Span(first, first, 0)


def entries(reader: Reader, scope: Scope, span: Span, head: KnownHead) -> Iterator[LoggedEntry]:
    """The entries that are shown, in order: one in front of the range, the range, one behind it, and later words.

    Later words are those about messages of the range, tombstones of deletions that took events of them among them.
    """
    first, end = max(span.first - 1, 0), min(span.end + 1, head.head.size)
    asked = scope.parameters(head)
    tombstones = _tombstones(reader, asked)
    begin = reader.rows(_POSITION, asked | {"first": first})
    after, index = int(begin[0]["log_position"]) if begin else 0, first
    while begin and index < end:
        rows = reader.rows(_RANGE, asked | {"after": after, "most": min(_AT_ONCE, end - index)})
        for row in rows:
            if _may_be_shown(row["kind"], row["tenant"], scope):
                within = span.first <= index < span.end
                yield _logged(index, row["entry"], scope, within=within, tombstone=index in tombstones)
            index += 1
        if not rows:
            return
        after = int(rows[-1]["log_position"]) + 1
    later = {int(row["number"]): row["entry"] for row in reader.rows(_LATER, asked | {"end": span.end})}
    later |= {int(row["number"]): row["entry"] for row in reader.rows(_LOST, asked | {"end": span.end})}
    later |= {number: entry for number, entry in tombstones.items() if number > span.end}
    for number in sorted(later):
        if number < head.head.size:
            yield _logged(number, later[number], scope, within=True, tombstone=number in tombstones)


def _tombstones(reader: Reader, asked: Mapping[str, Any]) -> dict[int, str]:
    if not reader.rows("SELECT 1 FROM leaves LIMIT 1"):
        return {}
    return {int(row["number"]): row["entry"] for row in reader.rows(_TOMBSTONES, asked)}


def entry_of(
    reader: Reader, head: KnownHead, *, topic_id: str, partition: int, offset: int, attempt: str
) -> LoggedEntry | None:
    """The entry of one message as this attempt sealed it, whether `head` covers it or not; None: not there yet."""
    place = {"topic": topic_id, "partition": partition, "offset": offset, "attempt": attempt}
    rows = reader.rows(_ENTRY, {"log": head.log_id, **place})
    if not rows:
        return None
    entry = rows[0]["entry"]
    return LoggedEntry(int(rows[0]["number"]), entry.encode(), json.loads(entry), asked=True)


def _may_be_shown(kind: str, tenant: str, scope: Scope) -> bool:
    """Other tenants' entries are withheld; a gap and what is lost name no tenant, and whom they concern is unknown."""
    if not scope.tenants:
        return True
    return tenant in scope.tenants if kind in WITH_EVENTS else kind in {"gap", "lost"}


def _logged(index: int, entry: str, scope: Scope, *, within: bool, tombstone: bool) -> LoggedEntry:
    told = json.loads(entry)
    return LoggedEntry(index, entry.encode(), told, within and scope.asks_for(told), tombstone)
