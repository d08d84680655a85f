"""Where a deployment's signing keys lie, and how they are read and replaced (see `evidence.keyring`)."""

from __future__ import annotations

import os
import secrets
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onshore_pipeline.errors import SettingsError
from onshore_pipeline.evidence.keyring import KeyFileRefused, keyring_text, new_keyring, parse_keyring, public_text
from onshore_pipeline.evidence.signed_note import KeyType, NoteRefused, parse_verifier_keys
from onshore_pipeline.settings import read_secret
from onshore_pipeline.stack import DataDir, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.evidence.keyring import Keyring
    from onshore_pipeline.evidence.signed_note import VerifierKey
    from onshore_pipeline.settings import Settings

_OF_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH


def key_path(settings: Settings) -> Path:
    """The file of the keys: what settings say, else the data directory's own."""
    return settings.signing_key_file or DataDir(settings.data_dir).path / "keys" / "signing.key"


def public_path(path: Path) -> Path:
    """The verifier keys of a file of keys, the retired ones too: no secret."""
    return path.with_name(path.name + ".pub")


def own_verifier_keys(settings: Settings) -> tuple[VerifierKey, ...]:
    """What heads of this deployment are checked with, retired keys included; empty where no key was made yet.

    Raises:
        NoteRefused: the file is damaged.
    """
    path = public_path(key_path(settings))
    return parse_verifier_keys(path.read_text()) if path.exists() else ()


def witness_keys(settings: Settings) -> tuple[VerifierKey, ...]:
    """The keys of those who cosign heads; empty where none is set.

    Raises:
        SettingsError: the file cannot be read, or holds what is no witness's key, or this deployment's own.
    """
    path, name = settings.witness_keys_file, "witness_keys_file"
    if path is None:
        return ()
    try:
        keys = parse_verifier_keys(read_secret(path, name).decode("utf-8", "replace"))
    except NoteRefused as error:
        raise SettingsError(name, f"{path}: {error}") from None
    own = {key.public for key in own_verifier_keys(settings)}
    for key in keys:
        if key.type is not KeyType.COSIGNATURE:
            raise SettingsError(name, f"{path}: {key} signs notes; a witness's key is of type 0x04")
        if key.public in own:
            raise SettingsError(name, f"{path}: {key} is this deployment's own key, which witnesses nothing")
    return keys


def journal_path(settings: Settings) -> Path:
    """The file of the heads that were signed, beside the keys (see `head_journal`)."""
    path = key_path(settings)
    return path.with_name(path.name + ".heads")


def makes_own_key(settings: Settings) -> bool:
    """Whether a missing key is made: where the data directory is all there is, and nobody named a file."""
    return settings.signing_key_file is None and not (settings.kafka_bootstrap_servers and settings.clickhouse_url)


class KeySource:
    """Reads the deployment's keys, again whenever their file changed; makes them where `makes_own_key`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: tuple[tuple[int, int], Keyring] | None = None

    def __call__(self) -> Keyring:
        """The keys. Raises `SettingsError`."""
        path = key_path(self._settings)
        if not path.exists() and makes_own_key(self._settings):
            return make_keyring(self._settings)
        stamp = (path.stat().st_mtime_ns, path.stat().st_ino) if path.exists() else (0, 0)
        if self._read is None or self._read[0] != stamp:
            self._read = stamp, read_keyring(self._settings)
        return self._read[1]


def read_keyring(settings: Settings) -> Keyring:
    """The deployment's keys.

    Raises:
        SettingsError: the file is missing, readable by everybody or no file of keys; the passphrase is wrong.
    """
    path = key_path(settings)
    text = read_secret(path, "signing_key_file").decode("ascii", "replace") + "\n"
    if path.stat().st_mode & _OF_OTHERS:
        raise SettingsError("signing_key_file", f"{path} can be read by everybody on this machine: chmod 600 {path}")
    try:
        return parse_keyring(text, passphrase(settings))
    except KeyFileRefused as error:
        raise SettingsError("signing_key_file", f"{path}: {error}") from None


def passphrase(settings: Settings) -> bytes | None:
    """What the keys are encrypted with; None = they are not.

    Raises:
        SettingsError: its file cannot be read, or is empty.
    """
    path = settings.signing_key_passphrase_file
    if path is None:
        return None
    secret = read_secret(path, "signing_key_passphrase_file")
    if not secret:
        raise SettingsError("signing_key_passphrase_file", f"{path} is empty")
    return secret


def make_keyring(settings: Settings, name: str | None = None) -> Keyring:
    """Make a first key, under a random name unless one is given.

    Raises:
        SettingsError: there is one already, or its folder cannot be written.
        KeyFileRefused: the name cannot be one.
    """
    path = key_path(settings)
    if path.exists():
        raise SettingsError("signing_key_file", f"{path} exists already; `onshore keys rotate` replaces its key")
    keyring = new_keyring(f"onshore/{name or secrets.token_hex(6)}", datetime.now(UTC))
    write_keyring(settings, keyring)
    return keyring


def write_keyring(settings: Settings, keyring: Keyring) -> None:
    """Replace the file of the keys, and that of the verifier keys, all of it or nothing.

    Raises:
        SettingsError: the folder cannot be written.
    """
    path = key_path(settings)
    public = public_path(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = public.read_text() if public.exists() else ""
        text = public_text(keyring, known)  # first: a key whose verifier key nobody has must not sign
        _replace(public, text)
        write_private(path, keyring_text(keyring, passphrase(settings)))
    except OSError as error:
        raise SettingsError("signing_key_file", f"{error.filename}: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
