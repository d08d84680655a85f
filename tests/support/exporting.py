"""Exports of a real pipeline: what is sent, what is signed, what comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import otlp_messages as otlp
from onshore_pipeline import assembly
from onshore_pipeline.context.loading import read_registered
from onshore_pipeline.evidence.redaction import parse_redaction
from onshore_pipeline.findings.standing import folders
from onshore_pipeline.head_journal import HeadJournal
from onshore_pipeline.head_signer import HeadSigner
from onshore_pipeline.jobs.export import Exported, Request, export
from onshore_pipeline.jobs.export_judged import NOTHING_REGISTERED
from onshore_pipeline.jobs.export_scope import Scope
from onshore_pipeline.jobs.log_proofs import newest_head
from onshore_pipeline.rule_texts import keep_controls
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedded_pipeline import Pipeline
    from onshore_pipeline.context.registered import Registered
    from onshore_pipeline.evidence.keyring import Keyring

NAMES: Final = ("alice.sample@example.org", "bob.sample@example.org")
ADDRESS: Final = "203.0.113.77"
FIRST: Final = UUID(int=1)
NOON: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)


def send_messages(pipeline: Pipeline, now_ns: int) -> None:
    """Two messages in front, one of three events by two people, two behind; each is sealed by itself.

    People stand in attributes and in a text, too.
    """
    said = {"actor_id": NAMES[0], "data_set": "patients"}
    for records in (
        [otlp.movement()],
        [otlp.movement(), otlp.movement()],
        [
            otlp.movement(**said) | {"source.address": ADDRESS, "note": f"by {NAMES[0]}"},
            otlp.movement(actor_id=NAMES[1], reason=f"asked by {NAMES[1]}", data_set="patients"),
            otlp.movement(actor_id=NAMES[0]) | {"plain": "nothing about anybody"},
        ],
        [otlp.movement()],
        [otlp.movement()],
    ):
        pipeline.send("otlp_logs", [otlp.logs(records, body=f"copied for {NAMES[0]}", at_ns=[now_ns] * len(records))])
        pipeline.work()
    pipeline.sequence()
    keep_controls(pipeline.client, pipeline.judgement.controls)


def sign(pipeline: Pipeline, keyring: Keyring) -> None:
    """Sign a head of what was copied."""
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    journal = HeadJournal(pipeline.settings.data_dir / "heads.journal")
    HeadSigner(pipeline.client, sequencer.log_id, lambda: keyring, journal).sign(caught_up=True)
    sequencer.close()


def reader_of(pipeline: Pipeline) -> Reader:
    writer = json.loads(DataDir(pipeline.settings.data_dir).credentials.read_text())["writer"]
    return Reader(pipeline.url, writer["user"], writer["password"])


def registers(**texts: str) -> Registered:
    """Registries of these texts: `transfer_bases="basis,destination\\nconsent,NZ\\n"`."""
    return read_registered({Path(f"{name}.csv"): text.encode() for name, text in texts.items()})


def bounds_of_third_message(pipeline: Pipeline) -> tuple[int, int]:
    entries = [json.loads(row[0]) for row in pipeline.rows("SELECT DISTINCT entry FROM evidence_log")]
    stamps = sorted(entry["timestamp"] for entry in entries)
    return stamps[2], stamps[3]


def export_to(
    pipeline: Pipeline,
    target: Path,
    keyring: Keyring,
    *,
    since: int = 0,
    until: int = 2**62,
    profile: str = "full",
    redact: tuple[str, ...] = (),
    country: str = "AU",
    export_id: UUID = FIRST,
    at: datetime = NOON,
    basis: str | None = None,
    approval: str | None = None,
    registered: Registered = NOTHING_REGISTERED,
    stamp: Callable[[bytes], bytes] | None = None,
    with_document: bool = True,
    record: Callable[[Exported], object] = lambda _: None,
    **scope: Any,
) -> Exported:
    """The bundle of what was sealed from `since` to `until`."""
    redacted, keys = parse_redaction(profile, redact)
    request = Request(
        export_id=export_id, at=at, scope=Scope(since, until, **scope), recipient="Office of the Commissioner",
        recipient_country=country, person="Kim Lee", reason="Request 17", profile=profile, redacted=redacted,
        closed_keys=keys, basis=basis, approval=approval, with_document=with_document,
        pseudonyms=profile != "minimal",
    )  # fmt: skip
    reader = reader_of(pipeline)
    try:
        return export(
            reader, request, newest_head(reader), controls=pipeline.judgement.controls, keyring=keyring,
            salt_master=pipeline.judgement.salt_master, target=target, stamp=stamp, registered=registered,
            where=folders(pipeline.settings.context_dir, pipeline.settings.data_dir), record=record,
        )  # fmt: skip
    finally:
        reader.close()
