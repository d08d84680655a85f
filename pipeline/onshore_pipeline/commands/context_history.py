"""`onshore context history`: the sealed changes of the registries, and what each did to their rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.commands.options import DataDirOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SEALED: Final = """
SELECT action_id, toString(event_id) AS event_id, toValidUTF8(who) AS who, received_at, mapKeys(attributes) AS keys,
    arrayMap(v -> toValidUTF8(v), mapValues(attributes)) AS texts
FROM message_actions_current WHERE action = 'context.change'
ORDER BY received_at, topic_id, kafka_offset, record_index LIMIT 1 BY action_id
"""
_IDS_SHOWN: Final = 5
_KINDS: Final = ("added", "ended", "changed", "removed")


def context_history(
    registry: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only changes of one registry, for example people")
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show every change of the registries, oldest first: when, which files, which rows, and the event that says so."""
    reader = reader_of(data_dir)
    told = [_change(row) for row in reader.frame(_SEALED).to_dicts()]
    told = [each for each in told if registry is None or registry in each["rows"]]
    if as_json:
        typer.echo(json.dumps({"changes": told}, ensure_ascii=False))
        return
    for each in told:
        _print(each)
    if not told:
        what = f"of {registry} " if registry else ""
        typer.echo(f"No change {what}is recorded. One is, as soon as a running stack takes up other files.")


def _change(row: Mapping[str, Any]) -> dict[str, Any]:
    from onshore_pipeline.jobs import context_changes as changes

    said = dict(zip(row["keys"], row["texts"], strict=True))
    rows = {
        name.removeprefix(changes.ROWS): json.loads(text)
        for name, text in sorted(said.items())
        if name.startswith(changes.ROWS)
    }
    return {
        "number": int(said[changes.NUMBER]),
        "digest": said[changes.DIGEST],
        "digest_before": said[changes.BEFORE],
        "in_force_since": said[changes.SINCE],
        **{name: said.get(attribute) for name, attribute in changes.WRITTEN.items()},
        "who": row["who"],
        "recorded_at": row["received_at"].isoformat(),
        "event_id": row["event_id"],
        "files": json.loads(said[changes.FILES]),
        "rows": rows,
    }


def _print(change: Mapping[str, Any]) -> None:
    typer.echo(
        f"{change['number']}. in force since {change['in_force_since'][:19]}Z: {change['digest'][:12]}"
        f" after {change['digest_before'][:12]}"
    )
    by = f" by {change['written_by']}" if change["written_by"] else ""
    written = f", newest file written {change['written_at'][:19]}Z{by}" if change["written_at"] else ""
    typer.echo(f"   noticed by {change['who']}{written}; event {change['event_id']}")
    for file in change["files"]:
        typer.echo(f"   {file['name']}: {_sides(file)}")
    for registry, rows in change["rows"].items():
        if "unreadable" in rows:
            typer.echo(f"   rows of {registry} cannot be compared: {rows['unreadable']}")
            continue
        for kind in _KINDS:
            if rows[kind]["count"]:
                typer.echo(f"   {registry}: {rows[kind]['count']} {kind}{_shown(rows[kind])}")


def _sides(file: Mapping[str, Any]) -> str:
    sides = [file[side]["sha256"][:12] if file[side] else "nothing" for side in ("before", "after")]
    return " -> ".join(sides)


def _shown(rows: Mapping[str, Any]) -> str:
    ids: Sequence[str] = rows["ids"][:_IDS_SHOWN]
    more = rows["count"] - len(ids)
    return f": {', '.join(ids)}{f' and {more} more' if more else ''}" if ids else ""
