"""Findings as `onshore findings` writes them: for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.findings.clocks import in_words
from onshore_pipeline.findings.history import RESTATEMENT, history
from onshore_pipeline.findings.life import RECURRENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from onshore_pipeline.findings.about import About
    from onshore_pipeline.findings.history import Restatement
    from onshore_pipeline.findings.life import Step
    from onshore_pipeline.findings.standing import Standing

NOTHING: Final = (
    "no findings: no event violated a control yet. onshore status says what came in, and onshore demo plays a factory"
    " with planted violations"
)
_WIDTH: Final = 18


def lines(standing: Standing, now: datetime) -> list[str]:
    """One finding in a list."""
    owner = f", {standing.life.owner}" if standing.life.owner else ""
    about = ", ".join(f"{name} {_short(value)}" for name, value in standing.fingerprint.items() if name != "tenant")
    due = standing.due
    last = [f"          due {in_words(due, now)} ({due.clock_id})"] if due else []
    if standing.waiver is not None:
        last.append(f"          {_waived(standing)}")
    what = f"{standing.finding_id[:8]}  {standing.severity:<8} {standing.state}{owner}  {standing.control_id}"
    seen = f"{standing.counted}{_nothing_left(standing)}, last {standing.last_seen:%Y-%m-%d %H:%M} UTC"
    return [f"{what}  {standing.tenant}  {seen}", f"          {about}", *last]


def summary(found: Sequence[Standing], shown: int) -> str:
    """How many there are, by state, and of how many nothing violates the control any more."""
    states = Counter(each.state for each in found)
    counted = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    empty = sum(not each.events for each in found)
    counted += f"; nothing is left of {empty:,} of them" if empty else ""
    return f"{len(found):,} findings{f', the first {shown:,} shown' if shown < len(found) else ''}: {counted}"


def details(
    standing: Standing,
    now: datetime,
    deleted: int = 0,
    restated: Sequence[Restatement] = (),
    behind: About | None = None,
) -> list[str]:
    """Everything about one finding; `deleted` of its events are gone, `restated` is what late events changed."""
    gone = f"; retention deleted {deleted:,} of them" if deleted else ""
    size = f", {standing.bytes:,} bytes" if standing.bytes else ""  # 0: no event said how much it was
    life = standing.life
    overridden = f" (its control says {standing.control_severity})" if life.severity else ""
    told = [
        ("finding", standing.finding_id),
        ("control", f"{standing.control_id} version {standing.control_version} ({standing.kind})"),
        *(_of_control(behind) if behind is not None else ()),
        ("severity", standing.severity + overridden),
        ("state", standing.state),
        *((("waiver", _waived(standing)),) if standing.waiver is not None else ()),
        ("owner", life.owner or "nobody"),
        *((name.replace("_", " "), _short(value)) for name, value in standing.fingerprint.items()),
        ("violated by", f"{standing.counted}{size}{gone}{_nothing_left(standing)}"),
        ("first seen", _utc(standing.first_seen)),
        ("last seen", _utc(standing.last_seen)),
        *((("restated on", _utc(standing.restated_on)),) if standing.restated_on else ()),
        *((("aware since", _utc(life.aware_at)),) if life.aware_at else ()),
        *((("assessed", _utc(life.assessed_at)),) if life.assessed_at else ()),
        *(
            (f"clock {each.clock_id}", f"{each.within} from {each.start}: {in_words(each, now)}")
            for each in standing.deadlines
        ),
    ]
    events = behind.events if behind is not None else ()
    told += [("event", f"{event_id}  {_utc(at) if at else ''}".rstrip()) for event_id, at in events]
    if events:
        told.append(("", "the newest; `onshore event show ID` tells all of one"))
    return [
        *(f"{name:<{_WIDTH}} {value}" for name, value in told),
        *(_step(each) for each in history(standing, now, restated)),
    ]


def _of_control(behind: About) -> list[tuple[str, str]]:
    said = [
        ("what", behind.title), ("law", behind.instrument), ("why", behind.rationale),
        ("first do", behind.remediation), ("evidence", behind.evidence),
    ]  # fmt: skip
    return [(name, _short(text, 2_000)) for name, text in said if text]


def about_json(behind: About) -> dict[str, Any]:
    """What is behind a finding, times as RFC 3339."""
    return {
        "title": behind.title, "instrument": behind.instrument, "rationale": behind.rationale,
        "evidence": behind.evidence, "remediation": behind.remediation,
        "newest_events": [{"event_id": event_id, "occurred_at": _iso(at)} for event_id, at in behind.events],
    }  # fmt: skip


def _step(step: Step) -> str:
    if step.action == RECURRENCE:
        return f"{_utc(step.at)}  an event violated the control again: {step.state}"
    if step.action == RESTATEMENT:
        return f"{_utc(step.at)}  restated {step.detail}: {step.state}"
    what = step.action.removeprefix("finding.").replace("_", " ").replace(".", " ")
    detail = f" {step.detail}" if step.detail else ""
    who = f" by {_short(step.who)}" if step.who else ""
    reason = f": {_short(step.reason, 500)}" if step.reason else ""
    effect = f" WITHOUT EFFECT, {step.refused}" if step.refused else f" -> {step.state}"
    return f"{_utc(step.at)}  {what}{detail}{who}{effect}{reason}"


def _nothing_left(standing: Standing) -> str:
    return "" if standing.events else ", nothing violates the control any more"


def _waived(standing: Standing) -> str:
    waiver = standing.waiver
    assert waiver is not None
    return (
        f"WAIVED until {_utc(waiver.expires)} by {waiver.proposed_by} and {waiver.approved_by}"
        f" ({waiver.waiver_id[:8]}): {_short(waiver.reason, 200)}"
    )


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _short(text: str, most: int = 80) -> str:
    """On one line, without what moves a terminal's cursor."""
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split()) or "unknown"
    return plain if len(plain) <= most else plain[: most - 3] + "..."


def as_json(standing: Standing, now: datetime, restated: Sequence[Restatement] = ()) -> dict[str, Any]:
    """One finding, times as RFC 3339; `restated` is what late events changed."""
    life, waiver = standing.life, standing.waiver
    return {
        "finding_id": standing.finding_id,
        "tenant": standing.tenant,
        "domain": standing.domain,
        "control_id": standing.control_id,
        "control_version": standing.control_version,
        "kind": standing.kind,
        "severity": standing.severity,
        "control_severity": standing.control_severity,
        "state": standing.state,
        "owner": life.owner or None,
        "fingerprint": dict(standing.fingerprint),
        "first_seen": standing.first_seen.isoformat(),
        "last_seen": standing.last_seen.isoformat(),
        "looks_at": standing.looks_at,
        "events": standing.events,
        "bytes": standing.bytes,
        "aware_at": _iso(life.aware_at),
        "assessed_at": _iso(life.assessed_at),
        "restated_on": _iso(standing.restated_on),
        "recurred_at": _iso(life.began.known if life.began else None),
        "due": _iso(standing.due.due if standing.due else None),
        "clocks": [
            {
                "control_id": each.clock_id, "start": each.start, "deadline": each.within, "zone": each.zone,
                "runs_from": _iso(each.runs_from), "due": _iso(each.due), "why": each.why or None,
            }
            for each in standing.deadlines
        ],
        "waiver": None
        if waiver is None
        else {
            "waiver_id": waiver.waiver_id, "expires": _iso(waiver.expires), "reason": waiver.reason,
            "proposed_by": waiver.proposed_by, "approved_by": waiver.approved_by,
        },
        "actions": [
            {
                "action": each.action, "at": _iso(each.at), "who": each.who or None, "reason": each.reason or None,
                "detail": each.detail or None, "state": each.state, "refused": each.refused or None,
                "action_id": each.action_id or None, "event_id": each.event_id or None,
            }
            for each in history(standing, now, restated)
        ],
    }  # fmt: skip


def restatement_json(restated: Restatement) -> dict[str, Any]:
    """One restatement, times as RFC 3339."""
    return {
        "at": _iso(restated.at), "looks_at": restated.looks_at, "unit_id": restated.unit_id, "key": dict(restated.key),
        "since": _iso(restated.since), "until": _iso(restated.until), "verdict_before": restated.before,
        "verdict_after": restated.after, "violations_left": restated.left,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
