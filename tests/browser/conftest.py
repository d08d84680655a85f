"""A real browser, and pages that write down every request they make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

import dashboard_history
from dashboard_stack import CHROMIUM, CHROMIUM_FLAGS, RunningStore, running_dashboard, running_store
from watched_page import watched_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from watched_page import Watch, Watched


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    """A store that holds `dashboard_history`."""
    with running_store(tmp_path_factory.mktemp("store")) as store:
        admin = store.admin()
        dashboard_history.fill(admin, datetime.now(UTC).replace(microsecond=0))
        admin.close()
        yield store


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory, filled: RunningStore) -> Iterator[str]:
    """The address of a dashboard over the filled store."""
    with running_dashboard(tmp_path_factory.mktemp("dashboard"), filled.url, filled.credentials) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without its own errands."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def watch(browser: Browser) -> Iterator[Watch]:
    """Opens watched pages; at the end, none of them may have asked anybody else for anything, or complained."""
    opened: list[Watched] = []

    def open_watched(url: str, width: int = 1440) -> Watched:
        opened.append(watched_page(browser, url, width))
        return opened[-1]

    yield open_watched
    for watched in opened:
        watched.close()
        watched.assert_kept_to_itself()
