"""Audits of a store whose rows were altered behind the pipeline's back, and then put back."""

from __future__ import annotations

import base64
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exporting import reader_of
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.findings import waivers
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.jobs.audit import Audited, audit
from onshore_pipeline.jobs.retention import Sealer
from onshore_pipeline.signing_key import KeySource, journal_path
from onshore_pipeline.stack import salt_master
from recorded import OMAR, PEOPLE, RINA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from embedded_pipeline import Pipeline
    from onshore_pipeline.jobs.deletions import Tombstone


def audited(pipeline: Pipeline) -> Audited:
    """All of the store, held against its log and keys."""
    keys = KeySource(pipeline.settings)().verifier_keys()
    journal = HeadJournal(journal_path(pipeline.settings))
    span = datetime(1970, 1, 1, tzinfo=UTC), datetime(2260, 1, 1, tzinfo=UTC)
    with closing(assembly.entry_reader(pipeline.settings)) as reader:
        return audit(pipeline.client, reader, salt_master(pipeline.settings), keys, journal, *span, lambda *_: None)


def keep(pipeline: Pipeline, tables: Iterable[str]) -> None:
    """Remember what these tables hold."""
    for table in tables:
        pipeline.client.command(f"CREATE TABLE kept_{table} AS {table}")
        pipeline.client.command(f"INSERT INTO kept_{table} SELECT * FROM {table}")


def put_back(pipeline: Pipeline, tables: Iterable[str]) -> None:
    """Give these tables what was kept of them."""
    for table in tables:
        pipeline.client.command(f"TRUNCATE TABLE {table}")
        pipeline.client.command(f"INSERT INTO {table} SELECT * FROM kept_{table}")


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


def waive(pipeline: Pipeline, tenant: str) -> None:
    """One person proposes and another approves that findings of AU-APP8-01 wait for 30 days."""
    keys = pipeline.settings.data_dir / "people_keys"
    keys.mkdir()
    for name, key in PEOPLE.items():
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (keys / f"{name}.pem").write_bytes(public)
    until = datetime.now(UTC) + timedelta(days=30)
    statement = waivers.statement_of(
        {
            "id": "w-1", "tenant": tenant, "control": "AU-APP8-01", "where": {}, "reason": "agreed",
            "proposed_by": RINA, "expires": until.isoformat(),
        }
    )  # fmt: skip
    for action, who in ((waivers.PROPOSE, RINA), (waivers.APPROVE, OMAR)):
        signature = base64.b64encode(PEOPLE[who].sign(waivers.signed_text(action, statement))).decode()
        told = {waivers.WAIVER_ID: "w-1", waivers.STATEMENT: statement, waivers.SIGNATURE: signature}
        act(pipeline, Action(action, tenant, who, "the auditor agreed", told))
