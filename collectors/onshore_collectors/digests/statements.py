"""Findings about digests and log files as records to send; `normalise/aws_cloudtrail_digest` reads them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from onshore_collectors.files.pieces import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onshore_collectors.digests.chain import Finding

FORMAT: Final = "aws.cloudtrail.digest"
_MOST_DIGEST_CHARS: Final = 256 << 10  # of a digest that goes along with what was found


def statements(findings: Iterable[Finding]) -> Iterator[RawRecord]:
    """A record for every digest, every time that none covers, and every log file that is not valid.

    The same finding about the same bytes gives the same record, with the same id.
    """
    for finding in findings:
        yield _record(finding)
        yield from (_record(log, finding.name) for log in finding.logs if log.outcome != "valid")


def _record(finding: Finding, listed_by: str | None = None) -> RawRecord:
    body: dict[str, Any] = {
        "verification": FORMAT,
        "version": 1,
        "kind": finding.kind,
        "object": finding.name,
        "outcome": finding.outcome,
        "reason": finding.reason,
        "source": finding.source,
        "from": finding.since,
        "to": finding.until,
        "listedBy": listed_by,
    }
    if finding.digest is not None:
        digest = finding.digest
        body |= {
            "bucket": digest.bucket,
            "sha256": digest.sha256,
            "fingerprint": digest.fingerprint,
            "signature": finding.signature,
            "logFiles": len(digest.logs),
            "logFilesValid": sum(log.outcome == "valid" for log in finding.logs),
        }
        if len(digest.text) <= _MOST_DIGEST_CHARS:
            body["digest"] = digest.text
    text = json.dumps({name: value for name, value in body.items() if value is not None}, ensure_ascii=False)
    return RawRecord(text, FORMAT, hashlib.sha256(text.encode()).hexdigest(), _nanoseconds(finding.until))


def _nanoseconds(text: str | None) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 10**9 if text else None
    except (ValueError, OverflowError):
        return None
