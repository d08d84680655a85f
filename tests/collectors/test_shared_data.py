"""Real files that nobody here wrote: every byte of them is a record or told to be none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onshore_collectors.files.kinds import KINDS
from onshore_collectors.files.pieces import Digest, Piece, RawRecord, Unreadable

DATA = Path(__file__).parents[3] / "shared" / "data"
CONTRIB = DATA / "otel-contrib"
KIND_BY_FOLDER = {
    "cloudtraillog": "cloudtrail",
    "network-firewall-log": "network-firewall",
    "s3-access-log": "s3-access",
    "vpc-flow-log": "flow-logs",
    "azureencodingextension": "azure-activity",
    "googlecloudlogentryencodingextension": "gcp-audit",
}
LABELLED = {
    "AWS.CloudTrail": "cloudtrail",
    "Amazon.EKS.Audit": "kubernetes-audit",
    "Azure.Audit": "azure-activity",
    "Azure.MonitorActivity": "azure-activity",
    "GCP.AuditLog": "gcp-audit",
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real files are not at {DATA}")


def read(kind: str, content: bytes) -> list[Piece]:
    (read_pieces,) = [each.read for each in KINDS if each.name == kind]
    return list(read_pieces(content[at : at + 1000] for at in range(0, len(content), 1000)))


def kind_of(path: Path) -> str:
    parts = path.relative_to(CONTRIB).parts
    if "googlecloudlogentryencodingextension" in parts:
        return "gcp-audit"
    return next(kind for folder, kind in KIND_BY_FOLDER.items() if folder in parts)


@pytest.mark.parametrize("path", sorted(CONTRIB.rglob("testdata/**/*.*")), ids=lambda path: path.name)
def test_samples_of_the_opentelemetry_collector_are_read_whole(path: Path) -> None:
    content = path.read_bytes()
    pieces = read(kind_of(path), content)
    assert pieces
    assert not [piece for piece in pieces if isinstance(piece, Unreadable)]
    records = [piece for piece in pieces if isinstance(piece, RawRecord)]
    assert records or isinstance(pieces[0], Digest)
    if path.suffix in {".log", ".ndjson"}:
        headings = 1 if b"srcaddr" in content else 0
        assert len(records) + headings == len(content.strip().splitlines())


@pytest.mark.parametrize("name", LABELLED)
def test_labelled_events_are_read_one_by_one(name: str) -> None:
    lines = (DATA / "labelled" / f"{name}.jsonl").read_text().splitlines()
    events = [json.dumps(json.loads(line)["log"]) for line in lines]
    pieces = read(LABELLED[name], "\n".join(events).encode())
    told = [piece for piece in pieces if isinstance(piece, Unreadable)]
    assert len(pieces) == len(events)
    assert [piece.text for piece in pieces if isinstance(piece, RawRecord)] == [
        event for event in events if event not in {each.text for each in told}
    ]


def test_the_kubernetes_event_is_read() -> None:
    (path,) = (DATA / "kubernetes").glob("*.json")
    (piece,) = read("kubernetes-audit", path.read_bytes())
    assert isinstance(piece, RawRecord)
    assert piece.uid == "841d3e6d-90d2-43df-8da4-684738bee3d5"
