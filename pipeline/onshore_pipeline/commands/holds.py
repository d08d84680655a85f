"""`onshore holds`: what must not be deleted, whatever its age."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import uuid4

import typer

from onshore_pipeline.commands.acting import is_sealed, place_of, record, say_waiting, time_of
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.domain.event import DOMAINS
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onshore_pipeline.jobs.holds import StandingHold

app = typer.Typer(help="Legal holds: what retention must not delete.", no_args_is_help=True, add_completion=False)

_LONGEST: Final = timedelta(days=366)  # a hold that nobody looks at for longer than a year is forgotten

_HoldArgument = Annotated[str, typer.Argument(metavar="ID", help="The hold, or the beginning of its id")]
_AsOption = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does this; it is recorded")]
_ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is recorded")]


@app.command("place")
def place_hold(
    who: _AsOption,
    reason: _ReasonOption,
    review: Annotated[str, typer.Option("--review", metavar="DATE", help="When to look again; a year at most")],
    tenant: Annotated[str | None, typer.Option(help="Whose events; default everybody's")] = None,
    domain: Annotated[str | None, typer.Option(help=f"One of {', '.join(DOMAINS)}")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of this data set, and of none that is known")] = None,
    actor: Annotated[str | None, typer.Option(help="By this actor, and by nobody who is known")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="That happened since then")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="That happened before then")] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Place a hold. It holds at once; a second person confirms it."""
    from onshore_pipeline.jobs.holds import HOLD_ID, PLACE, REVIEW, SCOPE

    if domain is not None and domain not in DOMAINS:
        raise OnshoreError(f"--domain {domain!r}: one of {', '.join(DOMAINS)}")
    day = _review_day("--review", review)
    scope = {"tenant": tenant, "domain": domain, "dataset": dataset, "actor_id": actor}
    scope |= {
        name: time_of(f"--{name}", text).isoformat() for name, text in (("since", since), ("until", until)) if text
    }
    hold_id = uuid4().hex[:12]
    told = {SCOPE[name]: value for name, value in scope.items() if value}
    _act(data_dir, PLACE, tenant or "default", who, reason, {HOLD_ID: hold_id, REVIEW: day, **told})
    typer.echo(f"hold {hold_id} placed; another person confirms it with: onshore holds confirm {hold_id} --as PERSON")


@app.command("confirm")
def confirm_hold(hold_id: _HoldArgument, who: _AsOption, data_dir: DataDirOption = None) -> None:
    """Confirm what somebody else did: that a hold was placed, or that it is released."""
    from onshore_pipeline.jobs.holds import CONFIRM, CONFIRM_RELEASE, same_person

    standing = _one(data_dir, hold_id)
    first, action = {
        "placed": (standing.placed_by, CONFIRM),
        "release proposed": (standing.release_by, CONFIRM_RELEASE),
    }.get(standing.state, (None, ""))
    if not action:
        raise OnshoreError(f"hold {standing.hold.hold_id} is {standing.state}: there is nothing to confirm")
    if same_person(who, first):
        raise OnshoreError(f"{who} cannot confirm what {first} did: it takes two people")
    _change(data_dir, standing, action, who, "")


@app.command("review")
def review_hold(
    hold_id: _HoldArgument,
    who: _AsOption,
    reason: _ReasonOption,
    following: Annotated[str, typer.Option("--next", metavar="DATE", help="When to look again; a year at most")],
    data_dir: DataDirOption = None,
) -> None:
    """Say that a hold was looked at and goes on, why, and when to look again. One that is not needed is released."""
    from onshore_pipeline.jobs.holds import HOLD_ID, REVIEW, REVIEWED

    day = _review_day("--next", following)
    standing = _one(data_dir, hold_id)
    if standing.state == "released":
        raise OnshoreError(f"hold {standing.hold.hold_id} is released: there is nothing to review")
    own = standing.hold.hold_id
    _act(data_dir, REVIEWED, standing.hold.tenant or "default", who, reason, {HOLD_ID: own, REVIEW: day})
    typer.echo(f"hold {own} goes on; next review {_one(data_dir, own).due}")


@app.command("release")
def release_hold(hold_id: _HoldArgument, who: _AsOption, reason: _ReasonOption, data_dir: DataDirOption = None) -> None:
    """Propose to release a hold; it holds until another person confirms."""
    from onshore_pipeline.jobs.holds import RELEASE

    standing = _one(data_dir, hold_id)
    if standing.state not in ("placed", "confirmed"):
        raise OnshoreError(f"hold {standing.hold.hold_id} is {standing.state} already")
    _change(data_dir, standing, RELEASE, who, reason)


@app.command("list")
def list_holds(as_json: JsonOption = False, data_dir: DataDirOption = None) -> int:
    """List every hold; exit 1 if the review of one that holds is overdue."""
    holds = _all(data_dir)
    today = datetime.now(UTC).date()
    if as_json:
        typer.echo(json.dumps([_row(each, today) for each in holds], default=str))
    for each in () if as_json else holds:
        row = _row(each, today)
        scope = ", ".join(f"{name} {row[name]}" for name in _SCOPE if row[name] is not None) or "everything"
        late = "  REVIEW OVERDUE" if row["overdue"] else ""
        typer.echo(f"{row['hold_id']}  {row['state']:<16} {scope}  review {row['due']}  by {row['placed_by']}{late}")
        typer.echo(f"              {row['reason']}")
        if row["reviewed_by"] is not None:
            typer.echo(f"              reviewed {row['reviewed_at']:%Y-%m-%d} by {row['reviewed_by']}")
    if not holds and not as_json:
        typer.echo("No hold was ever placed. onshore holds place --help says how.")
    return 1 if any(each.is_overdue(today) for each in holds) else 0


_SCOPE = ("tenant", "domain", "dataset", "actor_id", "since", "until")


def _row(standing: StandingHold, today: date) -> dict[str, Any]:
    return {
        "hold_id": standing.hold.hold_id,
        "state": standing.state,
        **{name: getattr(standing.hold, name) for name in _SCOPE},
        "reason": standing.reason,
        "placed_by": standing.placed_by,
        "placed_at": standing.placed_at,
        "confirmed_by": standing.confirmed_by,
        "release_by": standing.release_by,
        "review": standing.review,
        "due": standing.due,
        "reviewed_by": standing.reviewed_by,
        "reviewed_at": standing.reviewed_at,
        "overdue": standing.is_overdue(today),
    }


def _review_day(option: str, text: str) -> str:
    """A day from tomorrow on, as it is recorded. Raises `OnshoreError`: it is none, or nobody would look in time."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"{option} {text!r}: no day; write 2027-03-31") from None
    today = datetime.now(UTC).date()
    if not today < day <= today + _LONGEST:
        raise OnshoreError(f"{option} {day}: name a day from tomorrow on, a year at most; holds go on after a review")
    return day.isoformat()


def _all(data_dir: Path | None) -> list[StandingHold]:
    from onshore_pipeline.jobs.holds import standing_holds

    return standing_holds(place_of(data_dir).reader)


def _one(data_dir: Path | None, hold_id: str) -> StandingHold:
    found = [each for each in _all(data_dir) if each.hold.hold_id.startswith(hold_id)]
    if len(found) != 1:
        what = "no hold has an id that begins" if not found else f"{len(found)} holds have ids that begin"
        raise OnshoreError(f"{what} with {hold_id!r}: see onshore holds list")
    return found[0]


def _change(data_dir: Path | None, standing: StandingHold, action: str, who: str, reason: str) -> None:
    from onshore_pipeline.jobs.holds import HOLD_ID

    _act(data_dir, action, standing.hold.tenant or "default", who, reason, {HOLD_ID: standing.hold.hold_id})
    typer.echo(f"hold {standing.hold.hold_id} is {_one(data_dir, standing.hold.hold_id).state}")


def _act(data_dir: Path | None, name: str, tenant: str, who: str, reason: str, attributes: Mapping[str, str]) -> None:
    from onshore_pipeline.actions import Action

    place = place_of(data_dir)
    recorded = record(place.settings, Action(name, tenant, who, reason, attributes))
    if not is_sealed(place.reader, recorded):
        say_waiting(recorded)
