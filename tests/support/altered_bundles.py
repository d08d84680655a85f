"""Bundles as an operator makes them who wants to deceive: entries' lines taken apart, changed, and signed again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import bundles
from onshore_pipeline.evidence import tree_proofs
from onshore_pipeline.evidence import verify_standalone as standalone

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bundles import Files


@dataclass(frozen=True)
class Told:
    """What a bundle says of one entry; positions: None = the message is shown whole."""

    index: int
    raw: bytes
    events: list[bytes]
    openings: list[bytes]
    verdicts: list[bytes] | None
    positions: list[int] | None = None
    hashes: tuple[str, ...] = ()
    deleted: tuple[Any, ...] = ()

    @property
    def entry(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.raw)
        return told

    def row(self) -> list[Any]:
        sizes = [sum(map(len, each or [])) for each in (self.events, self.openings, self.verdicts)]
        row: list[Any] = [len(self.events), None if self.verdicts is None else len(self.verdicts), *sizes]
        if self.positions is not None:
            row += [self.positions, list(self.hashes)]
        return row + ([list(self.deleted)] if self.deleted else [])

    def violations(self) -> list[tuple[str, int]]:
        """Control and record index of each violation that is sealed."""
        told = [json.loads(line) for line in self.verdicts or []]
        return [(each["control"], each["record_index"]) for each in told if "record_index" in each]

    def only(self, indexes: Collection[int]) -> Told:
        """With these record indexes shown and the others withheld; all leaves must be here."""
        places = self.positions if self.positions is not None else list(range(len(self.events)))
        leaves = dict(zip(places, standalone.leaf_hashes([line[:-1] for line in self.events]), strict=True))
        leaves |= {place: bytes.fromhex(leaf) for place, _, leaf, _ in self.deleted}
        kept = [n for n, line in enumerate(self.events) if json.loads(line)["record_index"] in indexes]
        known = sorted([*(places[n] for n in kept), *(each[0] for each in self.deleted)])
        return replace(
            self,
            events=[self.events[n] for n in kept],
            openings=[self.openings[n] for n in kept],
            positions=[places[n] for n in kept],
            hashes=_multiproof([leaves[place] for place in sorted(leaves)], known),
        )

    def hidden(self) -> Told:
        """As an entry whose events and verdicts are not shown."""
        roots = (self.entry["events_root"],) if self.entry["events"] else ()
        return replace(self, events=[], openings=[], verdicts=None, positions=[], hashes=roots, deleted=())


def _multiproof(leaves: Sequence[bytes], shown: Sequence[int]) -> tuple[str, ...]:
    array = np.frombuffer(b"".join(leaves), np.uint8).reshape(-1, 32)
    ranges = tree_proofs.multiproof_ranges(shown, len(leaves))
    return tuple(each.hex() for each in tree_proofs.range_roots(array, ranges))


def taken_apart(files: Files) -> list[Told]:
    """What a bundle says of its entries."""
    runs = json.loads(files[standalone.LOG_PROOF])["runs"]
    indexes = [index for first, count in runs for index in range(first, first + count)]
    lines = {
        name: iter(bundles.lines(files, name)) for name in (standalone.EVENTS, standalone.OPENINGS, standalone.VERDICTS)
    }

    def take(name: str, count: int) -> list[bytes]:
        return [next(lines[name]) for _ in range(count)]

    found = []
    rows = (json.loads(line) for line in bundles.lines(files, standalone.MESSAGES))
    for index, raw, row in zip(indexes, files[standalone.ENTRIES].splitlines(), rows, strict=True):
        events, openings = take(standalone.EVENTS, row[0]), take(standalone.OPENINGS, row[0])
        verdicts = None if row[1] is None else take(standalone.VERDICTS, row[1])
        positions, hashes = (row[5], tuple(row[6])) if len(row) > 5 else (None, ())
        deleted = tuple(row[7]) if len(row) > 7 else ()
        found.append(Told(index, raw, events, openings, verdicts, positions, hashes, deleted))
    return found


def put_together(files: Files, told: Sequence[Told], keep: Sequence[Told] = (), **changes: Any) -> bytes:
    """A signed bundle that says this of its entries, with everything counted that the manifest counts.

    `changes` are those of the manifest's sections; the log's proof is made again where the log is shown from its
    beginning to its end in `files`. `keep` is shown from outside of the range. Findings are those of the
    shown violations.
    """
    scope = json.loads(files[standalone.MANIFEST])["scope"] | changes.get("scope", {})
    first, end = scope["range"]
    asked = [each for each in told if first <= each.index < end]
    kept = {each.index: each for each in keep}
    told = [each if each in asked else kept.get(each.index) or each.hidden() for each in told]
    made = files | {
        standalone.ENTRIES: b"".join(each.raw + b"\n" for each in told),
        standalone.MESSAGES: b"".join(json.dumps(each.row(), separators=(",", ":")).encode() + b"\n" for each in told),
        standalone.EVENTS: b"".join(line for each in told for line in each.events),
        standalone.OPENINGS: b"".join(line for each in told for line in each.openings),
        standalone.VERDICTS: b"".join(line for each in told for line in each.verdicts or []),
        standalone.VERDICTS_CSV: _verdicts_csv(asked),
        standalone.LOG_PROOF: _log_proof(files, [each.index for each in told]),
    }
    if standalone.FINDINGS in files:
        made |= _findings(asked, scope["controls"])
    deletions = {each[3] for message in asked for each in message.deleted}
    if not deletions and standalone.DELETIONS in files:
        made |= {standalone.DELETIONS: b""}
    counts = _counts(told, asked, end - first) | changes.get("counts", {})
    if standalone.DELETIONS not in files:
        del counts["deleted"]
    return bundles.signed(made, **(changes | {"counts": counts}))


def _counts(told: Sequence[Told], asked: Sequence[Told], within: int) -> dict[str, Any]:
    opened: dict[str, int] = {}
    for line in (line for each in asked for line in each.openings):
        for name, value in json.loads(line).items():
            if name != "pseudonyms":
                number = sum(len(leaf) == 3 for leaf in value) if name in standalone.MAPS else 1
                opened[name] = opened.get(name, 0) + number
    entries = [each.entry for each in asked]
    return {
        "entries": len(told),
        "entries_withheld": within - len(asked),
        "messages": sum(each["kind"] == "message" for each in entries),
        "records": sum(each["records"] for each in entries),
        "events_sealed": sum(each["events"] for each in entries),
        "dead_lettered": sum(each["dead_lettered"] for each in entries),
        "events": sum(len(each.events) for each in asked),
        "messages_without_verdicts": sum(each.verdicts is None for each in asked),
        "deleted": sum(len(each.deleted) for each in asked),
        "opened": {name: number for name, number in opened.items() if number or name in standalone.MAPS},
    }


def _verdicts_csv(told: Sequence[Told]) -> bytes:
    counted: dict[Any, int] = {}
    for each in told:
        for row in map(json.loads, each.verdicts or []):
            if "verdict" in row:
                names = ("control", "version", "source_format", "verdict", "missing")
                key = (each.entry["tenant"], *(row[name] for name in names))
                counted[key] = counted.get(key, 0) + row["events"]
    return standalone.verdicts_csv(counted)


def _findings(told: Sequence[Told], controls: Collection[str]) -> Files:
    counted: dict[str, int] = {}
    for each in told:
        shown = {json.loads(line)["record_index"] for line in each.events}
        for control, index in each.violations():
            if index in shown and (not controls or control in controls):
                counted[control] = counted.get(control, 0) + 1
    rows = [{"control": control, "events": number, "waiver": None} for control, number in sorted(counted.items())]
    table = "".join(f"{row['control']},{row['events']},\n" for row in rows)
    return {
        standalone.FINDINGS: b"".join(standalone.canonical(row) + b"\n" for row in rows),
        "findings.csv": f"control,events,waiver\n{table}".encode(),
    }


def _log_proof(files: Files, indexes: Sequence[int]) -> bytes:
    proof = json.loads(files[standalone.LOG_PROOF])
    entries = files[standalone.ENTRIES].splitlines()
    if int(bundles.head_rows(files)[1]) != len(entries):
        return files[standalone.LOG_PROOF]
    runs: list[list[int]] = []
    for index in indexes:
        if runs and sum(runs[-1]) == index:
            runs[-1][1] += 1
        else:
            runs.append([index, 1])
    hashes = list(_multiproof(standalone.leaf_hashes(entries), indexes))
    return standalone.canonical(proof | {"runs": runs, "hashes": hashes})
