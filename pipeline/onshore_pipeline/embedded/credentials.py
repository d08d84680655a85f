"""Who may speak to the embedded store: one user who writes, one who only reads."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


class Role(Enum):
    """What a user of the embedded store may do."""

    WRITER = "writer"
    READER = "reader"


USER_OF_ROLE: Final = {Role.WRITER: "onshore", Role.READER: "onshore_reader"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The two users' passwords.

    Attributes:
        passwords: role → password; the user names are fixed (`USER_OF_ROLE`).
    """

    passwords: dict[Role, str]

    def role_of(self, user: str, password: str) -> Role | None:
        """The role this user name and password open; None when they open nothing. Takes equally long either way."""
        found = None
        for role, name in USER_OF_ROLE.items():
            same_name = hmac.compare_digest(name.encode(), user.encode())
            same_password = hmac.compare_digest(self.passwords[role].encode(), password.encode())
            if same_name and same_password:
                found = role
        return found


def load_or_create(file: Path) -> Credentials:
    """Read the credentials file, or make one (mode 0600) with random passwords.

    The file is JSON: `{"writer": {"user": "onshore", "password": ...}, "reader": {...}}`.

    Raises:
        SettingsError: the file can be read by others, or is not what this function writes.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _load(file)
    fresh = {role.value: {"user": name, "password": secrets.token_urlsafe(24)} for role, name in USER_OF_ROLE.items()}
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(fresh, handle, indent=2)
        handle.flush()
        os.fsync(handle.fileno())
    return _load(file)


def _load(file: Path) -> Credentials:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise SettingsError("credentials", f"{file} can be read by other users; run: chmod 600 {file}")
    try:
        users = json.loads(file.read_text(encoding="utf-8"))
        passwords = {role: str(users[role.value]["password"]) for role in USER_OF_ROLE}
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            "credentials", f"{file} is not a credentials file; move it away to get a new one"
        ) from error
    if not all(passwords.values()):
        raise SettingsError("credentials", f"{file} holds an empty password; move it away to get a new one")
    return Credentials(passwords)
