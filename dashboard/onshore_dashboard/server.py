"""The web server: Streamlit's application behind our own rules about who may ask and what a page may load."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import socket
import sys
import threading
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit
import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse
from streamlit.starlette import App
from streamlit.web.bootstrap import load_config_options

from onshore_dashboard import theme
from onshore_dashboard.settings import SECRETS_SECTION
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from onshore_dashboard.settings import Settings

FIRST_PAGE_PATH: Final = "/operations"
_SHUTDOWN_SECONDS: Final = 3
_PAGES: Final = "onshore_dashboard.views.compliance"  # brings the libraries that every page needs
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class SovereignHeaders:
    """Adds the headers that let a page load nothing from anybody but this server."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        """Wrap `app`; `policy` is the Content-Security-Policy of every answer."""
        self._app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add our headers to the start of the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self._policy
                headers["Referrer-Policy"] = "same-origin"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class FirstPage:
    """Answers for the first page under its own name too; Streamlit knows it at `/` only."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a browser that asks for the page by name to where it is."""
        if scope["type"] == "http" and scope["path"].rstrip("/") == FIRST_PAGE_PATH:
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"/?{query}" if query else "/")(scope, receive, send)
            return
        await self._app(scope, receive, send)


def content_security_policy(index_html: str) -> str:
    """A policy under which only this server's own files run; `index_html` is the page whose inline scripts may.

    Vega compiles a chart's expressions with Function(), hence 'unsafe-eval'; React writes inline styles.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(index_html))
    inline = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'unsafe-eval' {inline}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def listen(address: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one.

    Raises:
        SettingsError: the address or port cannot be used.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        why = f"{port} on {address} cannot be used ({error.strerror}); choose another, or 0 for a free one"
        raise SettingsError("--port", why) from error
    listener.listen(128)
    return listener


def serve(
    settings: Settings,
    listener: socket.socket,
    allowed_hosts: Sequence[str],
    on_ready: Callable[[], None],
    *,
    with_parent: bool,
) -> None:
    """Serve the dashboard on `listener` until SIGINT or SIGTERM, or until standard input ends (`with_parent`).

    `on_ready` is called once, when pages can be asked for.
    """
    # Its tracebacks add nothing: what the store says comes to us as an error, and into our log as one line.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    address, port = listener.getsockname()[:2]
    load_config_options(_options(address, port, allowed_hosts))
    index = Path(streamlit.__file__).with_name("static") / "index.html"
    app = App(
        Path(str(files("onshore_dashboard") / "app.py")),
        secrets={SECRETS_SECTION: {**settings.as_secrets()}},
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
            Middleware(FirstPage),
            Middleware(SovereignHeaders, policy=content_security_policy(index.read_text(encoding="utf-8"))),
        ],
    )
    server = _Server(
        uvicorn.Config(
            app,
            ws="websockets-sansio",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ),
        on_ready,
    )
    if with_parent:
        threading.Thread(target=_stop_with_parent, args=(server,), name="parent", daemon=True).start()
    server.run(sockets=[listener])


def _options(address: str, port: int, allowed_hosts: Sequence[str]) -> dict[str, object]:
    return {
        "browser.gatherUsageStats": False,
        "browser.serverAddress": address,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": False,
        "server.address": address,
        "server.allowedHosts": list(allowed_hosts),
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.fileWatcherType": "none",
        "server.headless": True,
        "server.maxUploadSize": 1,
        "server.port": port,
        **theme.OPTIONS,
    }


def _stop_with_parent(server: uvicorn.Server) -> None:
    """Stop when standard input ends: whoever started us is gone."""
    while sys.stdin.buffer.read(4096):
        pass
    server.should_exit = True


class _Server(uvicorn.Server):
    """Says when it can be asked, then loads what the first visitor would wait for."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._on_ready()
            threading.Thread(target=import_module, args=(_PAGES,), name="warm up", daemon=True).start()
