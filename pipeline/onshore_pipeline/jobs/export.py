"""Makes a regulator's bundle (docs/bundle-format.md): judged first, in bounded memory, the same for the same input."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.container import BundleFile, write_container
from onshore_pipeline.evidence.signed_note import KeyType
from onshore_pipeline.jobs.export_closed import ASKED_ROWS, disclosure_of
from onshore_pipeline.jobs.export_files import BundleParts
from onshore_pipeline.jobs.export_judged import (
    NOTHING_REGISTERED,
    PERSONAL_CATEGORIES,
    ExportVerdict,
    Movement,
    approver,
    judged,
    movement_event,
    refuse_unregistered,
    violated,
)
from onshore_pipeline.jobs.export_recorded import EXPORTED, REFUSED
from onshore_pipeline.jobs.export_renderings import STAMP
from onshore_pipeline.jobs.export_scope import Scope, span_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from onshore_pipeline.context.registered import Registered
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.evidence.keyring import Keyring
    from onshore_pipeline.findings.standing import Folders
    from onshore_pipeline.jobs.log_proofs import KnownHead
    from onshore_pipeline.store.reader import Reader


class ExportBlocked(OnshoreError):
    """A control forbids the export: nothing was written (exit 1).

    Attributes:
        event: the event that the export would have been.
        tenants: whose data it would have moved.
    """

    def __init__(self, why: str, event: dict[str, Any], tenants: tuple[str, ...]) -> None:
        """Say which control, and what cures it."""
        super().__init__(why)
        self.event, self.tenants = event, tenants


@dataclass(frozen=True, slots=True)
class Request:
    """An export as a person asks for it.

    Attributes:
        export_id, at: given, so that the same request gives the same bytes.
        scope: what of the log.
        recipient, recipient_country: to whom and where.
        person, reason: who exports and why.
        profile: as it was named.
        redacted, closed_keys: see `redaction.parse_redaction`.
        basis, approval: what allows the movement, where a control asks for it, as the registries have it.
        checkpoints: signed heads of the log that the bundle must be connected with.
        pseudonyms: words that stay the same within the bundle stand in place of closed values.
        with_document: `report.pdf` is made, too.
    """

    export_id: UUID
    at: datetime
    scope: Scope
    recipient: str
    recipient_country: str
    person: str
    reason: str
    profile: str
    redacted: frozenset[str]
    closed_keys: Mapping[str, frozenset[str]]
    basis: str | None = None
    approval: str | None = None
    checkpoints: tuple[bytes, ...] = ()
    with_document: bool = True
    pseudonyms: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it."""

    events: int
    entries: int
    verdicts: tuple[ExportVerdict, ...]
    event: dict[str, Any]
    tenants: tuple[str, ...]
    manifest_sha256: str
    warnings: tuple[str, ...] = ()


def judge_export(
    reader: Reader,
    request: Request,
    head: KnownHead,
    controls: ControlSet,
    registered: Registered = NOTHING_REGISTERED,
) -> tuple[tuple[ExportVerdict, ...], dict[str, Any], tuple[str, ...]]:
    """Judge the export: the verdicts, the event that it is, and whose data moves.

    Raises:
        ExportBlocked: a control is violated, or what should allow it is not in the registries; what cures it is named.
    """
    asked = request.scope.parameters(head)
    # What an earlier export moved, or would have moved, is not in its record.
    sql = (
        "WITH NOT (kafka_topic = {actions:String} AND action IN {exports:Array(String)}) AS is_data SELECT"  # noqa: S608
        " groupUniqArrayArrayIf(categories, is_data) AS kinds,"
        " groupUniqArrayArrayIf(home_jurisdictions, is_data) AS homes,"
        " groupUniqArrayArrayIf(home_jurisdictions, is_data AND (empty(categories)"
        " OR NOT hasAll({personal:Array(String)}, categories))) AS other_homes,"
        # The deployment's own deeds are of its own tenant; they move nobody's data.
        " count() AS events, arraySort(groupUniqArrayIf(toString(tenant), kafka_topic != {actions:String})) AS tenants,"
        " min(tenant) AS first_tenant"
        f" FROM events_current WHERE {ASKED_ROWS}"
    )
    records = {"actions": ACTIONS_TOPIC, "exports": [EXPORTED, REFUSED]}
    row = reader.rows(sql, asked | records | {"personal": list(PERSONAL_CATEGORIES)})[0]
    movement = Movement(
        tenants=tuple(row["tenants"]) or request.scope.tenants or (str(row["first_tenant"] or "default"),),
        recipient=request.recipient,
        recipient_country=request.recipient_country,
        person=request.person,
        reason=request.reason,
        categories=_known({*row["kinds"], "personal"}),
        homes=_known(row["homes"]),
        other_homes=_known(row["other_homes"]),
        redacted=request.redacted,
        pseudonymous=request.pseudonyms,
        basis=request.basis,
        approval=request.approval,
        events=int(row["events"]),
    )
    event = movement_event(movement, request.at)
    try:
        for of_tenant in (event | {"tenant": tenant} for tenant in movement.tenants):
            event["approval_by"] = approver(of_tenant, registered)
            refuse_unregistered(of_tenant, registered)
    except OnshoreError as error:
        raise ExportBlocked(f"{error}. Nothing was written", event, movement.tenants) from None
    verdicts = judged(event, controls, movement.tenants)
    broken = violated(verdicts)
    if broken:
        raise ExportBlocked(_blocked(broken, request), event, movement.tenants)
    return verdicts, event, movement.tenants


def _known(words: Sequence[str] | set[str]) -> tuple[str, ...]:
    some = sorted(set(words))
    return tuple(word for word in some if word != "none") or tuple(some)


def _blocked(broken: Sequence[ExportVerdict], request: Request) -> str:
    said = "; ".join(f"{each.control} ({each.title}): {each.remediation.strip().rstrip('.')}" for each in broken)
    cures = [
        *([] if request.profile == "minimal" else ["leave out what is personal (--profile minimal)"]),
        *([] if len(request.scope.tenants) == 1 else ["choose one tenant (--tenant)"]),
        "name what allows it (--basis, --approval)",
    ]
    cured = f"{', '.join(cures)[0].upper()}{', or '.join(cures)[1:]}"
    return f"the export to {request.recipient_country} would violate {said}. Nothing was written. {cured}"


def export(
    reader: Reader,
    request: Request,
    head: KnownHead,
    *,
    controls: ControlSet,
    keyring: Keyring,
    salt_master: bytes,
    target: Path,
    where: Folders,
    registered: Registered = NOTHING_REGISTERED,
    stamp: Callable[[bytes], bytes] | None = None,
    progress: Callable[[int, int], None] | None = None,
    record: Callable[[Exported], object] = lambda _: None,
) -> Exported:
    """Write the bundle to `target`, up to the signed head `head`.

    `where` has people's keys, which say whose waivers count; `registered` has bases and approvals;
    `stamp` has an authority say that the head's note exists; `progress` is told how many entries are done, of how many;
    `record` is called before the bundle is complete, since one that nothing records must not go out.

    Raises:
        ExportBlocked: see `judge_export`.
        EvidenceAltered: the store does not hold what was sealed.
    """
    verdicts, event, tenants = judge_export(reader, request, head, controls, registered)
    span = span_of(reader, request.scope, head)
    if span.end > head.head.size:
        raise OnshoreError(
            f"{span.end - head.head.size} entries of this time are behind the last signed head: wait for the next one"
        )
    disclosure = disclosure_of(reader, request, head, salt_master)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        made = BundleParts(reader, request, head, span, disclosure, Path(folder), where, controls)
        made.rows(salt_master, progress or (lambda *_: None))
        files = made.files(verdicts)
        if stamp is not None:
            files.append(BundleFile(STAMP, stamp(head.note)))
        manifest = standalone.canonical(made.manifest(files, verdicts, event))
        unseen = len(made.versions_without_text)
        warnings = (f"{unseen} control versions have no text in the store",) if unseen else ()
        digest = hashlib.sha256(manifest).hexdigest()
        exported = Exported(made.counts.events, made.counts.entries, verdicts, event, tenants, digest, warnings)
        write_container(target, [*_signed(manifest, request, keyring), *files], lambda: record(exported))
    return exported


def _signed(manifest: bytes, request: Request, keyring: Keyring) -> list[BundleFile]:
    payload = standalone.statement_of(manifest, str(request.export_id))
    signed = standalone.pre_authentication(payload)
    signatures = []
    for key in keyring.signing(request.at):  # while one is rotated, whoever has only the old key can check, too
        verifier = key.verifier(KeyType.NOTE)
        signatures.append((f"{verifier.name}+{verifier.key_id.hex()}", key.private.sign(signed)))
    envelope = standalone.envelope_of(payload, signatures)
    return [BundleFile(standalone.MANIFEST, manifest), BundleFile(standalone.ENVELOPE, envelope)]


__all__ = ["ExportBlocked", "Exported", "Request", "disclosure_of", "export", "judge_export"]
