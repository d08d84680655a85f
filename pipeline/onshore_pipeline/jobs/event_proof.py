"""One event by itself: its sealed line, what is opened of it, and a c2sp.org/tlog-proof up to a signed head.

The same file discloses a field later: whoever holds a bundle with this event's line checks it against that.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.errors import EvidenceAltered, OnshoreError
from onshore_pipeline.evidence import merkle, seal
from onshore_pipeline.evidence.openings import openings
from onshore_pipeline.evidence.redaction import MAPS, REDACTABLE, parse_redaction
from onshore_pipeline.evidence.rows import Part, digests
from onshore_pipeline.evidence.signed_note import parse_note
from onshore_pipeline.evidence.tlog_proof import TlogProof
from onshore_pipeline.evidence.tree_proofs import inclusion_ranges, range_roots
from onshore_pipeline.jobs.export import disclosure_of, judge_export
from onshore_pipeline.jobs.export_judged import NOTHING_REGISTERED
from onshore_pipeline.jobs.export_leaves import DeletedLeaves, all_leaves
from onshore_pipeline.jobs.export_scope import LoggedEntry, entry_of
from onshore_pipeline.jobs.export_shown import repeating
from onshore_pipeline.jobs.log_proofs import prove_inclusion
from onshore_pipeline.jobs.sealed_rows import SealedRows, sealed_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from onshore_pipeline.context.registered import Registered
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.evidence.redaction import Disclosure
    from onshore_pipeline.jobs.export import Request
    from onshore_pipeline.jobs.export_judged import ExportVerdict
    from onshore_pipeline.jobs.log_proofs import KnownHead
    from onshore_pipeline.store.reader import Reader

_STEP: Final = "7"
_EVENT: Final = """
SELECT toString(topic_id) AS topic_id, kafka_partition AS partition, kafka_offset AS offset,
    toString(attempt_id) AS attempt, record_index
FROM events_current WHERE event_id = {event:UUID} LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """Where an event stands in the log: its message's entry, and its record there."""

    entry: LoggedEntry
    record_index: int


@dataclass(frozen=True, slots=True)
class ProvenEvent:
    """What is handed over.

    Attributes:
        lines: the sealed line and, where anything is opened, the line that opens it.
        proof: the text of the tlog-proof.
        opened: how many values of each column, and keys of each map.
        verdicts: what the controls say about handing it over.
        event: the movement that it is.
        tenants: whose data that is.
    """

    lines: bytes
    proof: bytes
    opened: dict[str, int]
    verdicts: tuple[ExportVerdict, ...]
    event: dict[str, Any]
    tenants: tuple[str, ...]


def find_event(reader: Reader, head: KnownHead, event_id: str) -> SealedEvent | None:
    """Where an event stands in the log; None: its entry is not in the store yet.

    Raises:
        OnshoreError: no such event is committed.
    """
    rows = reader.rows(_EVENT, {"event": event_id})
    if not rows:
        raise OnshoreError(f"{event_id}: no such event is committed, or it was deleted")
    row = dict(rows[0])
    index = int(row.pop("record_index"))
    entry = entry_of(reader, head, **row)
    return None if entry is None else SealedEvent(entry, index)


def parse_opened(fields: Iterable[str]) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """What stays closed when only these fields are opened, and the keys that are opened of maps.

    Raises:
        OnshoreError: a name is none of a redactable column, a map or `attributes.KEY`.
    """
    try:
        named, keys = parse_redaction("full", fields)
    except OnshoreError as error:
        raise OnshoreError(str(error).replace("--redact", "--open").replace("Redactable:", "What can be:")) from None
    return frozenset(REDACTABLE) - named - frozenset(keys), {name: keys[name] for name in keys if name not in named}


def prove_event(
    reader: Reader,
    request: Request,
    head: KnownHead,
    found: SealedEvent,
    *,
    controls: ControlSet,
    salt_master: bytes,
    only_keys: Mapping[str, frozenset[str]] | None = None,
    registered: Registered = NOTHING_REGISTERED,
) -> ProvenEvent:
    """Prove one event, up to the signed head `head`, and open what `request` does not close.

    Args:
        reader: of the store, as its writer.
        request: its scope is the event's message.
        head: covers the event's entry.
        found: what `find_event` gave.
        controls: that judge the movement.
        salt_master: of the deployment.
        only_keys: by map, the only keys that are opened.
        registered: bases and approvals.

    Raises:
        ExportBlocked: see `judge_export`.
        EvidenceAltered: the store does not hold what was sealed.
        OnshoreError: something that was asked for cannot be opened, because it repeats what stays closed.
    """
    verdicts, event, tenants = judge_export(reader, request, head, controls, registered)
    rows = sealed_rows(reader, [found.entry.told], salt_master)
    lines = seal.lines(rows.events, rows.attributes, rows.resource_attributes, rows.messages)
    row, position, hashes = _place(reader, found, rows, lines)
    # Whoever opens a column means it, though the map that stays closed says the same.
    disclosure = disclosure_of(reader, request, head, salt_master, of_maps=False)
    opening, opened = _opened(rows.only(rows.events["record_index"] == found.record_index), disclosure, only_keys or {})
    inside = range_roots(hashes, inclusion_ranges(position, len(hashes)))
    texts = [base64.b64encode(each).decode() for each in inside]
    place_line = json.dumps([position, texts], separators=(",", ":")).encode()
    extra = found.entry.raw + b"\n" + place_line + b"\n"
    in_log = prove_inclusion(reader, head, found.entry.index)
    proof = str(TlogProof(found.entry.index, in_log, parse_note(head.note), extra)).encode()
    handed = [lines[row], *([opening] if opened else [])]
    moved = event | {"item_count": 1}
    return ProvenEvent("".join(f"{line}\n" for line in handed).encode(), proof, opened, verdicts, moved, tenants)


def _place(
    reader: Reader, found: SealedEvent, rows: SealedRows, lines: pl.Series
) -> tuple[int, int, NDArray[np.uint8]]:
    """The event's row, its position among all leaves of its message, and those. Raises `EvidenceAltered`."""
    hashes = digests([Part(None, lead=merkle.LEAF_PREFIX), Part(lines)], len(lines))
    leaves = all_leaves(rows.events, hashes, DeletedLeaves(reader).of([found.entry]), 1)
    told = found.entry.told
    (root,) = range_roots(leaves.hashes, [(0, len(leaves.hashes))])
    is_it = rows.events["record_index"] == found.record_index
    if root.hex() != told["events_root"] or is_it.sum() != 1:
        place = f"{told['topic']}[{told['partition']}]@{told['offset']}"
        raise EvidenceAltered(_STEP, f"the store's events of {place} are not those that were sealed; `onshore audit`")
    row = int(is_it.arg_true()[0])
    return row, int((leaves.row == row).nonzero()[0][0]), leaves.hashes


def _opened(
    some: SealedRows, disclosure: Disclosure, only_keys: Mapping[str, frozenset[str]]
) -> tuple[str, dict[str, int]]:
    """The line that opens what is open of the one event, and what that is."""
    closed_keys = dict(disclosure.closed_keys)
    for name, keys in only_keys.items():
        pairs = some.attributes if name == MAPS[1] else some.resource_attributes
        missing = keys - set(pairs["key"])
        if missing:
            raise OnshoreError(f"--open {name}.{min(missing)}: the event has no such key")
        closed_keys[name] = frozenset(pairs["key"]) - keys
    closed = replace(disclosure, closed_keys=closed_keys)
    if closed.redacted and repeating(some.events, closed).any():
        raise OnshoreError(
            "the sealed line itself repeats a value that stays closed: open that field, too, or nothing of the event"
            " can go out"
        )
    made = openings(some.events, some.attributes, some.resource_attributes, some.messages, closed)
    wanted = set(REDACTABLE) - set(MAPS) - closed.redacted
    refused = sorted(wanted - set(made.counts)) + [
        f"{name}.{key}" for name, keys in only_keys.items() for key in sorted(_not_opened(some, name, keys, made.keys))
    ]
    if only_keys or closed.redacted:
        _refuse(refused)
    return str(made.lines[0]), made.counts


def _not_opened(some: SealedRows, name: str, keys: frozenset[str], is_open: Mapping[str, pl.Series]) -> frozenset[str]:
    pairs = some.attributes if name == MAPS[1] else some.resource_attributes
    return keys - frozenset(pairs.filter(is_open[name])["key"])


def _refuse(names: list[str]) -> None:
    if names:
        raise OnshoreError(f"{', '.join(names)} repeats a value that stays closed: open that, too, or nothing")
