"""Every leaf can be made again from rows of the store alone, by the written format and in plain Python."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import evidence_reference as reference
import otlp_messages as otlp
import store_lines
from cloudtrail_texts import record
from embedded_pipeline import Pipeline, running_pipeline
from onshore_collectors.demo.play import Request, requests_of
from onshore_collectors.demo.scenario import TEMPLATES, TENANTS
from onshore_collectors.demo.schedule import allot
from onshore_collectors.demo.truth import Truth
from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine

if TYPE_CHECKING:
    from pathlib import Path

END_NS: Final = 1_795_000_000_123_456_789
TOPICS: Final = {"log": "otlp_logs", "span": "otlp_spans", "metric": "otlp_metrics"}
EVENTS: Final = 1500
OWN_EVENTS: Final = 12
# Nothing that is read today says the first two; the third comes from an MMDB of the deployment.
NEVER_FILLED: Final = {"actor_facility", "actor_host", "actor_asn"}


def _demo() -> list[Request]:
    """CloudTrail records, GenAI spans, host metrics and our own records, of many resources a request."""
    cells = allot(TENANTS, TEMPLATES, EVENTS)
    return list(requests_of(cells, Truth("round-trip"), seed=1, end_ns=END_NS, stored_as=str))


def _own_logs() -> list[bytes]:
    """What a sender can write into every field that people fill: unicode, controls, extremes, disagreement."""
    awkward = 'line\n"quoted" \\ \t\x00\x01\x1f\x7f\u2028 名前 é e\u0301 \U0001f30f'
    full = otlp.movement(
        actor_id=awkward, actor_nationality="Japan", actor_employer=awkward, actor_entity="Sinnet (AWS China)",
        source_region="ap-southeast-2", source_facility="syd-1", destination_facility=awkward, data_set=awkward,
        data_classification="secret", data_categories='["health","個人"]', data_home="AU,JP", data_count=2**63 - 1,
        transit_countries="NZ,FJ", key_id=awkward, key_custodian="hsm", key_country="MY", object_digest="sha256:ab",
        approval_id="CHG-1 é", approval_by="none", approval_expires="2026-12-01T00:00:00.000000001Z",
        encrypted_at_rest="true", encrypted_in_transit="FALSE", collector_id="edge-1", collector_sequence=7,
        location_attestation="e30.e30.e30", reason=awkward,
    )  # fmt: skip
    disputed = otlp.movement() | {
        "onshore.destination.region": "ap-southeast-2",
        "cloud.provider": "aws",
        "onshore.source.entity": "Sinnet (AWS China)",
        "onshore.destination.entity": "NWCD (AWS China)",
        "source.as.number": "1221",
        "destination.as.number": "4294967295",
        "source.address": "203.0.113.5",
        "destination.address": "2001:db8::1",
        "client.address": "::ffff:198.51.100.7",
    }
    resource = {"service.name": "copier", "cloud.region": "eu-central-1", "cloud.provider": "aws", "é\n": awkward}
    return [
        otlp.logs([full, disputed, otlp.movement(), {}], resource=resource, body=awkward, at_ns=[1, END_NS, 0, 2**62]),
        otlp.logs([full, disputed], body="x" * 70_000),
        # Two resources in one message: serialised requests join by being put one after the other.
        otlp.logs([disputed], resource=resource) + otlp.logs([full], resource={"": "", "a": "b"}),
    ]


def _cloudtrail() -> bytes:
    """Two raw records, as an encoding extension hands them on."""
    read = record(
        1, eventSource="s3.amazonaws.com", awsRegion="ap-southeast-2", sourceIPAddress="198.51.100.7",
        userIdentity={"type": "IAMUser", "arn": "arn:aws:iam::111:user/愛子", "accountId": "111"},
        requestParameters={"bucketName": "notes", "key": "1.json"}, recipientAccountId="222", vpcEndpointId="vpce-1",
    )  # fmt: skip
    by_service = record(
        2, eventSource="kms.amazonaws.com", sourceIPAddress="s3.amazonaws.com", errorCode="AccessDenied"
    )
    texts = [json.dumps(each, ensure_ascii=False) for each in (read, by_service)]
    return otlp.encoded(texts, "aws.cloudtrail", {"cloud.region": "eu-west-1"})


def _model_calls() -> list[bytes]:
    """A call that names the model that answered, from a service in "the EU", and the same call as its server saw it."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5-2026-08-07", "server.address": "api.openai.com",
    }  # fmt: skip
    service = {
        "service.name": "assistant", "cloud.provider": "gcp", "cloud.region": "eu", "cloud.account.id": "333",
        "host.id": "h-1", "host.name": "node-1",
    }  # fmt: skip
    return [otlp.span(call, service), otlp.span({"client.address": "198.51.100.9"}, service, kind=2)]


def _fill(pipeline: Pipeline) -> None:
    for request in _demo():
        pipeline.send(TOPICS[request.signal], [request.payload], tenant=request.tenant)
    pipeline.send("otlp_logs", [*_own_logs(), _cloudtrail()], tenant="会社")
    pipeline.send("otlp_spans", _model_calls(), tenant="会社")
    pipeline.work()
    pipeline.sequence()


def test_every_leaf_can_be_made_again_from_what_the_store_holds(tmp_path: Path) -> None:
    leaves_of: dict[tuple[Any, ...], list[tuple[int, bytes]]] = defaultdict(list)
    with running_pipeline(tmp_path) as pipeline:
        _fill(pipeline)
        rows = store_lines.stored_events(pipeline.client)
        entries = [json.loads(row[0]) for row in pipeline.rows("SELECT DISTINCT entry FROM evidence_log")]
        master = pipeline.judgement.salt_master
    assert len(rows) == EVENTS + OWN_EVENTS
    assert _never_filled(rows) == NEVER_FILLED
    wrong = []
    for row in rows:
        leaf = reference.leaf(store_lines.line_of(row, master))
        if leaf != row["leaf_hash"]:
            wrong.append((row["source_format"], row["action"], row["record_index"]))
        message = (str(row["topic_id"]), row["kafka_partition"], row["kafka_offset"])
        leaves_of[message].append((row["record_index"], leaf))
    assert wrong == []
    assert {entry["events_root"] for entry in entries} == {
        reference.root([leaf for _, leaf in sorted(leaves)]).hex() for leaves in leaves_of.values()
    }


def _never_filled(rows: list[dict[str, Any]]) -> set[str]:
    """Columns of the line that no event of the mix has a value in: such a column would go untested."""
    filled = {name for row in rows for name, value in row.items() if value not in (None, [], {})}
    return {column.name for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE} - filled
