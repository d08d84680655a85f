"""History judged again: what sealed messages come to by registries and controls other than those of the day.

Messages are read from the broker, which alone has all that a sender said, and assessed as the worker does; nothing is
written. What the broker no longer keeps is counted and left out, never guessed; so is what a replay made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.assess import assess, message_id
from onshore_pipeline.broker import Polled
from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.jobs.incomplete import LOST
from onshore_pipeline.jobs.kept_messages import read_kept, sealed_messages
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.tables import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Attempt, Judgement
    from onshore_pipeline.broker import Message, MessageReader

_ATTEMPTS: Final = """
SELECT attempt_id, intDiv(min(toUnixTimestamp64Nano(appended_at)), 1000) AS logged FROM evidence_log
WHERE kind = 'message' AND attempt_id IS NOT NULL
    AND appended_at >= {since:DateTime64(6, 'UTC')} AND appended_at < {until:DateTime64(6, 'UTC')}
GROUP BY attempt_id ORDER BY logged, attempt_id
"""
_LOST: Final = f"""
SELECT count() FROM (
    SELECT topic_id, partition, offset FROM evidence_log
    WHERE kind = 'message' AND appended_at >= {{since:DateTime64(6, 'UTC')}}
        AND appended_at < {{until:DateTime64(6, 'UTC')}} AND {{tenant:String}} IN ('', toString(tenant))
        AND (attempt_id, topic_id, partition, offset) IN ({LOST})
    LIMIT 1 BY topic_id, partition, offset
)
"""  # noqa: S608 - fixed text
_VERDICTS: Final = """
SELECT toString(tenant) AS tenant, toString(control_id) AS control_id, toDate32(hour) AS day,
    toString(verdict) AS verdict, topic_id, kafka_partition, kafka_offset, events
FROM message_verdicts WHERE attempt_id = {attempt:UUID}
"""
_VIOLATIONS: Final = """
SELECT replaceAll(toString(event_id), '-', '') AS event, toString(control_id) AS control
FROM violations WHERE attempt_id = {attempt:UUID}
"""
_PLACES: Final = tuple(name for party in PARTIES for name in (f"{party}_country", f"{party}_country_basis"))
_EVENTS: Final = f"""
SELECT replaceAll(toString(event_id), '-', '') AS event, toString(tenant) AS whose, toString(action) AS done,
    toString(occurred_at) AS at, {", ".join(f"toString({name})" for name in _PLACES)}
FROM events WHERE attempt_id = {{attempt:UUID}} AND event_id IN {{events:Array(UUID)}}
"""  # noqa: S608 - columns of ours
_COUNTED: Final = ("tenant", "control_id", "day", "verdict")


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """What a message is judged by, and whether that is what its entry names.

    Attributes:
        judgement: registries, controls and secrets.
        is_stored: false where the entry's registries are not in the store, so that others stand in for them.
        is_whole: false where they are, but geolocation or reference data are others than the entry's.
    """

    judgement: Judgement
    is_stored: bool = True
    is_whole: bool = True


@dataclass(slots=True)
class Rejudged:
    """What came of it.

    Attributes:
        messages, events: that were judged again.
        gone: messages that the broker no longer keeps.
        replayed: attempts of replayed dead letters, which are left out.
        not_stored: messages that were judged by other registries than their entry names, which the store has not.
        not_whole: messages that were judged by their entry's registries with other geolocation or reference data.
        verdicts: how often which verdict was sealed, and how often it comes out now: tenant, control_id, day, verdict,
            sealed, again; only where the two differ.
        examples: the first events for which a control changed its mind, as JSON can tell them.
    """

    messages: int = 0
    events: int = 0
    gone: int = 0
    replayed: int = 0
    not_stored: int = 0
    not_whole: int = 0
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether all that was sealed in that time was judged again."""
        return not self.gone and not self.replayed


@dataclass(slots=True)
class Rejudger:
    """Judges again.

    Attributes:
        client: a connection to the store.
        reader: reads kept messages.
        judgement_at: what to judge by, given when the log had the message and the registries that its entry names.
        tenant, control: of which; '' is all.
        examples: how many differing events to tell.
        say: is told how many attempts are done, of how many.
    """

    client: Client
    reader: MessageReader
    judgement_at: Callable[[datetime, str], JudgedBy]
    tenant: str = ""
    control: str = ""
    examples: int = 10
    say: Callable[[int, int], None] = lambda _done, _all: None

    def run(self, since: datetime, until: datetime) -> Rejudged:
        """Judge again what the log has from `since` on and before `until`.

        Raises:
            StoreUnavailable, BrokerUnavailable: try again.
        """
        told, counted = Rejudged(), [_counts([])]
        with store_errors():
            asked = {"since": since, "until": until, "tenant": self.tenant}
            attempts = self.client.query(_ATTEMPTS, parameters=asked).result_rows
            told.gone = int(self.client.query(_LOST, parameters=asked).result_rows[0][0])
        kept = {(each.topic_id, each.partition): each for each in self.reader.retained()}
        for number, (attempt_id, logged_us) in enumerate(attempts):
            sealed = sealed_messages(self.client, attempt_id)
            if any(each.amends for each in sealed.values()):
                told.replayed += any(self.tenant in {"", each.entry["tenant"]} for each in sealed.values())
                continue
            found = read_kept(self.reader, kept, sealed)
            told.messages += len(found)
            missing = (each.entry["tenant"] for key, each in sealed.items() if key not in found)
            told.gone += sum(self.tenant in {"", whose} for whose in missing)
            if found:
                (context,) = {each.entry["context"] for each in sealed.values()}  # one attempt is judged by one
                by = self.judgement_at(_at(logged_us), context)
                told.not_stored += 0 if by.is_stored else len(found)
                told.not_whole += 0 if by.is_whole else len(found)
                counted.append(self._again(attempt_id, list(found.values()), by.judgement, told))
            self.say(number + 1, len(attempts))
        summed = pl.concat(counted).group_by(_COUNTED).agg(pl.col("sealed", "again").sum()).sort(_COUNTED)
        told.verdicts = summed.filter(pl.col("sealed") != pl.col("again")).to_dicts()
        return told

    def _again(
        self, attempt_id: UUID, messages: Sequence[Message], judgement: Judgement, told: Rejudged
    ) -> pl.DataFrame:
        """Counts of one attempt's verdicts, sealed and again."""
        made = assess(Polled(tuple(messages)), judgement, attempt_id)
        told.events += made.events
        places = {message_id(each) for each in messages}
        rows = [
            *((*row[:4], row[7], 0) for row in self._query(_VERDICTS, attempt_id) if tuple(row[4:7]) in places),
            *_made_verdicts(made),
        ]
        if len(told.examples) < self.examples:
            told.examples += self._differing(attempt_id, made)[: self.examples - len(told.examples)]
        return _counts([row for row in rows if self._is_wanted(row[0], row[1])])

    def _differing(self, attempt_id: UUID, made: Attempt) -> list[dict[str, Any]]:
        """Events that a control found then and not now, or the other way round."""
        events = _frame(made, "events")
        ids = {each.hex() for each in events["event_id"]}
        then = {(event, control) for event, control in self._query(_VIOLATIONS, attempt_id) if event in ids}
        pairs = _frame(made, "violations").select("event_id", pl.col("control_id").cast(pl.String)).iter_rows()
        now = {(event.hex(), control) for event, control in pairs}
        changed = sorted(pair for pair in then ^ now if not self.control or pair[1] == self.control)
        stood = self._events(attempt_id, {event for event, _ in changed})
        stands = {
            row["event_id"].hex(): row
            for row in events.select("event_id", *_PLACES).iter_rows(named=True)
            if row["event_id"].hex() in stood
        }
        return [
            {
                "event_id": event,
                "control_id": control,
                "tenant": stood[event]["tenant"],
                "action": stood[event]["action"],
                "occurred_at": stood[event]["occurred_at"],
                "sealed": "violated" if (event, control) in then else "not violated",
                "again": "violated" if (event, control) in now else "not violated",
                "places": _moved(stood[event], stands[event]),
            }
            for event, control in changed
            if event in stood and self._is_wanted(stood[event]["tenant"], control)
        ]

    def _events(self, attempt_id: UUID, events: Collection[str]) -> dict[str, dict[str, Any]]:
        if not events:
            return {}
        with store_errors():
            found = self.client.query(_EVENTS, parameters={"attempt": str(attempt_id), "events": sorted(events)})
        names = ("event_id", "tenant", "action", "occurred_at", *_PLACES)
        return {row[0]: dict(zip(names, row, strict=True)) for row in found.result_rows}

    def _query(self, sql: str, attempt_id: UUID) -> Sequence[Sequence[Any]]:
        with store_errors():
            return self.client.query(sql, parameters={"attempt": str(attempt_id)}).result_rows

    def _is_wanted(self, tenant: str, control: str) -> bool:
        return self.tenant in {"", tenant} and self.control in {"", control}


def _at(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC) + timedelta(microseconds=micros % 1_000_000)


def _frame(made: Attempt, table: str) -> pl.DataFrame:
    """Rows of a table; an attempt has only the tables that it has rows for."""
    frame = pl.from_arrow(made.tables.get(table, SCHEMAS[table].empty_table()))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _made_verdicts(made: Attempt) -> list[tuple[Any, ...]]:
    return _frame(made, "message_verdicts").select(
        pl.col("tenant", "control_id").cast(pl.String), pl.col("hour").dt.date(), pl.col("verdict").cast(pl.String),
        pl.lit(0, pl.Int64), pl.col("events").cast(pl.Int64).alias("again"),
    ).rows()  # fmt: skip


def _counts(rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Columns tenant, control_id, day, verdict, sealed, again."""
    texts = {"tenant": pl.String, "control_id": pl.String, "day": pl.Date, "verdict": pl.String}
    schema = {**texts, "sealed": pl.Int64, "again": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row").group_by(_COUNTED).agg(pl.col("sealed", "again").sum())


def _moved(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[str | None]]:
    """Places and bases that came out differently: then, now."""
    return {name: [then[name], now[name]] for name in _PLACES if then[name] != now[name]}
