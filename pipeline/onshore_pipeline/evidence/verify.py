"""`onshore verify`: the steps of `verify_standalone`, with steps 7 and 8 computed over whole columns.

The fast way only ever accepts. Whatever it does not understand, or finds wrong, the other verifier looks at and says
what it is, so that both give the same answer to every bundle.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine, Kind
from onshore_pipeline.evidence import canonical, merkle
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.opened import Fallback, check_openings
from onshore_pipeline.evidence.row_code import Spelling
from onshore_pipeline.evidence.rows import Part, digests, texts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK_BYTES: Final = 24 << 20
_LINE: Final = tuple(column for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE)


def _decoded_type(column: Any) -> pl.DataType:  # noqa: ANN401 - a Column
    if column.line is not InLine.PLAIN:
        return pl.String()
    plain: dict[Kind, pl.DataType] = {
        Kind.TIME: pl.Int64(),
        Kind.U32: pl.UInt64(),
        Kind.U64: pl.UInt64(),
        Kind.BOOL: pl.Boolean(),
        Kind.WORDS: pl.List(pl.String()),
    }
    return plain.get(column.kind, pl.String())


_SCHEMA: Final = pl.Struct({column.name: _decoded_type(column) for column in _LINE})
_HASHED: Final = frozenset(column.name for column in _LINE if column.line is not InLine.PLAIN)
_HEX_KINDS: Final = frozenset({Kind.TRACE_ID, Kind.SPAN_ID})


class LibraryKey(standalone.Key):
    """A verifier key whose signatures a library checks; keys of small order are refused as in the other verifier."""

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this is the key's signature."""
        if not standalone.sound_key(self.public):
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def verify_bundle(
    path: Path, keys: str, checkpoint: bytes | None = None, *, workers: int = 2, disclosed: bytes | None = None
) -> dict[str, Any]:
    """Run all steps; what `verify_standalone.report` prints.

    Args:
        path: the bundle.
        keys: the text of the file of verifier keys.
        checkpoint: a witnessed checkpoint.
        workers: chunks that are looked at beside one another.
        disclosed: the file of an event of the bundle of which something is disclosed later.

    Raises:
        verify_standalone.Altered, verify_standalone.Uncheckable: see there.
    """
    known = standalone.parse_keys(keys, LibraryKey)
    found: dict[str, Any] = standalone.verify(str(path), known, checkpoint, check_messages, workers, disclosed)
    return found


def verify_event(raw: bytes, proof: bytes, keys: str, checkpoint: bytes | None = None) -> dict[str, Any]:
    """Check one event by itself, as `verify_standalone.verify_event`; `keys` is the text of the file of keys."""
    known = standalone.parse_keys(keys, LibraryKey)
    found: dict[str, Any] = standalone.verify_event(raw, proof, known, checkpoint)
    return found


def check_messages(box: Any, entries: Any, controls: Collection[str], workers: int) -> Any:  # noqa: ANN401 - untyped
    """Steps 7 to 9, as `verify_standalone.check_messages`."""
    total = standalone.Tally()
    chunks = standalone.chunks_of(box, entries, _CHUNK_BYTES)

    def checked(chunk: Any) -> Any:  # noqa: ANN401
        try:
            return _checked(box.path, chunk, controls)
        except (Fallback, pl.exceptions.PolarsError, pa.ArrowException, KeyError, ValueError, OverflowError):
            return standalone.check_chunk(box.path, chunk, controls)

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for tally in pool.map(checked, chunks):
            total.add(tally)
    return total


def _checked(path: str, chunk: Any, controls: Collection[str]) -> Any:  # noqa: ANN401 - untyped
    """The tally of a chunk in which everything is as it should be."""
    rows = [entry.row for entry in chunk.entries]
    if any(row.deleted for row in rows):
        raise Fallback
    with open(path, "rb") as file:  # noqa: PTH123 - as the other verifier has it
        lines = _lines(file, chunk.events_at, [row.event_bytes for row in rows], [row.events for row in rows])
        openings = _lines(file, chunk.openings_at, [row.opening_bytes for row in rows], [row.events for row in rows])
        file.seek(chunk.verdicts_at)
        verdicts = [file.read(row.verdict_bytes) for row in rows]
    message = np.repeat(np.arange(len(rows)), [row.events for row in rows])
    leaves = digests([Part(None, lead=merkle.LEAF_PREFIX), Part(lines)], len(lines))
    _check_roots(chunk.entries, leaves)
    events = _read(lines)
    index = events["record_index"].to_numpy()
    if len(index) and (
        events["record_index"].null_count() or np.any((message[1:] == message[:-1]) & (index[1:] <= index[:-1]))
    ):
        raise Fallback
    tally = standalone.Tally()
    tally.opened = check_openings(events, openings, message)
    _note_actions(chunk.entries, events, message, tally)
    shown = np.split(index, np.cumsum([row.events for row in rows])[:-1]) if rows else []
    for entry, raw, of_entry in zip(chunk.entries, verdicts, shown, strict=True):
        _rest(entry, raw, of_entry, controls, tally)
    return tally


def _note_actions(entries: Sequence[Any], events: pl.DataFrame, message: NDArray[np.int64], tally: Any) -> None:  # noqa: ANN401
    """What people did, among the events of these entries."""
    places = [n for n, each in enumerate(entries) if each.told.get("topic") == standalone.ACTIONS_TOPIC]
    if not places:
        return
    chosen = events.select("record_index", "action", message=pl.Series(message)).filter(pl.col("message").is_in(places))
    for index, action, number in chosen.iter_rows():
        told = entries[number].told
        tally.actions.append((told["topic_id"], told["offset"], index, action))


def _lines(file: Any, at: int, sizes: Sequence[int], counts: Sequence[int]) -> pl.Series:  # noqa: ANN401 - a file
    """The lines of all entries, without line ends; each entry's bytes must be exactly its lines."""
    file.seek(at)
    raw = file.read(sum(sizes))
    if len(raw) != sum(sizes) or (raw and not raw.endswith(b"\n")):
        raise Fallback
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n")) + 1
    until = np.concatenate([[0], ends])
    if len(ends) != sum(counts) or not np.array_equal(until[np.cumsum(counts)], np.cumsum(sizes)):
        raise Fallback
    return pl.Series(raw[:-1].split(b"\n") if raw else [], dtype=pl.Binary).cast(pl.String)


def _check_roots(entries: Sequence[Any], leaves: NDArray[np.uint8]) -> None:
    counts = np.array([entry.row.events for entry in entries], np.int64)
    roots, starts = merkle.roots(leaves, counts), np.cumsum(counts) - counts
    for number, entry in enumerate(entries):
        told, row = entry.told, entry.row
        if told["kind"] not in ("message", "amends"):
            if row.events or row.verdicts or row.positions is not None:
                raise Fallback
            continue
        root = roots[number].tobytes()
        if row.positions is not None:
            some = [each.tobytes() for each in leaves[starts[number] : starts[number] + counts[number]]]
            if row.positions and row.positions[-1] >= told["events"]:
                raise Fallback
            root = standalone.multiproof_root(row.positions, some, told["events"], row.hashes)
        elif row.events != told["events"]:
            raise Fallback
        if root.hex() != told["events_root"]:
            raise Fallback


def _read(lines: pl.Series) -> pl.DataFrame:
    """The lines' columns, if each line is spelled as we spell it: then nothing else can be read out of it."""
    if lines.is_empty():
        return pl.DataFrame(schema=_SCHEMA.to_schema())
    events = lines.str.json_decode(_SCHEMA).struct.unnest()
    if not (_spelled(events) == lines).all():
        raise Fallback
    return events


def _spelled(events: pl.DataFrame) -> pl.Series:
    parts, separator = [], b"{"
    for column in _LINE:
        values, lead = events[column.name], separator + b'"' + column.name.encode() + b'":'
        separator = b","
        if values.null_count() == len(values):
            continue
        is_text = column.name in _HASHED or column.kind in _HEX_KINDS
        part = Part(values, Spelling.JSON, b'"', b'"') if is_text else canonical.column_part(column, values)
        if part is not None:
            parts.append(replace(part, lead=lead + part.lead))
    return texts([*parts, Part(None, lead=b"}")], len(events))


def _rest(entry: Any, raw: bytes, index: NDArray[np.uint64], controls: Collection[str], tally: Any) -> None:  # noqa: ANN401
    """Verdicts and counts of one entry."""
    told, row = entry.told, entry.row
    if told["kind"] not in ("message", "amends"):
        if raw:
            raise Fallback
        return
    if not entry.asked:
        if row.events or row.verdicts is not None or raw:
            raise Fallback
        return
    standalone.count_message(entry, len(index), tally)
    lines = standalone.lines_of(raw, 9, standalone.VERDICTS)
    standalone.check_verdicts(entry, lines, frozenset(index.tolist()), controls, tally)
