"""Tombstones of the deletions that took events of a bundle's messages: shown from wherever in the log they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.evidence import merkle, seal
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.openings import Openings, openings
from onshore_pipeline.evidence.rows import Part, digests
from onshore_pipeline.jobs.export_leaves import DeletedLeaves, all_leaves, message_rows
from onshore_pipeline.jobs.export_shown import repeating

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from onshore_pipeline.evidence.redaction import Disclosure
    from onshore_pipeline.jobs.export_scope import LoggedEntry
    from onshore_pipeline.jobs.sealed_rows import SealedRows

_NO_VERDICTS: Final = pl.DataFrame(schema={"message": pl.UInt32, "line": pl.String})


def is_tombstone(events: pl.DataFrame) -> pl.Series:
    """Which events say that something was deleted."""
    return events["action"] == standalone.DELETE


class Tombstone:
    """A message of which only the tombstones are shown, because the scope does not ask for it.

    Attributes:
        roots: over its leaves, as they are stored; shape (1, 32).
        lines, opened: of the events that are shown.
        row: what `proofs/messages.ndjson` says of it.
    """

    def __init__(self, entry: LoggedEntry, rows: SealedRows, deleted: DeletedLeaves, disclosure: Disclosure) -> None:
        """Work it out; one whose plain text says what stays closed is left out."""
        lines = seal.lines(rows.events, rows.attributes, rows.resource_attributes, rows.messages)
        hashes = digests([Part(None, lead=merkle.LEAF_PREFIX), Part(lines)], len(lines))
        leaves = all_leaves(rows.events, hashes, deleted.of([entry]), 1)
        self.roots: NDArray[np.uint8] = merkle.roots(leaves.hashes, leaves.sizes)
        keep = is_tombstone(rows.events)
        if disclosure.closes:
            keep &= ~repeating(rows.events, disclosure)
        some = rows.only(keep)
        self.lines = lines.filter(keep)
        self.opened: Openings = openings(
            some.events, some.attributes, some.resource_attributes, some.messages, disclosure
        )
        files = (self.lines, self.opened.lines, _NO_VERDICTS)
        self.row: list[Any] = message_rows([entry], rows.events["message"], keep, leaves, files, {0})[entry.index]
