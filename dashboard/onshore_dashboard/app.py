"""The script that Streamlit runs for every visit: which page, and what to show when there is nothing to show."""

from __future__ import annotations

import streamlit as st

from onshore_dashboard import pages, session, theme
from onshore_dashboard.queries import anything_committed
from onshore_dashboard.views import first_steps, notices
from onshore_pipeline.errors import OnshoreError


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="Onshore", page_icon=pages.ICON, layout="wide", initial_sidebar_state="collapsed")
    st.logo(pages.LOGO, size="medium")
    st.html(theme.STYLE)
    page = st.navigation(pages.all_pages(), position="top")
    try:
        if anything_committed(session.LIVE):
            page.run()
        else:
            first_steps.show()
    except OnshoreError as error:
        notices.show_no_answer(error)


main()
