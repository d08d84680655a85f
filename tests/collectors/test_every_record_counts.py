"""Every record of every real log file becomes an event or a dead letter: reader, request, decoding, normalising."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest
import zstandard

from demo_judgement import APPENDED_NS, shipped_judgement
from onshore_collectors.files.batch import Batch
from onshore_collectors.files.kinds import KINDS
from onshore_collectors.files.pieces import RawRecord, Unreadable
from onshore_pipeline.assess import Attempt, assess
from onshore_pipeline.broker import TENANT_HEADER, Message, Polled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.assess import Judgement

DATA = Path(__file__).parents[3] / "shared" / "data"
KIND_BY_FOLDER = {
    "cloudtrail": "cloudtrail",
    "cloudtraillog": "cloudtrail",
    "network-firewall-log": "network-firewall",
    "s3-access-log": "s3-access",
    "vpc-flow-log": "flow-logs",
    "azureencodingextension": "azure-activity",
    "googlecloudlogentryencodingextension": "gcp-audit",
    "kubernetes": "kubernetes-audit",
}
KIND_BY_LABEL = {
    "AWS.CloudTrail": "cloudtrail",
    "AWS.S3ServerAccess": "s3-access",
    "AWS.VPCFlow": "flow-logs",
    "Amazon.EKS.Audit": "kubernetes-audit",
    "Azure.Audit": "azure-activity",
    "Azure.MonitorActivity": "azure-activity",
    "Databricks.Audit": "databricks",
    "GCP.AuditLog": "gcp-audit",
    "GSuite.ActivityEvent": "google-workspace",
    "GitHub.Audit": "github",
    "Okta.SystemLog": "okta",
}
LISTS = ("Records", "records", "entries", "logEvents", "items", "value")
SIGNALS = {"logs.json": ("otlp_logs", "logRecords"), "trace.json": ("otlp_spans", "spans")}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real files are not at {DATA}")


class Log(NamedTuple):
    """A file of logs: which kind it is, what is read, and how many records it holds, counted by the json module."""

    kind: str
    content: bytes
    records: int


def logs() -> list[Path]:
    """Every file that is an input of a kind of source."""
    folders = [DATA / name for name in ("cloudtrail", "kubernetes", "labelled", "otel-contrib")]
    found = [path for folder in folders for path in sorted(folder.rglob("*.*")) if path.suffix not in {".txt", ".md"}]
    return [path for path in found if path.name != "LICENSE"]


def log_of(path: Path) -> Log:
    if path.parent.name == "labelled":
        events = [json.dumps(json.loads(line)["log"]) for line in path.read_text(encoding="utf-8").splitlines()]
        return Log(KIND_BY_LABEL[path.stem], "\n".join(events).encode(), len(events))
    kind = next(KIND_BY_FOLDER[part] for part in reversed(path.parts) if part in KIND_BY_FOLDER)
    content = path.read_bytes()
    text = content.decode()
    if text.lstrip().startswith(("{", "[")):
        return Log(kind, content, sum(map(held, values_in(text))))
    lines = [line for line in text.splitlines() if line.strip()]
    return Log(kind, content, sum("srcaddr" not in line for line in lines))


def values_in(text: str) -> Iterator[Any]:
    at = 0
    while rest := text[at:].lstrip():
        value, end = json.JSONDecoder().raw_decode(rest)
        at = len(text) - len(rest) + end
        yield value


def held(value: Any) -> int:
    if isinstance(value, list):
        return len(value)
    if "digestStartTime" in value:
        return 0  # hashes of log files
    return next((len(value[name]) for name in LISTS if isinstance(value.get(name), list)), 1)


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    return shipped_judgement()


def assessed(topic: str, values: list[bytes], judgement: Judgement) -> Attempt:
    headers = ((TENANT_HEADER, b"acme"),)
    messages = [
        Message(topic, UUID(int=1), 0, place, APPENDED_NS, "broker", headers, value)
        for place, value in enumerate(values)
    ]
    return assess(Polled(tuple(messages)), judgement, UUID(int=9))


def requests_of(log: Log) -> tuple[list[bytes], int]:
    """What the reader sends of a file, and how many stretches of it are no records."""
    (read,) = [each.read for each in KINDS if each.name == log.kind]
    requests: list[bytes] = []
    told = 0

    def packed(batch: Batch) -> None:
        requests.extend(zstandard.ZstdDecompressor().decompress(each.body) for each in batch.payloads())
        batch.clear()

    batch = Batch({"service.name": "reader"}, "test", "zstd")
    for piece in read(log.content[at : at + 1000] for at in range(0, len(log.content), 1000)):
        if isinstance(piece, RawRecord):
            if not batch.has_room(len(piece.text)):
                packed(batch)
            batch.put(piece, ())
        elif isinstance(piece, Unreadable):
            if not batch.has_room(len(piece.text)):
                packed(batch)
            batch.put_unreadable(piece, (), "file")
            told += 1
    packed(batch)
    return requests, told


@pytest.mark.parametrize("path", logs() if DATA.is_dir() else [], ids=lambda path: path.name)
def test_records_in_are_events_and_dead_letters(path: Path, judgement: Judgement) -> None:
    log = log_of(path)
    requests, told = requests_of(log)
    attempt = assessed("otlp_logs", requests, judgement)
    events = attempt.tables["events"].num_rows if "events" in attempt.tables else 0
    assert (events + attempt.dead_lettered, attempt.records) == (log.records, log.records)
    assert attempt.dead_lettered == told == 0  # whoever wrote them meant each to be a record


@pytest.mark.parametrize("name", SIGNALS)
def test_otlp_examples_are_events(name: str, judgement: Judgement) -> None:
    topic, records = SIGNALS[name]
    content = (DATA / "otlp" / name).read_bytes()
    attempt = assessed(topic, [content], judgement)
    assert (attempt.events, attempt.dead_lettered) == (content.count(f'"{records}"'.encode()), 0)
