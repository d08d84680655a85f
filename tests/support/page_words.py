"""One page of the dashboard, run as Streamlit runs it but without a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import streamlit as st
from streamlit.testing.v1 import AppTest

from onshore_dashboard.settings import SECRETS_SECTION, Settings

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT: Final = """
import streamlit as st
from onshore_dashboard import pages
from onshore_dashboard.views import {page}
st.navigation(pages.all_pages())
{page}.show()
"""


def open_page(url: str, credentials: Path, page: str, **parameters: str) -> AppTest:
    """Run one page to its end, with nothing left of what other visitors asked."""
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_string(_SCRIPT.format(page=page), default_timeout=60)
    reader = json.loads(credentials.read_text())["reader"]
    app.secrets[SECRETS_SECTION] = Settings(url, reader["user"], reader["password"]).as_secrets()
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def words_of(app: AppTest) -> str:
    """Everything the page says; nothing in it may have failed."""
    assert not app.exception
    shown = [element.proto.body for element in app.get("html")]
    return "\n".join([*shown, *(title.value for title in app.title), *(code.value for code in app.code)])
