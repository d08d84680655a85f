"""Findings: what people must look at, the worst first."""

from __future__ import annotations

from typing import Final

import streamlit as st

from onshore_dashboard import finding_queries, queries, session, summaries
from onshore_dashboard.finding_queries import MOST_FINDINGS, FindingFilter
from onshore_dashboard.formats import number
from onshore_dashboard.markup import Html, severity
from onshore_dashboard.views.finding_list import show_findings
from onshore_dashboard.views.scope import ANY, choose_scope
from onshore_pipeline.domain.control import SEVERITIES

_LAST_PAGE: Final = 1000


def show() -> None:
    """The page."""
    st.title("Findings")
    controls = queries.controls(session.CALM)
    scope = choose_scope(sorted(set(controls["jurisdiction"]), key=lambda code: (code == "*", code)))
    first, second, third, _ = st.columns([1.1, 1, 0.8, 1.2], vertical_alignment="bottom")
    wanted_control = first.selectbox(
        "Control", [ANY, *sorted(set(controls["control_id"]))], key="control", bind="query-params"
    )
    wanted_severity = second.selectbox("Severity", [ANY, *reversed(SEVERITIES)], key="severity", bind="query-params")
    page = third.number_input("Page", 1, _LAST_PAGE, 1, key="page", bind="query-params")
    wanted = FindingFilter(
        scope,
        severity=None if wanted_severity in {ANY, None} else wanted_severity,
        control_id=None if wanted_control in {ANY, None} else wanted_control,
    )
    counts = finding_queries.finding_counts(session.CALM, wanted)
    total = int(counts["findings"].sum())
    st.html(_counted(total, dict(counts.select("severity", "findings").iter_rows())))
    found = finding_queries.findings(session.CALM, wanted, session.now(), offset=(int(page) - 1) * MOST_FINDINGS)
    show_findings(found, summaries.control_titles(controls), session.now())
    if total > MOST_FINDINGS:
        last = -(-total // MOST_FINDINGS)
        st.html(f'<p class="on-note">Page {number(int(page))} of {number(last)}, {MOST_FINDINGS} to a page.</p>')


def _counted(total: int, by_severity: dict[str, int]) -> Html:
    parts = " ".join(f"{severity(level)} {number(count)}" for level, count in by_severity.items())
    return Html(f'<p class="on-lead">{number(total)} findings, the most severe first. {parts}</p>')
