"""A page in a browser that writes down every request it makes and everything it complains about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

# A page below the root first asks for the server beneath its own address, and is told that it is not there.
_PROBES = ("/_stcore/health", "/_stcore/host-config")


@dataclass(slots=True)
class Watched:
    """A page with everything it asked for and complained about."""

    page: Page
    url: str
    origins: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str, words: str) -> None:
        """Go to an address of the dashboard and wait until it shows some words."""
        self.page.goto(self.url + address)
        self.page.get_by_text(words).first.wait_for()

    def note(self, address: str) -> None:
        """Keep whom a request went to; what a page made for itself (data:) went nowhere."""
        if whom := origin(address):
            self.origins.add(whom)

    def complain(self, message: ConsoleMessage) -> None:
        """Keep what the browser's console calls an error or a warning."""
        probed = message.location.get("url", "").endswith(_PROBES)
        if message.type in {"error", "warning"} and not (probed and "404" in message.text):
            self.complaints.append(message.text)

    def close(self) -> None:
        """Close the browser profile and everything in it."""
        self.page.context.close()

    def assert_kept_to_itself(self) -> None:
        """It asked nobody but its own server for anything, and nothing went wrong in it."""
        assert self.origins == {origin(self.url)}
        assert self.complaints == []


class Watch(Protocol):
    """Opens a watched page of a dashboard."""

    def __call__(self, url: str, width: int = 1440) -> Watched:
        """`url` is the dashboard's address, `width` the window's in pixels."""
        ...


def watched_page(browser: Browser, url: str, width: int) -> Watched:
    """A page in a fresh browser profile; nothing has been opened in it yet."""
    context = browser.new_context(viewport={"width": width, "height": 1000})
    watched = Watched(context.new_page(), url)
    watched.page.set_default_timeout(30_000)
    context.on("request", lambda request: watched.note(request.url))
    watched.page.on("websocket", lambda connection: watched.note(connection.url))
    watched.page.on("console", lambda message: watched.complain(message))  # noqa: PLW0108 - Playwright marks a method's owner
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    return watched


def origin(url: str) -> str:
    """Host and port; what a page made for itself (blob:, data:) belongs to the page."""
    parts = urlsplit(url.removeprefix("blob:"))
    return parts.netloc
