"""`onshore controls coverage`: what the controls could not decide, for want of which fact, and what ends that."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.control_runs import moment
from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.domain.advice import what_to_send

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULT: Final = timedelta(days=30)
# Of windows, sequences and absences, whose events may be of any format, the present verdict of each counts once
# where any of its time is asked about: one may last a year.
_GAPS: Final = """
SELECT toString(tenant) AS tenant, toString(source_format) AS source_format, toString(missing) AS missing,
    toUInt64(sum(n)) AS undetermined, arraySort(groupUniqArray(toString(control_id))) AS controls
FROM (
    SELECT tenant, source_format, missing, control_id, c.events AS n FROM verdict_counts AS c
    WHERE verdict = 'undetermined' AND c.hour >= {since:DateTime64(0, 'UTC')} AND c.hour < {until:DateTime64(0, 'UTC')}
    UNION ALL
    SELECT tenant, '' AS source_format, missing, control_id, 1 AS n FROM windowed_current AS w
    WHERE verdict = 'undetermined'
        AND w.until >= {since:DateTime64(0, 'UTC')} AND w.since < {until:DateTime64(0, 'UTC')}
)
WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({control:String} = '' OR control_id = {control:String})
GROUP BY tenant, source_format, missing ORDER BY undetermined DESC, missing, tenant, source_format
"""
_MANY_EVENTS: Final = "windows, sequences or absences"


def list_coverage(
    tenant: Annotated[str, typer.Option("--tenant", help="Only of this tenant")] = "",
    control: Annotated[str, typer.Option("--control", metavar="ID", help="Only what this control could not say")] = "",
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Default: 30 days ago")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Not included; default: now")] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """List what controls could not decide on the events of a time: by missing fact, with what to send or register.

    Each line tells whose events they are, in which format they came, and which controls wait for the fact. A verdict
    names what it lacked first: with that known, the next may show.
    """
    now = datetime.now(UTC)
    start = moment("--from", since) if since else now - _DEFAULT
    end = moment("--to", until) if until else now + timedelta(hours=1)
    whole_hour = start.replace(minute=0, second=0, microsecond=0)
    asked = {"since": whole_hour, "until": end, "tenant": tenant, "control": control}
    rows = [row | {"remedy": what_to_send(row["missing"])} for row in reader_of(data_dir).rows(_GAPS, asked)]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for line in _lines(rows):
        typer.echo(line)


def _lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    """The rows below the fact that they lack, and the fact that most verdicts lack first."""
    if not rows:
        yield "no verdict of this time is undetermined; `onshore controls runs` tells which controls ran"
        return
    by_fact: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_fact.setdefault(row["missing"], []).append(row)
    counts = {fact: sum(row["undetermined"] for row in own) for fact, own in by_fact.items()}
    for fact in sorted(by_fact, key=lambda each: -counts[each]):
        yield f"{fact or 'not named'}: {counts[fact]:,} undetermined; {by_fact[fact][0]['remedy'].replace('`', '')}"
        for row in by_fact[fact]:
            source = row["source_format"] or _MANY_EVENTS
            yield f"    {row['tenant']}, {source}: {row['undetermined']:,}, of {', '.join(row['controls'])}"
    yield f"{sum(counts.values()):,} undetermined verdicts; `onshore controls show ID` says what a control needs"
