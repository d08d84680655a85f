"""The keys that CloudTrail signs with, as `aws cloudtrail list-public-keys` prints them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key and when it was used; None where the list does not say."""

    key: RSAPublicKey
    valid_from: datetime | None
    valid_to: datetime | None

    def fits(self, signed: bytes, signature: str) -> bool:
        """Whether the signature, in hex, is this key's over these bytes (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017)."""
        try:
            self.key.verify(bytes.fromhex(signature), signed, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def was_used(self, at: datetime) -> bool:
        """Whether it was in use then."""
        after = self.valid_from is None or self.valid_from <= at
        return after and (self.valid_to is None or at <= self.valid_to)


def load_public_keys(path: Path) -> dict[str, PublicKey]:
    """The keys of a file by fingerprint.

    Raises:
        OnshoreError: the file cannot be read, or is not what `aws cloudtrail list-public-keys` prints.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["PublicKeyList"]
        return {str(each["Fingerprint"]).lower(): _key(each) for each in listed}
    except OSError as error:
        raise OnshoreError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, UnsupportedAlgorithm) as error:
        raise OnshoreError(
            f"{path} holds no public keys as `aws cloudtrail list-public-keys` prints them: {error!r}"
        ) from None


def _key(listed: dict[str, Any]) -> PublicKey:
    # PKCS #1, DER, in base64 (CloudTrail API reference, PublicKey).
    key = load_der_public_key(base64.b64decode(listed["Value"], validate=True))
    if not isinstance(key, RSAPublicKey):
        raise TypeError(f"{listed['Fingerprint']} is no RSA key")
    return PublicKey(key, _time(listed.get("ValidityStartTime")), _time(listed.get("ValidityEndTime")))


def _time(value: object) -> datetime | None:
    """The CLI prints ISO 8601, or seconds since the epoch where it is set up to."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    time = datetime.fromisoformat(str(value))
    return time if time.tzinfo else time.replace(tzinfo=UTC)
