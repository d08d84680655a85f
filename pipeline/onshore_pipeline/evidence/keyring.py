"""A deployment's signing keys as they stand in one file: the newest first, and those that still sign beside it.

A key is a few lines of text and the key itself in PEM (PKCS 8, encrypted where there is a passphrase). While a key is
rotated, the old one signs beside the new one until it retires.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import signed_note
from onshore_pipeline.evidence.signed_note import KeyType, Note, VerifierKey

if TYPE_CHECKING:
    from datetime import timedelta

_HEADER: Final = "# Onshore signing keys. Whoever has this file can sign in this deployment's name.\n"
_BLOCK: Final = re.compile(
    r"name: (?P<name>[^\n]+)\ncreated: (?P<created>[^\n]+)\n(?:retires: (?P<retires>[^\n]+)\n)?"
    r"(?P<pem>-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END (?:ENCRYPTED )?PRIVATE KEY-----\n)"
)
_NAME: Final = re.compile(r"onshore/[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class KeyFileRefused(OnshoreError):
    """A file of signing keys cannot be used; the text never shows what is in it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key.

    Attributes:
        name: the deployment's name.
        private: the key.
        created: when it began to sign.
        retires: when it no longer signs; None = it goes on.
    """

    name: str
    private: Ed25519PrivateKey
    created: datetime
    retires: datetime | None = None

    def __repr__(self) -> str:
        """Never show the key."""
        return f"SigningKey({self.verifier(KeyType.NOTE)})"

    def verifier(self, kind: KeyType) -> VerifierKey:
        """What its signatures are checked with."""
        return VerifierKey(self.name, kind, self.private.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a deployment, the newest first; never empty."""

    keys: tuple[SigningKey, ...]

    @property
    def name(self) -> str:
        """The deployment's name: `onshore/<deployment>`."""
        return self.keys[0].name

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """For both types of signature of every key."""
        return tuple(key.verifier(kind) for key in self.keys for kind in KeyType)

    def signing(self, now: datetime) -> list[SigningKey]:
        """Those that sign at `now`; the newest, where all have retired."""
        return [key for key in self.keys if key.retires is None or now < key.retires] or [self.keys[0]]

    def signed(self, text: str, now: datetime, *, timed: bool) -> Note:
        """The text signed by every key that signs at `now`; `timed` adds cosignatures of that second."""
        keys = self.signing(now)
        lines = [signed_note.sign(text, key.name, key.private) for key in keys]
        if timed:
            lines += [signed_note.cosign(text, key.name, key.private, int(now.timestamp())) for key in keys]
        return Note(text, tuple(lines))

    def rotated(self, now: datetime, overlap: timedelta) -> Keyring:
        """With a new key; the others sign on for `overlap` at most, and those that have retired are left out."""
        held = [key for key in self.keys if key.retires is None or now < key.retires]
        ending = [replace(key, retires=min(key.retires or now + overlap, now + overlap)) for key in held]
        return Keyring((SigningKey(self.name, Ed25519PrivateKey.generate(), now), *ending))


def new_keyring(name: str, now: datetime) -> Keyring:
    """A first key for the deployment `name`.

    Raises:
        KeyFileRefused: the name cannot stand in an origin.
    """
    if not _NAME.fullmatch(name):
        raise KeyFileRefused(
            f"{name!r} is no name of a deployment: `onshore/` and up to 63 letters, digits, dots, hyphens, underscores"
        )
    return Keyring((SigningKey(name, Ed25519PrivateKey.generate(), now),))


def keyring_text(keyring: Keyring, passphrase: bytes | None) -> str:
    """The file of the keys, encrypted where there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    text = _HEADER
    for key in keyring.keys:
        pem = key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        retires = f"retires: {_written(key.retires)}\n" if key.retires else ""
        text += f"\nname: {key.name}\ncreated: {_written(key.created)}\n{retires}{pem.decode()}"
    return text


def parse_keyring(text: str, passphrase: bytes | None) -> Keyring:
    """Read a file of keys.

    Raises:
        KeyFileRefused: it is none, or the passphrase is missing or wrong.
    """
    blocks = list(_BLOCK.finditer(text))
    if not blocks or text.count("-----BEGIN") != len(blocks):
        raise KeyFileRefused("this is no file of signing keys; `onshore keys init` makes one")
    keys = tuple(_key(block, passphrase) for block in blocks)
    if any(key.name != keys[0].name or not _NAME.fullmatch(key.name) for key in keys):
        raise KeyFileRefused("the keys are of different deployments, or of none")
    return Keyring(keys)


def _key(block: re.Match[str], passphrase: bytes | None) -> SigningKey:
    encrypted = "ENCRYPTED" in block["pem"]
    if encrypted and passphrase is None:
        raise KeyFileRefused("the key is encrypted: set signing_key_passphrase_file to the file of its passphrase")
    try:
        private = serialization.load_pem_private_key(block["pem"].encode(), passphrase if encrypted else None)
    except (ValueError, TypeError):
        why = "the passphrase is wrong, or the key damaged" if encrypted else "the key is damaged"
        raise KeyFileRefused(why) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileRefused("the key is no Ed25519 key")
    retires = _read(block["retires"]) if block["retires"] else None
    return SigningKey(block["name"], private, _read(block["created"]), retires)


def public_text(keyring: Keyring, before: str) -> str:
    """The file of the verifier keys: those of the keyring, and behind them the older ones of the file `before`."""
    text, known = "", set[str]()
    for key in keyring.keys:
        until = f" until {_written(key.retires)}" if key.retires else ""
        lines = [str(key.verifier(kind)) for kind in KeyType]
        known.update(lines)
        text += f"# signs from {_written(key.created)}{until}\n" + "".join(f"{line}\n" for line in lines)
    older = [line for line in before.splitlines() if line and not line.startswith("#") and line not in known]
    return text + ("# retired\n" + "".join(f"{line}\n" for line in older) if older else "")


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _read(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise KeyFileRefused(f"{text!r} is no time") from None
    if moment.tzinfo is None:
        raise KeyFileRefused(f"{text!r} has no time zone")
    return moment
