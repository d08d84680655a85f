"""Taking away what a store has, and putting it back as the command does, in this process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from onshore_pipeline import assembly
from onshore_pipeline.embedded.log_file import FILE_NAME
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.lost import seal_lost
from onshore_pipeline.jobs.restore import Restored, Restorer
from onshore_pipeline.jobs.sweep import FACT_TABLES
from onshore_pipeline.sequencer import stands
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedded_pipeline import Pipeline
    from onshore_pipeline.assess import Judgement

_ROLLUPS = ("verdict_counts", "flows_hourly", "access_hourly", "findings")


def facts(pipeline: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that readers see, rollups included."""
    views = (*(f"{table}_current" for table in FACT_TABLES), *_ROLLUPS)
    return {view: pipeline.rows(f"SELECT * FROM {view} ORDER BY ALL") for view in views}


def restore(
    pipeline: Pipeline,
    at: Callable[[str], None] = nowhere,
    *,
    plan: bool = False,
    judgement: Judgement | None = None,
    hashes: bool = False,
) -> Restored:
    """What the command does, in this process."""
    judgement = judgement or pipeline.judgement
    with (
        closing(assembly.message_reader(pipeline.settings)) as messages,
        closing(assembly.entry_reader(pipeline.settings)) as log,
        closing(assembly.producer(pipeline.settings)) as producer,
    ):
        restorer = Restorer(pipeline.client, messages, judgement, plan=plan, hashes=hashes, at=at)
        done = restorer.run()
        if not plan:
            seal_lost(done.lost, producer, log, stands(pipeline.client, log.log_id)[0], judgement.pipeline)
            at("9.lost")
            restorer.roll_up(log.log_id)
    return done


def lose(pipeline: Pipeline, *tables: str) -> None:
    """Empty tables; all facts and rollups where none is named."""
    for table in tables or (*FACT_TABLES, *(f"{rollup}_built" for rollup in _ROLLUPS)):
        pipeline.client.command(f"TRUNCATE TABLE {table}")


def forget(pipeline: Pipeline, topic: str, until: int) -> None:
    """Let the local log's retention take messages of a topic below an offset."""
    with closing(sqlite3.connect(DataDir(pipeline.settings.data_dir).messages / FILE_NAME)) as file:
        (slot,) = file.execute(
            "SELECT slot FROM partitions JOIN topics USING (topic) WHERE name = ?", (topic,)
        ).fetchone()
        file.execute("DELETE FROM messages WHERE id >= ? AND id < ?", (slot << 40, (slot << 40) + until))
        file.execute("UPDATE partitions SET begin_offset = ? WHERE slot = ?", (until, slot))
        file.commit()
