"""The pages and their addresses. Whatever a page shows stands in its address, so that it can be sent to somebody."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import streamlit as st

ICON: Final = str(files("onshore_dashboard") / "icon.svg")
LOGO: Final = str(files("onshore_dashboard") / "logo.svg")


def all_pages() -> list[st.Page]:
    """Every page, those of the navigation in its order."""
    return [operations(), compliance(), findings(), access(), coverage(), controls(), finding(), event()]


def operations() -> st.Page:
    """What a SOC watches."""
    from onshore_dashboard.views import operations as view

    return st.Page(view.show, title="Operations", url_path="operations", default=True)


def compliance() -> st.Page:
    """What a board asks."""
    from onshore_dashboard.views import compliance as view

    return st.Page(view.show, title="Compliance", url_path="compliance")


def findings() -> st.Page:
    """What people must look at."""
    from onshore_dashboard.views import findings as view

    return st.Page(view.show, title="Findings", url_path="findings")


def access() -> st.Page:
    """Who reached in from outside."""
    from onshore_dashboard.views import access as view

    return st.Page(view.show, title="Access", url_path="access")


def coverage() -> st.Page:
    """What should have been seen, and what of it was."""
    from onshore_dashboard.views import coverage as view

    return st.Page(view.show, title="Coverage", url_path="coverage")


def controls() -> st.Page:
    """Every control in plain words."""
    from onshore_dashboard.views import controls as view

    return st.Page(view.show, title="Controls", url_path="controls")


def finding() -> st.Page:
    """One finding; its id is the parameter `finding`."""
    from onshore_dashboard.views import finding_detail as view

    return st.Page(view.show, title="Finding", url_path="finding", visibility="hidden")


def event() -> st.Page:
    """One event: parameters `event` (an id), `at` (nanoseconds since the epoch), and `finding` or `tenant`."""
    from onshore_dashboard.views import event_detail as view

    return st.Page(view.show, title="Event", url_path="event", visibility="hidden")
