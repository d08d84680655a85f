"""`onshore event prove`: one event by itself, and what is disclosed of it later."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID, uuid4

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.jobs.event_proof import ProvenEvent, SealedEvent
    from onshore_pipeline.jobs.log_proofs import KnownHead
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

_WRONG: Final = 1
_LOOK_EVERY_S: Final = 1.0


def prove(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="As findings and lists name it")],
    recipient: Annotated[str, typer.Option(help="Who gets it")],
    country: Annotated[str, typer.Option("--recipient-country", metavar="CC", help="Where that is: AU, JP, ...")],
    person: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who hands it over; recorded")],
    reason: Annotated[str, typer.Option(help="Why; recorded")],
    opened: Annotated[
        list[str] | None, typer.Option("--open", metavar="FIELD,...", help="What is disclosed; attributes.KEY")
    ] = None,
    out: Annotated[Path, typer.Option(help="The event; its proof goes beside it")] = Path("event.ndjson"),
    basis: Annotated[str | None, typer.Option(help="The transfer's legal basis, where a control asks for one")] = None,
    approval: Annotated[str | None, typer.Option(metavar="ID", help="The approval, where a control asks")] = None,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds for a head over it")] = 90.0,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Prove one event with nothing else, and disclose some of its closed fields, also of a bundle handed over before.

    It is judged as a movement of data first (exit 1 where a control forbids it), and recorded.
    """
    from onshore_pipeline import assembly
    from onshore_pipeline.commands.export import refuse_empty, store_reader
    from onshore_pipeline.evidence.self_check import check_compiled
    from onshore_pipeline.jobs.event_proof import parse_opened, prove_event
    from onshore_pipeline.jobs.export import Request
    from onshore_pipeline.jobs.export_scope import Scope
    from onshore_pipeline.stack import salt_master

    settings, moment = load_settings({"data_dir": data_dir}), datetime.now(UTC).replace(microsecond=0)
    refuse_empty(country, {"--as": person, "--reason": reason, "--recipient": recipient})
    redacted, only_keys = parse_opened([name for each in opened or () for name in each.split(",")])
    proved = partial(
        prove_event, controls=assembly.controls(settings), salt_master=salt_master(settings), only_keys=only_keys,
        registered=assembly.registered(settings),
    )  # fmt: skip
    check_compiled()
    proof_path = out.with_name(f"{out.name}.tlog-proof")
    with closing(store_reader(settings)) as reader:
        found, head = _sealed(reader, _id(event_id), wait_s)
        told = found.entry.told
        request = Request(
            export_id=uuid4(), at=moment,
            scope=Scope(told["timestamp"], told["timestamp"] + 1, (told["tenant"],)), recipient=recipient,
            recipient_country=country, person=person, reason=reason, profile="full",
            redacted=redacted - frozenset(only_keys), closed_keys={}, basis=basis, approval=approval,
        )  # fmt: skip
        made = _recorded(settings, request.export_id, lambda: proved(reader, request, head, found))
    _write(out, made.lines)
    _write(proof_path, made.proof)
    if as_json:
        typer.echo(json.dumps({"event": str(out), "proof": str(proof_path), "opened": made.opened}))
        return
    typer.echo(f"{out}: the event as it was sealed; opened: {', '.join(sorted(made.opened)) or 'nothing'}")
    typer.echo(f"by itself:      onshore verify {out} --proof {proof_path} --key KEYS")
    typer.echo(f"with a bundle:  onshore verify BUNDLE --disclosed {out} --key KEYS")


def _recorded(settings: Settings, export_id: UUID, proved: Callable[[], ProvenEvent]) -> ProvenEvent:
    """Record that the event goes out, or that a control forbids it: then the command ends with 1."""
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.export import ExportBlocked
    from onshore_pipeline.jobs.export_recorded import record_export

    with closing(assembly.recorder(settings)) as recorder:
        try:
            made = proved()
        except ExportBlocked as blocked:
            record_export(recorder, blocked.event, blocked.tenants, export_id, digest=None)
            typer.echo(f"onshore: {blocked}", err=True)
            raise typer.Exit(_WRONG) from None
        # Recorded first: an event that nothing records must not go out.
        record_export(recorder, made.event, made.tenants, export_id, digest=hashlib.sha256(made.lines).hexdigest())
        return made


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OnshoreError(f"{path}: {error.strerror}") from None


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise OnshoreError(f"{text}: no event id; findings name whole ids") from None


def _sealed(reader: Reader, event_id: str, wait_s: float) -> tuple[SealedEvent, KnownHead]:
    """Where the event stands, and the newest head, once that covers it."""
    from onshore_pipeline.jobs.event_proof import find_event
    from onshore_pipeline.jobs.log_proofs import newest_head

    pause, deadline = threading.Event(), time.monotonic() + wait_s
    while True:
        head = newest_head(reader)
        found = find_event(reader, head, event_id)
        if found is not None and found.entry.index < head.head.size:
            return found, head
        if time.monotonic() > deadline:
            raise OnshoreError(f"{event_id} is behind the last signed head: heads are signed every minute; --wait")
        pause.wait(_LOOK_EVERY_S)
