"""Makes a regulator's bundle (docs/bundle-format.md): judged first, in bounded memory, the same for the same input."""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.domain.event import COLUMNS_BY_NAME, Kind
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.container import BundleFile, write_container
from onshore_pipeline.evidence.redaction import MAPS, Disclosure
from onshore_pipeline.evidence.signed_note import KeyType
from onshore_pipeline.jobs.export_files import BundleParts
from onshore_pipeline.jobs.export_judged import ExportVerdict, Movement, judged, movement_event, violated
from onshore_pipeline.jobs.export_renderings import STAMP
from onshore_pipeline.jobs.export_scope import Scope, span_of
from onshore_pipeline.jobs.log_proofs import OF_LOG, KnownHead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.evidence.keyring import Keyring
    from onshore_pipeline.findings.standing import Folders
    from onshore_pipeline.store.reader import Reader

_MOST_VALUES: Final = 5_000_000
_ASKED_ROWS: Final = f"""
attempt_id IN (
    SELECT assumeNotNull(attempt_id) FROM evidence_log WHERE {OF_LOG} AND kind IN ('message', 'amends')
        AND JSONExtractInt(entry, 'timestamp') >= {{since:Int64}}
        AND JSONExtractInt(entry, 'timestamp') < {{until:Int64}}
) AND (empty({{tenants:Array(String)}}) OR has({{tenants:Array(String)}}, tenant))
"""  # noqa: S608 - fixed text


class ExportBlocked(OnshoreError):
    """A control forbids the export: nothing was written (exit 1).

    Attributes:
        event: the event that the export would have been.
    """

    def __init__(self, why: str, event: dict[str, Any]) -> None:
        """Say which control, and what cures it."""
        super().__init__(why)
        self.event = event


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
        basis, approval: what allows the movement, where a control asks for it; `approved_by` as registered.
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
    approved_by: str | None = None
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
    manifest_sha256: str
    warnings: tuple[str, ...] = ()


def judge_export(
    reader: Reader, request: Request, head: KnownHead, controls: ControlSet
) -> tuple[tuple[ExportVerdict, ...], dict[str, Any]]:
    """Judge the export; the verdicts and the event that it is.

    Raises:
        ExportBlocked: a control is violated; its id and what cures it are named.
    """
    asked = request.scope.parameters(head)
    sql = (
        "SELECT groupUniqArrayArray(categories) AS kinds, groupUniqArrayArray(home_jurisdictions) AS homes,"  # noqa: S608
        f" count() AS events, min(tenant) AS first_tenant FROM events_current WHERE {_ASKED_ROWS}"
    )
    row = reader.rows(sql, asked)[0]
    movement = Movement(
        tenant=(request.scope.tenants or (str(row["first_tenant"] or "default"),))[0],
        recipient=request.recipient,
        recipient_country=request.recipient_country,
        person=request.person,
        reason=request.reason,
        categories=_known({*row["kinds"], "personal"}),
        homes=_known(row["homes"]),
        redacted=request.redacted,
        pseudonymous=request.pseudonyms,
        basis=request.basis,
        approval=request.approval,
        approved_by=request.approved_by,
        events=int(row["events"]),
    )
    event = movement_event(movement, request.at)
    verdicts = judged(event, controls)
    broken = violated(verdicts)
    if broken:
        raise ExportBlocked(_blocked(broken, request), event)
    return verdicts, event


def _known(words: Sequence[str] | set[str]) -> tuple[str, ...]:
    some = sorted(set(words))
    return tuple(word for word in some if word != "none") or tuple(some)


def _blocked(broken: Sequence[ExportVerdict], request: Request) -> str:
    said = "; ".join(f"{each.control} ({each.title}): {each.remediation.strip().rstrip('.')}" for each in broken)
    return (
        f"the export to {request.recipient_country} would violate {said}. Nothing was written. Leave out what is"
        " personal (--profile minimal), choose one tenant, or name what allows it (--basis, --approval)"
    )


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
    stamp: Callable[[bytes], bytes] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write the bundle to `target`, up to the signed head `head`.

    `where` has people's keys, which say whose waivers count; `stamp` has an authority say that the head's note exists;
    `progress` is told how many entries are done, of how many.

    Raises:
        ExportBlocked: see `judge_export`.
        EvidenceAltered: the store does not hold what was sealed.
    """
    verdicts, event = judge_export(reader, request, head, controls)
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
        write_container(target, [*_signed(manifest, request, keyring), *files])
    unseen = len(made.versions_without_text)
    warnings = (f"{unseen} control versions have no text in the store",) if unseen else ()
    return Exported(
        made.counts.events, made.counts.entries, verdicts, event, hashlib.sha256(manifest).hexdigest(), warnings
    )


def _signed(manifest: bytes, request: Request, keyring: Keyring) -> list[BundleFile]:
    payload = standalone.statement_of(manifest, str(request.export_id))
    key = keyring.keys[0]
    verifier = key.verifier(KeyType.NOTE)
    label = f"{verifier.name}+{verifier.key_id.hex()}"
    envelope = standalone.envelope_of(payload, label, key.private.sign(standalone.pre_authentication(payload)))
    return [BundleFile(standalone.MANIFEST, manifest), BundleFile(standalone.ENVELOPE, envelope)]


def disclosure_of(reader: Reader, request: Request, head: KnownHead, salt_master: bytes) -> Disclosure:
    """What stays closed, and every value of it, so that nothing repeats one."""
    key = hmac.digest(salt_master, b"onshore pseudonym key v1\x00" + request.export_id.bytes, "sha256")
    columns = [name for name in sorted(request.redacted) if name not in {*MAPS, "body", "contradictions"}]
    values: set[str] = set()
    for name in columns:
        is_address = COLUMNS_BY_NAME[name].kind is Kind.ADDRESS
        spelled = f"arrayJoin([toString({name}), lower(hex({name})), replaceOne(toString({name}), '::ffff:', '')])"
        sql = (
            f"SELECT DISTINCT {spelled if is_address else name} AS v FROM events_current"  # noqa: S608 - names of ours
            f" WHERE {name} IS NOT NULL AND {_ASKED_ROWS} LIMIT {_MOST_VALUES + 1}"
        )
        values.update(reader.frame(sql, request.scope.parameters(head))["v"].cast(pl.String).to_list())
        if len(values) > _MOST_VALUES:
            raise OnshoreError(f"more than {_MOST_VALUES:,} redacted values: export a shorter time")
    values.discard("")
    closed = pl.Series(sorted(values), dtype=pl.String)
    return Disclosure(request.redacted, dict(request.closed_keys), key, closed, pseudonyms=request.pseudonyms)


__all__ = ["ExportBlocked", "Exported", "Request", "disclosure_of", "export", "judge_export"]
