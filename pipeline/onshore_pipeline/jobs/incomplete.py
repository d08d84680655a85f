"""Which committed attempts lack rows in the store, or have too many: what the log says against what is there.

An entry names how many events a message has. Numbers alone could agree by accident where rows of one message are
missing and rows of another stand twice, so each event also counts the hash of its message's place. What an entry does
not say is counted against what does: every event has a flow and a collector, every metric state has points, every
violated verdict a violation, every numbered event its number, every statement about coverage and every action of an
operator its row. Attempts of before numbers and statements were kept are told by their collectors' topic, which was not
kept either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.coverage_names import STATEMENT_ACTIONS
from onshore_pipeline.evidence.merkle import EMPTY_ROOT
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

# Entries that stand for rows of facts: a message's own, and those that make events of its dead letters later.
WITH_ROWS: Final = "kind IN ('message', 'amends')"

# Attempts at messages whose rows nobody can make again, as entries of the log say.
LOST: Final = (
    "SELECT attempt_id, topic_id, partition, arrayJoin(range(offset, end_offset)) AS offset"
    " FROM evidence_log WHERE kind = 'lost'"
)

# Sums of UInt64 wrap around, on both sides in the same way.
_COMPARED: Final = """
SELECT attempt_id, s_messages, s_events, e_rows,
    e_rows != s_events OR e_mark != s_mark AS wrong_events,
    f_events != e_rows AS wrong_flows,
    c_events != e_rows AS wrong_collectors,
    c_since AND q_records != e_numbered AS wrong_sequences,
    c_since AND t_rows != e_statements AS wrong_statements,
    o_rows != e_actions AS wrong_actions,
    a_calls != e_calls AS wrong_access,
    p_states + e_deleted_states != e_states AS wrong_points,
    m_messages != s_judged AS wrong_verdicts,
    v_rows != m_violated AS wrong_violations,
    d_records != s_dead AS wrong_dead_letters
FROM (
    SELECT assumeNotNull(attempt_id) AS attempt_id, count() AS s_messages, sum(events) AS s_events,
        sum(events * cityHash64(topic_id, partition, offset)) AS s_mark, sum(dead_lettered) AS s_dead,
        countIf(JSONExtractString(entry, 'verdicts_root') != {empty:String}) AS s_judged,
        min((appended_at, log_partition, log_position)) AS place
    FROM (
        SELECT * FROM evidence_log WHERE %(with_rows)s AND attempt_id IS NOT NULL AND %(entries)s
        LIMIT 1 BY topic_id, partition, log_index
    )
    WHERE (attempt_id, topic_id, partition, offset) NOT IN (%(lost)s)
    GROUP BY attempt_id
) AS sealed
LEFT JOIN (
    SELECT attempt_id, count() AS e_rows, sum(cityHash64(topic_id, kafka_partition, kafka_offset)) AS e_mark,
        countIf(domain = 'model_access') AS e_calls, countIf(kafka_topic = 'otlp_metrics') AS e_states,
        countIf(numbered) AS e_numbered, countIf(action IN {statements:Array(String)}) AS e_statements,
        countIf(kafka_topic = {actions:String}) AS e_actions,
        countIf(is_deleted AND kafka_topic = 'otlp_metrics') AS e_deleted_states
    FROM (
        SELECT attempt_id, topic_id, kafka_partition, kafka_offset, domain, kafka_topic,
            collector_sequence IS NOT NULL AS numbered, action, 0 AS is_deleted FROM events WHERE %(rows)s
        UNION ALL
        SELECT attempt_id, topic_id, kafka_partition, kafka_offset, domain, kafka_topic, numbered, action, 1
        FROM leaves_deleted WHERE %(rows)s
    )
    GROUP BY attempt_id
) AS e USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, sum(events) AS f_events FROM message_flows WHERE %(rows)s GROUP BY attempt_id
) AS f USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, sum(events) AS c_events, max(kafka_topic != '') AS c_since
    FROM message_collectors WHERE %(rows)s GROUP BY attempt_id
) AS c USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, sum(records) AS q_records FROM message_sequences WHERE %(rows)s GROUP BY attempt_id
) AS q USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, count() AS t_rows FROM message_statements WHERE %(rows)s GROUP BY attempt_id
) AS t USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, count() AS o_rows FROM message_actions WHERE %(rows)s GROUP BY attempt_id
) AS o USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, sum(calls) AS a_calls FROM message_access WHERE %(rows)s GROUP BY attempt_id
) AS a USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, uniqExact(event_id) AS p_states FROM metric_points WHERE %(rows)s GROUP BY attempt_id
) AS p USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, uniqExact(topic_id, kafka_partition, kafka_offset) AS m_messages,
        sumIf(events, verdict = 'violated') AS m_violated
    FROM message_verdicts WHERE %(rows)s GROUP BY attempt_id
) AS m USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, count() AS v_rows FROM violations WHERE %(rows)s GROUP BY attempt_id
) AS v USING (attempt_id)
LEFT JOIN (
    SELECT attempt_id, sum(if(empty(record_indexes), 1, length(record_indexes))) AS d_records
    FROM dead_letters WHERE %(rows)s GROUP BY attempt_id
) AS d USING (attempt_id)
WHERE wrong_events OR wrong_flows OR wrong_collectors OR wrong_sequences OR wrong_statements OR wrong_actions
    OR wrong_access OR wrong_points OR wrong_verdicts OR wrong_violations OR wrong_dead_letters
ORDER BY place
"""
_TABLES: Final = (
    "events", "message_flows", "message_collectors", "message_sequences", "message_statements", "message_actions",
    "message_access", "metric_points", "message_verdicts", "violations", "dead_letters",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A committed attempt whose rows are not what the log says.

    Attributes:
        messages: messages that its entries name and no later entry calls lost.
        events: events of theirs.
        found: rows of the attempt in `events`.
        tables: which tables differ.
    """

    attempt_id: UUID
    messages: int
    events: int
    found: int
    tables: tuple[str, ...]


def incomplete(client: Client, among: Collection[UUID] | None = None) -> list[Incomplete]:
    """Every committed attempt, or of those `among` them, whose rows differ; in the log's order.

    Facts are written before their entry, but one statement may read them in the other order: each find is asked again.
    """
    asked: list[Collection[UUID] | None] = [None] if among is None else [*portions(among)]
    found = [each.attempt_id for some in asked for each in _compare(client, some)]
    return [each for some in portions(found) for each in _compare(client, some)]


def _compare(client: Client, attempts: Collection[UUID] | None) -> list[Incomplete]:
    some = "attempt_id IN {attempts:Array(UUID)}" if attempts is not None else "1"
    sql = _COMPARED % {"rows": some, "entries": some, "lost": LOST, "with_rows": WITH_ROWS}
    parameters = {
        "empty": EMPTY_ROOT.hex(),
        "statements": list(STATEMENT_ACTIONS),
        "actions": ACTIONS_TOPIC,
        "attempts": [str(each) for each in attempts or ()],
    }
    with store_errors():
        rows = client.query(sql, parameters=parameters).result_rows
    return [
        Incomplete(
            attempt,
            int(messages),
            int(events),
            int(found),
            tuple(name for name, is_wrong in zip(_TABLES, wrong, strict=True) if is_wrong),
        )
        for attempt, messages, events, found, *wrong in rows
    ]
