"""Access from outside: who, employed by whom, from where, why, approved by whom, until when."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from onshore_dashboard import access_queries, pages, session
from onshore_dashboard.formats import moment
from onshore_dashboard.geometry import country_name
from onshore_dashboard.markup import chip, paragraph, text
from onshore_dashboard.views.finding_list import plain
from onshore_dashboard.views.notices import explained
from onshore_dashboard.views.scope import choose_scope

_WIDTHS: Final = (1.0, 1.3, 1.0, 1.6, 1.6)
_TONES: Final = {"approved": "satisfied", "unknown": "late"}


def show() -> None:
    """The page."""
    st.title("Access from outside")
    scope = choose_scope([])
    with explained():
        found = access_queries.accesses(session.CALM, scope)
        if found.is_empty():
            st.html(
                paragraph(
                    "No access from outside in this period. To see it, connect Google Access Transparency and Access "
                    "Approval, Azure Customer Lockbox, vendors' tickets, and the logs of administrators' sessions: "
                    "docs/sources.md says how.",
                    "empty",
                )
            )
            return
        what = "Providers, vendors, and administrators who are, or whose employer is, abroad; the newest first."
        st.html(paragraph(f"{what} Unknown is not none."))
        for row in found.iter_rows(named=True):
            _entry(row)


def _entry(row: dict[str, Any]) -> None:
    when, who, where, why, approval = st.columns(_WIDTHS, vertical_alignment="top")
    when.page_link(
        pages.event(),
        label=plain(moment(row["occurred_at"])),
        query_params={"tenant": row["tenant"], "event": row["event"], "at": str(row["occurred_ns"])},
    )
    small = "<span class='on-small'>"
    who.html(
        f"{text(row['kind'])} {text(row['actor'])}<br>{small}employed by {text(row['employer'])} · "
        f"{text(row['action'])} {text(row['outcome'])}</span>"
    )
    country = row["country"]
    place = text(f"{country_name(country)} ({country})" if country else None)
    where.html(f"{place}<br>{small}{text(row['basis'])}</span>")
    why.html(f"{text(row['reason'])}<br>{small}{text(row['target'])}</span>")
    until = moment(row["approval_expires_at"]) if row["approval_expires_at"] else None
    state = chip(row["approval"], _TONES.get(row["approval"], "violated"))
    approval.html(f"{state} {small}by {text(row['approval_by'])}, until {text(until)}</span>")
