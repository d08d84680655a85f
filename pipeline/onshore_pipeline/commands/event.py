"""`onshore event`: one event, and where each of its parties truly is."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from onshore_pipeline.axis_facts import AS_PATH, carriers_of, context_of, files_of, stated_of
from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.commands.event_proof import prove
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.domain.axes import SUBJECTS, axes_of
from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from onshore_pipeline.domain.axes import Axis

app = typer.Typer(help="Single events.", no_args_is_help=True, add_completion=False)

_WORDS: Final = (
    *("tenant", "domain", "action", "outcome", "source_format", "schema_url", "kafka_topic"),
    *(f"{party}_{name}" for party in PARTIES for name in ("country", "country_basis", "entity", "entity_country")),
    *(f"{party}_{name}" for party in PARTIES for name in ("control_country", "facility")),
    *("key_custodian", "key_country", "key_country_basis", "transit_basis", "provenance"),
)
_LISTS: Final = (*(f"{party}_country_candidates" for party in PARTIES), "transit_countries", "contradictions")
_COLUMNS: Final = ", ".join(
    (
        "toString(event_id) AS id, occurred_at, kafka_partition, kafka_offset",
        "toString(topic_id) AS topic, toString(attempt_id) AS attempt",
        f"toValidUTF8(toString(attributes['{AS_PATH}'])) AS as_path",
        *(f"toValidUTF8(toString({name})) AS `{name}_`" for name in _WORDS),
        *(f"arrayMap(each -> toValidUTF8(each), CAST({name}, 'Array(String)')) AS `{name}_`" for name in _LISTS),
    )
)
_SHOW: Final = f"SELECT {_COLUMNS} FROM events_current WHERE event_id = {{event:UUID}} LIMIT 1"  # noqa: S608 - ours


@app.callback()
def event() -> None:
    """Single events."""


app.command("prove")(prove)


@app.command("show")
def show(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="As findings and lists name it")],
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show the seven axes of an event's actor, source, destination and key; unknown is said as unknown."""
    try:
        asked = UUID(event_id)
    except ValueError:
        whole = "findings and `onshore foreign-access list --json` name whole ids"
        raise OnshoreError(f"{event_id}: no event id; {whole}") from None
    reader = reader_of(data_dir)
    rows = [_named(row) for row in reader.rows(_SHOW, {"event": str(asked)})]
    if not rows:
        raise OnshoreError(f"{asked}: no such event is committed; one that just arrived takes a few seconds")
    row = rows[0]
    digest = context_of(reader, row["topic"], row["kafka_partition"], row["kafka_offset"], row["attempt"])
    carriers = carriers_of(reader, row["as_path"], row["occurred_at"], digest)
    axes = axes_of(row, digest, stated_of(reader, row, digest), files_of(reader, digest), carriers)
    if as_json:
        told = {**_plain(row), "context_digest": digest, "axes": [asdict(axis) for axis in axes]}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    when = row["occurred_at"].isoformat() if row["occurred_at"] else "at an unknown time"
    typer.echo(f"{row['id']}  {when}  {row['tenant']}  {row['action']} ({row['outcome']})")
    typer.echo(f"located with context {digest or 'unknown: its entry is not sealed yet'}")
    for subject in SUBJECTS:
        typer.echo(subject)
        for axis in axes:
            if axis.subject == subject:
                typer.echo(_line(axis, digest))


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix("_"): value for name, value in row.items()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _line(axis: Axis, digest: str) -> str:
    """`    physical location          AU (asserted, by the registry of keys; own/keys.yaml 4)`."""
    version = f"; {axis.version}" if axis.version and axis.version != digest else ""
    by = f", by {axis.source}{version}" if axis.source else ""
    note = f" [{axis.note}]" if axis.note else ""
    value = f"{' '.join(', '.join(axis.values).split())} ({axis.basis}{by})" if axis.values else "unknown"
    return f"    {axis.axis:<27}{value}{note}"
