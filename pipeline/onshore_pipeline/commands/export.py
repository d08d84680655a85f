"""`onshore export`: a bundle that a regulator can check alone."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from onshore_pipeline.commands.options import DataDirOption, JsonOption, nanoseconds
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.evidence.recipient_profile import Profile
    from onshore_pipeline.jobs.export import Exported, Request
    from onshore_pipeline.jobs.export_scope import Scope
    from onshore_pipeline.jobs.log_proofs import KnownHead
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_WRONG: Final = 1
_LOOK_EVERY_S: Final = 1.0


def export(
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="2026-11-26 or 2026-11-26T08:30Z")],
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="The same; not included")],
    recipient: Annotated[str, typer.Option(help="Who gets it")],
    country: Annotated[str, typer.Option("--recipient-country", metavar="CC", help="Where that is: AU, JP, ...")],
    person: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who exports; recorded")],
    reason: Annotated[str, typer.Option(help="Why; recorded")],
    out: Annotated[Path, typer.Option(help="The bundle")] = Path("bundle.zip"),
    tenant: Annotated[list[str] | None, typer.Option(help="Only this tenant's; again for more")] = None,
    jurisdiction: Annotated[list[str] | None, typer.Option(help="Only what violates this one's controls")] = None,
    control: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only what violates this control")] = None,
    finding: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only events of this finding")] = None,
    profile: Annotated[str, typer.Option(help="Closed: full (nothing), pseudonymous, minimal, FILE.yaml")] = "full",
    redact: Annotated[list[str] | None, typer.Option(metavar="FIELD,...", help="Closed, too; attributes.KEY")] = None,
    basis: Annotated[str | None, typer.Option(help="The transfer's legal basis, where a control asks for one")] = None,
    approval: Annotated[str | None, typer.Option(metavar="ID", help="The approval, where a control asks")] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="A signed head to be connected with")] = None,
    document: Annotated[bool, typer.Option("--pdf/--no-pdf", help="With report.pdf, or without")] = True,
    export_id: Annotated[str | None, typer.Option(help="For the same evidence again: the id ...")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="... and the time of the first")] = None,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds for a head over all of it")] = 90.0,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write a bundle for a regulator. It is judged as a movement of data first; a violation stops it (exit 1)."""
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.export import Request

    settings = load_settings({"data_dir": data_dir})
    refuse_empty(country, {"--as": person, "--reason": reason, "--recipient": recipient})
    controls = assembly.controls(settings)
    with closing(store_reader(settings)) as reader:
        scope = _scope(reader, controls, (since, until), tenant, (jurisdiction, control, finding))
        closed = _profile(profile, redact)
        moment = datetime.fromtimestamp(nanoseconds("--at", at) // 10**9, UTC) if at else _now()
        request = Request(
            export_id=_id(export_id), at=moment,
            scope=scope, recipient=recipient, recipient_country=country, person=person, reason=reason,
            profile=closed.name, redacted=closed.redacted, closed_keys=closed.closed_keys,
            pseudonyms=closed.pseudonyms, basis=basis, approval=approval,
            checkpoints=tuple(_read("--checkpoint", each) for each in checkpoint or ()), with_document=document,
        )  # fmt: skip
        told = _told(out, request, _made(settings, controls, reader, request, out, wait_s))
    typer.echo(json.dumps(told) if as_json else _said(told))


def refuse_empty(country: str, texts: dict[str, str]) -> None:
    """Raises `OnshoreError` where the country is none, or a text (by its option) is empty."""
    if not _COUNTRY.fullmatch(country):
        raise OnshoreError(f"--recipient-country {country}: two capital letters, such as AU")
    for option, text in texts.items():
        if not text.strip():
            raise OnshoreError(f"{option} is empty: it is recorded in the log")


def _made(
    settings: Settings, controls: ControlSet, reader: Reader, request: Request, out: Path, wait_s: float
) -> Exported:
    """Write the bundle and record that; a refusal is recorded, too."""
    from onshore_pipeline import assembly
    from onshore_pipeline.evidence.self_check import check_compiled
    from onshore_pipeline.findings.standing import folders
    from onshore_pipeline.jobs.export import ExportBlocked, export
    from onshore_pipeline.jobs.export_recorded import record_export
    from onshore_pipeline.signing_key import read_keyring
    from onshore_pipeline.stack import salt_master

    check_compiled()
    head = _head(reader, request, wait_s)
    with closing(assembly.recorder(settings)) as recorder, _Bar() as bar:

        def record(made: Exported) -> None:
            record_export(recorder, made.event, made.tenants, request.export_id, digest=made.manifest_sha256)

        try:
            return export(
                reader, request, head, controls=controls, keyring=read_keyring(settings),
                salt_master=salt_master(settings), target=out, stamp=_stamp(settings),
                where=folders(settings.context_dir, settings.data_dir), progress=bar.show,
                registered=assembly.registered(settings), record=record,
            )  # fmt: skip
        except ExportBlocked as blocked:
            record_export(recorder, blocked.event, blocked.tenants, request.export_id, digest=None)
            typer.echo(f"onshore: {blocked}", err=True)
            raise typer.Exit(_WRONG) from None


def _stamp(settings: Settings) -> Callable[[bytes], bytes] | None:
    """What asks the timestamp authority; None where none is configured, and then none is claimed."""
    from onshore_pipeline.reports.timestamps import ask_for_timestamp

    if not settings.timestamp_authority:
        return None
    if settings.timestamp_roots_file is None:
        raise OnshoreError("timestamp_authority is set and timestamp_roots_file is not: whom shall its answer lead to?")
    roots = _read("timestamp_roots_file", settings.timestamp_roots_file)
    return lambda note: ask_for_timestamp(note, settings.timestamp_authority, roots).response


def _told(out: Path, request: Request, made: Exported) -> dict[str, object]:
    from onshore_pipeline.jobs.export_judged import violated

    return {
        "bundle": str(out), "export": str(request.export_id), "at": request.at.isoformat(), "events": made.events,
        "entries": made.entries, "manifest_sha256": made.manifest_sha256,
        "undetermined": [each.control for each in made.verdicts if each.verdict == "undetermined"],
        "to_review": [each.control for each in made.verdicts if each.verdict == "violated" and not violated([each])],
        "warnings": list(made.warnings),
    }  # fmt: skip


def _said(told: dict[str, object]) -> str:
    lines = [
        f"{told['bundle']}: {told['events']} events of {told['entries']} entries of the log (export {told['export']})",
        *(f"warning: {each}" for each in told["warnings"]),  # type: ignore[attr-defined] # a list
        "check it with: onshore verify " + str(told["bundle"]) + " --key KEYS   (onshore keys show > KEYS)",
    ]
    if not told["events"]:
        lines.insert(1, "nothing of that kind was sealed in this time, and the bundle proves how far")
    if told["undetermined"]:
        lines.append(f"the controls cannot say about: {', '.join(told['undetermined'])}")  # type: ignore[arg-type]
    if told["to_review"]:
        lines.append(f"a person must judge: {', '.join(told['to_review'])}")  # type: ignore[arg-type]
    return "\n".join(lines)


def store_reader(settings: Settings) -> Reader:
    """As the writer: a reader of the store may not ask what an export asks."""
    from onshore_pipeline.stack import store_address
    from onshore_pipeline.store.reader import Reader

    address = store_address(settings, writing=True)
    return Reader(address.url, address.user, address.password, ca_file=address.ca_file)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _id(text: str | None) -> UUID:
    try:
        return UUID(text) if text else uuid4()
    except ValueError:
        raise OnshoreError(f"--export-id {text}: no UUID") from None


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OnshoreError(f"{option} {path}: {error.strerror}") from None


def _profile(profile: str, redact: list[str] | None) -> Profile:
    from onshore_pipeline.evidence.recipient_profile import profile_of

    return profile_of(profile, [name for each in redact or () for name in each.split(",")])


def _scope(
    reader: Reader,
    controls: ControlSet,
    times: tuple[str, str],
    tenants: list[str] | None,
    about: tuple[list[str] | None, list[str] | None, list[str] | None],
) -> Scope:
    from onshore_pipeline.jobs.export_scope import Scope

    since, until = nanoseconds("--from", times[0]), nanoseconds("--to", times[1])
    if until <= since:
        raise OnshoreError(f"--to {times[1]} is not behind --from {times[0]}")
    jurisdictions, named, findings = (tuple(each or ()) for each in about)
    of_findings = _controls_of(reader, findings)
    for name in named:
        if controls.control(name) is None and not _known(reader, name):
            raise OnshoreError(f"--control {name}: there is none; `onshore controls list` names them")
    chosen = {*named, *of_findings}
    for code in jurisdictions:
        some = {each.id for each in controls.controls if each.jurisdiction == code and each.status == "executable"}
        if not some:
            raise OnshoreError(f"--jurisdiction {code}: no control of it is judged")
        chosen |= some
    return Scope(since, until, tuple(tenants or ()), tuple(sorted(chosen)), findings, jurisdictions)


def _known(reader: Reader, control: str) -> bool:
    return bool(reader.rows("SELECT 1 FROM controls WHERE control_id = {id:String} LIMIT 1", {"id": control}))


def _controls_of(reader: Reader, findings: tuple[str, ...]) -> set[str]:
    found = set()
    for each in findings:
        sql = "SELECT control_id FROM findings WHERE toString(finding_id) = {id:String} LIMIT 1"
        rows = reader.rows(sql, {"id": each.lower()})
        if not rows:
            raise OnshoreError(f"--finding {each}: there is no finding of this id")
        found.add(str(rows[0]["control_id"]))
    return found


def _head(reader: Reader, request: Request, wait_s: float) -> KnownHead:
    """The head of the export's time, once there is one that covers everything that was asked for."""
    from onshore_pipeline.evidence.checkpoint import parse_checkpoint
    from onshore_pipeline.evidence.signed_note import parse_note
    from onshore_pipeline.jobs.export_scope import span_of
    from onshore_pipeline.jobs.log_proofs import head_as_of, newest_head

    pause, deadline = threading.Event(), time.monotonic() + wait_s
    newest = newest_head(reader)
    brought = [parse_checkpoint(parse_note(raw).text) for raw in request.checkpoints]
    known = [each.size for each in brought if each.size <= newest.head.size]
    end = max(span_of(reader, request.scope, newest).end, *known, 0)
    while (head := head_as_of(reader, newest.log_id, int(request.at.timestamp()), end)) is None:
        if time.monotonic() > deadline:
            return newest
        pause.wait(_LOOK_EVERY_S)
    return head


class _Bar:
    """A progress bar on standard error, on a terminal only."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("exporting"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("entries"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._progress.add_task("export", total=None)

    def __enter__(self) -> Self:
        """Show it."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._progress.stop()

    def show(self, done: int, of: int) -> None:
        """So many of so many entries."""
        self._progress.update(self._task, completed=max(done, 0), total=of)
