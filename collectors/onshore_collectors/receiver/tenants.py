"""Who sends: the tenant comes from the credential and from nothing in the request's body.

The file holds digests, never tokens: `{"tenants": [{"name": ..., "token_sha256": ...}]}`. A tenant may have several
entries, so that a token can be exchanged without a gap. An entry may name a `collector`: whoever shows its token is
that collector, and only so is one known.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from onshore_collectors.receiver.refusals import unauthenticated
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEFAULT_TENANT: Final = "default"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_COLLECTOR: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,127}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, by the credential shown; `collector` is '' where it names none."""

    tenant: str
    collector: str = ""


class TenantRegistry:
    """Maps bearer tokens to tenants; read again when the file changes.

    Args:
        path: the registry; None, or a file that is not there yet, knows no token.
        require_token: refuse senders without a token, who otherwise are the tenant `default`.

    Raises:
        SettingsError: the file cannot be read or is malformed.
    """

    def __init__(self, path: Path | None, *, require_token: bool = False) -> None:
        self._path, self._require_token = path, require_token
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._digests = self._load()

    def sender_of(self, authorization: str | None) -> Sender:
        """Whom an Authorization value stands for. Raises `Refusal` (401) when it stands for nobody."""
        if authorization is None:
            if self._require_token:
                raise unauthenticated("a token is required: send `Authorization: Bearer TOKEN` (`onshore tenants add`)")
            return Sender(DEFAULT_TENANT)
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthenticated("the Authorization header is not `Bearer TOKEN`")
        digest = _digest(token.strip())
        # Every entry is compared, so that the time taken says nothing about which ones exist.
        matching = [sender for sender, known in self._current() if hmac.compare_digest(known, digest)]
        if not matching:
            raise unauthenticated("the token is not known here")
        return matching[0]

    def tenant_of(self, authorization: str | None) -> str:
        """The tenant of `sender_of`."""
        return self.sender_of(authorization).tenant

    def _current(self) -> tuple[tuple[Sender, str], ...]:
        stamp = self._stamp()
        if stamp != self._seen:
            with self._lock:
                try:
                    self._digests = self._load()
                except SettingsError as error:
                    # Going on with the tenants known before keeps a typo from locking every sender out.
                    _log.error("tenants not reloaded", why=str(error))
                self._seen = stamp
        return self._digests

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat() if self._path else None
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else None

    def _load(self) -> tuple[tuple[Sender, str], ...]:
        entries = _read(self._path) if self._path else []
        return tuple((Sender(each["name"], each.get("collector", "")), each["token_sha256"]) for each in entries)


def add_tenant(
    path: Path,
    name: str,
    new_token: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    *,
    collector: str | None = None,
) -> str:
    """Add a token for the tenant `name` to the registry and return it; it is stored nowhere.

    The file is replaced atomically and readable by its owner alone. A tenant that exists gets one more token. Whoever
    shows the token of a `collector` is that one.

    Raises:
        SettingsError: a name is not usable, or the registry is malformed.
    """
    if collector is not None and not _COLLECTOR.fullmatch(collector):
        why = f"{collector!r} is not a name of a-z, 0-9, '.', '_', '-', '/' with at most 128 characters"
        raise SettingsError("collector", why)
    if not _NAME.fullmatch(name):
        raise SettingsError("tenant", f"{name!r} is not a name of a-z, 0-9, '.', '_', '-' with at most 63 characters")
    token = new_token()
    with _exclusive(path):
        named = {"collector": collector} if collector is not None else {}
        entries = [*_read(path), {"name": name, "token_sha256": _digest(token), **named}]
        _replace(path, json.dumps({"tenants": entries}, indent=2) + "\n")
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("tenants", f"{path} cannot be read: {error}") from error
    try:
        entries = json.loads(text)["tenants"]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError("tenants", f'{path} is not JSON like {{"tenants": [...]}}: {error}') from error
    if not isinstance(entries, list):
        raise SettingsError("tenants", f"{path}: tenants is not a list")
    for place, entry in enumerate(entries):
        _check(entry, f"{path}, entry {place + 1}")
    return list(entries)


def _check(entry: Any, where: str) -> None:  # noqa: ANN401 - anything may stand in a file
    if not isinstance(entry, dict) or set(entry) - {"collector"} != {"name", "token_sha256"}:
        raise SettingsError("tenants", f"{where}: is not an object with name and token_sha256 (and perhaps collector)")
    named = entry.get("collector")
    if named is not None and not (isinstance(named, str) and _COLLECTOR.fullmatch(named)):
        raise SettingsError("tenants", f"{where}: {named!r} is not a collector's name")
    if not isinstance(entry["name"], str) or not _NAME.fullmatch(entry["name"]):
        raise SettingsError("tenants", f"{where}: {entry['name']!r} is not a tenant's name")
    if not isinstance(entry["token_sha256"], str) or not _DIGEST.fullmatch(entry["token_sha256"]):
        raise SettingsError("tenants", f"{where}: token_sha256 is not 64 lower-case hexadecimal digits")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
