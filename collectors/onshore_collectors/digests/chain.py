"""What a chain of CloudTrail digests proves. Pure: files were read before.

A digest is proved by its signature, which CloudTrail keeps beside it in the bucket and repeats in the next digest, or
by a proved next digest that holds its hash. Steps, newest digest first:

    1 name      it lies under the name that it gives itself
    2 place     the next digest looks for it in the bucket that it gives itself
    3 hash      a proved next digest holds its hash
    4 signature its own fits, with a key of the list that was in use then
    5 before it the digest that it names is there, and covers the time up to where it begins
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from onshore_collectors.digests.digest_file import HASHED, SIGNED_BY
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from onshore_collectors.digests.digest_file import DigestFile, ListedLog
    from onshore_collectors.digests.public_keys import PublicKey

Outcome = Literal["valid", "invalid", "gap", "missing", "unverifiable"]

OUTCOMES: Final[tuple[Outcome, ...]] = ("valid", "invalid", "gap", "missing", "unverifiable")

_HOLDER_IN_DOUBT: Final = "the digest that holds its signature is not valid"


@dataclass(slots=True)
class Finding:
    """What became of one digest or log file, or of a time that no digest covers.

    Attributes:
        kind: digest, log, or time.
        name: its key in the bucket; of a file that is no digest its path.
        outcome: one of `OUTCOMES`.
        reason: why, one sentence.
        source: the chain, `DigestFile.source`.
        since, until: the time it is about, as CloudTrail writes it.
        digest: the digest itself.
        signature: the signature that proves it, in hex.
        logs: of a digest, the findings about its log files.
    """

    kind: Literal["digest", "log", "time"]
    name: str
    outcome: Outcome
    reason: str
    source: str = ""
    since: str | None = None
    until: str | None = None
    digest: DigestFile | None = None
    signature: str | None = None
    logs: list[Finding] = field(default_factory=list)


def check_chains(
    digests: Sequence[DigestFile], keys: Mapping[str, PublicKey], signatures: Mapping[str, str]
) -> list[Finding]:
    """A finding for every digest, every digest that is missing, and every time between digests.

    Args:
        digests: in any order, of any number of chains.
        keys: by fingerprint.
        signatures: path of a digest → its signature in hex, where it was kept.
    """
    later = sorted(digests, key=lambda digest: (digest.end, digest.start), reverse=True)
    following: dict[str, list[DigestFile]] = {}
    for digest in later:
        if digest.previous_key is not None:
            following.setdefault(digest.previous_key, []).append(digest)
    checked: dict[str, Finding] = {}
    for digest in later:
        after = [(each, checked[each.path]) for each in following.get(digest.key, []) if each.path in checked]
        checked[digest.path] = _check(digest, after, keys, signatures.get(digest.path))
    return sorted([*checked.values(), *_breaks(later)], key=lambda finding: (finding.source, finding.until or ""))


def _check(
    digest: DigestFile,
    after: Sequence[tuple[DigestFile, Finding]],
    keys: Mapping[str, PublicKey],
    kept: str | None,
) -> Finding:
    finding = Finding(
        "digest", digest.key, "invalid", "", digest.source, digest.start_text, digest.end_text, digest=digest
    )
    here = digest.path.rpartition("/")[2]
    if here != digest.name:
        finding.reason = f"lies here as {here}"
        return finding
    elsewhere = [each.previous_bucket for each, _ in after if each.previous_bucket != digest.bucket]
    if elsewhere:
        finding.reason = f"says that its bucket is {digest.bucket}; the next digest looks for it in {elsewhere[0]}"
        return finding
    others = [(each, about) for each, about in after if each.previous_hash != digest.sha256]
    if any(about.outcome == "valid" for _, about in others):
        finding.reason = "was altered: the next digest, which is valid, holds another hash of it"
        return finding
    finding.outcome, finding.reason, finding.signature = _signed(digest, after, keys, kept)
    if finding.outcome == "valid":
        for _, about in others:
            about.outcome, about.reason = "invalid", "holds another hash of the digest before it, which is valid"
    elif any(about.outcome == "unverifiable" for _, about in others):
        finding.outcome, finding.reason = "invalid", "the next digest holds another hash of it; neither is verified"
    elif finding.outcome == "unverifiable" and any(about.outcome == "valid" for _, about in after):
        finding.outcome, finding.reason = "valid", "its hash stands in the next digest, which is valid"
    return finding


def _signed(
    digest: DigestFile,
    after: Sequence[tuple[DigestFile, Finding]],
    keys: Mapping[str, PublicKey],
    kept: str | None,
) -> tuple[Outcome, str, str | None]:
    """What the signature says: outcome, reason, and the signature that fits."""
    key = keys.get(digest.fingerprint)
    found = [signature for signature in (kept, *(each.previous_signature for each, _ in after)) if signature]
    if key is None or not found or digest.algorithm != SIGNED_BY:
        return "unverifiable", _lacking(digest, key), None
    fitting = next((signature for signature in found if key.fits(digest.signed_bytes(), signature)), None)
    if fitting is not None and (digest.is_backfill or key.was_used(digest.end)):
        return "valid", "its signature fits", fitting
    if fitting is not None:
        return "invalid", "is signed with a key that was not in use then", None
    if kept is None and all(about.outcome == "invalid" or about.reason == _HOLDER_IN_DOUBT for _, about in after):
        return "unverifiable", _HOLDER_IN_DOUBT, None
    return "invalid", "its signature does not fit", None


def _lacking(digest: DigestFile, key: PublicKey | None) -> str:
    """What is needed to check a signature, and is not there."""
    if digest.algorithm != SIGNED_BY:
        return f"is signed by a method that is not known here: {digest.algorithm or 'none named'}"
    if key is None:
        return f"no key with the fingerprint {digest.fingerprint or '(none)'} was given"
    return "its signature is not here: it is in the object's metadata, or in the next digest"


def _breaks(later: Sequence[DigestFile]) -> Iterable[Finding]:
    """What lacks between digests, chain by chain."""
    by_key = {digest.key: digest for digest in later}
    for number, digest in enumerate(later):
        older = next((each for each in later[number + 1 :] if each.source == digest.source), None)
        before = by_key.get(digest.previous_key or "")
        if before is not None:
            if before.end < digest.start:
                yield _time(digest, before, "gap", "no digest covers this time")
        elif older is None:
            continue
        elif digest.previous_key is None:
            yield _time(digest, older, "gap", "the chain begins anew: logging was off, or digests were taken away")
        else:
            missing = _time(digest, older, "missing", f"is not here; {digest.name} names it")
            yield Finding(
                "digest", digest.previous_key, "missing", missing.reason, missing.source, missing.since, missing.until
            )


def _time(digest: DigestFile, before: DigestFile, outcome: Outcome, reason: str) -> Finding:
    since, until = before.end_text, digest.start_text
    return Finding("time", f"{since} to {until}", outcome, reason, digest.source, since, until)


def check_logs(
    findings: Iterable[Finding], find: Callable[[ListedLog], str | None], hash_of: Callable[[str], str]
) -> None:
    """Add to every digest's finding what became of the log files that it lists.

    Args:
        findings: of `check_chains`.
        find: a listed log file → the path where it lies here.
        hash_of: a path → SHA-256 of its unpacked bytes in hex. Raises `OSError` or `OnshoreError` like reading it.
    """
    for finding in findings:
        if finding.digest is not None:
            finding.logs = [_check_log(listed, finding, find, hash_of) for listed in finding.digest.logs]


def _check_log(
    listed: ListedLog, about: Finding, find: Callable[[ListedLog], str | None], hash_of: Callable[[str], str]
) -> Finding:
    finding = Finding(
        "log", listed.key, "unverifiable", "", about.source, listed.oldest or about.since, listed.newest or about.until
    )
    path = find(listed)
    if about.outcome == "invalid":
        finding.reason = "the digest that lists it is not valid"
    elif path is None:
        finding.outcome, finding.reason = "missing", "is not here; its digest lists it"
    elif listed.algorithm != HASHED:
        finding.reason = f"is hashed by a method that is not known here: {listed.algorithm or 'none named'}"
    else:
        try:
            fits = hash_of(path) == listed.hash
        except (OSError, OnshoreError) as error:
            finding.outcome, finding.reason = "invalid", f"cannot be unpacked: {error}"
            return finding
        if not fits:
            finding.outcome, finding.reason = "invalid", "was altered: its digest holds another hash of it"
        elif about.outcome == "valid":
            finding.outcome, finding.reason = "valid", "its hash stands in a valid digest"
        else:
            finding.reason = "its hash fits; the digest that lists it could not be verified"
    return finding
