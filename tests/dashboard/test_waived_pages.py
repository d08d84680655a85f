"""Findings under a waiver are marked and counted on the pages, and left out of no count."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import otlp_messages as otlp
from auditing import waive
from embedded_pipeline import Pipeline, running_pipeline
from onshore_dashboard.settings import SECRETS_SECTION, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = """
import streamlit as st
from onshore_dashboard import pages
from onshore_dashboard.views import {page}
st.navigation(pages.all_pages())
{page}.show()
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Two tenants have a finding each; one of them is waived."""
    with running_pipeline(tmp_path_factory.mktemp("waived") / "data") as running:
        for tenant in ("waiving", "other"):
            running.send("otlp_logs", [otlp.logs([otlp.movement()], at_ns=time.time_ns())], tenant=tenant)
        running.work()
        running.sequence()
        waive(running, "waiving")
        yield running
    st.cache_data.clear()
    st.cache_resource.clear()


def _words(pipeline: Pipeline, page: str) -> str:
    known = json.loads((pipeline.settings.data_dir / "credentials.json").read_text())["reader"]
    app = AppTest.from_string(_SCRIPT.format(page=page), default_timeout=60)
    told = Settings(pipeline.url, known["user"], known["password"], context_dir=pipeline.settings.data_dir)
    app.secrets[SECRETS_SECTION] = told.as_secrets()
    app.run()
    assert not app.exception
    return "\n".join(element.proto.body for element in app.get("html"))


def test_the_board_s_page_counts_what_waits_under_a_waiver_and_leaves_none_out(pipeline: Pipeline) -> None:
    words = _words(pipeline, "compliance")
    assert "1 of 2 findings wait under a waiver; none is left out of any count." in words
    assert words.count("waived</span>") == 1


def test_the_list_of_findings_counts_and_marks_it(pipeline: Pipeline) -> None:
    words = _words(pipeline, "findings")
    assert "2 findings, what is due first, then the most severe. 1 of them wait under a waiver." in words
    assert words.count("waived</span>") == 1
