"""Starts the dashboard: `python -m onshore_dashboard --store-url URL --credentials FILE`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from onshore_dashboard.settings import Settings, read_credentials
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOOPBACK = ("127.0.0.1", "localhost")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; 2 when it cannot start."""
    given = _parser().parse_args(arguments)
    try:
        settings = read_settings(given, os.environ)
        from onshore_dashboard.server import listen, serve

        listener = listen(given.address, given.port)
        port = listener.getsockname()[1]
        url = f"http://{'localhost' if given.address in {'0.0.0.0', '::'} else given.address}:{port}"  # noqa: S104
        serve(
            settings,
            listener,
            [*_LOOPBACK, given.address, *given.allowed_host],
            lambda: _say_ready(url, given.ready_file),
            with_parent=given.with_parent,
        )
    except SettingsError as error:
        sys.stderr.write(f"onshore dashboard: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m onshore_dashboard", description="What people look at.")
    add = parser.add_argument
    add("--address", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8501, help="port to listen on; 0 picks a free one (default: %(default)s)")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name that browsers may use for this server",
    )
    add("--store-url", help="ClickHouse's HTTP interface (default: ONSHORE_CLICKHOUSE_URL)")
    add(
        "--credentials",
        type=Path,
        metavar="FILE",
        help="JSON with the store's user and password, or with both as `reader`",
    )
    add("--status-file", "--lag-file", type=Path, metavar="FILE", help="JSON that the worker writes about its lag")
    add("--otlp-http", default="http://127.0.0.1:4318", help="where applications send OTLP over HTTP; shown, not used")
    add("--otlp-grpc", default="http://127.0.0.1:4317", help="the same for gRPC")
    add("--ready-file", type=Path, metavar="FILE", help="written when pages can be asked for")
    add("--with-parent", action="store_true", help="stop when standard input ends")
    return parser


def read_settings(given: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Flags first, then the environment.

    Raises:
        SettingsError: there is no store, its address carries credentials, or they cannot be read.
    """
    store_url = given.store_url or environment.get("ONSHORE_CLICKHOUSE_URL")
    if not store_url:
        raise SettingsError("ONSHORE_CLICKHOUSE_URL", "say where the store is, here or with --store-url")
    parts = urlsplit(store_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("--store-url", "must look like http://127.0.0.1:8123")
    if parts.username or parts.password or parts.query:
        raise SettingsError("--store-url", "must not carry credentials; put them into the --credentials file")
    user, password = read_credentials(given.credentials, environment)
    return Settings(
        store_url=store_url,
        store_user=user,
        store_password=password,
        status_file=given.status_file,
        otlp_http_url=given.otlp_http,
        otlp_grpc_url=given.otlp_grpc,
        context_dir=Path(environment["ONSHORE_CONTEXT_DIR"]) if environment.get("ONSHORE_CONTEXT_DIR") else None,
    )


def _say_ready(url: str, ready_file: Path | None) -> None:
    sys.stdout.write(f"dashboard at {url}\n")
    sys.stdout.flush()
    if ready_file is not None:
        beside = ready_file.with_name(ready_file.name + ".part")
        beside.write_text(json.dumps({"dashboard": url}) + "\n", encoding="utf-8")
        beside.chmod(0o600)
        beside.replace(ready_file)


if __name__ == "__main__":
    sys.exit(main())
