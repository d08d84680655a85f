"""How a command finds the running stack: by settings, else by what `onshore up` left in the data directory."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.settings import Settings

READER: Final = "onshore_reader"
_SALT_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class DataDir:
    """Where everything of one embedded stack lies."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the `onshore up` that owns the directory."""
        return self.path / "lock"

    @property
    def stack(self) -> Path:
        """Addresses of the running stack and the read-only user, mode 0600."""
        return self.path / "stack.json"

    @property
    def messages(self) -> Path:
        """Folder of the local log."""
        return self.path / "log"

    @property
    def store(self) -> Path:
        """The embedded store's own folder."""
        return self.path / "store"

    @property
    def credentials(self) -> Path:
        """The store's users, mode 0600."""
        return self.path / "credentials.json"

    @property
    def tenants(self) -> Path:
        """Tenants and the digests of their tokens."""
        return self.path / "tenants.json"

    @property
    def salt_key(self) -> Path:
        """The secret that salt keys are derived from, mode 0600."""
        return self.path / "keys" / "salt.key"

    @property
    def worker_status(self) -> Path:
        """Lag and progress, written by the worker every second."""
        return self.path / "status" / "worker.json"

    @property
    def logs(self) -> Path:
        """What the parts print."""
        return self.path / "logs"

    def make(self) -> None:
        """Create the folders but the log's; only their owner may look inside."""
        for folder in (self.path, self.store, self.path / "keys", self.path / "status", self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where the store is and who we are there; the password is not shown."""

    url: str
    user: str
    password: str
    ca_file: Path | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"StoreAddress({self.user}@{self.url})"


def store_address(settings: Settings, *, writing: bool) -> StoreAddress:
    """The store as its writer, or as the read-only user.

    Raises:
        SettingsError: neither settings nor the data directory name a store.
    """
    if settings.clickhouse_url:
        password = b""
        if settings.clickhouse_password_file is not None:
            password = read_secret(settings.clickhouse_password_file, "clickhouse_password_file")
        return StoreAddress(
            settings.clickhouse_url, settings.clickhouse_user, password.decode(), settings.clickhouse_ca_file
        )
    running = running_stack(settings)
    if not writing:
        return StoreAddress(running["store"], running["store_user"], running["store_password"])
    writer = json.loads(DataDir(settings.data_dir).credentials.read_text())["writer"]
    return StoreAddress(running["store"], writer["user"], writer["password"])


def running_stack(settings: Settings) -> dict[str, Any]:
    """What `onshore up` wrote when it was ready.

    Raises:
        SettingsError: no stack was started with this data directory, or it is not ready yet.
    """
    data = DataDir(settings.data_dir)
    path = data.stack
    try:
        stack: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        if _is_held(data.lock):
            why = f"the stack in {settings.data_dir} is starting or stopping; ask again in some seconds"
            raise SettingsError("data_dir", why) from None
        why = (
            f"no stack was started in {settings.data_dir}; run `onshore up`, or name the data directory with --data-dir"
        )
        raise SettingsError("data_dir", why) from None
    except ValueError as error:
        raise SettingsError(
            "data_dir", f"{path} is damaged ({error}); stop the stack and run `onshore up` again"
        ) from None
    return stack


def _is_held(lock: Path) -> bool:
    """Whether an `onshore up` or one of its parts holds the data directory."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def salt_master(settings: Settings) -> bytes:
    """The secret behind the salt keys; made on first use in an embedded stack, never elsewhere."""
    if settings.salt_key_file is not None:
        secret = read_secret(settings.salt_key_file, "salt_key_file")
        if len(secret) < _SALT_KEY_BYTES:
            raise SettingsError("salt_key_file", f"needs {_SALT_KEY_BYTES} bytes or more, has {len(secret)}")
        return secret
    if settings.kafka_bootstrap_servers and settings.clickhouse_url:
        why = "must be set, to the same file for every worker; make one with `openssl rand -hex 32 > salt.key`"
        raise SettingsError("salt_key_file", why)
    path = DataDir(settings.data_dir).salt_key
    if not path.exists():
        write_private(path, secrets.token_hex(_SALT_KEY_BYTES))
    return read_secret(path, "data_dir")


def pipeline_identity() -> str:
    """Version and digest of the code that assesses, as it stands in log entries."""
    digest = hashlib.sha256()
    root = resources.files("onshore_pipeline")
    for name in ("assess.py", "fact_tables.py", "event_frame.py", "domain", "wire", "normalise", "locate", "evidence"):
        node = root / name
        files = [node] if node.is_file() else [child for child in node.iterdir() if child.name.endswith(".py")]
        for file in sorted(files, key=lambda each: each.name):
            digest.update(f"{name}/{file.name}\0".encode() + file.read_bytes() + b"\0")
    return f"onshore {metadata.version('onshore')} sha256:{digest.hexdigest()}"
