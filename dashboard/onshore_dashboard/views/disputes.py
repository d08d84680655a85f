"""Where two sources disagree about where something is: both claims, and an event to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from onshore_dashboard import dispute_queries, session
from onshore_dashboard.formats import moment, number
from onshore_dashboard.markup import Column, Html, paragraph, table, text
from onshore_dashboard.views.notices import explained

if TYPE_CHECKING:
    from onshore_dashboard.queries import Scope


@st.fragment(run_every="30s")
def show_disputes(scope: Scope) -> None:
    """A line each pair of claims."""
    with explained():
        found = dispute_queries.disputes(session.CALM, scope)
        columns = (
            Column("Tenant"), Column("What"), Column("One says, another says", wide=True), Column("Format"),
            Column("Events", numeric=True), Column("First, last, UTC"), Column("Newest"),
        )  # fmt: skip
        st.html(
            table(
                columns,
                (_line(row) for row in found.iter_rows(named=True)),
                "Claims that disagree",
                "No two claims about a place disagree in this period and scope.",
            )
        )
        if found.height == dispute_queries.MOST_DISPUTES:
            st.html(paragraph(f"The {number(found.height)} of most events; narrow period or tenant for others."))


def _line(row: dict[str, Any]) -> tuple[str | Html | None, ...]:
    address = urlencode({"event": row["event"], "at": row["occurred_ns"], "tenant": row["tenant"]})
    return (
        row["tenant"],
        row["subject"],
        Html("<br>".join(str(text(claim.replace("=", ": ", 1))) for claim in str(row["claims"]).split(","))),
        row["format"],
        number(row["events"]),
        Html(f"{text(moment(row['first']))}<br>{text(moment(row['last']))}"),
        Html(f'<a href="event?{text(address)}">event</a>'),
    )
