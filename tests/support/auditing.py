"""Audits of a store whose rows were altered behind the pipeline's back, and then put back."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporting import reader_of
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.jobs.audit import Audited, audit
from onshore_pipeline.jobs.retention import Sealer
from onshore_pipeline.signing_key import KeySource, journal_path
from onshore_pipeline.stack import salt_master

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from embedded_pipeline import Pipeline
    from onshore_pipeline.jobs.deletions import Tombstone


def audited(pipeline: Pipeline) -> Audited:
    """All of the store, held against its log and keys."""
    keys = KeySource(pipeline.settings)().verifier_keys()
    journal = HeadJournal(journal_path(pipeline.settings))
    span = datetime(1970, 1, 1, tzinfo=UTC), datetime(2260, 1, 1, tzinfo=UTC)
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        return audit(pipeline.client, reader, salt_master(pipeline.settings), keys, journal, *span, lambda *_: None)


@contextmanager
def altered(pipeline: Pipeline, table: str, columns: str, where: str = "1") -> Iterator[None]:
    """Other rows in the place of those that `where` names, or none where `columns` is empty; at least one is named."""
    client = pipeline.client
    client.command(f"CREATE TABLE kept_{table} AS {table}")
    try:
        client.command(f"INSERT INTO kept_{table} SELECT * FROM {table}")
        assert pipeline.one(f"SELECT count() FROM kept_{table} WHERE {where}")
        client.command(f"TRUNCATE TABLE {table}")
        client.command(f"INSERT INTO {table} SELECT * FROM kept_{table} WHERE NOT ({where})")
        if columns:
            client.command(
                f"INSERT INTO {table} SELECT * REPLACE ({columns}) FROM (SELECT * FROM kept_{table} WHERE {where})"
            )
        yield
    finally:
        client.command(f"TRUNCATE TABLE {table}")
        client.command(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        client.command(f"DROP TABLE kept_{table}")


def act(pipeline: Pipeline, action: Action) -> None:
    """Record a deed, and let a worker seal it."""
    with closing(assembly.recorder(pipeline.settings)) as recorder:
        record_action(recorder, action)
    pipeline.work()
    pipeline.sequence()


def sealing(pipeline: Pipeline) -> Callable[[Tombstone], None]:
    """Seals tombstones as `onshore retention run` does."""

    def seal(tombstone: Tombstone) -> None:
        with closing(reader_of(pipeline)) as reader:
            Sealer(reader, lambda action: act(pipeline, action), "ana")(tombstone)

    return seal
