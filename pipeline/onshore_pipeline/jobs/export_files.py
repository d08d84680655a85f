"""The files of one bundle in the making, and the manifest that lists them."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.checkpoint import parse_checkpoint
from onshore_pipeline.evidence.container import BundleFile
from onshore_pipeline.evidence.signed_note import parse_note
from onshore_pipeline.jobs import export_rows, export_tables
from onshore_pipeline.jobs.export_readme import readme
from onshore_pipeline.jobs.export_records import Records
from onshore_pipeline.jobs.export_renderings import RENDERINGS, STAMP, Told, data_dictionary, renderings, report_of
from onshore_pipeline.jobs.export_rules import RulesInForce
from onshore_pipeline.jobs.export_scope import Span, entries
from onshore_pipeline.jobs.log_proofs import KnownHead, LogProofs, heads_about, prove, witnessed_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.evidence.redaction import Disclosure
    from onshore_pipeline.findings.standing import Folders
    from onshore_pipeline.jobs.export import Request
    from onshore_pipeline.jobs.export_judged import ExportVerdict
    from onshore_pipeline.jobs.export_shown import ShownBatch
    from onshore_pipeline.store.reader import Reader

_COVERS: Final = {
    **dict.fromkeys(
        ("entries.ndjson", "events.ndjson", "openings.ndjson", "verdicts.ndjson", "verdicts.csv"), "proved"
    ),
    **dict.fromkeys((*RENDERINGS, STAMP), "rendering"),
}


class BundleParts:
    """One bundle in the making."""

    def __init__(
        self,
        reader: Reader,
        request: Request,
        head: KnownHead,
        span: Span,
        disclosure: Disclosure,
        folder: Path,
        where: Folders,
        controls: ControlSet,
    ) -> None:
        self._controls = controls
        self._listed: dict[str, dict[str, Any]] = {}
        self._reader, self._request, self._head, self._span, self._where = reader, request, head, span, where
        self._disclosure, self._folder = disclosure, folder
        self._found = export_tables.FoundSoFar()
        self.counts = export_rows.Counts()
        self._indexes: list[int] = []
        self.versions_without_text: set[tuple[str, int]] = set()

    def rows(self, salt_master: bytes, progress: Callable[[int, int], None]) -> None:
        """Write the large files, and add up what they hold."""
        request, span = self._request, self._span
        scope = request.scope
        parquet = export_tables.ParquetFile(self._folder / "events.parquet")
        only = pl.Series(list(scope.findings), dtype=pl.String)

        def shown(batch: ShownBatch) -> None:
            parquet.add(batch)
            violations = batch.violations
            if scope.controls:
                violations = violations.filter(pl.col("control_id").is_in(scope.controls))
            self._found.add(violations.filter(pl.col("finding_id").is_in(only.implode())) if len(only) else violations)

        def told() -> Any:  # noqa: ANN401 - a generator
            for entry in entries(self._reader, scope, span, self._head):
                progress(entry.index - span.first, max(span.end - span.first, 1))
                yield entry

        try:
            with export_rows.RowFiles(self._folder) as files:
                self._paths = files.paths
                self.counts, self._indexes = export_rows.write_rows(
                    self._reader,
                    told(),
                    files,
                    scope=scope,
                    disclosure=self._disclosure,
                    salt_master=salt_master,
                    shown=shown,
                )
        finally:
            parquet.close()

    def files(self, verdicts: Sequence[ExportVerdict]) -> list[BundleFile]:
        """Every file but manifest and signature, in the bundle's order."""
        heads, sizes = self._heads()
        proofs = prove(self._reader, self._head, self._indexes, sizes)
        records = Records(self._reader, self._request.scope, self._disclosure, self._where, self._request.at)
        findings = self._found.told(self._disclosure, records.states())
        rules = RulesInForce(self._reader, self.counts.digests)
        texts = export_tables.control_texts(self._reader, self.counts.control_versions)
        self.versions_without_text = {
            (control, version)
            for control, version in self.counts.control_versions
            if not any(name.startswith(f"controls/{control}-v{version}") for name in texts)
        }
        coverage = export_tables.coverage_rows(self._reader, self._request.scope.tenants, self._disclosure)
        told = {name: sorted(values) for name, values in self.counts.digests.items()}
        verifier = resources.files("onshore_pipeline.evidence").joinpath("verify_standalone.py").read_bytes()
        small: dict[str, bytes | Path] = {
            "README.txt": readme(self._request, self.counts, verdicts),
            **{f"heads/{name}.note": note for name, note in heads.items()},
            standalone.LOG_PROOF: standalone.canonical(self._log_proof(proofs)),
            **self._paths,
            standalone.VERDICTS_CSV: standalone.verdicts_csv(self.counts.verdicts),
            "findings.ndjson": export_tables.findings_ndjson(findings),
            "findings.csv": export_tables.findings_csv(findings),
            "coverage.csv": export_tables.coverage_csv(coverage),
            "dictionary.csv": data_dictionary(),
            **records.files(self.counts.deletions, self._found.ids),
            "context/digests.json": standalone.canonical(told),
            standalone.SETS: standalone.canonical(rules.sets),
            **rules.texts(self._request.scope.tenants, self._disclosure),
            **texts,
            "events.parquet": self._folder / "events.parquet",
            "verify.py": verifier,
        }
        files = [BundleFile(name, content) for name, content in small.items()]
        self._list(files)
        digests = {name: str(listed["sha256"]) for name, listed in self._listed.items()}
        told_of = Told([*findings, *records.of_windows()], coverage, digests, heads)
        report = report_of(self._request, self.counts, self._controls, told_of)
        made = renderings(report, with_document=self._request.with_document)
        rendered = [BundleFile(name, content) for name, content in made.items()]
        return files + rendered

    def _list(self, files: Sequence[BundleFile]) -> None:
        """Take size and digest of each file, once."""
        for each in files:
            if each.name not in self._listed:
                self._listed[each.name] = _listed(each)

    def _heads(self) -> tuple[dict[str, bytes], list[int]]:
        """The notes of the heads, the one that all is proved up to first, and the sizes of earlier ones."""
        head, span = self._head, self._span
        found: dict[str, bytes] = {"head": head.note}
        sizes = []
        for name, known in heads_about(self._reader, head, span.first, span.end).items():
            found[name] = known.note
            sizes.append(known.head.size)
        witnessed = witnessed_head(self._reader, head)
        if witnessed is not None:
            found["witnessed"] = witnessed[0]
            sizes.append(witnessed[1])
        sizes += [_size_of(raw, head) for raw in self._request.checkpoints]
        return found, [size for size in sizes if size != head.head.size]

    def _log_proof(self, proofs: LogProofs) -> dict[str, Any]:
        runs: list[list[int]] = []
        for index in self._indexes:
            if runs and sum(runs[-1]) == index:
                runs[-1][1] += 1
            else:
                runs.append([index, 1])
        return {
            "runs": runs,
            "hashes": [each.hex() for each in proofs.hashes],
            "consistency": {str(size): [each.hex() for each in proof] for size, proof in proofs.consistency.items()},
        }

    def manifest(
        self, files: Sequence[BundleFile], verdicts: Sequence[ExportVerdict], event: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the manifest says."""
        self._list(files)
        request, scope, counts = self._request, self._request.scope, self.counts
        span = self._span
        within = sum(span.first <= index < span.end for index in self._indexes)
        return {
            "format": standalone.FORMAT,
            "export": {
                "id": str(request.export_id),
                "at": request.at.isoformat(),
                "by": request.person,
                "reason": request.reason,
                "recipient": request.recipient,
                "recipient_country": request.recipient_country,
                "profile": request.profile,
                "basis": request.basis,
                "approval": request.approval,
            },
            "scope": {
                "from": scope.since,
                "to": scope.until,
                "range": [span.first, span.end],
                "tenants": list(scope.tenants),
                "controls": list(scope.controls),
                "findings": [self._found.shown_id(each, self._disclosure) for each in scope.findings],
                "jurisdictions": list(scope.jurisdictions),
                "redacted": sorted(request.redacted),
                "closed_keys": {name: sorted(keys) for name, keys in sorted(request.closed_keys.items())},
            },
            "judged": {
                "as": {name: str(value) if name == "occurred_at" else value for name, value in event.items()},
                "verdicts": [
                    {"control": each.control, "version": each.version, "verdict": each.verdict, "missing": each.missing}
                    for each in verdicts
                ],
            },
            "counts": {
                "entries": counts.entries,
                "entries_withheld": span.end - span.first - within,
                "messages": counts.messages,
                "records": counts.records,
                "events_sealed": counts.events_sealed,
                "events": counts.events,
                "dead_lettered": counts.dead_lettered,
                "messages_without_verdicts": counts.messages_without_verdicts,
                "opened": counts.opened,
                "closed_events": counts.closed_events,
                "deleted": counts.deleted,
            },
            "digests": {name: sorted(values) for name, values in counts.digests.items()},
            "files": [self._listed[each.name] for each in files],
            "not_proved": list(standalone.NOT_PROVED[:-1]),
        }


def _listed(file: BundleFile) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    if isinstance(file.content, bytes):
        digest.update(file.content)
        size = len(file.content)
    else:
        with file.content.open("rb") as source:
            while block := source.read(1 << 20):
                digest.update(block)
                size += len(block)
    covers = "proved" if file.name.startswith(("heads/", "proofs/")) else _COVERS.get(file.name, "signed")
    return {"name": file.name, "size": size, "sha256": digest.hexdigest(), "covers": covers}


def _size_of(raw: bytes, head: KnownHead) -> int:
    told = parse_checkpoint(parse_note(raw).text)
    if told.origin != head.head.origin or told.size > head.head.size:
        raise OnshoreError(
            f"the checkpoint is of {told.origin} with {told.size} entries,"
            f" and the log is {head.head.origin} with {head.head.size}"
        )
    return told.size
