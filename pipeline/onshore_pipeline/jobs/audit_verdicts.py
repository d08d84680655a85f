"""Audit of verdicts and violations: with them the sealed root of each message's verdicts is made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import polars as pl

from onshore_pipeline.controls.engine import Judged
from onshore_pipeline.fact_tables import verdict_roots
from onshore_pipeline.jobs.audit_problem import Problem, problem_of
from onshore_pipeline.jobs.audit_violations import violation_problems
from onshore_pipeline.jobs.stored_events import BESIDE_OTHERS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from clickhouse_connect.driver.client import Client
    from numpy.typing import NDArray

    from onshore_pipeline.jobs.audit_deleted import Deleted
    from onshore_pipeline.jobs.audit_problem import Place
    from onshore_pipeline.jobs.audit_rules import SealedRules
    from onshore_pipeline.jobs.stored_events import StoredEvents

_COUNTS: Final = """
SELECT attempt_id, topic_id, kafka_partition, kafka_offset, tenant, control_version, hour, events,
    toValidUTF8(toString(source_format)) AS source_format, toValidUTF8(toString(control_id)) AS control_id,
    toValidUTF8(toString(verdict)) AS verdict, toValidUTF8(toString(missing)) AS missing
FROM message_verdicts WHERE attempt_id IN {attempts:Array(UUID)}
"""
_VIOLATIONS: Final = """
SELECT attempt_id, event_id, toValidUTF8(toString(control_id)) AS control_id, control_version, finding_id,
    toValidUTF8(toString(tenant)) AS tenant, toValidUTF8(toString(domain)) AS domain, occurred_at, ingested_at, bytes
FROM violations
WHERE attempt_id IN {attempts:Array(UUID)}
"""
_PLACES: Final = {
    "attempt_id": pl.Binary, "topic_id": pl.Binary, "kafka_partition": pl.UInt32, "kafka_offset": pl.UInt64,
}  # fmt: skip


def verdict_problems(
    client: Client,
    named: dict[str, Any],
    stored: StoredEvents,
    entries: dict[Place, dict[str, Any]],
    deleted: Deleted,
    sound: NDArray[np.bool_],
    rules: SealedRules,
) -> Iterator[Problem]:
    """Messages whose verdicts and violations do not give the sealed root; those of deleted events count, too.

    `sound`: by event, whether its row is what was sealed; what violations say of those beside that is compared, too.
    """
    order = list(entries)
    number = pl.DataFrame(
        {
            "attempt_id": [place[0] for place in order], "topic_id": [place[1] for place in order],
            "kafka_partition": [place[2] for place in order], "kafka_offset": [place[3] for place in order],
        },
        schema=_PLACES,
    ).with_row_index("message")  # fmt: skip
    keys = list(_PLACES)
    with store_errors():
        counts = _frame(client, _COUNTS, named)
        violations = _frame(client, _VIOLATIONS, named)
    numbered = counts.join(number, on=keys, how="left")
    for row in numbered.filter(pl.col("message").is_null()).unique(keys).iter_rows(named=True):
        place = (row["attempt_id"], row["topic_id"], row["kafka_partition"], row["kafka_offset"])
        yield problem_of("inserted", place, None, "verdicts of a message that the log does not name")
    # What has rows is numbered by message, not by event: there are hundreds of events to a message.
    message = stored.places.join(number, on=keys, how="left", maintain_order="left")["message"]
    placed_at = ["row", "attempt_id", "event_id", "record_index", "message"]
    events = stored.events.with_columns(message.gather(stored.events["message"])).select(placed_at)
    if deleted.events.height:
        gone = deleted.events.join(number, on=keys, how="left").with_row_index("row", offset=events.height)
        events = pl.concat([events, gone.select(placed_at)])
    found = violations.join(events.select("attempt_id", "event_id", "row"), on=["attempt_id", "event_id"], how="left")
    for row in found.filter(pl.col("row").is_null()).iter_rows(named=True):
        where = f"event {UUID(bytes=row['event_id'])} (attempt {UUID(bytes=row['attempt_id'])})"
        yield Problem("inserted", where, f"a violation of {row['control_id']} by an event that has no row")
    judged = Judged(numbered.drop_nulls("message"), found.drop_nulls("row"))
    placed = events.drop_nulls("message").select("row", "message", "record_index")
    judged = Judged(judged.counts, judged.violations.join(placed.select("row"), on="row", how="semi"))
    yield from violation_problems(client, named, stored.events, sound, judged.violations, rules)
    roots = verdict_roots(placed, judged, len(order))
    for place, root in zip(order, roots, strict=True):
        if root.tobytes().hex() != entries[place]["verdicts_root"]:
            yield problem_of(
                "verdicts", place, entries[place], "its verdicts or violations are not those that were sealed"
            )


def _frame(client: Client, sql: str, named: dict[str, Any]) -> pl.DataFrame:
    frame = pl.from_arrow(client.query_arrow(sql, parameters=named, settings=BESIDE_OTHERS, use_strings=True))
    assert isinstance(frame, pl.DataFrame)
    return frame
