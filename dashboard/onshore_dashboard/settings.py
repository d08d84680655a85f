"""What the dashboard is told when it starts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS_SECTION: Final = "onshore"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the store is and who we are to it.

    Attributes:
        store_url: ClickHouse's HTTP interface, without credentials.
        store_user: a user that may only read.
        store_password: never printed, never sent to a browser.
        status_file: JSON written by the worker: how many messages wait in each partition.
        otlp_http_url: where applications send OTLP over HTTP, shown to whoever has sent nothing yet.
        otlp_grpc_url: the same for gRPC.
        context_dir: the deployment's registries; people's public keys and lists of holidays lie there.
    """

    store_url: str
    store_user: str
    store_password: str = field(repr=False)
    status_file: Path | None = None
    otlp_http_url: str = "http://127.0.0.1:4318"
    otlp_grpc_url: str = "http://127.0.0.1:4317"
    context_dir: Path | None = None

    def as_secrets(self) -> dict[str, str]:
        """The settings as Streamlit passes them to its scripts."""
        return {
            "store_url": self.store_url,
            "store_user": self.store_user,
            "store_password": self.store_password,
            "status_file": str(self.status_file or ""),
            "otlp_http_url": self.otlp_http_url,
            "otlp_grpc_url": self.otlp_grpc_url,
            "context_dir": str(self.context_dir or ""),
        }

    @classmethod
    def from_secrets(cls, secrets: Mapping[str, str]) -> Settings:
        """The settings that `as_secrets` wrote."""
        return cls(
            store_url=secrets["store_url"],
            store_user=secrets["store_user"],
            store_password=secrets["store_password"],
            status_file=Path(secrets["status_file"]) if secrets["status_file"] else None,
            otlp_http_url=secrets["otlp_http_url"],
            otlp_grpc_url=secrets["otlp_grpc_url"],
            context_dir=Path(secrets["context_dir"]) if secrets.get("context_dir") else None,
        )


def read_credentials(file: Path | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The store's user and password: from a JSON file with `user` and `password`, else from the environment.

    A file that lists several users must name ours `reader`.

    The environment names a user (`ONSHORE_CLICKHOUSE_USER`) and a file that holds nothing but the password
    (`ONSHORE_CLICKHOUSE_PASSWORD_FILE`).

    Raises:
        SettingsError: a file cannot be read or has another shape.
    """
    if file is not None:
        return _from_json(file)
    user = environment.get("ONSHORE_CLICKHOUSE_USER", "default")
    password_file = environment.get("ONSHORE_CLICKHOUSE_PASSWORD_FILE")
    if not password_file:
        return user, ""
    try:
        return user, Path(password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("ONSHORE_CLICKHOUSE_PASSWORD_FILE", f"cannot read {password_file}: {error}") from error


def _from_json(file: Path) -> tuple[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # The parser's own message may quote what it read.
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise SettingsError("--credentials", f"cannot read {file}: {reason}") from None
    match found:
        case {"reader": {"user": str(user), "password": str(password)}} | {
            "user": str(user),
            "password": str(password),
        }:
            return user, password
        case _:
            raise SettingsError("--credentials", f'{file} must hold {{"user": "...", "password": "..."}}')
