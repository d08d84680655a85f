"""`onshore controls runs | history`: which control ran when, on how many events, and which text of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.controls.activations import Activation

_RUNS: Final = """
SELECT toString(r.hour) AS hour, toString(control_id) AS control, control_version AS version,
    lower(hex(control_digest)) AS sha256, toString(looks_at) AS looks_at, events_seen, in_scope, satisfied, violated,
    undetermined, toString(watermark) AS watermark,
    r.hour IN (SELECT toDateTime64(s.hour, 0, 'UTC') FROM control_run_seals AS s) AS sealed
FROM control_runs AS r
WHERE r.hour >= {since:DateTime64(0, 'UTC')} AND r.hour < {until:DateTime64(0, 'UTC')}
    AND ({control:String} = '' OR control_id = {control:String})
ORDER BY hour, control, version
"""
_BY_CONTROL: Final = """
SELECT control_id AS control, any(h.looks_at) AS looks_at, toString(maxIf(h.hour, seen > 0)) AS last_run,
    countIf(seen > 0) AS hours_run, count() AS hours_expected,
    arraySort(groupArrayIf(toString(h.hour), missed > 0)) AS gaps
FROM control_hours AS h
WHERE h.hour >= {since:DateTime64(0, 'UTC')} AND h.hour < {until:DateTime64(0, 'UTC')}
    AND ({control:String} = '' OR control_id = {control:String})
GROUP BY control ORDER BY control
"""
_SEALS: Final = """
SELECT toString(s.hour) AS hour, rows, events, root, windowed_root, toString(event_id) AS event_id,
    toString(sealed_at) AS sealed_at
FROM control_run_seals AS s
WHERE s.hour >= {since:DateTime64(0, 'UTC')} AND s.hour < {until:DateTime64(0, 'UTC')} ORDER BY hour
"""
_GAPS_SHOWN: Final = 5
_COUNTED: Final = {"window": " windows", "sequence": " sequences", "absence": " absences"}
_NO_RUNS: Final = "no control ran in this period; runs are counted once a minute, after the log was copied"
_NO_SEALS: Final = "no hour of this period is sealed; one is ten minutes after its end, once all of it is counted"
_TEXTS: Final = """
SELECT control_version AS version, lower(hex(control_digest)) AS sha256, toString(min(hour)) AS first_hour,
    toString(max(hour)) AS last_hour, sum(events_seen) AS events_seen
FROM control_runs WHERE control_id = {control:String} AND hour < {until:DateTime64(0, 'UTC')}
GROUP BY version, sha256 ORDER BY last_hour, version
"""
_TEXT: Final = "SELECT text FROM controls WHERE lower(hex(digest)) = {sha256:String} LIMIT 1"
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def list_runs(
    control: Annotated[str, typer.Option("--control", metavar="ID", help="Only of this control")] = "",
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Default: a day ago")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Not included; default: now")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Derive the rows again from the log's entries and verdicts, and compare")
    ] = False,
    by_control: Annotated[
        bool, typer.Option("--by-control", help="A line a control: its last run, hours run and expected, and gaps")
    ] = False,
    seals: Annotated[
        bool, typer.Option("--seals", help="A line an hour: what the evidence log commits to, and in which event")
    ] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> int:
    """List for each hour and control how many sealed events it was put to and what it said; exit 1 if --check fails.

    What windows, sequences and absences came to is counted in the hour in which it was said.
    """
    now = datetime.now(UTC)
    start = moment("--from", since) if since else now - timedelta(days=1)
    end = moment("--to", until) if until else now + timedelta(hours=1)
    if check:
        return _check(data_dir, start, end, as_json=as_json)
    within = {"since": start.replace(minute=0, second=0, microsecond=0), "until": end, "control": control}
    asked = _SEALS if seals else _BY_CONTROL if by_control else _RUNS
    rows = reader_of(data_dir).rows(asked, within)
    if as_json:
        typer.echo(json.dumps(rows))
        return 0
    if not rows:
        typer.echo(_NO_SEALS if seals else _NO_RUNS)
    if seals:
        for row in rows:
            typer.echo(
                f"{row['hour'][:16]}  {row['rows']:,} rows, {row['events']:,} events, sealed {row['sealed_at'][:19]}"
                f" UTC as event {row['event_id']}\n    root {row['root']}\n    of windows {row['windowed_root']}"
            )
        return 0
    if by_control:
        _print_gaps(rows)
        return 0
    for row in rows:
        said = f"{row['violated']:,} violated, {row['undetermined']:,} undetermined, {row['satisfied']:,} satisfied"
        typer.echo(
            f"{row['hour'][:16]}  {row['control']:<16} v{row['version']:<2} {row['events_seen']:,} events:"
            f" {said}{_COUNTED.get(row['looks_at'], '')}"
        )
    return 0


def _print_gaps(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        hours = f"{row['hours_run']:,} of {row['hours_expected']:,} hours"
        last = f"last ran {row['last_run'][:16]}" if row["hours_run"] else "did not run"
        first = ", ".join(hour[:16] for hour in row["gaps"][:_GAPS_SHOWN])
        more = ", ..." if len(row["gaps"]) > _GAPS_SHOWN else ""
        gaps = f"; not in {first}{more}" if row["gaps"] else ""
        typer.echo(f"{row['control']:<16} {last}, {hours}{gaps}")


def _check(data_dir: Path | None, since: datetime, until: datetime, *, as_json: bool) -> int:
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.control_runs import differences

    client = assembly.store_client(load_settings({"data_dir": data_dir}))
    try:
        # The present hour is counted once a minute, and may be behind.
        over = min(until, datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
        found = differences(client, since.replace(minute=0, second=0, microsecond=0), over)
    finally:
        client.close()
    if as_json:
        typer.echo(json.dumps([asdict(run) | {"digest": run.digest.hex()} for run in found], default=str))
    else:
        for run in found:
            counts = f"{run.events_seen} events, {run.satisfied} satisfied, {run.violated} violated"
            typer.echo(
                f"{run.hour:%Y-%m-%d %H:%M}  {run.control_id or 'all'}: does not follow from the log: {counts}",
                err=True,
            )
        typer.echo(f"{len(found):,} rows do not follow from the log's entries and verdicts")
    return 1 if found else 0


def show_history(
    control_id: Annotated[str, typer.Argument(metavar="ID", help="For example AU-APP8-01")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="Print the text that judged events of this day")
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List every text of a control that ran, and the decisions about them; with --as-of, print one day's text."""
    decided = [each for each in _decisions(data_dir) if each.control_id == control_id]
    store = reader_of(data_dir)
    if as_of is not None:
        day_ends = moment("--as-of", as_of) + timedelta(days=1)
        sha256 = _in_force(store.rows(_TEXTS, {"control": control_id, "until": day_ends}), decided, day_ends)
        texts = store.rows(_TEXT, {"sha256": sha256}) if sha256 else []
        if not texts:
            raise OnshoreError(f"{control_id}: no text of it is known to have judged on {as_of}")
        shown = {"control": control_id, "as_of": as_of, "sha256": sha256, "text": texts[0]["text"]}
        typer.echo(json.dumps(shown) if as_json else f"{texts[0]['text'].rstrip()}\n# sha256: {sha256}")
        return
    ran = store.rows(_TEXTS, {"control": control_id, "until": _LATEST})
    if as_json:
        listed = [{name: str(getattr(each, name)) for name in each.__dataclass_fields__} for each in decided]
        typer.echo(json.dumps({"ran": ran, "decisions": listed}))
        return
    if not (ran or decided):
        typer.echo(f"{control_id} has not run in what the store holds, and nobody activated a text of it")
    for row in ran:
        hours = f"{row['first_hour'][:16]} to {row['last_hour'][:16]}"
        typer.echo(f"v{row['version']:<2} {row['sha256'][:12]}  ran {hours} UTC on {row['events_seen']:,} events")
    for each in decided:
        typer.echo(f"{each.effective_at:%Y-%m-%d %H:%M} UTC on: {_what(each)}, by {each.who}: {each.reason}")


def _what(decided: Activation) -> str:
    from onshore_pipeline.controls.activations import WITHDRAWN

    text = f"v{decided.version}" if decided.version else "no text"
    if decided.digest == WITHDRAWN:
        return f"{text} is withdrawn"
    return f"{text} {decided.digest[:12]}".rstrip()


def _in_force(ran: list[dict[str, Any]], decided: list[Activation], day_ends: datetime) -> str | None:
    """The digest that the last decision before the day's end names; without one, that of the text that ran last."""
    from onshore_pipeline.controls.activations import standing

    before = [each for each in standing(decided) if each.effective_at < day_ends]
    if before:
        return before[-1].digest or None
    later = {each.digest for each in decided}
    older = [str(row["sha256"]) for row in ran if row["sha256"] not in later]
    return older[-1] if older else None


def _decisions(data_dir: Path | None) -> tuple[Activation, ...]:
    from onshore_pipeline.controls.activations import FILE_NAME, read_activations

    folder = load_settings({"data_dir": data_dir}).controls_dir
    return read_activations(folder / FILE_NAME) if folder is not None else ()


def moment(option: str, text: str) -> datetime:
    """A time that was given; UTC where it has no zone."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"{option} {text}: no time; write 2026-11-26 or 2026-11-26T08:30Z") from None
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
