"""`onshore foreign-access`: who reached in from outside, why, and who let him."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.commands.options import LATEST_NS, DataDirOption, JsonOption, cut, nanoseconds

app = typer.Typer(
    help="The foreign-access ledger: providers, vendors, and administrators who are, or whose employer is, abroad.",
    no_args_is_help=True,
    add_completion=False,
)

_COLUMNS: Final = (
    "toString(event_id) AS event_id, toString(tenant) AS tenant, occurred_at, toString(source_format) AS source_format,"
    " toString(action) AS action, toString(outcome) AS outcome, toString(actor_type) AS actor_type,"
    " toValidUTF8(actor_id) AS actor_id, toString(employer) AS employer, controlled_abroad,"
    " toString(employer_control_country) AS employer_control_country, toString(nationality) AS nationality,"
    " toString(country) AS country, toString(country_basis) AS country_basis, country_candidates, abroad,"
    " toValidUTF8(target) AS target, toString(target_country) AS target_country, toValidUTF8(reason) AS reason,"
    " approval, toValidUTF8(approval_id) AS approval_id, toValidUTF8(approval_by) AS approval_by, approval_expires_at"
)
_LIST: Final = f"""
SELECT {_COLUMNS} FROM foreign_access
WHERE ({{tenant:String}} = '' OR tenant = {{tenant:String}})
    AND occurred_at >= fromUnixTimestamp64Nano({{since:Int64}}, 'UTC')
    AND occurred_at < fromUnixTimestamp64Nano({{until:Int64}}, 'UTC')
    AND ({{unknown:Bool}} OR abroad = 'yes' OR ifNull(actor_type, '') = 'vendor' OR startsWith(action, 'access.')
        OR (ifNull(actor_type, '') = 'operator' AND controlled_abroad = 'yes'))
ORDER BY occurred_at DESC, event_id LIMIT {{limit:UInt32}}
"""  # noqa: S608 - a constant of ours
_NOTHING: Final = (
    "no access from outside in this period; it is known from Google Access Transparency and Access Approval, Azure"
    " Customer Lockbox, vendors' tickets, and sessions whose actor can be placed (see docs/sources.md)"
)


@app.command("list")
def list_accesses(
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="2026-11-26 or 2026-11-26T08:30Z")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="The same; not included")] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant of the event")] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Sessions of administrators whose place or employer is unknown, too")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many")] = 200,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List accesses, requests and decisions, the newest first. What nobody stated is unknown, never none."""
    parameters = {
        "tenant": tenant or "",
        "since": nanoseconds("--from", since) if since else 0,
        "until": nanoseconds("--to", until) if until else LATEST_NS,
        "unknown": unknown,
        "limit": limit + 1,
    }
    rows = [_plain(row) for row in cut(reader_of(data_dir).rows(_LIST, parameters), limit)]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        typer.echo(_NOTHING)
    for row in rows:
        for line in _lines(row):
            typer.echo(line)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _lines(row: dict[str, Any]) -> list[str]:
    def said(name: str) -> str:
        return " ".join(str(row[name] or "unknown").split())

    place = said("country") if row["country"] else "/".join(row["country_candidates"]) or "unknown"
    until = f" until {row['approval_expires_at'][:16]}" if row["approval_expires_at"] else ""
    what = f"{row['occurred_at'][:19]}  {row['event_id'][:8]}  {row['tenant']}  {row['action']} ({row['outcome']})"
    owned = f" (controlled from {row['employer_control_country']})" if row["employer_control_country"] else ""
    return [
        f"{what}  {said('actor_type')} {said('actor_id')}",
        f"    employed by {said('employer')}{owned}, from {place} ({row['country_basis']}), to {said('target')}",
        f"    why: {said('reason')}",
        f"    approval: {row['approval']}, by {said('approval_by')}{until}",
    ]
