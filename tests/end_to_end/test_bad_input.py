"""Bad input through the real receiver: everything is accounted for, and nothing stops."""

from __future__ import annotations

import gzip
import random
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otlp_messages import AT_NS, logs, movement, with_invalid_utf8
from running_stack import MESSAGES, RunningStack

if TYPE_CHECKING:
    from collections.abc import Iterator

YEAR_2200_NS = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
MONTH_NS = 31 * 86_400 * 1_000_000_000
MIB = 1 << 20


@pytest.fixture(autouse=True)
def all_is_accounted_for(stack: RunningStack) -> Iterator[None]:
    """After each of these tests: every message has its entry, every record its event or dead letter; and it goes on."""
    yield
    uid = f"normal-{random.randrange(1 << 60)}"
    stack.send_logs(logs([movement() | {"log.record.uid": uid}]))
    stack.wait_for_events(uid, 1)
    stack.wait_for(MESSAGES, stack.accepted())
    assert stack.one("SELECT countIf(records != events + dead_lettered) FROM evidence_log") == 0
    sealed = stack.row("SELECT sum(events) AS events, sum(dead_lettered) AS dead_lettered FROM evidence_log")
    assert stack.one("SELECT count() FROM events_current") == sealed["events"]
    dead = "SELECT sum(greatest(length(record_indexes), 1)) FROM dead_letters_current"
    assert stack.one(dead) == sealed["dead_lettered"]
    assert stack.one("SELECT uniqExact(attempt_id) FROM attempts_open") == 0
    assert "stopped" not in stack.said


def event(stack: RunningStack, uid: str) -> dict[str, Any]:
    stack.wait_for_events(uid, 1)
    return stack.row("SELECT * FROM events_current WHERE attributes['log.record.uid'] = {uid:String}", uid=uid)


def test_truncated_and_random_bytes(stack: RunningStack) -> None:
    noise = random.Random(7)
    whole = logs([movement() for _ in range(20)], resource={"service.name": "cut"})
    bodies = [whole[: noise.randrange(1, len(whole))] for _ in range(10)]
    bodies += [noise.randbytes(noise.randrange(1, 400)) for _ in range(10)]
    for _ in range(10):
        damaged = bytearray(whole)
        damaged[noise.randrange(len(whole))] ^= 1 << noise.randrange(8)
        bodies.append(bytes(damaged))
    for path in ("/v1/logs", "/v1/traces", "/v1/metrics"):
        answers = {stack.post(path, body).status_code for body in bodies}
        assert answers <= {200, 400}


def test_ten_thousand_attributes(stack: RunningStack, mark: str) -> None:
    told = movement() | {f"key.{number:05}": f"value {number}" for number in range(10_000)}
    stack.send_logs(logs([told | {"log.record.uid": mark}]))
    found = event(stack, mark)["attributes"]
    assert len(found) == len(told) + 1
    assert found["key.09999"] == "value 9999"


def test_one_record_of_500_with_invalid_utf8_is_the_one_dead_letter(stack: RunningStack, mark: str) -> None:
    records = [movement() | {"log.record.uid": f"{mark}-{number:03}-"} for number in range(500)]
    message = with_invalid_utf8(logs(records), f"{mark}-123-".encode())
    stack.send_logs(message)
    stack.wait_for_events(f"{mark}-%", 499)
    where = "FROM dead_letters_current WHERE hex(payload) = {payload:String}"
    stack.wait_for(f"SELECT count() {where}", 1, payload=message.hex().upper())
    letter = stack.row(f"SELECT * EXCEPT payload {where}", payload=message.hex().upper())
    assert letter["record_indexes"] == [123]
    assert "UTF-8" in letter["reason"]
    entry = stack.row(
        "SELECT records, events, dead_lettered FROM evidence_log"
        " WHERE topic_id = {topic:UUID} AND offset = {offset:UInt64}",
        topic=str(letter["topic_id"]),
        offset=letter["kafka_offset"],
    )
    assert entry == {"records": 500, "events": 499, "dead_lettered": 1}


def test_times_at_the_ends(stack: RunningStack, mark: str) -> None:
    records = [movement() | {"log.record.uid": f"{mark}-{name}"} for name in ("zero", "late", "never")]
    before = datetime.now(UTC)
    stack.send_logs(logs(records, at_ns=[0, YEAR_2200_NS, 2**64 - 1]))
    late = event(stack, f"{mark}-late")["occurred_at"]
    assert (late.year, late.month, late.day) == (2200, 1, 1)
    for name in ("zero", "never"):
        found = event(stack, f"{mark}-{name}")
        assert found["occurred_at"] == found["ingested_at"]
        assert abs((found["ingested_at"].replace(tzinfo=UTC) - before).total_seconds()) < 60


def test_values_that_are_not_what_they_should_be_are_unknown(stack: RunningStack, mark: str) -> None:
    odd: dict[str, str | int] = {
        "onshore.data.bytes": -1,
        "onshore.data.count": "1.5",
        "onshore.encrypted.at_rest": "perhaps",
        "onshore.approval.expires": "soon",
        "onshore.outcome": 7,
        "onshore.domain": "data movement",
        "onshore.source.country": "XX",
        "onshore.destination.country": 61,
        "onshore.data.home": '["AU", 1]',
        "onshore.transit.countries": "AU,Atlantis",
        "source.address": "AWS Internal",
        "destination.address": "fe80::1%eth0",
        "server.port": "many",
    }
    stack.send_logs(logs([{"log.record.uid": mark} | odd]))
    found = event(stack, mark)
    for column in ("bytes", "item_count", "encrypted_at_rest", "approval_expires_at", "source_country"):
        assert found[column] is None, column
    for column in ("source_address", "destination_country"):
        assert found[column] is None, column
    assert (found["home_jurisdictions"], found["transit_countries"]) == ([], [])
    assert (found["outcome"], found["source_country_basis"]) == ("unknown", "unknown")
    assert found["source_host"] == "AWS Internal"
    assert found["attributes"] == {"log.record.uid": mark} | {key: str(value) for key, value in odd.items()}


def test_attributes_of_every_type(stack: RunningStack, mark: str) -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=AT_NS)
    for key in ("onshore.data.bytes", "onshore.source.country", "server.address", "gen_ai.usage.input_tokens"):
        record.attributes.add(key=key).value.array_value.values.add().bool_value = True
    record.attributes.add(key="onshore.data.categories").value.kvlist_value.values.add(key="a").value.double_value = 1.5
    record.attributes.add(key="onshore.actor.id").value.bytes_value = b"\xff\x00"
    record.attributes.add(key="nothing")
    record.attributes.add(key="").value.string_value = "no name"
    record.attributes.add(key="log.record.uid").value.string_value = mark
    deep = record.body
    for _ in range(30):
        deep = deep.array_value.values.add()
    deep.int_value = 1
    stack.send_logs(request.SerializeToString())
    found = event(stack, mark)
    assert (found["bytes"], found["input_tokens"], found["source_country"]) == (None, None, None)
    assert found["attributes"]["onshore.data.categories"] == '{"a":1.5}'
    assert found["body"] == "[" * 30 + "1" + "]" * 30


def test_200_months_in_one_message(stack: RunningStack, mark: str) -> None:
    records = [movement() | {"log.record.uid": f"{mark}-{number}"} for number in range(200)]
    stack.send_logs(logs(records, at_ns=[number * MONTH_NS + MONTH_NS for number in range(200)]))
    stack.wait_for_events(f"{mark}-%", 200)
    months = (
        "SELECT uniqExact(toYYYYMM(occurred_at)) FROM events_current WHERE attributes['log.record.uid'] LIKE {u:String}"
    )
    assert stack.one(months, u=f"{mark}-%") == 200


def test_deeply_nested_and_empty_messages(stack: RunningStack) -> None:
    request = ExportLogsServiceRequest()
    for _ in range(3):
        request.resource_logs.add().scope_logs.add().log_records.add()
    assert stack.post("/v1/logs", request.SerializeToString()).status_code == 200
    assert stack.post("/v1/logs", b"").status_code == 200
    body = b"x"
    for _ in range(3000):
        body = b"\x2a" + _length(len(body)) + body  # AnyValue.array_value, again and again
    assert stack.post("/v1/logs", b"\x0a" + _length(len(body)) + body).status_code in {200, 400}


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)


def test_what_is_too_large_or_of_the_wrong_kind_is_refused(stack: RunningStack) -> None:
    accepted = stack.accepted()
    large = bytes(100 * MIB)
    assert stack.post("/v1/logs", large).status_code == 413
    assert stack.post("/v1/logs", gzip.compress(large), content_encoding="gzip").status_code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert stack.post("/v1/logs", b"x", content_type=kind).status_code == 415
    assert stack.post("/v1/logs", b"x", content_encoding="br").status_code == 415
    assert stack.post("/v1/logs", b"not gzip", content_encoding="gzip").status_code == 400
    assert stack.post("/v1/logs", b"{not json", content_type="application/json").status_code == 400
    assert stack.accepted() == accepted


def test_json_that_is_no_otlp_stops_nothing(stack: RunningStack) -> None:
    for body in (
        b"[]",
        b"null",
        b'{"resourceLogs": 3}',
        b'{"resourceLogs": [{"scopeLogs": [null, {"logRecords": "x"}]}]}',
    ):
        assert stack.post("/v1/logs", body, content_type="application/json").status_code in {200, 400}


def test_many_senders_of_bad_messages_at_once(stack: RunningStack, mark: str) -> None:
    good = [logs([movement() | {"log.record.uid": f"{mark}-{number}"}]) for number in range(40)]

    def send(number: int) -> None:
        noise = random.Random(number)
        with httpx.Client(base_url=stack.addresses["otlp_http"]) as client:
            for body in good[number::4]:
                for each in (body, noise.randbytes(50), body[:-3]):
                    client.post("/v1/logs", content=each, headers={"content-type": "application/x-protobuf"})

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    stack.wait_for_events(f"{mark}-%", 40)
