"""Findings: what people must look at, what is due first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from onshore_dashboard import finding_standings, queries, session, summaries
from onshore_dashboard.finding_queries import MOST_FINDINGS, FindingFilter
from onshore_dashboard.formats import number
from onshore_dashboard.markup import Html, severity
from onshore_dashboard.summaries import controls_of
from onshore_dashboard.views import notices
from onshore_dashboard.views.finding_list import show_findings
from onshore_dashboard.views.scope import ANY, choose_scope
from onshore_pipeline.domain.control import SEVERITIES
from onshore_pipeline.findings.life import STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.findings.standing import Standing

_LAST_PAGE: Final = 1000


def show() -> None:
    """The page."""
    st.title("Findings")
    controls = queries.controls(session.CALM)
    scope = choose_scope(sorted(set(controls["jurisdiction"]), key=lambda code: (code == "*", code)))
    first, second, third, fourth = st.columns([1.2, 1, 1, 0.7], vertical_alignment="bottom")
    wanted_control = first.selectbox(
        "Control", [ANY, *sorted(set(controls["control_id"]))], key="control", bind="query-params"
    )
    wanted_severity = second.selectbox("Severity", [ANY, *reversed(SEVERITIES)], key="severity", bind="query-params")
    wanted_state = third.selectbox("State", [ANY, *STATES], key="state", bind="query-params")
    page = fourth.number_input("Page", 1, _LAST_PAGE, 1, key="page", bind="query-params")
    wanted = FindingFilter(
        scope,
        severity=None if wanted_severity in {ANY, None} else wanted_severity,
        control_id=None if wanted_control in {ANY, None} else wanted_control,
    )
    state = next((each for each in STATES if each == wanted_state), None)
    within = controls_of(controls, scope.jurisdiction)
    now = session.now()
    found = finding_standings.standing_findings(session.CALM, wanted, state, within, now, session.folders())
    notices.show_unusable_keys()
    st.html(_counted(found))
    shown = found[(int(page) - 1) * MOST_FINDINGS : int(page) * MOST_FINDINGS]
    titles = summaries.control_titles(controls)
    show_findings(finding_standings.as_rows(shown), titles, now, finding_standings.by_id(shown))
    if len(found) > MOST_FINDINGS:
        last = -(-len(found) // MOST_FINDINGS)
        st.html(f'<p class="on-note">Page {number(int(page))} of {number(last)}, {MOST_FINDINGS} to a page.</p>')


def _counted(found: Sequence[Standing]) -> Html:
    by_severity = finding_standings.counted(found)
    parts = " ".join(
        f'<span class="on-pair">{severity(level)} {number(by_severity[level])}</span>'
        for level in SEVERITIES[::-1]
        if by_severity[level]
    )
    waived = sum(each.waiver is not None for each in found)
    waiting = f" {number(waived)} of them wait under a waiver." if waived else ""
    order = "what is due first, then the most severe"
    return Html(f'<p class="on-lead">{number(len(found))} findings, {order}.{waiting} {parts}</p>')
