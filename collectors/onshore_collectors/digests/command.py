"""`onshore collect cloudtrail-digests`: what CloudTrail's digests prove about its log files, told and sent."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_collectors.command_line import (
    COULD_NOT,
    POSITIONS_FOLDER,
    WRONG,
    CollectorOption,
    DataDirOption,
    JsonOption,
    OtlpOption,
    TokenOption,
    describe,
    listening_receiver,
    stopped_by_signal,
)
from onshore_collectors.digests.chain import Finding, check_chains, check_logs
from onshore_collectors.digests.statements import statements
from onshore_collectors.digests.telling import tell, whole
from onshore_pipeline.errors import OnshoreError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onshore_collectors.files.progress import ShowProgress
    from onshore_collectors.stack_address import ReceiverAddress

COMMAND: Final = "cloudtrail-digests"

KeysOption = Annotated[
    Path | None,
    typer.Option("--public-keys", metavar="FILE", help="What `aws cloudtrail list-public-keys` prints, of the time"),
]
BucketOption = Annotated[
    str | None, typer.Option("--bucket", metavar="NAME", help="The bucket that the digests must be from")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Judge only digests that end after this time (RFC 3339)")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="T", help="Judge only digests that end by this time (RFC 3339)")
]
DigestsOnlyOption = Annotated[bool, typer.Option("--digests-only", help="The chain alone; no log files are looked for")]
NoSendOption = Annotated[bool, typer.Option("--no-send", help="Only tell; nothing is sent to the stack")]


def verify_digests(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Digests and log files: folders, files, patterns")],
    *,
    public_keys: KeysOption = None,
    bucket: BucketOption = None,
    since: FromOption = None,
    until: UntilOption = None,
    digests_only: DigestsOnlyOption = False,
    no_send: NoSendOption = False,
    otlp: OtlpOption = None,
    token_file: TokenOption = None,
    data_dir: DataDirOption = None,
    collector_id: CollectorOption = None,
    as_json: JsonOption = False,
) -> int:
    """Verify CloudTrail digests and the log files they list, and send what was found as coverage.

    The signature of a digest stands in the next one; of the newest it is only in the bucket: keep what `aws s3api
    head-object` prints beside the digest, as DIGEST.metadata.json, or judge up to an earlier time with --until.

    Exit 0: everything is valid. 1: something is invalid or missing, or there is a gap. 2: something could not be
    verified.
    """
    from onshore_collectors.digests.files import gather, hash_of
    from onshore_collectors.digests.public_keys import load_public_keys
    from onshore_collectors.files.progress import show_progress
    from onshore_collectors.files.source_files import find_files

    keys = load_public_keys(public_keys) if public_keys else {}
    window = (_time("--from", since), _time("--until", until))
    receiver = None if no_send else listening_receiver(otlp, token_file, data_dir)
    found = find_files(paths)
    with show_progress(sys.stderr, found.size(), len(found.files)) as show:
        watch = _Watch(show)
        gathered = gather(found.files, watch.read)
        if not gathered.digests and not gathered.unreadable:
            raise OnshoreError(f"no CloudTrail digest among {len(found.files):,} files")
        findings = [*gathered.unreadable, *check_chains(gathered.digests, keys, gathered.signatures)]
        findings = [_in_bucket(each, bucket) for each in findings if _within(each, *window)]
        if not digests_only:
            check_logs(findings, gathered.find, lambda path: hash_of(path, watch.read))
            if window == (None, None):
                findings += [_unlisted(path) for path in gathered.unlisted()]
    sent = None if receiver is None else _send(findings, receiver, describe(COMMAND, collector_id, None), data_dir)
    tell(findings, sent, as_json=as_json)
    return _exit_code(findings)


class _Watch:
    """Shows how far reading is, chunk by chunk."""

    def __init__(self, show: ShowProgress) -> None:
        self._show, self._bytes = show, 0

    def read(self, size: int) -> None:
        self._bytes += size
        self._show(self._bytes, 0, 0)


def _time(flag: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(flag, f"{text!r} is no time as RFC 3339 writes it, such as 2026-11-26T00:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _within(finding: Finding, since: datetime | None, until: datetime | None) -> bool:
    """Whether a finding is about a time that is asked for; what says no time always is."""
    try:
        end = datetime.fromisoformat(finding.until or "")
    except ValueError:
        return True
    return (since is None or end > since) and (until is None or end <= until)


def _in_bucket(finding: Finding, bucket: str | None) -> Finding:
    if bucket is not None and finding.digest is not None and finding.digest.bucket != bucket:
        finding.outcome, finding.reason = "invalid", f"is from the bucket {finding.digest.bucket}, not {bucket}"
    return finding


def _unlisted(path: str) -> Finding:
    return Finding("log", path, "unverifiable", "no digest among these files lists it")


def _send(
    findings: Sequence[Finding], receiver: ReceiverAddress, resource: Mapping[str, str], data_dir: Path | None
) -> int:
    """Send the findings and wait until the receiver has them; how many went. Raises `BrokerUnavailable`."""
    from onshore_collectors.files.log_outbox import LogOutbox, Stopped
    from onshore_collectors.files.positions import Positions
    from onshore_collectors.stack_address import data_folder

    folder = data_folder(data_dir).path / POSITIONS_FOLDER
    with stopped_by_signal() as stop, Positions(folder, COMMAND, receiver.name) as positions:
        scope = f"onshore.collectors.{COMMAND}"
        outbox = LogOutbox(receiver, resource, scope=scope, positions=positions, stop=stop)
        try:
            outbox.finish_earlier()
            for record in statements(findings):
                outbox.put(record, (), "", None)  # findings are made anew by every run
            outbox.flush()
        except Stopped:
            raise KeyboardInterrupt from None
        finally:
            outbox.close()
    return outbox.sent


def _exit_code(findings: Sequence[Finding]) -> int:
    outcomes = {each.outcome for each in whole(findings)}
    if outcomes & {"invalid", "gap", "missing"}:
        return WRONG
    return COULD_NOT if "unverifiable" in outcomes else 0
