"""Signed notes: text with signature lines (c2sp.org/signed-note), by Ed25519.

Two types of signature are known: 0x01 over the text, and 0x04 over the text and a time (c2sp.org/tlog-cosignature,
`cosignature/v1`), which says that the signer knew no larger tree at that time.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_DASH: Final = "— "
_LARGEST_NOTE: Final = 1 << 20
_MOST_SIGNATURES: Final = 64
_PUBLIC_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64
_TIMED_SIZE: Final = 8 + _SIGNATURE_SIZE
_LAST_TIME: Final = (1 << 63) - 1
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


class NoteRefused(OnshoreError):
    """A note or a verifier key is not one, or is not signed as it must be."""


class NoteForged(NoteRefused):
    """A signature by a key that is known is bad."""


class KeyType(enum.IntEnum):
    """What a key signs (the signature type of c2sp.org/signed-note)."""

    NOTE = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name: what a signature line is checked with.

    Attributes:
        name: without spaces and plus signs.
        type: what it signs.
        public: the 32 bytes of RFC 8032.
    """

    name: str
    type: KeyType
    public: bytes

    def __post_init__(self) -> None:
        """Refuse names that would make a note ambiguous."""
        if not is_key_name(self.name):
            raise NoteRefused(f"{self.name!r} is no name of a key: it is empty, or has spaces or plus signs in it")
        if len(self.public) != _PUBLIC_SIZE:
            raise NoteRefused(f"the public key of {self.name} has {len(self.public)} bytes instead of {_PUBLIC_SIZE}")

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || 0x0A || type || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """As a verifier key is written: name+id+key."""
        key = base64.b64encode(bytes([self.type]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line.

    Attributes:
        name: the key's name.
        key_id: the key's id, 4 bytes.
        signature: what follows the id.
    """

    name: str
    key_id: bytes
    signature: bytes

    @property
    def cosigned_at(self) -> int | None:
        """The time that a cosignature says, in seconds since 1970; None where it is as long as none."""
        is_timed = len(self.signature) == _TIMED_SIZE
        return min(int.from_bytes(self.signature[:8], "big"), _LAST_TIME) if is_timed else None

    def __str__(self) -> str:
        """The line, without its end."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}"


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that is good; `time` is what a cosignature says, in seconds since 1970."""

    key: VerifierKey
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it stands; nothing of it is verified.

    Attributes:
        text: what is signed, with its last newline.
        signatures: in order.
    """

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """The note, with its last newline."""
        return self.text + "\n" + "".join(f"{each}\n" for each in self.signatures)

    def verified(self, keys: Collection[VerifierKey]) -> tuple[Verified, ...]:
        """Signatures by known keys, each of which must be good; those of unknown keys say nothing.

        Raises:
            NoteRefused: a signature by a known key is bad, or there is none.
        """
        known = {(key.name, key.key_id): key for key in keys}
        found = []
        for each in self.signatures:
            key = known.get((each.name, each.key_id))
            if key is not None:
                found.append(_verified(self.text, each, key))
        if not found:
            names = ", ".join(sorted({f"{each.name} ({each.key_id.hex()})" for each in self.signatures}))
            raise NoteRefused(f"the note is signed by {names}, and none of these is a key that is trusted")
        return tuple(found)


def is_key_name(name: str) -> bool:
    """Whether a key may be called so."""
    return bool(name) and name.isprintable() and not any(each.isspace() or each == "+" for each in name)


def sign(text: str, name: str, key: Ed25519PrivateKey) -> Signature:
    """Sign a text, which ends with a newline; the same text gives the same signature."""
    verifier = VerifierKey(name, KeyType.NOTE, key.public_key().public_bytes_raw())
    return Signature(name, verifier.key_id, key.sign(text.encode()))


def cosign(text: str, name: str, key: Ed25519PrivateKey, time: int) -> Signature:
    """Sign that at `time` (seconds since 1970) no larger tree of the checkpoint's origin was known than `text` says."""
    verifier = VerifierKey(name, KeyType.COSIGNATURE, key.public_key().public_bytes_raw())
    return Signature(name, verifier.key_id, struct.pack(">Q", time) + key.sign(_cosigned(text, time)))


def parse_note(raw: bytes) -> Note:
    """Read a note; strict, so that every note is written in one way only.

    Raises:
        NoteRefused: it is none.
    """
    if len(raw) > _LARGEST_NOTE:
        raise NoteRefused(f"the note is larger than {_LARGEST_NOTE:,} bytes")
    try:
        whole = raw.decode()
    except UnicodeDecodeError as error:
        raise NoteRefused(f"the note is not UTF-8 (byte {error.start})") from None
    if _CONTROL.search(whole):
        raise NoteRefused("the note has control characters in it")
    text, parted, lines = whole.rpartition("\n\n")
    if not parted or not text or not lines.endswith("\n"):
        raise NoteRefused("the note is not a text, an empty line and lines of signatures")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > _MOST_SIGNATURES:
        raise NoteRefused(f"the note has more than {_MOST_SIGNATURES} signatures")
    return Note(text + "\n", signatures)


def parse_verifier_key(text: str) -> VerifierKey:
    """Read a verifier key: name+id+key.

    Raises:
        NoteRefused: it is none, or of a type that is not known.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _decoded(encoded, "the verifier key")
    if not _KEY_ID.fullmatch(key_id) or not raw:
        raise NoteRefused(f"{text!r} is no verifier key: it is not name+id+key")
    if raw[0] not in set(KeyType):
        raise NoteRefused(f"the verifier key of {name} is of type 0x{raw[0]:02x}, which is not known here")
    key = VerifierKey(name, KeyType(raw[0]), raw[1:])
    if key.key_id.hex() != key_id:
        raise NoteRefused(
            f"the verifier key of {name} has the id {key_id}, but its name and key give {key.key_id.hex()}"
        )
    return key


def parse_verifier_keys(text: str) -> tuple[VerifierKey, ...]:
    """Read a file of verifier keys: one a line; empty lines and lines that begin with # are left out.

    Raises:
        NoteRefused: a line is none, or there is none.
    """
    lines = (line.strip() for line in text.splitlines())
    keys = tuple(parse_verifier_key(line) for line in lines if line and not line.startswith("#"))
    if not keys:
        raise NoteRefused("there is no verifier key in it")
    return keys


def _signature(line: str) -> Signature:
    name, parted, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not parted or not is_key_name(name):
        raise NoteRefused(f"{line!r} is no line of a signature")
    raw = _decoded(encoded, f"the signature of {name}")
    if len(raw) <= 4:  # noqa: PLR2004 - the size of a key id
        raise NoteRefused(f"the signature of {name} is too short")
    return Signature(name, raw[:4], raw[4:])


def _decoded(text: str, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if base64.b64encode(raw).decode() != text:  # spare bits could be anything
        raise NoteRefused(f"{what} is not base64")
    return raw


def _verified(text: str, signature: Signature, key: VerifierKey) -> Verified:
    time, signed, raw = None, text.encode(), signature.signature
    if key.type is KeyType.COSIGNATURE:
        if len(raw) != _TIMED_SIZE:
            raise NoteRefused(f"the cosignature of {key.name} has {len(raw)} bytes instead of {_TIMED_SIZE}")
        time = int.from_bytes(raw[:8], "big")
        if time > _LAST_TIME:
            raise NoteRefused(f"the cosignature of {key.name} is of no time")
        signed, raw = _cosigned(text, time), raw[8:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw, signed)
    except (InvalidSignature, ValueError):
        raise NoteForged(f"the signature of {key.name} ({key.key_id.hex()}) is bad") from None
    return Verified(key, time)


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
