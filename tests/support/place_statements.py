"""Signed statements about places, as an attestor writes them."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ANOTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC: Final = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
SAID: Final = {"iss": "Notary", "sub": "gpu-7", "country": "AU"}


def statement(said: dict[str, Any] | None = None, *, key: Ed25519PrivateKey = KEY, **header: Any) -> str:
    """A statement of the attestor `Notary`, signed with `key`; `said` goes over `SAID`."""
    parts = {"alg": "EdDSA", **header}, SAID | (said or {})
    signed = ".".join(_unpadded(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{_unpadded(key.sign(signed.encode()))}"


def _unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
