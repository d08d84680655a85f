"""Chains of CloudTrail digests as CloudTrail would sign them, with a key of our own."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION, TRAIL, BUCKET = "111122223333", "ap-southeast-2", "audit", "logs-bucket"
SOURCE = f"aws.cloudtrail:{ACCOUNT}:{REGION}:{TRAIL}"
FINGERPRINT = "31e8b5433410dfb61a9dc45cc65b22ff"


@cache
def private_key(name: str = "aws") -> RSAPrivateKey:
    """A key a name; made once a run."""
    del name
    return generate_private_key(public_exponent=65537, key_size=2048)


def listed_keys(key: RSAPrivateKey, fingerprint: str = FINGERPRINT, **more: object) -> str:
    """What `aws cloudtrail list-public-keys` prints."""
    value = base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
    times = {"ValidityStartTime": "2026-01-01T00:00:00+00:00", "ValidityEndTime": "2027-01-01T00:00:00+00:00"}
    return json.dumps({"PublicKeyList": [{"Value": value, **times, "Fingerprint": fingerprint, **more}]})


def sign(fields: dict[str, Any], content: bytes, key: RSAPrivateKey) -> str:
    """The signature of a digest in hex, as the user guide describes it."""
    previous = fields["previousDigestSignature"]
    signed = "\n".join(
        [
            fields["digestEndTime"],
            f"{fields['digestS3Bucket']}/{fields['digestS3Object']}",
            hashlib.sha256(content).hexdigest(),
            "null" if previous is None else previous,
        ]
    )
    return key.sign(signed.encode(), PKCS1v15(), SHA256()).hex()


def stamp(hour: int) -> str:
    return f"2026-07-10T{hour:02}:00:00Z"


@dataclass
class Chain:
    """Hourly digests under a folder, laid out as in the bucket."""

    folder: Path
    key: RSAPrivateKey = field(default_factory=private_key)
    bucket: str = BUCKET
    last: dict[str, Any] | None = None
    last_content: bytes = b""
    last_signature: str | None = None
    digests: list[Path] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)

    def log(self, hour: int, number: int) -> dict[str, Any]:
        """A log file on disk, and how a digest lists it."""
        name = f"{ACCOUNT}_CloudTrail_{REGION}_20260710T{hour:02}{number:02}Z_{'x' * 16}.json.gz"
        key = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/07/10/{name}"
        content = json.dumps({"Records": [{"eventVersion": "1.11", "eventID": f"{hour}-{number}"}]}).encode()
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content))
        self.logs.append(path)
        return {
            "s3Bucket": self.bucket,
            "s3Object": key,
            "hashValue": hashlib.sha256(content).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": f"2026-07-10T{hour:02}:50:00Z",
            "oldestEventTime": f"2026-07-10T{hour:02}:10:00Z",
        }

    def digest(self, hour: int, *, logs: int = 2, **changes: object) -> Path:
        """Sign the next digest, which ends at this hour, and write it."""
        name = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_{TRAIL}_{REGION}_20260710T{hour:02}0000Z.json.gz"
        last = self.last or {}
        fields = {
            "awsAccountId": ACCOUNT,
            "digestStartTime": stamp(hour - 1),
            "digestEndTime": stamp(hour),
            "digestS3Bucket": self.bucket,
            "digestS3Object": f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/07/10/{name}",
            "digestPublicKeyFingerprint": FINGERPRINT,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": None,
            "oldestEventTime": None,
            "previousDigestS3Bucket": last.get("digestS3Bucket"),
            "previousDigestS3Object": last.get("digestS3Object"),
            "previousDigestHashValue": hashlib.sha256(self.last_content).hexdigest() if last else None,
            "previousDigestHashAlgorithm": "SHA-256" if last else None,
            "previousDigestSignature": self.last_signature,
            "logFiles": [self.log(hour, number) for number in range(logs)],
            **changes,
        }
        content = json.dumps(fields).encode()
        self.last, self.last_content, self.last_signature = fields, content, sign(fields, content, self.key)
        path = self.folder / str(fields["digestS3Object"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content))
        self.digests.append(path)
        return path

    def keep_metadata(self) -> None:
        """Keep beside the newest digest what `aws s3api head-object` prints of it."""
        kept = self.digests[-1].with_name(self.digests[-1].name + ".metadata.json")
        metadata = {"signature": self.last_signature, "signature-algorithm": "SHA256withRSA"}
        kept.write_text(json.dumps({"ContentLength": 1, "Metadata": metadata}))


def rewrite(path: Path, **changes: object) -> None:
    """Alter fields of a digest that was written."""
    fields = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps({**fields, **changes}).encode()))
