"""Whose Ed25519 key is whose: a folder with a public key a person, PERSON.pem, as `openssl pkey -pubout` writes it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.plain_files import read_plain

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class KeyUnusable(OnshoreError):
    """A key's file is none; the text names it and says how to make one."""


def read_people(folder: Path | None) -> dict[str, bytes]:
    """The public keys (32 bytes) by person; nobody's where there is no folder. Raises `KeyUnusable`."""
    people, unusable = usable_people(folder)
    if unusable:
        raise unusable[0]
    return people


def usable_people(folder: Path | None) -> tuple[dict[str, bytes], list[KeyUnusable]]:
    """The same of those whose keys can be used, and what is wrong with the others."""
    people: dict[str, bytes] = {}
    unusable: list[KeyUnusable] = []
    for file in sorted(folder.glob("*.pem")) if folder is not None and folder.is_dir() else ():
        try:
            people[file.stem] = _public(file)
        except KeyUnusable as error:
            unusable.append(error)
    return people, unusable


def _public(file: Path) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(read_plain(file))
    except OSError as error:
        raise KeyUnusable(f"{file}: no public key: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        how = "write one with: openssl pkey -in PRIVATE.pem -pubout"
        raise KeyUnusable(f"{file}: no public key in PEM; {how} -out {file}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable(f"{file}: a public key of another kind; Ed25519 is needed")
    return key.public_bytes_raw()


def read_private(file: Path) -> Ed25519PrivateKey:
    """A person's own key, without a passphrase, that nobody else may read. Raises `KeyUnusable`; never quotes it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    how = f"make one with: openssl genpkey -algorithm ed25519 -out {file} && chmod 600 {file}"
    try:
        if file.stat().st_mode & 0o077:
            raise KeyUnusable(f"{file}: others may read this key: chmod 600 {file}")
        key = load_pem_private_key(read_plain(file), None)
    except OSError as error:
        raise KeyUnusable(f"{file}: {error.strerror}; {how}") from None
    except (ValueError, TypeError):
        raise KeyUnusable(f"{file}: no private key in PEM without a passphrase; {how}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{file}: a private key of another kind; Ed25519 is needed; {how}")
    return key


def is_signed(public: bytes, signature: str, text: bytes) -> bool:
    """Whether `signature` (base64) is that key's over `text`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature, validate=True), text)
    except (InvalidSignature, ValueError):
        return False
    return True
