"""Every finding that comes of known records: what one analyst gets, as lines to compare (docs/findings.md).

A line a finding in tests/golden/findings: the control, the finding's fingerprint, and how many events it is about. They
change where controls, mappings or registries do. Read what changed, as somebody who would have to look into it; then
`python tests/golden/make_findings.py` writes them anew.
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import otlp_messages as otlp
from onshore_collectors.demo.planted_windows import windowed_requests
from onshore_collectors.demo.play import requests_of
from onshore_collectors.demo.scenario import TEMPLATES, TENANTS
from onshore_collectors.demo.schedule import allot
from onshore_collectors.demo.truth import Truth
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import LogLimits
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from embedded_pipeline import Pipeline

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "findings"
SHARED: Final = Path(__file__).parents[3] / "shared" / "data"
DEMO_EVENTS, DEMO_SEED = 5000, 1
# When all of it reached us, and when it was judged and measured.
RECEIVED: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
_JUDGED: Final = RECEIVED + timedelta(hours=1)
_A_MESSAGE: Final = 200
_TOPICS: Final = {"log": "otlp_logs", "span": "otlp_spans", "metric": "otlp_metrics"}
_LABELLED: Final = {
    "AWS.CloudTrail": "aws.cloudtrail", "AWS.S3ServerAccess": "aws.s3access", "AWS.VPCFlow": "aws.vpcflow",
    "Amazon.EKS.Audit": "kubernetes.audit", "Azure.Audit": "azure.entra", "Databricks.Audit": "databricks.audit",
    "GCP.AuditLog": "gcp.audit", "GSuite.ActivityEvent": "google.workspace", "GitHub.Audit": "github.audit",
    "Okta.SystemLog": "okta.system",
}  # fmt: skip

Sent = tuple[str, str, bytes]


def demo() -> Iterator[Sent]:
    """Topic, tenant and message of all that a small play of the demo sends."""
    truth = Truth("golden")
    end_ns = int(RECEIVED.timestamp()) * 10**9
    cells = allot(TENANTS, TEMPLATES, DEMO_EVENTS)
    day = requests_of(cells, truth, seed=DEMO_SEED, end_ns=end_ns, stored_as=str)
    planted = windowed_requests(truth, TENANTS[0].id, TENANTS[0].id, end_ns)
    for request in (*day, *planted):
        yield _TOPICS[request.signal], request.tenant, request.payload


def shared_data() -> Iterator[Sent]:
    """Topic, tenant and message of all recorded and labelled records beside the repository."""
    for source_format, bodies in _shared_records():
        for first in range(0, len(bodies), _A_MESSAGE):
            yield "otlp_logs", "default", otlp.encoded(bodies[first : first + _A_MESSAGE], source_format, {})


def shared_count() -> int:
    """How many records that are."""
    return sum(len(bodies) for _, bodies in _shared_records())


def _shared_records() -> Iterator[tuple[str, list[str]]]:
    for path in sorted((SHARED / "cloudtrail").glob("*.json")):
        yield "aws.cloudtrail", [json.dumps(each) for each in json.loads(path.read_text(encoding="utf-8"))["Records"]]
    for name, source_format in _LABELLED.items():
        yield source_format, [json.dumps(each) for each in _logs(name)]
    monitor = _logs("Azure.MonitorActivity")
    for source_format, of_storage in (("azure.activity", False), ("azure.storage", True)):
        yield (
            source_format,
            [json.dumps(each) for each in monitor if ("/" not in str(each["operationName"])) == of_storage],
        )


def _logs(name: str) -> list[dict[str, object]]:
    lines = (SHARED / "labelled" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["log"] for line in lines]


def findings(pipeline: Pipeline, sent: Iterable[Sent]) -> list[str]:
    """A line for every finding that comes of these messages, in order."""
    limits = LogLimits(kept_bytes=1 << 30, kept_messages=1 << 20, kept_s=1 << 30)
    log = LocalLog(DataDir(pipeline.settings.data_dir).messages, now_ns=_received_ns, limits=limits)
    with closing(log.producer()) as producer:
        for topic, tenant, message in sent:
            producer.send(topic, [Outgoing(message, ((TENANT_HEADER, tenant.encode()),))])
    pipeline.work(log.consumer())
    pipeline.sequence()
    pipeline.judge_windows(now=_JUDGED)
    pipeline.measure(now=_JUDGED)
    pipeline.measure(now=_JUDGED)  # findings are made of what the measurement before made visible
    told = pipeline.rows("SELECT toString(control_id), fingerprint, events FROM findings WHERE events > 0")
    return sorted(json.dumps([control, said, events], ensure_ascii=False) for control, said, events in told)


def _received_ns() -> int:
    return int(RECEIVED.timestamp()) * 10**9


def read(name: str) -> list[str]:
    """The lines as they were read by a person."""
    return (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


def write(name: str, lines: list[str]) -> None:
    """Keep lines as those that were read."""
    (GOLDEN / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
