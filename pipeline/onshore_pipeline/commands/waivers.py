"""`onshore waivers`: two people agree, with their own keys and until a day, that findings of a kind wait."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import uuid4

import typer

from onshore_pipeline.commands.acting import Place, is_sealed, place_of, record, say_waiting, time_of, told
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.findings import waivers
from onshore_pipeline.findings.people_keys import read_people, read_private
from onshore_pipeline.findings.standing import Wanted, all_waivers, standings
from onshore_pipeline.findings.waivers import Waiver

if TYPE_CHECKING:
    from onshore_pipeline.actions import Recorded

app = typer.Typer(
    help="Let findings of a kind wait: one person proposes, another approves, both sign, and it ends by itself.",
    no_args_is_help=True,
    add_completion=False,
)

WaiverId = Annotated[str, typer.Argument(metavar="ID", help="A waiver's id, or the first 8 or more characters of it")]
WhoOption = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does it; their public key is registered")]
KeyOption = Annotated[Path, typer.Option("--key", metavar="FILE", help="Their own Ed25519 key (PEM, mode 0600)")]
ExpiresOption = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="Until when: 2026-12-24, or 30d; a year at most")
]
MaybeReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded and signed")]
_SHORTEST_ID: Final = 8
_LONGEST: Final = timedelta(days=366)
_DAYS: Final = re.compile(r"([1-9][0-9]{0,2})d")
_COLUMN: Final = re.compile(r"[a-z][a-z0-9_]*")
_CONTROL: Final = "SELECT count() AS n FROM controls WHERE control_id = {control:String}"


@app.command("propose")
def propose(
    control: Annotated[str, typer.Option("--control", metavar="ID", help="Whose findings wait")],
    tenant: Annotated[str, typer.Option("--tenant", help="Of which tenant")],
    expires: ExpiresOption,
    reason: ReasonOption,
    who: WhoOption,
    key: KeyOption,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Only findings with this in common; may be repeated"),
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Propose a waiver, signed; it has no effect before somebody else approves it."""
    place, now = place_of(data_dir), datetime.now(UTC)
    until = _expiry(expires, now)
    if not reason.strip():
        raise OnshoreError("--reason: say why; a regulator will ask")
    if not place.reader.rows(_CONTROL, {"control": control})[0]["n"]:
        raise OnshoreError(f"--control {control}: no control has this id; see onshore controls list")
    waiver_id = str(uuid4())
    statement = waivers.statement_of(
        {
            "id": waiver_id, "tenant": tenant, "control": control, "where": _conditions(where or []), "reason": reason,
            "proposed_by": who, "expires": until.isoformat(),
        }
    )  # fmt: skip
    return _sign(place, waivers.PROPOSE, (waiver_id, tenant, statement), who, key, reason, as_json=as_json)


@app.command("approve")
def approve(
    waiver_id: WaiverId, who: WhoOption, key: KeyOption, reason: MaybeReasonOption = "",
    as_json: JsonOption = False, data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """Approve what somebody else proposed, signed; from then until it expires its findings wait."""
    place = place_of(data_dir)
    found = _one(place, waiver_id)
    about = (found.waiver_id, found.tenant, found.statement)
    return _sign(place, waivers.APPROVE, about, who, key, reason, as_json=as_json)


@app.command("revoke")
def revoke(
    waiver_id: WaiverId, who: WhoOption, key: KeyOption, reason: ReasonOption, as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:  # fmt: skip
    """End a waiver now, signed."""
    place = place_of(data_dir)
    found = _one(place, waiver_id)
    about = (found.waiver_id, found.tenant, found.statement)
    return _sign(place, waivers.REVOKE, about, who, key, reason, as_json=as_json)


@app.command("list")
def list_waivers(
    tenant: Annotated[str | None, typer.Option(help="Of one tenant")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that expired or were revoked, too")] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List waivers, with how many findings wait for each."""
    place, now = place_of(data_dir), datetime.now(UTC)
    found = [
        each
        for each in all_waivers(place.reader, place.folders)
        if (tenant is None or each.tenant == tenant) and (everything or each.state(now) in {"proposed", "approved"})
    ]
    waiting = [
        each.waiver.waiver_id for each in standings(place.reader, Wanted(tenant), now, place.folders) if each.waiver
    ]
    if as_json:
        rows = [_plain(each, now) | {"findings": waiting.count(each.waiver_id)} for each in found]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not found:
        typer.echo("no waivers" if everything else "no waivers proposed or in force; --all lists ended ones too")
    for each in found:
        for line in _lines(each, now, waiting.count(each.waiver_id)):
            typer.echo(line)


def _expiry(text: str, now: datetime) -> datetime:
    days = _DAYS.fullmatch(text)
    if not days and text[-1:].isalpha() and text[:-1].isdecimal():
        raise OnshoreError(f"--expires {text}: write so many days as 30d, or a time as 2026-12-24")
    until = now + timedelta(days=int(days[1])) if days else time_of("--expires", text)
    if not now < until <= now + _LONGEST:
        raise OnshoreError(f"--expires {text}: must lie ahead, and within a year: propose it again when it ends")
    return until.replace(microsecond=0)


def _conditions(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        column, equals, value = pair.partition("=")
        if not equals or not _COLUMN.fullmatch(column):
            raise OnshoreError(f"--where {pair!r}: write COLUMN=VALUE, as `onshore findings show` names them")
        found[column] = value
    return found


def _one(place: Place, named: str) -> Waiver:
    if len(named) < _SHORTEST_ID:
        raise OnshoreError(f"{named!r}: give at least the first {_SHORTEST_ID} characters of a waiver's id")
    found = [each for each in all_waivers(place.reader, place.folders) if each.waiver_id.startswith(named.lower())]
    if len(found) != 1:
        why = "no waiver's id begins" if not found else f"{len(found)} waivers' ids begin"
        raise OnshoreError(f"{why} with {named}; see onshore waivers list --all")
    return found[0]


def _sign(
    place: Place, action: str, about: tuple[str, str, str], who: str, key: Path, reason: str, *, as_json: bool
) -> int:
    """Sign and record; refused before it is recorded where the key is not the one that is registered for the person."""
    from onshore_pipeline.actions import Action

    waiver_id, tenant, statement = about
    private = read_private(key)
    registered = read_people(place.folders.keys).get(who)
    if registered != private.public_key().public_bytes_raw():
        whose = f"no public key of {who} is registered" if registered is None else f"{key} is not the key of {who}"
        raise OnshoreError(f"{whose}: {place.folders.keys}/{who}.pem says whose key is whose")
    signature = base64.b64encode(private.sign(waivers.signed_text(action, statement))).decode()
    attributes = {waivers.WAIVER_ID: waiver_id, waivers.STATEMENT: statement, waivers.SIGNATURE: signature}
    recorded = record(place.settings, Action(action, tenant, who, reason, attributes))
    if not is_sealed(place.reader, recorded):
        typer.echo(json.dumps({"sealed": False, "waiver_id": waiver_id, **told(recorded)})) if as_json else say_waiting(
            recorded
        )
        return 0
    return _say_effect(place, waiver_id, action, recorded, as_json=as_json)


def _say_effect(place: Place, waiver_id: str, action: str, recorded: Recorded, *, as_json: bool) -> int:
    now = datetime.now(UTC)
    found = _one(place, waiver_id)
    wanted = {waivers.PROPOSE: "proposed", waivers.APPROVE: "approved", waivers.REVOKE: "revoked"}[action]
    has_effect = found.state(now) == wanted and str(recorded.action_id) not in found.refused_ids
    if as_json:
        typer.echo(json.dumps({"sealed": True, "effect": has_effect, **_plain(found, now), **told(recorded)}))
    elif has_effect:
        for line in _lines(found, now, None):
            typer.echo(line)
    else:
        typer.echo(f"recorded, and without effect: {(found.refused or ('see onshore waivers list --all',))[-1]}")
    return 0 if has_effect else 1


def _plain(waiver: Waiver, now: datetime) -> dict[str, Any]:
    return {
        "waiver_id": waiver.waiver_id, "state": waiver.state(now), "tenant": waiver.tenant,
        "control_id": waiver.control, "where": dict(waiver.where), "reason": waiver.reason,
        "expires": waiver.expires.isoformat(),
        "proposed_by": waiver.proposed_by, "proposed_at": waiver.proposed_at.isoformat(),
        "approved_by": waiver.approved_by or None,
        "approved_at": waiver.approved_at.isoformat() if waiver.approved_at else None,
        "revoked_by": waiver.revoked_by or None,
        "revoked_at": waiver.revoked_at.isoformat() if waiver.revoked_at else None,
        "refused": list(waiver.refused),
    }  # fmt: skip


def _lines(waiver: Waiver, now: datetime, waiting: int | None) -> list[str]:
    scope = " and ".join(f"{column} = {value}" for column, value in waiver.where.items()) or "all of its findings"
    people = f"proposed by {waiver.proposed_by}" + (f", approved by {waiver.approved_by}" if waiver.approved_by else "")
    revoked = f", revoked by {waiver.revoked_by}" if waiver.revoked_by else ""
    count = "" if waiting is None else f", {waiting:,} findings wait"
    return [
        f"{waiver.waiver_id[:8]}  {waiver.state(now)}  {waiver.control}  {waiver.tenant}: {scope}",
        f"          until {waiver.expires:%Y-%m-%d %H:%M} UTC, {people}{revoked}{count}",
        f"          {' '.join(waiver.reason.split())}",
        *(f"          refused: {each}" for each in waiver.refused),
    ]
