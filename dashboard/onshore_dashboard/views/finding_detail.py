"""One finding: what it is about, the control that found it, and the events behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import streamlit as st

from onshore_dashboard import finding_queries, finding_standings, pages, queries, session, window_queries
from onshore_dashboard.formats import claimed, moment, number, size
from onshore_dashboard.geometry import country_name
from onshore_dashboard.markup import Column, Html, chip, facts, severity, table, text
from onshore_dashboard.summaries import fingerprint
from onshore_dashboard.views.address import named_finding
from onshore_dashboard.views.finding_list import kind_chip, plain
from onshore_dashboard.views.finding_windows import show_windows
from onshore_dashboard.views.scope import jurisdiction_name
from onshore_pipeline.findings.clocks import in_words
from onshore_pipeline.findings.history import WAIVER_EXPIRED, history, restatements
from onshore_pipeline.findings.standing import deleted_events

if TYPE_CHECKING:
    from datetime import datetime

    from streamlit.delta_generator import DeltaGenerator

    from onshore_pipeline.findings.standing import Standing

_COLUMNS: Final = (2.2, 2, 2, 3, 1.2)


def show() -> None:
    """The page of the finding that the address names."""
    finding = named_finding()
    if finding is not None:
        st.page_link(pages.findings(), label="All findings", icon=":material/arrow_back:")
        _show_finding(finding)


def _show_finding(finding: dict[str, Any]) -> None:
    found = _control_of(finding)
    st.title(str(found["title"]) if found else str(finding["control_id"]), anchor=False)
    st.html(f"{severity(finding['severity'])} {kind_chip(finding['kind'])} {text(finding['control_id'])}")
    left, right = st.columns([1, 1.25], gap="large")
    with left:
        st.subheader("What happened")
        st.html(facts(_what_happened(finding)))
    with right:
        st.subheader("What it breaks")
        if found is None:
            st.html('<p class="on-empty">The text of this control is not in the store.</p>')
        else:
            _show_control(found)
    windows = window_queries.finding_windows(session.CALM, UUID(finding["finding"]))
    if windows.height:
        show_windows(windows)
    st.subheader("What was done")
    _show_history(finding)
    st.subheader("Events")
    _show_events(finding, of_windows=windows.height > 0)


def _control_of(finding: dict[str, Any]) -> dict[str, Any] | None:
    """The control of a finding as it was loaded, if its text is in the store."""
    frame = queries.control(session.CALM, str(finding["control_id"]), int(finding["version"]))
    return frame.row(0, named=True) if frame.height else None


def _what_happened(finding: dict[str, Any]) -> list[tuple[str, str | Html | None]]:
    named = [
        (key.replace("_", " "), _with_country(key, value)) for key, value in fingerprint(str(finding["fingerprint"]))
    ]
    standing = _standing(finding)
    return [
        *named,
        ("first seen", _stated(finding["first_seen"])),
        ("last seen", _stated(finding["last_seen"])),
        *_counted(finding, standing),
        *(_stands(standing) if standing else ()),
        ("finding", Html(f"<code>{text(finding['finding'])}</code>")),
    ]


def _standing(finding: dict[str, Any]) -> Standing | None:
    return finding_standings.standing_of(session.CALM, str(finding["finding"]), session.now(), session.folders())


def _counted(finding: dict[str, Any], standing: Standing | None) -> list[tuple[str, str | Html | None]]:
    """How many events and bytes; how many windows, sequences or absences, of which bytes say nothing."""
    left = "" if finding["events"] else ": nothing violates the control any more"
    if standing is not None and standing.looks_at != "event":
        return [("violated by", standing.counted + left)]
    return [
        ("events", number(finding["events"]) + left),
        ("bytes", size(finding["bytes"]) if finding["bytes"] else "none stated"),
    ]


def _stands(standing: Standing) -> list[tuple[str, str | Html | None]]:
    """State, owner, waiver and clocks."""
    waiver, now = standing.waiver, session.now()
    told: list[tuple[str, str | Html | None]] = [
        (
            "state",
            standing.state if waiver is None else Html(f"{chip('waived', 'kind')} below it: {standing.life.state}"),
        ),
        ("owner", standing.life.owner or "nobody"),
    ]
    if waiver is not None:
        people = f"proposed by {waiver.proposed_by}, approved by {waiver.approved_by}"
        told.append(("waiver", f"until {moment(waiver.expires)} UTC, {people}: {waiver.reason}"))
    if standing.life.severity:
        told.append(("severity", f"{standing.severity}; its control says {standing.control_severity}"))
    clocks = (
        (f"clock {each.clock_id}", f"{each.within} from {each.start}: {in_words(each, now)}")
        for each in standing.deadlines
    )
    return [*told, *clocks]


def _show_history(finding: dict[str, Any]) -> None:
    standing = _standing(finding)
    restated = restatements(session.CALM, str(finding["finding"]))
    columns = (Column("When, UTC"), Column("What"), Column("Who"), Column("State"), Column("Why", wide=True))
    rows = [
        (
            moment(step.at),
            f"{step.action.removeprefix('finding.').replace('_', ' ').replace('.', ' ')} {step.detail}".strip(),
            step.who or ("the clock" if step.action == WAIVER_EXPIRED else "the control"),
            f"without effect: {step.refused}" if step.refused else step.state,
            step.reason,
        )
        for step in (history(standing, session.now(), restated) if standing else ())
    ]
    empty = "Nobody has done anything about it yet: onshore findings ack, assign, resolve ... record what people do."
    st.html(table(columns, rows, "What was done about this finding", empty))


def _stated(when: datetime) -> str:
    return claimed(when) if when > session.now() + queries.CREDIBLE_AHEAD else f"{moment(when)} UTC"


def _with_country(key: str, value: str) -> str | None:
    if not value:
        return None
    return f"{country_name(value)} ({value})" if key.endswith("country") else value


def _show_control(control: dict[str, Any]) -> None:
    st.html(
        facts(
            [
                ("instrument", str(control["instrument"])),
                ("jurisdiction", jurisdiction_name(str(control["jurisdiction"]))),
                ("why it matters", str(control["rationale"])),
                ("do first", str(control["remediation"])),
                ("a regulator asks for", str(control["evidence"])),
                ("needs", str(control["needs"])),
                ("certainty", f"{control['confidence']}, checked on {control['checked_on'] or 'no recorded day'}"),
                ("version", f"{control['version']}, in force since {control['effective_from'] or 'an unknown day'}"),
            ]
        )
    )
    with st.expander("The control as it judged"):
        st.code(str(control["text"]), language="yaml", wrap_lines=True)
        st.html(f'<p class="on-note">SHA-256 <code>{text(control["digest"])}</code></p>')


def _show_events(finding: dict[str, Any], *, of_windows: bool) -> None:
    if of_windows:
        found = window_queries.window_events(session.CALM, UUID(finding["finding"]))
        shown = f"{number(found.height)} of those that were looked at"
    else:
        found = finding_queries.finding_events(session.CALM, UUID(finding["finding"]))
        partly = finding["events"] > found.height
        shown = f"The newest {number(found.height)} of {number(finding['events'])}"
        shown = shown if partly else f"All {number(found.height)}"
        if partly and (deleted := deleted_events(session.CALM, str(finding["finding"]))):
            shown += f", of which retention deleted {number(deleted)}"
    st.html(f'<p class="on-note">{shown}. Times are UTC; open one to see every field and the raw text.</p>')
    lines = st.container(key="event-lines", gap="xxsmall")
    heads = lines.columns(_COLUMNS, gap="small")
    for head, name in zip(heads, ("Occurred", "Action", "Actor", "From → to", "Bytes"), strict=True):
        head.html(f'<div class="on-small"><b>{name}</b></div>')
    for row in found.iter_rows(named=True):
        _show_line(lines, finding, row)


def _show_line(lines: DeltaGenerator, finding: dict[str, Any], row: dict[str, Any]) -> None:
    occurred, action, actor, route, weight = lines.columns(_COLUMNS, gap="small")
    occurred.page_link(
        pages.event(),
        label=plain(moment(row["occurred_at"])),
        query_params={"finding": finding["finding"], "event": row["event"], "at": str(row["occurred_ns"])},
    )
    action.html(f"{text(row['action'])} <span class='on-small'>{text(row['outcome'])}</span>")
    actor.html(str(text(row["actor"] or None)))
    reached = f"{text(row['destination_country'])} <span class='on-small'>({text(row['destination_basis'])})</span>"
    route.html(f"{text(row['source_country'])} → {reached}")
    weight.html(size(row["bytes"]))
