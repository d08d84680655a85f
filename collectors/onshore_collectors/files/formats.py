"""How the records of the JSON formats are found, named, dated and told apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from onshore_collectors.files.json_records import JsonRules
from onshore_collectors.files.pieces import RawRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANY_LIST: Final = ("Records", "records", "items", "entries", "value", "events", "logs", "data")
_ANY_ID: Final = ("id", "uid", "event_id", "eventId")
_ANY_TIME: Final = ("time", "timestamp", "@timestamp", "eventTime")


# --- Google Cloud: the log's name says what an entry is ---

_BY_LOG: Final = (
    ("/access_transparency", "gcp.access_transparency"),
    ("/vpc_flows", "gcp.vpcflow"),
    ("compute.googleapis.com/firewall", "gcp.firewall"),
    ("/dns_queries", "gcp.dns"),
    ("cloudaudit.googleapis.com/", "gcp.audit"),
)
GCP_FORMATS: Final = tuple(name for _, name in _BY_LOG)


def _gcp(default: str) -> JsonRules:
    def choose(fields: Mapping[str, Any]) -> str:
        log = str(fields.get("logName")).replace("%2F", "/").replace("%2f", "/")
        return next((name for part, name in _BY_LOG if part in log), default)

    return JsonRules(
        default, ("entries",), ("insertId",), ("timestamp", "receiveTimestamp"), more=("logName",), choose=choose
    )


GCP_AUDIT: Final = _gcp("gcp.audit")
GCP_FLOW: Final = _gcp("gcp.vpcflow")
GCP_DNS: Final = _gcp("gcp.dns")
ACCESS_TRANSPARENCY: Final = _gcp("gcp.access_transparency")
ACCESS_APPROVAL: Final = JsonRules(
    "gcp.access_approval", ("approvalRequests",), ("name", "insertId"), ("requestTime", "timestamp")
)


# --- Azure: category and operation say what a record is ---

_BY_CATEGORY: Final = {
    **dict.fromkeys(("storageread", "storagewrite", "storagedelete"), "azure.storage"),
    **dict.fromkeys(
        ("activityruns", "pipelineruns", "triggerruns", "sandboxactivityruns", "sandboxpipelineruns"),
        "azure.datafactory",
    ),
}
AZURE_FORMATS: Final = ("azure.activity", "azure.storage", "azure.datafactory", "azure.lockbox")
_AZURE_TIMES: Final = ("time", "eventTimestamp", "timestamp")
_AZURE_LISTS: Final = ("records", "value")


def _azure(default: str) -> JsonRules:
    def choose(fields: Mapping[str, Any]) -> str:
        if "customerlockbox" in _named(fields.get("operationName")):
            return "azure.lockbox"
        return _BY_CATEGORY.get(_named(fields.get("category")), default)

    ids = ("eventDataId",)  # a correlation id is shared by all records of one operation
    return JsonRules(default, _AZURE_LISTS, ids, _AZURE_TIMES, more=("category", "operationName"), choose=choose)


def _named(value: object) -> str:
    """A name, which the REST interface wraps: `{"value": ..., "localizedValue": ...}`."""
    return str(value.get("value", "") if isinstance(value, dict) else value or "").lower()


AZURE: Final = _azure("azure.activity")
LOCKBOX: Final = _azure("azure.lockbox")


# --- Amazon ---

S3_ACCESS: Final = JsonRules("aws.s3access", from_text=lambda text: RawRecord(text, "aws.s3access"))
NETWORK_FIREWALL: Final = JsonRules("aws.networkfirewall", times=("event_timestamp",))
BEDROCK: Final = JsonRules("aws.bedrock", ids=("requestId",), times=("timestamp",))


def _of_an_object_store(fields: Mapping[str, Any]) -> str:
    return "azure.storage" if "category" in fields else "aws.s3access"


OBJECT_STORE: Final = JsonRules(
    "aws.s3access",
    _AZURE_LISTS,
    times=_AZURE_TIMES,
    more=("category",),
    choose=_of_an_object_store,
    from_text=S3_ACCESS.from_text,
)


# --- Kubernetes ---

KUBERNETES_AUDIT: Final = JsonRules(
    "kubernetes.audit", ("items",), ("auditID",), ("stageTimestamp", "requestReceivedTimestamp", "timestamp")
)
KUBERNETES_EVENTS: Final = JsonRules(
    "kubernetes.event", ("items",), times=("eventTime", "lastTimestamp", "firstTimestamp")
)


# --- gateways, platforms, operations ---

_LITELLM: Final = ("litellm_call_id", "litellm_params", "call_type", "model_group", "litellm_model_name")
_ENVOY: Final = ("upstream_cluster", "upstream_host", "response_flags", "route_name", "authority", ":authority")
GATEWAY_FORMATS: Final = ("gateway.litellm", "gateway.vllm", "gateway.envoy")


def _of_a_gateway(fields: Mapping[str, Any]) -> str:
    if any(name in fields for name in _LITELLM):
        return "gateway.litellm"
    return "gateway.envoy" if any(name in fields for name in _ENVOY) else "gateway.vllm"


def _of_vllm(line: str) -> RawRecord | None:
    """A bare line of vLLM's; Envoy's text form begins with the time in brackets."""
    return None if line.startswith("[") else RawRecord(line, "gateway.vllm")


GATEWAY: Final = JsonRules(
    "gateway.litellm",
    ids=("litellm_call_id", "request_id", "x_request_id", "id"),
    times=("startTime", "start_time", "timestamp", "time"),
    more=(*_LITELLM, *_ENVOY),
    choose=_of_a_gateway,
    from_text=_of_vllm,
    no_text="is neither JSON nor a line of vLLM's (of Envoy, its JSON access log is read: `json_format`)",
)


def any_of(name: str) -> JsonRules:
    """The rules of a format of which nothing is known: JSON in any of the usual arrangements."""
    return JsonRules(name, _ANY_LIST, _ANY_ID, _ANY_TIME)


def any_or_lines_of(name: str) -> JsonRules:
    """The same of a format that is written as lines of text, too."""
    return replace(any_of(name), from_text=partial(RawRecord, format=name))


MCP: Final = any_of("mcp.call")
MODEL_REGISTRY: Final = any_of("model.registry")
PGAUDIT: Final = JsonRules("postgres.pgaudit", times=("timestamp",))
DNS: Final = any_or_lines_of("dns.query")
REDFISH: Final = JsonRules("redfish.event", ("Members", "Events"), ("Id", "EventId"), ("Created", "EventTimestamp"))
VPN: Final = any_or_lines_of("vpn.session")
BACKUP: Final = any_of("backup.job")
REPLICATION: Final = any_of("replication.job")
TICKETS: Final = any_of("vendor.ticket")
GITHUB: Final = JsonRules("github.audit", ids=("_document_id",))
GOOGLE_WORKSPACE: Final = JsonRules("google.workspace", ("items",))
OKTA: Final = JsonRules("okta.system", ids=("uuid",), times=("published",))
DATABRICKS: Final = JsonRules("databricks.audit", ids=("requestId",))
