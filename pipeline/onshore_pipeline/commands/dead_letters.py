"""`onshore dead-letters`: what could not be assessed, why, and what people did about it."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.closing import Run, close, said
from onshore_pipeline.commands.options import DataDirOption, FailpointOption, JsonOption, cut
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.jobs.wanted_letters import STATES, Wanted, counts, ids, listed, shown
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from onshore_pipeline.store.reader import Reader

app = typer.Typer(
    help="What could not be assessed: look at it, try again, or give it up for good.",
    no_args_is_help=True,
    add_completion=False,
)

StageOption = Annotated[str | None, typer.Option(help="collect, decode, normalise, locate, judge, seal or write")]
ReasonLikeOption = Annotated[
    str | None, typer.Option("--reason-like", metavar="PATTERN", help="SQL LIKE pattern, or a text in the reason")
]
TopicOption = Annotated[str | None, typer.Option(help="Topic of the message")]
TenantOption = Annotated[str | None, typer.Option(help="Tenant of the message")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Received since: 2026-11-26, 2026-11-26T08:30Z, or 90m, 12h, 7d ago")
]

ById = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or the first 8 or more characters")]
IdOption = Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="The same, as an option")]
AllOption = Annotated[bool, typer.Option("--all", help="Every open dead letter")]
WhoOption = Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who does it; recorded")]
WhyOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; recorded")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it")]

_STAGES: Final = ("collect", "decode", "normalise", "locate", "judge", "seal", "write")
_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ID: Final = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")
_REASON_SHOWN: Final = 70


def wanted(
    some: list[str] | None,
    state: str,
    stage: str | None,
    reason_like: str | None,
    topic: str | None,
    tenant: str | None,
    since: str | None,
) -> Wanted:
    """The letters that the options mean. Raises `OnshoreError` for one that means nothing."""
    if state not in STATES:
        raise OnshoreError(f"--state {state}: must be one of {', '.join(STATES)}")
    if stage is not None and stage not in _STAGES:
        raise OnshoreError(f"--stage {stage}: must be one of {', '.join(_STAGES)}")
    for each in some or ():
        if _ID.fullmatch(each.lower()) is None:
            raise OnshoreError(f"{each!r} is no id of a dead letter, nor the first 8 or more characters of one")
    named = tuple(each.lower() for each in some or ())
    return Wanted(named, state, stage, reason_like, topic, tenant, _moment(since) if since else None)


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise OnshoreError(
            f"--since {text!r} is no time: give 2026-11-26, 2026-11-26T08:30Z, or how long ago: 90m, 12h, 7d"
        ) from None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def reader_of(data_dir: Path | None) -> Reader:
    """The store, as one who only reads."""
    from onshore_pipeline.stack import store_address
    from onshore_pipeline.store.reader import Reader

    address = store_address(load_settings({"data_dir": data_dir}), writing=False)
    return Reader(address.url, address.user, address.password, ca_file=address.ca_file)


@app.command("list")
def list_letters(
    state: Annotated[str, typer.Option(help="open, replayed, discarded or all")] = "open",
    stage: StageOption = None,
    reason_like: ReasonLikeOption = None,
    topic: TopicOption = None,
    tenant: TenantOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many")] = 50,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List dead letters, the newest first."""
    chosen = wanted(None, state, stage, reason_like, topic, tenant, since)
    reader = reader_of(data_dir)
    if as_json:
        rows = cut(listed(reader, chosen, limit + 1), limit)
        typer.echo(json.dumps([_plain(row) for row in rows], ensure_ascii=False))
        return
    rows = listed(reader, chosen, limit)
    groups = counts(reader, chosen)
    if not groups:
        kind = "" if state == "all" else f"{state} "
        hint = "; --state all lists those that were replayed or discarded too" if state == "open" else ""
        typer.echo(f"no {kind}dead letters{' like that' if chosen.narrows else ''}{hint}")
        return
    for row in rows:
        typer.echo(
            f"{row['id'][:8]}  {row['received_at']:%Y-%m-%d %H:%M:%S}  {row['state']:<9} {row['stage']:<9}"
            f" {row['topic']}[{row['partition']}]@{row['offset']} {_records(row)}  {_short(row['reason'])}"
        )
    total, records = (sum(int(group[name]) for group in groups) for name in ("letters", "records"))
    shown_of = f", the newest {len(rows):,} shown" if len(rows) < total else ""
    typer.echo(f"{total:,} dead letters with {records:,} records{shown_of}")
    for group in groups:
        typer.echo(f"  {group['letters']:>9,}  {group['state']}, {group['stage']}, {group['topic']}")


@app.command("show")
def show_letter(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="An id, or the first 8 or more characters of it")],
    payload: Annotated[Path | None, typer.Option(help="Write the message's original bytes to this file")] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show one dead letter: the message, the reason, its headers, and what people did about it."""
    reader = reader_of(data_dir)
    (found,) = ids(reader, wanted([letter_id], "all", None, None, None, None, None))
    letter = shown(reader, found)
    raw = bytes.fromhex(letter.pop("payload"))
    if payload is not None:
        try:
            payload.write_bytes(raw)
        except OSError as error:
            raise OnshoreError(f"{payload}: {error.strerror}") from None
    letter["headers"] = [
        [name, base64.b64decode(value).decode("utf-8", "backslashreplace")]
        for name, value in json.loads(letter["headers"] or "[]")
    ]
    letter["actions"] = [_plain(action) for action in letter["actions"]]
    if as_json:
        typer.echo(json.dumps(_plain(letter) | {"payload_base64": base64.b64encode(raw).decode()}, ensure_ascii=False))
        return
    for name, value in _plain(letter).items():
        if name in {"headers", "actions"}:
            continue
        typer.echo(f"{name.replace('_', ' '):<16} {_words(name, value)}")
    typer.echo(f"{'headers':<16} {', '.join(f'{name}={value}' for name, value in letter['headers']) or 'none'}")
    typer.echo(f"{'payload':<16} {raw[:48].hex(' ')}{' ...' if len(raw) > len(raw[:48]) else ''}")
    for action in letter["actions"]:
        reason = f": {action['reason']}" if action["reason"] else ""
        typer.echo(
            f"{action['at']}  {action['action']} by {action['who']} ({action['why']}) {action['outcome']}{reason}"
        )


@app.command("replay")
def replay(
    some: ById = None,
    ids_too: IdOption = None,
    everything: AllOption = False,
    stage: StageOption = None,
    reason_like: ReasonLikeOption = None,
    topic: TopicOption = None,
    tenant: TenantOption = None,
    since: SinceOption = None,
    who: WhoOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    failpoint: FailpointOption = None,
) -> int:
    """Assess dead letters again with today's pipeline, registries and controls; exit 1 when some fail again.

    What becomes an event keeps the place it came from: topic, partition, offset, record.
    """
    chosen = _chosen([*(some or ()), *(ids_too or ())], everything, stage, reason_like, topic, tenant, since)
    return close("replay", chosen, said(who, why), Run(data_dir, failpoint, dry_run=dry_run, as_json=as_json))


@app.command("discard")
def discard(
    some: ById = None,
    ids_too: IdOption = None,
    everything: AllOption = False,
    stage: StageOption = None,
    reason_like: ReasonLikeOption = None,
    topic: TopicOption = None,
    tenant: TenantOption = None,
    since: SinceOption = None,
    who: WhoOption = None,
    why: WhyOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    failpoint: FailpointOption = None,
) -> int:
    """Give dead letters up for good. The evidence log says who did it and why; the bytes stay in the store."""
    chosen = _chosen([*(some or ()), *(ids_too or ())], everything, stage, reason_like, topic, tenant, since)
    return close("discard", chosen, said(who, why), Run(data_dir, failpoint, dry_run=dry_run, as_json=as_json))


def _chosen(some: list[str], everything: bool, *narrowing: str | None) -> Wanted:
    """The open letters that are meant, which must have been said."""
    chosen = wanted(some, "open", *narrowing)
    if not chosen.narrows and not everything:
        raise OnshoreError("say which: ids, --stage, --reason-like, --topic, --tenant, --since, or --all")
    return chosen


def _words(name: str, value: object) -> object:
    if name == "record_indexes":
        return value or "the whole message"
    return "" if name == "closed_at" and str(value).startswith("1970") else value


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """What JSON can hold; a time that is not there is null."""
    values = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    if row.get("state") == "open":
        values |= {"closed_at": None, "closed_by": None, "closed_why": None}
    return values


def _records(row: dict[str, Any]) -> str:
    indexes = row["record_indexes"]
    if not indexes:
        return "whole message"
    return f"record {indexes[0]}" if len(indexes) == 1 else f"{len(indexes):,} records"


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _REASON_SHOWN else f"{line[: _REASON_SHOWN - 3]}..."
