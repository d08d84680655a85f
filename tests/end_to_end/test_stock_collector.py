"""The OpenTelemetry Collector itself in front of Onshore: as it tails files, decodes, and writes into Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import kafka
import pytest
from ruamel.yaml import YAML

from cloudtrail_texts import log_file, record
from otel_collector import CollectorUnavailable, collector_program, running_collector, validate
from running_stack import running_stack, wait_until

if TYPE_CHECKING:
    from running_stack import RunningStack

pytestmark = pytest.mark.timeout(1_800)  # whoever comes first builds the Collector

SHIPPED: Final = Path(__file__).parents[2] / "compose" / "otelcol" / "config.yaml"
PATIENCE_S: Final = 60.0
QUIET: Final = {"telemetry": {"metrics": {"level": "none"}}}


@pytest.fixture(scope="module", autouse=True)
def _collector() -> None:
    try:
        collector_program()
    except CollectorUnavailable as missing:
        pytest.skip(str(missing))


def shipped_config(folder: Path, broker: str) -> dict[str, Any]:
    """compose/otelcol/config.yaml with addresses and folder of this test."""
    config: dict[str, Any] = YAML(typ="safe", pure=True).load(SHIPPED.read_text())
    config["extensions"]["file_storage"]["directory"] = str(folder / "queue")
    config["exporters"]["kafka"]["brokers"] = [broker]
    return config


def audit(number: int, mark: str) -> str:
    """A Kubernetes audit event of a shell in a pod."""
    return json.dumps(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "auditID": f"{mark}-{number}",
            "stage": "ResponseComplete",
            "verb": "create",
            "requestURI": f"/api/v1/namespaces/ai/pods/{mark}/exec",
            "user": {"username": "aiko", "groups": ["system:authenticated"]},
            "sourceIPs": ["198.51.100.7"],
            "objectRef": {"resource": "pods", "namespace": "ai", "name": mark, "subresource": "exec"},
            "responseStatus": {"code": 101},
            "requestReceivedTimestamp": "2026-11-20T01:02:03.000004Z",
            "stageTimestamp": "2026-11-20T01:02:03.100004Z",
        }
    )


def test_the_shipped_configuration_is_one_that_the_collector_takes(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    (tmp_path / "queue").mkdir()
    file.write_text(json.dumps(shipped_config(tmp_path, "127.0.0.1:1")))
    assert validate(file) == ""


def test_raw_lines_of_a_file_that_it_tails_are_read_as_the_format_that_its_resource_names(
    stack: RunningStack, tmp_path: Path, mark: str
) -> None:
    (tmp_path / "audit.log").write_text("".join(f"{audit(number, mark)}\n" for number in range(200)))
    config = {
        "receivers": {
            "filelog": {
                "include": [str(tmp_path / "audit.log")],
                "start_at": "beginning",
                "resource": {"log.record.format": "kubernetes.audit", "service.name": mark},
            }
        },
        "exporters": {"otlphttp": {"endpoint": stack.addresses["otlp_http"]}},
        "service": {**QUIET, "pipelines": {"logs": {"receivers": ["filelog"], "exporters": ["otlphttp"]}}},
    }
    with running_collector(tmp_path / "collector", config):
        stack.wait_for(
            "SELECT count() FROM events_current WHERE resource_attributes['service.name'] = {mark:String}",
            200,
            PATIENCE_S,
            mark=mark,
        )
    told = stack.row(
        "SELECT source_format, uniqExact(body) AS bodies, any(actor_id) AS who, any(toString(source_address)) AS whence"
        " FROM events_current WHERE resource_attributes['service.name'] = {mark:String} GROUP BY source_format",
        mark=mark,
    )
    assert told == {
        "source_format": "kubernetes.audit",
        "bodies": 200,
        "who": "aiko",
        "whence": "::ffff:198.51.100.7",
    }


def test_what_its_cloudtrail_decoder_loses_is_unknown_and_never_made_up(
    stack: RunningStack, fresh_tansu: str, tmp_path: Path, mark: str
) -> None:
    regions = ["ap-southeast-2", "us-east-1"]
    texts = [
        json.dumps(
            record(
                number,
                eventID=f"{mark}-{number}",
                eventSource="s3.amazonaws.com",
                awsRegion=regions[number % 2],
                sourceIPAddress="198.51.100.7",
                recipientAccountId="111122223333",
                userIdentity={"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/aiko"},
                requestParameters={"bucketName": mark},
            )
        )
        for number in range(40)
    ]
    config = {
        "extensions": {"aws_logs_encoding/cloudtrail": {"format": "cloudtrail"}},
        "receivers": {
            "kafka": {
                "brokers": [fresh_tansu],
                "group_id": mark,
                "initial_offset": "earliest",
                "logs": {"topics": ["files"], "encoding": "aws_logs_encoding/cloudtrail"},
            }
        },
        "exporters": {"otlphttp": {"endpoint": stack.addresses["otlp_http"]}},
        "service": {
            **QUIET,
            "extensions": ["aws_logs_encoding/cloudtrail"],
            "pipelines": {"logs": {"receivers": ["kafka"], "exporters": ["otlphttp"]}},
        },
    }
    put(fresh_tansu, "files", [log_file(*texts)])
    where = "attributes['aws.cloudtrail.event_id'] LIKE {mark:String}"
    with running_collector(tmp_path / "collector", config) as collector:
        found = f"SELECT count() FROM events_current WHERE {where}"
        wait_until(
            lambda: stack.one(found, mark=f"{mark}-%") == 40 or collector.process.poll() is not None,
            "the decoded records",
            PATIENCE_S,
        )
        assert collector.process.poll() is None, collector.said[-1000:]
    told = stack.row(
        "SELECT groupUniqArray(source_format) AS formats, groupUniqArray(action) AS actions, "
        "groupUniqArray(destination_region) AS regions, "
        "groupUniqArray(ifNull(destination_country, 'unknown')) AS places"
        f" FROM events_current WHERE {where}",
        mark=f"{mark}-%",
    )
    assert told == {"formats": ["aws.cloudtrail"], "actions": ["data.read"], "regions": [], "places": ["unknown"]}


def test_with_the_shipped_configuration_it_puts_into_kafka_what_our_worker_reads(
    fresh_broker: str, tmp_path: Path, mark: str
) -> None:
    config = shipped_config(tmp_path, fresh_broker)
    (tmp_path / "audit.log").write_text("".join(f"{audit(number, mark)}\n" for number in range(100)))
    config["receivers"] = {"filelog": {"include": [str(tmp_path / "audit.log")], "start_at": "beginning"}}
    as_raw = {**config["exporters"]["kafka"], "logs": {"topic": "raw.kubernetes.audit", "encoding": "raw"}}
    config["exporters"]["kafka/raw"] = as_raw
    config["service"]["pipelines"] = {
        "logs": {"receivers": ["filelog"], "exporters": ["kafka"]},
        "logs/raw": {"receivers": ["filelog"], "exporters": ["kafka/raw"]},
    }
    kafka_settings = {
        "ONSHORE_KAFKA_BOOTSTRAP_SERVERS": fresh_broker,
        "ONSHORE_KAFKA_GROUP": mark,
        "ONSHORE_KAFKA_RAW_FORMATS": '["kubernetes.audit"]',
        "ONSHORE_KAFKA_SESSION_TIMEOUT_S": "6",
        "ONSHORE_KAFKA_MAX_POLL_INTERVAL_S": "6",
    }
    with (
        running_stack(tmp_path / "stack", "--no-dashboard", **kafka_settings) as stack,
        running_collector(tmp_path / "collector", config) as collector,
    ):
        wait_until(
            lambda: stack.one("SELECT count() FROM events_current") == 200 or collector.process.poll() is not None,
            "every record twice, by both ways",
            PATIENCE_S,
        )
        assert collector.process.poll() is None, collector.said[-1000:]
        assert stack.rows(
            "SELECT kafka_topic, source_format, count(), uniqExact(body) FROM events_current GROUP BY ALL ORDER BY ALL"
        ) == [("otlp_logs", "otlp.log", 100, 100), ("raw.kubernetes.audit", "kubernetes.audit", 100, 100)]


def put(broker: str, topic: str, values: list[bytes]) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=[broker])
    for value in values:
        producer.send(topic, value)
    producer.flush()
    producer.close()
