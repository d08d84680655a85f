"""A CloudTrail digest file: what it says about itself, the one before it, and its log files.

AWS CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of log file integrity
validation".
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

SIGNED_BY: Final = "SHA256withRSA"
HASHED: Final = "SHA-256"

_NAME: Final = re.compile(
    r"(?P<account>\d+)_CloudTrail-Digest_(?P<region>[a-z0-9-]+)_(?P<trail>.+)_(?P<home>[a-z0-9-]+)_\d{8}T\d{6}Z"
    r"(?P<backfill>_backfill)?\.json(\.gz)?"
)
_NEEDED: Final = ("digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object", "logFiles")


class NoDigest(ValueError):
    """The bytes are no digest file; says why."""


@dataclass(frozen=True, slots=True)
class ListedLog:
    """A log file as a digest lists it: where CloudTrail put it, and the hash of its unpacked bytes in hex."""

    bucket: str
    key: str
    hash: str
    algorithm: str
    oldest: str | None
    newest: str | None


@dataclass(frozen=True, slots=True)
class DigestFile:
    """What a digest file says.

    Attributes:
        path: where it lies here.
        text: the whole of it, unpacked.
        sha256: of its unpacked bytes, in hex.
        account: whose events.
        start, end: the time it covers; their texts are as written.
        bucket, key: where CloudTrail put it.
        fingerprint: of the key that it was signed with.
        algorithm: how it was signed.
        previous_*: the digest before it, None where it is the first of its chain.
        logs: the log files it lists.
    """

    path: str
    text: str
    sha256: str
    account: str
    start: datetime
    end: datetime
    start_text: str
    end_text: str
    bucket: str
    key: str
    fingerprint: str
    algorithm: str
    previous_bucket: str | None
    previous_key: str | None
    previous_hash: str | None
    previous_signature: str | None
    logs: tuple[ListedLog, ...]

    @property
    def source(self) -> str:
        """Account, region and trail: one chain of digests."""
        named = _NAME.fullmatch(self.name)
        parts = (named["account"], named["region"], named["trail"]) if named else (self.account,)
        return ":".join(("aws.cloudtrail", *parts))

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]

    @property
    def is_backfill(self) -> bool:
        """Whether it was written later for events that came late: its key may be a younger one."""
        named = _NAME.fullmatch(self.name)
        return bool(named and named["backfill"])

    def signed_bytes(self) -> bytes:
        """What CloudTrail signs."""
        previous = "null" if self.previous_signature is None else self.previous_signature
        return f"{self.end_text}\n{self.bucket}/{self.key}\n{self.sha256}\n{previous}".encode()


def read_digest(path: str, content: bytes) -> DigestFile:
    """A digest from its unpacked bytes.

    Raises:
        NoDigest: they are none, or lack what is needed to check one.
    """
    try:
        text = content.decode()
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoDigest(f"is no JSON: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("logFiles"), list):
        raise NoDigest("holds no list of log files")
    missing = [name for name in _NEEDED if not fields.get(name) and name != "logFiles"]
    if missing:
        raise NoDigest(f"lacks {', '.join(missing)}")
    return DigestFile(
        path=path,
        text=text,
        sha256=hashlib.sha256(content).hexdigest(),
        account=_text(fields, "awsAccountId") or "",
        start=_time(fields, "digestStartTime"),
        end=_time(fields, "digestEndTime"),
        start_text=str(fields["digestStartTime"]),
        end_text=str(fields["digestEndTime"]),
        bucket=str(fields["digestS3Bucket"]),
        key=str(fields["digestS3Object"]),
        fingerprint=(_text(fields, "digestPublicKeyFingerprint") or "").lower(),
        algorithm=_text(fields, "digestSignatureAlgorithm") or "",
        previous_bucket=_text(fields, "previousDigestS3Bucket"),
        previous_key=_text(fields, "previousDigestS3Object"),
        previous_hash=_text(fields, "previousDigestHashValue"),
        previous_signature=_text(fields, "previousDigestSignature"),
        logs=tuple(_log(each) for each in fields["logFiles"]),
    )


def is_named_digest(name: str) -> bool:
    """Whether a file has the name that CloudTrail gives to digests."""
    return _NAME.fullmatch(name) is not None


def _log(listed: object) -> ListedLog:
    if not isinstance(listed, dict) or not isinstance(listed.get("s3Object"), str):
        raise NoDigest("lists a log file without its name")
    return ListedLog(
        bucket=_text(listed, "s3Bucket") or "",
        key=listed["s3Object"],
        hash=(_text(listed, "hashValue") or "").lower(),
        algorithm=_text(listed, "hashAlgorithm") or "",
        oldest=_text(listed, "oldestEventTime"),
        newest=_text(listed, "newestEventTime"),
    )


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def _time(fields: dict[str, Any], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(str(fields[name]))
    except ValueError:
        raise NoDigest(f"{name} is no time: {fields[name]!r}") from None
    if time.tzinfo is None:
        raise NoDigest(f"{name} has no time zone: {fields[name]!r}")
    return time
