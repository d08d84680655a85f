"""What a reader of files could not read becomes a dead letter with its place, and the records beside it are events."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from onshore_pipeline.domain import unreadable
from onshore_pipeline.unread import told_unreadable
from onshore_pipeline.wire.decode import decode


def message(*unread: bool) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for is_unread in unread:
        record = scope.log_records.add(body=AnyValue(string_value="{half"))
        if is_unread:
            named = {unreadable.REASON: "is not JSON", unreadable.FILE: "/logs/a.json"}
            record.attributes.extend(
                KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in named.items()
            )
            record.attributes.append(KeyValue(key=unreadable.LINE, value=AnyValue(int_value=3)))
            record.attributes.append(KeyValue(key=unreadable.POSITION, value=AnyValue(int_value=77)))
    return request.SerializeToString()


def test_each_unreadable_record_is_told_with_file_line_and_byte() -> None:
    decoded = decode([("otlp_logs", message(False, False), None), ("otlp_logs", message(False, True, False), None)])
    (failure,) = told_unreadable(decoded)
    assert (failure.message, failure.record_indexes, failure.stage) == (1, (1,), "collect")
    assert failure.reason == "/logs/a.json, line 3, byte 77: is not JSON"


def test_nothing_is_told_where_all_could_be_read() -> None:
    assert told_unreadable(decode([("otlp_logs", message(False), None)])) == ()
