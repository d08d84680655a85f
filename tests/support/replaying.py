"""Dead letters as a bug would make them, and closing them as the command does, in this process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from onshore_pipeline import assembly
from onshore_pipeline.assess import assess_without
from onshore_pipeline.jobs.amending import Said
from onshore_pipeline.jobs.replay import Closer, Closing
from onshore_pipeline.jobs.wanted_letters import Wanted, ids
from onshore_pipeline.registration import registration
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.reader import Reader
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedded_pipeline import Pipeline
    from onshore_pipeline.broker import Amender
    from onshore_pipeline.jobs.replay import Action

SAID = Said("kim", "the decoder was repaired")


def reader_of(pipeline: Pipeline) -> Reader:
    writer = json.loads(DataDir(pipeline.settings.data_dir).credentials.read_text())["writer"]
    return Reader(pipeline.url, writer["user"], writer["password"])


def fail_on(
    pipeline: Pipeline, values: Sequence[bytes], *records: tuple[int, ...] | list[tuple[int, ...]] | None
) -> list[str]:
    """Letters of messages that a pipeline with a bug made: which records of each it broke on, None for all.

    A list of them makes several letters of one message.
    """
    tenant = uuid4().hex
    pipeline.work()
    pipeline.send("otlp_logs", values, tenant=tenant)
    consumer = assembly.consumer(pipeline.settings)
    polled = consumer.poll(max_messages=1000, max_bytes=1 << 26, timeout_s=1)
    broken = tuple(
        Failure(at, one, "judge", "a bug of that day")
        for at, each in enumerate(records)
        for one in (each if isinstance(each, list) else [each])
    )
    attempt = assess_without(polled, pipeline.judgement, uuid4(), broken, lambda _: None)
    insert(pipeline.client, "attempts", registration(attempt, "test", pipeline.judgement, datetime.now(UTC)))
    for name, table in attempt.tables.items():
        insert(pipeline.client, name, table)
    consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)
    consumer.close()
    pipeline.sequence()
    return ids(reader_of(pipeline), Wanted(tenant=tenant))


def close(
    pipeline: Pipeline, action: Action, letters: Sequence[str], *, amender: Amender | None = None, said: Said = SAID
) -> Closing:
    own = amender or assembly.amender(pipeline.settings)
    log = assembly.entry_reader(pipeline.settings)
    client = assembly.store_client(pipeline.settings, pipeline.url)
    try:
        closer = Closer(client, reader_of(pipeline), own, pipeline.judgement, log.log_id, said)
        return closer.close(action, letters)
    finally:
        own.close()
        log.close()
        client.close()
