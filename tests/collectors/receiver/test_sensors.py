"""The receiver says which collector sent a message, by its token alone; nothing in a request can say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.receiver.tenants import TenantRegistry, add_tenant
from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SENSOR_HEADER, SEQUENCE_HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collectors.receiver.conftest import Receiver, Start

LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
FORGED = {
    SENSOR_HEADER: "syd-1/host", COLLECTOR_HEADER: "syd-1/host", RUN_HEADER: "run-1", SEQUENCE_HEADER: "1",
}  # fmt: skip


def body() -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="onshore.collector.id").value.string_value = "syd-1/host"
    group.scope_logs.add().log_records.add().body.string_value = "here"
    return request.SerializeToString()


def sensors(receiver: Receiver) -> list[str | None]:
    headers = [dict(message.headers).get(SENSOR_HEADER) for message in receiver.messages()]
    return [None if each is None else each.decode() for each in headers]


def test_only_the_token_of_a_collector_names_it(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    bound, plain = add_tenant(path, "acme", collector="syd-1/host"), add_tenant(path, "acme")
    receiver = start(tenants=TenantRegistry(path))
    for number, token in enumerate((bound, plain, None)):
        shown = {RUN_HEADER: f"run-{number}"} | ({"authorization": f"Bearer {token}"} if token else {})
        sent = receiver.post("/v1/logs", body(), content_type="application/x-protobuf", **(FORGED | shown))
        sent.raise_for_status()
    assert sensors(receiver) == ["syd-1/host", None, None]


def test_over_grpc_as_well(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    bound, plain = add_tenant(path, "acme", collector="syd-1/host"), add_tenant(path, "acme")
    receiver = start(tenants=TenantRegistry(path))
    channel: Any
    with grpc.insecure_channel(receiver.grpc) as channel:
        export = channel.unary_unary(LOGS)
        for token in (bound, plain):
            shown = (("authorization", f"Bearer {token}"), (SENSOR_HEADER, "syd-1/host"))
            export(body(), metadata=shown, timeout=30)
    assert sensors(receiver) == ["syd-1/host", None]
