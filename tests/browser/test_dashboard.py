"""The dashboard in a real browser: every page, every request, nothing from anybody else."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

import coverage_history
import dashboard_history
import runs_history
from dashboard_stack import RunningStore, running_dashboard, running_store
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.rule_texts import keep_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from watched_page import Watch

WIDTHS = (1440, 800)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_reader_walks_from_the_figures_to_the_raw_text(dashboard: str, watch: Watch, width: int) -> None:
    watched = watch(dashboard, width)
    page = watched.page
    watched.open("/", "Events a second")
    page.get_by_text("missing in").first.wait_for()
    assert _fits(page)

    page.get_by_role("link", name="Compliance").first.click()
    page.get_by_text("applicable verdicts").first.wait_for()
    page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)").first.wait_for()
    page.get_by_text("cannot be drawn").wait_for()
    assert _fits(page)

    page.get_by_role("link", name="All findings").click()
    page.get_by_text("findings, what is due first").wait_for()
    page.get_by_role("link", name="My Health Record data is handled outside Australia").first.click()
    page.get_by_text("Stop the flow, then ask its owner for the basis.").wait_for()
    assert "finding" in parse_qs(urlsplit(page.url).query)
    page.locator(".st-key-event-lines a").first.click()
    page.get_by_text("<b>raw & untouched</b>").wait_for()
    assert {"finding", "event", "at"} <= set(parse_qs(urlsplit(page.url).query))
    assert _fits(page)

    page.go_back()
    page.get_by_text("What it breaks").wait_for()
    page.go_forward()
    page.get_by_text("<b>raw & untouched</b>").wait_for()
    page.reload()  # the address alone leads here
    page.get_by_text("<b>raw & untouched</b>").wait_for()
    page.get_by_role("link", name="Back to the finding").click()
    page.get_by_text("What it breaks").wait_for()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard over a store that holds the texts of the controls that ship."""
    with running_store(tmp_path_factory.mktemp("shipped")) as store:
        admin = store.admin()
        dashboard_history.fill(admin, datetime.now(UTC).replace(microsecond=0))
        coverage_history.fill(admin, datetime.now(UTC).replace(microsecond=0))
        runs_history.fill(admin, datetime.now(UTC).replace(microsecond=0))
        keep_controls(admin, load_controls())
        admin.close()
        with running_dashboard(tmp_path_factory.mktemp("shipped-dashboard"), store.url, store.credentials) as url:
            yield url


@pytest.mark.parametrize("width", WIDTHS)
def test_the_controls_that_ship_can_be_read_searched_and_narrowed(shipped: str, watch: Watch, width: int) -> None:
    watched = watch(shipped, width)
    page = watched.page
    watched.open("/controls?status=executable", "Not legal advice")
    page.get_by_text("My Health Record data held or taken outside Australia").click()
    page.get_by_text("The system operator, registered repository and portal operators").wait_for()
    page.get_by_text("a backup of the repository lands in Singapore").wait_for()
    assert _fits(page)

    page.get_by_label("Search").fill("no such thing anywhere")
    page.get_by_label("Search").press("Enter")
    page.get_by_text("No control fits").wait_for()
    page.get_by_label("Search").fill("weights")
    page.get_by_label("Search").press("Enter")
    page.get_by_text("Model weights leave their home").wait_for()
    assert parse_qs(urlsplit(page.url).query)["search"] == ["weights"]


@pytest.mark.parametrize("width", [1440, 800, 420])
def test_coverage_says_who_is_silent_and_what_to_do_and_fits_a_telephone(
    shipped: str, watch: Watch, width: int
) -> None:
    watched = watch(shipped, width)
    page = watched.page
    watched.open("/coverage", "trail of the production account")
    page.get_by_text("Ask the owner that the register names").wait_for()
    page.get_by_text("Rows of the register that would expect them").click()
    page.get_by_text("edge-9").last.wait_for()
    page.get_by_text("Runs of controls, hour by hour").wait_for()
    page.get_by_text("1,200 sealed events, last in the hour from").first.wait_for()
    page.get_by_text("Every control (").click()
    page.get_by_text("it counts windows").wait_for()
    assert _fits(page)


def test_filters_stand_in_the_address(dashboard: str, watch: Watch) -> None:
    watched = watch(dashboard)
    watched.open("/compliance?jurisdiction=JP&period=7+days", "applicable verdicts")
    page = watched.page
    page.get_by_text("JP-APPI28-01").first.wait_for()
    assert page.get_by_text("AU-APP8-01").count() == 0
    page.get_by_label("Tenant").click()
    page.get_by_role("option", name="hoshi-bank").click()
    page.wait_for_url("**tenant=hoshi-bank**")


def test_an_open_page_keeps_itself_up_to_date_without_moving(tmp_path: Path, watch: Watch) -> None:
    with running_store(tmp_path) as store, running_dashboard(tmp_path, store.url, store.credentials) as url:
        watched = watch(url)
        page = watched.page
        watched.open("/", "Nothing has arrived yet")
        page.get_by_text("onshore demo").wait_for()
        _fill(store)
        page.get_by_text("Events a second").first.wait_for(timeout=15_000)  # nobody reloaded it
        page.get_by_text("missing in").first.wait_for()

        tile = page.locator(".on-value").nth(3)
        assert tile.inner_text() == "3"
        page.evaluate(_START_WATCHING)
        _add_dead_letter(store)
        page.wait_for_function("document.querySelectorAll('.on-value')[3].innerText === '4'", timeout=15_000)
        page.wait_for_function("window.onshoreTicks > 60")
        moved = page.evaluate("window.onshoreMoved")
        assert moved["blank"] == 0
        assert moved["dim"] == 0
        assert moved["jumped"] <= 1  # the new line in the table
        watched.close()


def test_a_page_without_a_store_says_so_and_comes_back_by_itself(tmp_path: Path, watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    credentials = tmp_path / "credentials.json"
    with running_store(tmp_path, port=port) as store:
        _fill(store)
    with running_dashboard(tmp_path, f"http://127.0.0.1:{port}", credentials) as url:
        watched = watch(url)
        watched.open("/", "The store does not answer")
        password = json.loads(credentials.read_text())["reader"]["password"]
        assert password not in watched.page.content()
        with running_store(tmp_path, port=port):
            watched.page.get_by_text("Events a second").first.wait_for()
        watched.close()


def _fill(store: RunningStore) -> None:
    admin = store.admin()
    dashboard_history.fill(admin, datetime.now(UTC).replace(microsecond=0), events=2000)
    admin.close()


def _add_dead_letter(store: RunningStore) -> None:
    admin = store.admin()
    admin.command(
        "INSERT INTO dead_letters (* EXCEPT(headers, clock, headers_trusted)) VALUES"
        f" ('{dashboard_history.COMMITTED}', generateUUIDv4(), 'klang-energy',"
        f" 'otlp_logs', '{dashboard_history.TOPIC}', 0, 31, [], 'decode', 'one more', now64(9), '')"
    )
    admin.close()


def _fits(page: Page) -> bool:
    """Whether nothing makes the page itself scroll sideways."""
    return bool(page.evaluate("(main => main.scrollWidth <= main.clientWidth)(document.querySelector('.stMain'))"))


# Looks at every frame that is drawn: is the page ever without its tiles, faded, or of another height than just before?
_START_WATCHING = """() => {
  window.onshoreTicks = 0;
  window.onshoreMoved = {blank: 0, dim: 0, jumped: 0};
  let height = null;
  const look = () => {
    window.onshoreTicks += 1;
    const moved = window.onshoreMoved;
    const tiles = document.querySelectorAll('.on-tile');
    if (tiles.length !== 6) moved.blank += 1;
    for (const box of document.querySelectorAll('[data-testid=stElementContainer]'))
      if (parseFloat(getComputedStyle(box).opacity) < 0.9) { moved.dim += 1; break; }
    const now = document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight;
    if (height !== null && Math.abs(now - height) > 1) moved.jumped += 1;
    height = now;
    requestAnimationFrame(look);
  };
  look();
}"""
