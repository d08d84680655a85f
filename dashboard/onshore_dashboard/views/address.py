"""What an address may name: ids and moments, parsed before anything else sees them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import streamlit as st

from onshore_dashboard import finding_queries, pages, session
from onshore_dashboard.markup import paragraph

_LARGEST: Final = 2**63 - 1


def named_finding() -> dict[str, Any] | None:
    """The finding that the address names (a row of `finding_queries.finding`); else says that there is none."""
    finding_id = parse_id(st.query_params.get("finding"))
    found = None if finding_id is None else finding_queries.finding(session.CALM, finding_id)
    if found is None or found.is_empty():
        show_nothing("finding")
        return None
    return found.row(0, named=True)


def show_nothing(what: str) -> None:
    """Say that the address names a `what` that is not there, and offer the list."""
    st.page_link(pages.findings(), label="All findings", icon=":material/arrow_back:")
    st.title(f"No such {what}")
    st.html(paragraph(f"The address names no {what} that is in the store, or it is not there any more.", "empty"))


def parse_id(given: str | None) -> UUID | None:
    """An id; None when it is none."""
    try:
        return UUID(given) if given else None
    except ValueError:
        return None


def parse_count(given: str | None) -> int | None:
    """A natural number that fits into 63 bits; None when it is none."""
    if not given or len(given) > len(str(_LARGEST)) or not (given.isascii() and given.isdigit()):
        return None
    return int(given) if int(given) <= _LARGEST else None
