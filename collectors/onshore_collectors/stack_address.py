"""Where a collector sends to, and what it shows there: an address that was named, else the running stack's."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from onshore_pipeline.errors import BrokerUnavailable, OnshoreError, SettingsError
from onshore_pipeline.settings import load_settings, read_secret
from onshore_pipeline.stack import DataDir, running_stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PORTS: Final = {"http": 80, "https": 443}
_LOOK_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ReceiverAddress:
    """An OTLP/HTTP receiver.

    Attributes:
        endpoint: base address such as `http://127.0.0.1:4318`.
        headers: sent with every request; holds the token, so it is not shown.
        name: what positions in files are kept by: the address that was named, or `stack` for the data directory's own,
            whose port may be another one after every start.
    """

    endpoint: str
    headers: Mapping[str, str]
    name: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"ReceiverAddress({self.endpoint})"


def data_folder(data_dir: Path | None) -> DataDir:
    """The data directory: the one given, else by settings. Raises `SettingsError` when a setting is malformed."""
    return DataDir(load_settings({"data_dir": data_dir}).data_dir)


def find_receiver(otlp: str | None, token_file: Path | None, data_dir: Path | None) -> ReceiverAddress:
    """The receiver at `otlp`, else the one of the stack that `onshore up` runs in the data directory.

    Raises:
        SettingsError: the address or the token is unusable.
        OnshoreError: no address was given and no stack runs in the data directory.
    """
    headers = {"authorization": f"Bearer {_read_token(token_file)}"} if token_file is not None else {}
    if otlp is not None:
        endpoint_of(otlp)
        return ReceiverAddress(otlp, headers, otlp.rstrip("/"))
    try:
        stack = running_stack(load_settings({"data_dir": data_dir}))
    except SettingsError as error:
        if error.name != "data_dir":
            raise
        raise OnshoreError(f"{error.why}; a receiver elsewhere is named with --otlp http://HOST:4318") from None
    return ReceiverAddress(stack["otlp_http"], headers, "stack")


def endpoint_of(endpoint: str) -> tuple[str, int]:
    """Host and port of an http or https address. Raises `SettingsError` when it is none."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError("--otlp", f"{endpoint!r} is no address: {error}") from None
    if parts.scheme not in _PORTS or not host:
        raise SettingsError("--otlp", f"{endpoint!r} is not an address like http://127.0.0.1:4318")
    return host, port or _PORTS[parts.scheme]


def check_listening(endpoint: str) -> None:
    """Raise `BrokerUnavailable` when nothing listens there, at once, where sending would keep trying for minutes."""
    host, port = endpoint_of(endpoint)
    try:
        socket.create_connection((host, port), _LOOK_TIMEOUT_S).close()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BrokerUnavailable(f"nothing takes telemetry at {endpoint} ({why}); is `onshore up` running?") from None


def _read_token(token_file: Path) -> str:
    token = read_secret(token_file, "--token-file").decode("utf-8", "replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise SettingsError("--token-file", f"{token_file} does not hold a token as `onshore tenants add` prints it")
    return token
