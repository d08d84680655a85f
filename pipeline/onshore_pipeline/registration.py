"""The row that hides an attempt's facts until the log names it (protocol step 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from onshore_pipeline.store.tables import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from onshore_pipeline.assess import Attempt, Judgement
    from onshore_pipeline.broker import Advance


def registration(attempt: Attempt, worker: str, judgement: Judgement, now: datetime) -> pa.Table:
    """The attempt's row in `attempts`: what it covers, who tries it since when, and what its verdicts depend on."""

    def of(value: Callable[[Advance], object]) -> list[object]:
        return [value(advance) for advance in attempt.advances]

    row: Mapping[str, object] = {
        "attempt_id": attempt.attempt_id.bytes,
        "worker": worker,
        "registered_at": now,
        "pipeline": judgement.pipeline,
        "context_digest": judgement.context.digest,
        "controls_digest": judgement.controls.digest,
        "topic_ids": of(lambda advance: advance.topic_id.bytes),
        "partitions": of(lambda advance: advance.partition),
        "first_offsets": of(lambda advance: advance.first),
        "end_offsets": of(lambda advance: advance.next_offset),
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["attempts"])
