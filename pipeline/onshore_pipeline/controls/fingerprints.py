"""Which finding a violation belongs to: the control's fingerprint, and the finding's id made from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa

from onshore_pipeline.controls.kinds import numbers_of, together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.domain.control import Control

UNKNOWN: Final = "unknown"
FINDING_ID_BYTES: Final = 16

VIOLATIONS_SCHEMA: Final = pl.Schema(
    {
        "row": pl.UInt32(),
        "control_id": pl.String(),
        "control_version": pl.UInt32(),
        "kind": pl.String(),
        "severity": pl.String(),
        "finding_id": pl.Binary(),
        "fingerprint": pl.List(pl.Struct({"key": pl.String(), "value": pl.String()})),
    }
)

# RFC 8785: the short escapes where JSON has them, \u00xx for the other control characters, nothing else.
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_ESCAPES: Final = {chr(code): f"\\u{code:04x}" for code in range(0x20)} | _SHORT
_ESCAPED: Final = r'["\\\x00-\x1f]'


def violations_of(events: pl.DataFrame, violated: Sequence[tuple[Control, pl.Series]]) -> pl.DataFrame:
    """One row a violated event and control, by event and, within an event, in the order of the controls.

    A finding's id is the first 16 bytes of SHA-256 over the canonical JSON (RFC 8785) of [control id, value, ...] in
    the order of `group_by`, every value as text. It depends on neither the control's version nor the run.

    Args:
        events: the batch, with `row` and the controls' `group_by` columns.
        violated: each control with the positions of the events that violate it.

    Returns:
        A frame of `VIOLATIONS_SCHEMA`.
    """
    if not violated:
        return pl.DataFrame(schema=VIOLATIONS_SCHEMA)
    controls = [control for control, _ in violated]
    held = [len(at) for _, at in violated]
    of_control = np.repeat(np.arange(len(controls)), held)
    rows = np.concatenate([events["row"][at].to_numpy() for _, at in violated]).astype(np.int64)
    fields = _fields(events, violated)
    # Most violations share a fingerprint with others: what belongs to a fingerprint is made once for it.
    codes, distinct = numbers_of(fields.texts)
    alike = together(
        [(of_control, len(controls)), *((np.where(each < 0, 0, codes[each]), distinct) for each in fields.places.T)],
        len(rows),
    )
    identified = _identified(controls, of_control[alike.example], fields, alike.example)
    # Each control's come in order: merging such runs is what a stable sort is quickest at.
    order = np.argsort(rows * len(controls) + of_control, kind="stable")
    of_control = of_control[order]
    about = (
        pl.Series("control_id", [control.id for control in controls]),
        pl.Series("control_version", [control.version for control in controls], dtype=pl.UInt32),
        pl.Series("kind", [control.kind for control in controls]),
        pl.Series("severity", [control.severity for control in controls]),
    )
    return pl.DataFrame(
        [
            pl.Series("row", rows[order], dtype=pl.UInt32),
            *(column[of_control] for column in about),
            *(column[alike.of_event[order]] for column in identified),
        ]
    ).select(list(VIOLATIONS_SCHEMA))


class _Fields(NamedTuple):
    """What the fingerprints of some violations say.

    Attributes:
        texts: values of the controls' `group_by` columns.
        places: by violation and field, where its value is among `texts`; -1 behind a control's last field.
    """

    texts: pl.Series
    places: NDArray[np.int64]


def _fields(events: pl.DataFrame, violated: Sequence[tuple[Control, pl.Series]]) -> _Fields:
    """Read each column once, and where a control that names it is violated. Violations lie control by control."""
    held = [len(at) for _, at in violated]
    begins = np.cumsum([0, *held])
    places = np.full((begins[-1], max(len(control.group_by) for control, _ in violated)), -1, dtype=np.int64)
    texts: list[pl.Series] = []
    read = 0
    for name in dict.fromkeys(name for control, _ in violated for name in control.group_by):
        for number, (control, at) in enumerate(violated):
            if name not in control.group_by:
                continue
            # Taken by index, not by expression: many small frames cost what sets their questions up.
            texts.append(events[name][at].cast(pl.String).alias(""))
            of_violations = places[begins[number] : begins[number + 1], control.group_by.index(name)]
            of_violations[:] = np.arange(read, read + held[number])
            read += held[number]
    return _Fields(pl.concat(texts) if texts else pl.Series(dtype=pl.String), places)


def _identified(
    controls: Sequence[Control], control: NDArray[np.int64], fields: _Fields, examples: NDArray[np.int64]
) -> tuple[pl.Series, pl.Series]:
    """Finding id and fingerprint of some violations, each with the number of its control."""
    places = fields.places[examples]
    is_field = places >= 0
    values = fields.texts[places[is_field]].fill_null(UNKNOWN)
    ends = np.concatenate([[0], np.cumsum(is_field.sum(axis=1))])
    # Looking for what JSON escapes costs less than making ready to replace it, and most texts hold none of it.
    escapes = _ESCAPES if values.str.contains(_ESCAPED).any() else {}
    quoted = pl.select(pl.concat_str(pl.lit(',"'), _escaped(pl.lit(values), escapes), pl.lit('"'))).to_series()
    openings = pl.Series("opening", [f"[{json.dumps(each.id)}" for each in controls])[control]
    arrays = pl.DataFrame([openings, _cut(quoted, ends).list.join("").alias("fields")]).select(
        pl.concat_str("opening", "fields", pl.lit("]")).alias("array")
    )
    digest = plh.col("array").chash.sha2_256()
    ids = arrays.select(digest.str.head(2 * FINDING_ID_BYTES).str.decode("hex").alias("finding_id")).to_series()
    width = places.shape[1]
    names = pl.Series("key", [name for each in controls for name in _padded(each.group_by, width)], dtype=pl.String)
    keys = names[(control[:, None] * width + np.arange(width))[is_field]]
    pairs = pl.DataFrame([keys, values.alias("value")]).to_struct("fingerprint")
    return ids, _cut(pairs, ends).alias("fingerprint")


def _padded(names: Sequence[str], width: int) -> list[str]:
    return [*names, *[""] * width][:width]


def _cut(values: pl.Series, ends: NDArray[np.int64]) -> pl.Series:
    """Lists of what lies between two `ends`, in one piece: from several, lists are gathered twenty times as slowly."""
    lists = pa.LargeListArray.from_arrays(pa.array(ends), values.to_arrow(compat_level=pl.CompatLevel.newest()))
    return cast("pl.Series", pl.from_arrow(lists))


def _escaped(text: pl.Expr, escapes: Mapping[str, str]) -> pl.Expr:
    return text.str.replace_many(escapes) if escapes else text
