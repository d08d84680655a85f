"""The narrowing that compliance and findings share; it lives in the address, so that a page can be sent to somebody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import streamlit as st

from onshore_dashboard import queries, session
from onshore_dashboard.geometry import country_name

PERIODS: Final[dict[str, timedelta | None]] = {
    "24 hours": timedelta(days=1),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
    "90 days": timedelta(days=90),
    "12 months": timedelta(days=365),
    "all time": None,
}
DEFAULT_PERIOD: Final = "30 days"
ANY: Final = "all"


def choose_scope(controls: list[str]) -> queries.Scope:
    """Ask for tenant, jurisdiction and period.

    `controls` are the jurisdictions there are controls of. A value in the address that is none of the choices is
    dropped by the widget, so nothing but a choice ever reaches a query.
    """
    first, second, third, _ = st.columns([1.1, 1, 0.8, 1.2], vertical_alignment="bottom")
    tenant = first.selectbox("Tenant", [ANY, *queries.tenants(session.CALM)], key="tenant", bind="query-params")
    jurisdiction = second.selectbox("Jurisdiction", [ANY, *controls], key="jurisdiction", bind="query-params")
    period = third.selectbox(
        "Events of the last",
        list(PERIODS),
        index=list(PERIODS).index(DEFAULT_PERIOD),
        key="period",
        bind="query-params",
    )
    return queries.Scope(
        tenant=None if tenant in {ANY, None} else tenant,
        jurisdiction=None if jurisdiction in {ANY, None} else jurisdiction,
        since=since(PERIODS.get(period or DEFAULT_PERIOD), session.now()),
    )


def since(length: timedelta | None, now: datetime) -> datetime | None:
    """The start of the hour in which a period began: verdicts are counted by the hour."""
    return None if length is None else (now - length).replace(minute=0, second=0, microsecond=0)


def jurisdiction_name(jurisdiction: str) -> str:
    """A jurisdiction as people say it."""
    if jurisdiction == "*":
        return "Every jurisdiction"
    return f"{country_name(jurisdiction)} ({jurisdiction})"
