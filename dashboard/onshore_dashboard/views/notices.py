"""What a page says instead of its figures."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Final

import streamlit as st

from onshore_dashboard import session
from onshore_dashboard.markup import Html, paragraph
from onshore_dashboard.queries import anything_committed
from onshore_pipeline.errors import OnshoreError, StoreUnavailable
from onshore_pipeline.findings.people_keys import usable_people

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG: Final = logging.getLogger(__name__)


def no_answer(error: OnshoreError) -> Html:
    """Why there are no figures and what to check. Says where the store should be, never with whose password."""
    where = f"<code>{escape(session.settings().store_url)}</code>"
    if isinstance(error, StoreUnavailable):
        what = "The store does not answer"
        check = (
            f"Check that the store runs and can be reached at {where}: <code>onshore status</code> says which part "
            "is down, <code>onshore doctor</code> what is wrong with it. Nothing is lost meanwhile: what was "
            "acknowledged to a sender waits in the log."
        )
    else:
        what = "The store refused the question"
        check = (
            f"The store at {where} answered and said no. Check that the dashboard's user exists, that its password is "
            "the one in the credentials file, and that <code>onshore migrate --plan</code> lists nothing. The "
            "dashboard's log holds the store's own words."
        )
    return Html(
        f'<div class="on-notice" role="alert"><b>{what}.</b><p>No figure is shown, because none can be vouched for. '
        f"The dashboard asks again by itself.</p><p>{check}</p></div>"
    )


def show_unusable_keys() -> None:
    """Name people's keys that cannot be used: what they signed is not in force until they are mended."""
    _, unusable = usable_people(session.folders().keys)
    if unusable:
        files = "".join(f"<p>{escape(str(error))}</p>" for error in unusable)
        lead = "<b>Waivers that these keys signed are not in force.</b>"
        st.html(Html(f'<div class="on-notice" role="alert">{lead}{files}</div>'))


@contextmanager
def explained() -> Iterator[None]:
    """Show what to check when the store fails inside a part of a page that refreshes itself."""
    try:
        yield
    except OnshoreError as error:
        _LOG.warning("no answer from the store: %s", error)
        st.html(no_answer(error))


def show_no_answer(error: OnshoreError) -> None:
    """Say why there is nothing to see, and come back to the page as soon as the store answers."""
    _LOG.warning("no answer from the store: %s", error)
    st.title("No figures")
    st.html(no_answer(error))
    _retry()


@st.fragment(run_every="3s")
def _retry() -> None:
    try:
        anything_committed(session.LIVE)
    except OnshoreError:
        st.html(paragraph(f"Last tried at {session.now():%H:%M:%S} UTC."))
    else:
        st.rerun()
