"""A timestamp by an authority of one's own choosing (RFC 3161): somebody else says when a digest existed.

None is configured by default, and then none is claimed.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from datetime import datetime

_TYPE: Final = "application/timestamp-query"
_PATIENCE_S: Final = 30
_LARGEST: Final = 1 << 20


class TimestampError(OnshoreError):
    """The authority gave no timestamp, or one that does not fit."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What the authority said.

    Attributes:
        response: the whole response as it came, for `timestamp.tsr`.
        at: the time in it, UTC.
    """

    response: bytes
    at: datetime


def ask_for_timestamp(document: bytes, authority: str, roots: bytes) -> Timestamp:
    """Have the authority say that these bytes exist, and check what it says.

    Args:
        document: what is stamped; only its digest is sent.
        authority: the authority's http(s) address.
        roots: the certificates to be trusted, PEM.

    Raises:
        TimestampError: it cannot be reached, refuses, or its answer does not verify.
    """
    if urlsplit(authority).scheme not in ("http", "https"):
        raise TimestampError(f"the timestamp authority {authority!r} is no http or https address")
    wanted = TimestampRequestBuilder().data(document).hash_algorithm(HashAlgorithm.SHA256).build()
    request = urllib.request.Request(authority, wanted.as_bytes(), {"Content-Type": _TYPE}, method="POST")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310 - checked above
            response = answer.read(_LARGEST)
    except (OSError, urllib.error.URLError) as error:
        raise TimestampError(f"the timestamp authority {authority} does not answer: {error}") from error
    return verify_timestamp(response, document, roots, nonce=wanted.nonce)


def verify_timestamp(response: bytes, document: bytes, roots: bytes, nonce: int | None = None) -> Timestamp:
    """Check a response against the bytes it is about; `nonce` is the request's, where that is at hand.

    Raises:
        TimestampError: it is not a response, is about other bytes, or nobody trusted has signed it.
    """
    try:
        trusted = x509.load_pem_x509_certificates(roots)
        decoded = decode_timestamp_response(response)
        verifier = VerifierBuilder(roots=trusted, nonce=nonce).build()
        verifier.verify_message(decoded, document)
        return Timestamp(response, decoded.tst_info.gen_time)
    except (ValueError, VerificationError) as error:
        raise TimestampError(f"the timestamp does not verify: {error}") from error
