"""From entries of the log to a bundle's large files: lines, openings and verdicts, a batch at a time."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import polars as pl

from onshore_pipeline.errors import EvidenceAltered
from onshore_pipeline.evidence import merkle, seal
from onshore_pipeline.evidence.openings import Openings, openings
from onshore_pipeline.evidence.rows import Part, digests, joined
from onshore_pipeline.fact_tables import roots_of_verdicts, verdict_lines
from onshore_pipeline.jobs.export_batches import batches_of, read_ahead
from onshore_pipeline.jobs.export_leaves import KEYS, DeletedLeaves, all_leaves, message_rows, places_of
from onshore_pipeline.jobs.export_shown import ShownBatch, everything, refusal, repeating, shown_batch
from onshore_pipeline.jobs.export_tombstones import Tombstone, is_tombstone
from onshore_pipeline.jobs.sealed_rows import OF_MESSAGES, SealedRows, of_messages, sealed_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from onshore_pipeline.evidence.redaction import Disclosure
    from onshore_pipeline.jobs.export_scope import LoggedEntry, Scope
    from onshore_pipeline.store.reader import Reader

ENTRIES: Final = "entries.ndjson"
EVENTS: Final = "events.ndjson"
OPENINGS: Final = "openings.ndjson"
VERDICTS: Final = "verdicts.ndjson"
MESSAGES: Final = "proofs/messages.ndjson"
_STEP: Final = "7"

_COUNTS: Final = f"""
SELECT toString(attempt_id) AS attempt, toString(topic_id) AS topic_id, kafka_partition, kafka_offset, source_format,
    control_id, control_version, hour, verdict, missing, events
FROM message_verdicts_current WHERE {OF_MESSAGES}
"""  # noqa: S608 - fixed text
_VIOLATIONS: Final = """
SELECT toString(event_id) AS event_id, toString(finding_id) AS finding_id, tenant, domain, control_id, control_version,
    kind, severity, fingerprint, occurred_at, bytes
FROM violations_current WHERE attempt_id IN {attempts:Array(UUID)}
"""


@dataclass
class Counts:
    """What the manifest says was written."""

    entries: int = 0
    messages: int = 0
    records: int = 0
    events_sealed: int = 0
    events: int = 0
    dead_lettered: int = 0
    messages_without_verdicts: int = 0
    closed_events: int = 0
    deleted: int = 0
    deletions: set[str] = field(default_factory=set)
    opened: dict[str, int] = field(default_factory=dict)
    verdicts: dict[tuple[str, str, int, str, str, str], int] = field(default_factory=dict)
    digests: dict[str, set[str]] = field(
        default_factory=lambda: {"pipeline": set(), "context": set(), "controls": set()}
    )
    control_versions: set[tuple[str, int]] = field(default_factory=set)


class RowFiles:
    """The files that grow entry by entry, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self.paths = {name: folder / name.replace("/", "-") for name in (MESSAGES, ENTRIES, EVENTS, OPENINGS, VERDICTS)}

    def __enter__(self) -> Self:
        """Open them."""
        self._files: dict[str, BinaryIO] = {
            name: self._stack.enter_context(path.open("wb")) for name, path in self.paths.items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self._stack.close()

    def write(self, name: str, lines: pl.Series) -> None:
        """Add lines, a String column."""
        if len(lines):
            self._files[name].write(joined([Part(lines, trail=b"\n")], len(lines)))


def write_rows(
    reader: Reader,
    entries: Iterable[LoggedEntry],
    files: RowFiles,
    *,
    scope: Scope,
    disclosure: Disclosure,
    salt_master: bytes,
    shown: Callable[[ShownBatch], None],
) -> tuple[Counts, list[int]]:
    """Write everything about these entries; what was counted, and the entries' indexes.

    Raises:
        EvidenceAltered: the store does not hold what was sealed; the message is named.
    """
    counts, indexes = Counts(), list[int]()
    deleted = DeletedLeaves(reader)
    writer = _Writer(reader, files, scope, disclosure, salt_master, counts, shown, deleted)
    for batch, rows in read_ahead(batches_of(entries), writer.read):
        indexes += [entry.index for entry in batch]
        writer.write(batch, rows)
    counts.deletions = deleted.deletions
    return counts, indexes


@dataclass
class _Writer:
    reader: Reader
    files: RowFiles
    scope: Scope
    disclosure: Disclosure
    salt_master: bytes
    counts: Counts
    shown: Callable[[ShownBatch], None]
    deleted: DeletedLeaves
    _of_attempts: list[str] = field(default_factory=list)
    _violated: pl.DataFrame = field(default_factory=pl.DataFrame)

    def read(self, batch: Sequence[LoggedEntry]) -> SealedRows | None:
        """The rows of a batch's entries that are asked for, or tombstones; None if none is."""
        told = [entry.told for entry in batch if entry.asked or entry.tombstone]
        return sealed_rows(self.reader, told, self.salt_master) if told else None

    def write(self, batch: Sequence[LoggedEntry], read: SealedRows | None) -> None:
        """Write one batch of entries and everything about them; `read` is what `read` gave of it."""
        asked = [entry for entry in batch if entry.asked]
        about: dict[int, list[Any]] = {}
        if read is not None:
            about = self._asked(asked, read) if asked else self._tombstone(batch[0], read)
        rows = []
        for entry in batch:
            row = about.get(entry.index)
            if row is None and entry.told["kind"] in ("message", "amends"):
                row = [0, None, 0, 0, 0, [], [entry.told["events_root"]] if entry.told["events"] else []]
            rows.append(json.dumps(row if row is not None else [0, 0, 0, 0, 0], separators=(",", ":")))
        self.files.write(ENTRIES, pl.Series([entry.raw.decode() for entry in batch]))
        self.files.write(MESSAGES, pl.Series(rows))
        self.counts.entries += len(batch)

    def _asked(self, entries: Sequence[LoggedEntry], rows: SealedRows) -> dict[int, list[Any]]:
        lines = seal.lines(rows.events, rows.attributes, rows.resource_attributes, rows.messages)
        deleted = self.deleted.of(entries)
        hashes = digests([Part(None, lead=merkle.LEAF_PREFIX), Part(lines)], len(lines))
        leaves = all_leaves(rows.events, hashes, deleted, len(entries))
        gone = self._check(entries, merkle.roots(leaves.hashes, leaves.sizes), "events_root")
        self.counts.deleted += sum(len(each) for n, each in leaves.deleted.items() if n not in gone)
        verdicts, violations = self._verdicts(entries, rows, deleted)
        silent = self._check(entries, roots_of_verdicts(verdicts, len(entries)), "verdicts_root") | gone
        keep = self._kept(entries, rows, violations, gone)
        some = rows.only(keep)
        opened = openings(some.events, some.attributes, some.resource_attributes, some.messages, self.disclosure)
        kept_lines = lines.filter(keep)
        kept_verdicts = verdicts.filter(~pl.col("message").is_in(sorted(silent)))
        self.files.write(EVENTS, kept_lines)
        self.files.write(OPENINGS, opened.lines)
        self.files.write(VERDICTS, kept_verdicts["line"])
        self._count(entries, some, opened, verdicts=kept_verdicts, silent=silent)
        self.shown(shown_batch(some, opened, violations))
        return message_rows(entries, rows.events["message"], keep, leaves,
                            (kept_lines, opened.lines, kept_verdicts), silent)  # fmt: skip

    def _tombstone(self, entry: LoggedEntry, rows: SealedRows) -> dict[int, list[Any]]:
        """Write the tombstones of a message that is not asked for."""
        made = Tombstone(entry, rows, self.deleted, self.disclosure)
        if self._check([entry], made.roots, "events_root"):
            return {}
        self.files.write(EVENTS, made.lines)
        self.files.write(OPENINGS, made.opened.lines)
        self._count_opened(made.opened)
        return {entry.index: made.row}

    def _check(self, entries: Sequence[LoggedEntry], roots: NDArray[np.uint8], name: str) -> set[int]:
        """Which entries' rows are gone (the log says so); whatever else differs was altered."""
        differ = {n for n, entry in enumerate(entries) if roots[n].tobytes().hex() != entry.told[name]}
        if not differ:
            return differ
        lost = self.reader.rows(
            "SELECT toString(attempt_id) AS attempt, toString(topic_id) AS topic_id, partition, offset, end_offset"
            " FROM evidence_log WHERE kind = 'lost'"
        )
        for number in differ:
            told = entries[number].told
            if not any(
                each["topic_id"] == told["topic_id"] and each["partition"] == told["partition"]
                and each["attempt"] == told["attempt"] and each["offset"] <= told["offset"] < each["end_offset"]
                for each in lost
            ):  # fmt: skip
                place = entries[number].place
                what = "events" if name == "events_root" else "verdicts"
                why = f"the store's {what} of {place} are not those that were sealed; `onshore audit` says more"
                raise EvidenceAltered(_STEP, why)
        return differ

    def _verdicts(
        self, entries: Sequence[LoggedEntry], rows: SealedRows, deleted: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The sealed verdict lines, and the violations with message, record index and row (none: it was deleted)."""
        asked = of_messages([entry.told for entry in entries])
        counts = self.reader.frame(_COUNTS, asked).join(places_of(entries), on=list(KEYS), how="inner")
        events = rows.events.select("event_id", "message", pl.col("record_index").cast(pl.UInt32), "row")
        gone = deleted.select("event_id", "message", "record_index", row=pl.lit(None, pl.UInt32))
        violations = self._violations(asked["attempts"])
        violated = violations.join(pl.concat([events, gone]), on="event_id", how="inner")
        return verdict_lines(counts, violated), violated

    def _violations(self, attempts: list[str]) -> pl.DataFrame:
        """Of all messages of these attempts; the next batch is often of the same ones."""
        if attempts != self._of_attempts:
            self._violated = self.reader.frame(_VIOLATIONS, {"attempts": attempts})
            self._of_attempts = attempts
        return self._violated

    def _kept(
        self, entries: Sequence[LoggedEntry], rows: SealedRows, violations: pl.DataFrame, gone: set[int]
    ) -> pl.Series:
        """Which events are shown. Raises `OnshoreError` where one must be, and says what stays closed."""
        keep = ~rows.events["message"].is_in(sorted(gone)) if gone else everything(rows.events.height)
        must = ~everything(rows.events.height)
        if self.scope.controls:
            wanted = violations.filter(pl.col("control_id").is_in(self.scope.controls))
            must = keep & rows.events["row"].is_in(wanted["row"].drop_nulls().implode())
            told = [n for n, entry in enumerate(entries) if entry.tombstone]
            keep &= must | (rows.events["message"].is_in(told) & is_tombstone(rows.events))
        if self.disclosure.closes:
            closed = repeating(rows.events, self.disclosure) & keep
            if (closed & must).any():
                first = rows.events.filter(closed & must)[:1]
                raise refusal(first, self.disclosure, entries[first["message"][0]].place)
            self.counts.closed_events += int(closed.sum())
            keep &= ~closed
        return keep

    def _count(
        self,
        entries: Sequence[LoggedEntry],
        some: SealedRows,
        opened: Openings,
        *,
        verdicts: pl.DataFrame,
        silent: set[int],
    ) -> None:
        counts = self.counts
        counts.events += some.events.height
        counts.messages_without_verdicts += len(silent)
        for entry in entries:
            told = entry.told
            counts.events_sealed += told["events"]
            for name, values in counts.digests.items():
                values.add(told[name])
            if told["kind"] == "message":
                counts.messages += 1
                counts.records += told["records"]
                counts.dead_lettered += told["dead_lettered"]
        self._count_opened(opened)
        self._count_verdicts(entries, verdicts)

    def _count_opened(self, opened: Openings) -> None:
        for name, number in opened.counts.items():
            self.counts.opened[name] = self.counts.opened.get(name, 0) + number

    def _count_verdicts(self, entries: Sequence[LoggedEntry], verdicts: pl.DataFrame) -> None:
        schema = pl.Struct(
            {"control": pl.String, "version": pl.Int64, "source_format": pl.String, "verdict": pl.String,
             "missing": pl.String, "events": pl.Int64}
        )  # fmt: skip
        tenants = pl.Series([entry.told["tenant"] for entry in entries], dtype=pl.String)
        read = verdicts.select(
            tenants.gather(verdicts["message"]).alias("tenant"), pl.col("line").str.json_decode(schema).alias("told")
        ).unnest("told")
        self.counts.control_versions |= set(read.select("control", "version").unique().iter_rows())
        added = (
            read.filter(pl.col("events").is_not_null())
            .group_by("tenant", "control", "version", "source_format", "verdict", "missing")
            .agg(pl.col("events").sum())
        )
        for *key, number in added.iter_rows():
            place = tuple(key)
            self.counts.verdicts[place] = self.counts.verdicts.get(place, 0) + number
