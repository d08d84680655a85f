"""Coverage as the dashboard shows it: what is missing, what to do about it, and how to say who must be heard."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import streamlit as st

import coverage_history
import dashboard_history
import runs_history
from dashboard_stack import running_store
from onshore_dashboard import coverage_figures, coverage_queries, run_queries
from onshore_dashboard.coverage_figures import Figures, Seen
from onshore_pipeline.context.expected_sources import Sender, read_register
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.rule_texts import keep_controls
from page_words import open_page, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from dashboard_stack import RunningStore
    from onshore_pipeline.store.reader import Reader


@pytest.fixture(scope="module")
def covered(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[RunningStore]:
    """A store with a measurement, and the texts of the controls that ship."""
    with running_store(tmp_path_factory.mktemp("covered")) as store:
        admin = store.admin()
        dashboard_history.fill(admin, now, events=100)
        coverage_history.fill(admin, now)
        runs_history.fill(admin, now)
        keep_controls(admin, load_controls())
        admin.close()
        yield store


@pytest.fixture
def reader(covered: RunningStore) -> Iterator[Reader]:
    reader = covered.reader()
    yield reader
    reader.close()


def test_figures_count_each_source_once_and_leave_unknown_out_of_every_share(reader: Reader) -> None:
    rows = coverage_queries.coverage(reader, None)
    assert coverage_figures.figures(rows) == Figures(
        sources=2, silent=1, time=Seen(10 * 86_400, 11 * 86_400), numbers=Seen(990, 1000), wrong=4, unregistered=1
    )


def test_a_tenant_sees_its_own_rows_and_those_of_the_whole_installation(reader: Reader) -> None:
    rows = coverage_queries.coverage(reader, "hoshi-bank")
    assert set(rows["tenant"]) == {"hoshi-bank", ""}
    assert "hoshi-bank" in coverage_queries.tenants(reader)
    assert coverage_queries.coverage(reader, "' OR 1=1 --")["tenant"].unique().to_list() == [""]


def test_the_page_says_who_is_silent_what_is_missing_and_what_to_do(covered: RunningStore) -> None:
    words = words_of(open_page(covered.url, covered.credentials, "coverage"))
    for said in (
        "trail of the production account", "silent since yesterday", "cloud platform team", "90.9 %", "1 of 2",
        "Ask the owner that the register names", "10 numbers never came", "99.0 %", "up to 300 s behind",
        "which their decoder drops", "edge-9", "collector: &quot;edge-9&quot;", "numbers 5 to 14",
    ):  # fmt: skip
        assert said in words or said.replace("&quot;", '"') in words
    assert "<b>r-1</b>" not in words


def test_a_page_without_a_register_offers_one_that_can_be_read_and_expects_who_was_heard(
    tmp_path: Path, now: datetime
) -> None:
    with running_store(tmp_path) as store:
        admin = store.admin()
        dashboard_history.fill(admin, now, events=100)
        assert "not measured yet" in words_of(open_page(store.url, store.credentials, "coverage"))
        coverage_history.fill(admin, now, registered=False)
        admin.close()
        reader = store.reader()
        offered = coverage_figures.suggested_register(coverage_queries.coverage(reader, None), now)
        reader.close()
    (tmp_path / "expected_sources.yaml").write_text(offered)
    (source,) = read_register(tmp_path).sources
    assert source.recognises(Sender("lion-city-port", "edge-9", "otlp.log", "otlp_logs", ""))
    assert source.since < now


def test_where_nobody_was_heard_the_example_is_a_register_too(tmp_path: Path, reader: Reader, now: datetime) -> None:
    nothing = coverage_queries.coverage(reader, None).clear()
    (tmp_path / "expected_sources.yaml").write_text(coverage_figures.suggested_register(nothing, now))
    (source,) = read_register(tmp_path).sources
    assert source.tenant == "acme"


def test_a_page_that_cannot_show_every_row_says_so(covered: RunningStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is more than fits" not in words_of(open_page(covered.url, covered.credentials, "coverage"))
    monkeypatch.setattr(coverage_queries, "MOST_ROWS", 3)
    st.cache_data.clear()
    assert "the 3 worst rows stand here" in words_of(open_page(covered.url, covered.credentials, "coverage"))


def test_runs_are_told_by_control_with_hours_expected_run_and_missing(reader: Reader, now: datetime) -> None:
    runs = {row["control_id"]: row for row in run_queries.runs(reader, now - timedelta(days=1)).to_dicts()}
    assert set(runs) == {*runs_history.RUNNING, runs_history.MISSED, "SOV-19-01"}
    missed = runs[runs_history.MISSED]
    assert (missed["expected"], missed["run"], missed["missing"], missed["events_missed"]) == (3, 2, 1, 1200)
    assert missed["title"]
    assert {runs[name]["missing"] for name in (*runs_history.RUNNING, "SOV-19-01")} == {0}
    assert run_queries.runs(reader, now + timedelta(days=1)).is_empty()
    [sealed] = run_queries.seals(reader, now - timedelta(days=1)).to_dicts()
    assert (sealed["hours"], sealed["sealed"]) == (3, 1)


def test_the_page_names_the_control_that_missed_an_hour_and_says_when_none_has_run(
    covered: RunningStore, empty_store: RunningStore
) -> None:
    words = words_of(open_page(covered.url, covered.credentials, "coverage"))
    for said in ("1 of 3", "1,200 sealed events, last in the hour from", "SOV-19-01", "it counts windows"):
        assert said in words
    empty = words_of(open_page(empty_store.url, empty_store.credentials, "coverage"))
    assert "No control has run yet" in empty
