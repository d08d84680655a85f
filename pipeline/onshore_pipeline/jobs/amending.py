"""What one who amends keeps in the store: which attempts can never commit any more, and who did what and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import pyarrow as pa

from onshore_pipeline.sequencer import stands
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import Amender

# Attempts that amend are registered without offsets: they move no position, and no offset can tell that they are dead.
_OPEN: Final = """
SELECT attempt_id FROM attempts WHERE empty(topic_ids) AND attempt_id IN (SELECT attempt_id FROM attempts_uncommitted)
    AND attempt_id NOT IN (SELECT attempt_id FROM attempts_abandoned)
"""

_NOT_NOTED: Final = """
FROM evidence_log WHERE kind IN ('amends', 'discards')
    AND (dead_letter_id, assumeNotNull(attempt_id)) NOT IN (SELECT dead_letter_id, attempt_id FROM dead_letter_actions)
"""
# The action's own id is gone; one attempt was made by one action, and stands for it.
_FROM_LOG: Final = f"""
(action_id, dead_letter_id, at, action, outcome, reason, who, why, attempt_id)
SELECT assumeNotNull(attempt_id), dead_letter_id, appended_at, if(kind = 'amends', 'replay', 'discard'),
    if(kind = 'amends', 'replayed', 'discarded'), '', JSONExtractString(entry, 'who'), JSONExtractString(entry, 'why'),
    assumeNotNull(attempt_id)
{_NOT_NOTED} LIMIT 1 BY dead_letter_id
"""
_NO_ATTEMPT: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Said:
    """Who asked for it, and why."""

    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """How a letter was closed, and by which attempt."""

    state: str
    attempt_id: UUID


def begin(amender: Amender, client: Client, log_id: UUID) -> dict[UUID, Closed]:
    """Take over from every other amender; the letters that the log closes and the store may not know of yet.

    The order is what makes it right: first how far the store's copy goes, then the open attempts, then the take-over.
    An attempt that is open behind the copy's end and not named behind it was not committed, and never will be.

    Raises:
        StoreUnavailable, BrokerUnavailable: nothing was begun.
    """
    after, _ = stands(client, log_id)
    with store_errors():
        unsettled = {row[0] for row in client.query(_OPEN).result_rows}
    entries = [json.loads(logged.value) for logged in amender.begin(after)]
    dead = unsettled - {UUID(entry["attempt"]) for entry in entries}
    if dead:
        now = datetime.now(UTC)
        with store_errors():
            client.insert("attempts_abandoned", [[attempt, now] for attempt in sorted(dead)])
    return {
        UUID(entry["dead_letter"]): Closed(
            "replayed" if entry["kind"] == "amends" else "discarded", UUID(entry["attempt"])
        )
        for entry in entries
    }


def note_again(client: Client) -> None:
    """Write down again what the log says was done about letters, where an older store has no word of it.

    Who amends notes it before it commits, so what has no note was noted in a store that is gone.
    """
    with store_errors():
        if client.query(f"SELECT 1 {_NOT_NOTED} LIMIT 1").result_rows:
            client.command(f"INSERT INTO dead_letter_actions {_FROM_LOG}")


def note(
    client: Client,
    action: str,
    outcomes: Mapping[UUID, tuple[str, str]],
    said: Said,
    *,
    action_id: UUID,
    attempts: Mapping[UUID, UUID],
) -> None:
    """Write down what was done about letters: by letter, what came of it and the reason where it failed.

    `attempts` names the attempt that closes a letter, where there is one.
    """
    if not outcomes:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "action_id": action_id.bytes,
            "dead_letter_id": letter.bytes,
            "at": now,
            "action": action,
            "outcome": outcome,
            "reason": reason,
            "who": said.who,
            "why": said.why,
            "attempt_id": attempts.get(letter, _NO_ATTEMPT).bytes,
        }
        for letter, (outcome, reason) in outcomes.items()
    ]
    insert(client, "dead_letter_actions", pa.Table.from_pylist(rows, schema=SCHEMAS["dead_letter_actions"]))
