"""`onshore status --coverage`: what of what should have been seen was seen, as it was last measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from onshore_pipeline.store.reader import Reader

_COVERED: Final = """
SELECT kind, state, tenant, source, toString(collector_id) AS collector, toString(since) AS since,
    toString(until) AS until, unit, expected, seen, doubled, toString(last_heard) AS last_heard, control_id, why, owner,
    matters, toString(measured_at) AS measured_at
FROM coverage ORDER BY indexOf(['silent', 'wrong', 'missed', 'waiting', 'unknown', 'seen'], toString(state)), kind,
    source, collector
"""
_WRONG: Final = frozenset({"silent", "wrong", "missed"})
_PARTS: Final = frozenset({"silence", "sequence_gap", "digest_gap", "measured"})  # told by the row that counts them


def show_coverage(reader: Reader, *, as_json: bool) -> int:
    """Print it; 1 if something that should have been seen was not, in the time that is measured."""
    rows = [{**row, "share": share(row)} for row in reader.rows(_COVERED)]
    if as_json:
        typer.echo(json.dumps(rows))
    elif not rows:
        typer.echo("coverage was not measured yet; the sequencer does so once a minute")
    for row in () if as_json else rows:
        if row["kind"] not in _PARTS:
            typer.echo(_line(row))
    return 1 if any(row["state"] in _WRONG for row in rows) else 0


def share(row: dict[str, Any]) -> float | None:
    """The part of what was expected that was seen, 0 to 1; None where nothing says what should have been seen."""
    return row["seen"] / row["expected"] if row["expected"] and row["seen"] is not None else None


def _line(row: dict[str, Any]) -> str:
    known = "unknown" if row["share"] is None else f"{int(row['share'] * 10_000) / 100:.2f} %"  # never rounded up
    name = row["source"] or row["collector"] or "not named"
    heard = f"; last heard {row['last_heard'][:19]} UTC" if row["last_heard"] else ""
    return f"{row['state']:<8} {known:>9}  {row['kind']:<12} {row['tenant']} {name}: {row['why']}{heard}"
