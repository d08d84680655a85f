"""Every kind of log file that `onshore collect` knows: its command, the formats it holds, and what reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from onshore_collectors.files import cloudtrail, flow_logs, formats
from onshore_collectors.files.json_records import read_json
from onshore_collectors.files.lines import read_csv, read_lines
from onshore_collectors.files.pieces import RawRecord
from onshore_collectors.files.source_files import JSON_SUFFIXES, LOG_SUFFIXES, first_character
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onshore_collectors.files.json_records import JsonRules
    from onshore_collectors.files.pieces import Piece

    ReadPieces = Callable[[Iterator[bytes]], Iterator[Piece]]
    ReadParquet = Callable[[str, Callable[[int], None]], Iterator[Piece]]

_FORMAT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of log file.

    Attributes:
        name: of its command, `onshore collect NAME`.
        formats: the source formats of its records.
        help: what such files are, one sentence.
        read: a file's unpacked bytes → its pieces.
        read_parquet: a Parquet file's path, and what is told how many bytes were read → its pieces; None where the
            kind is not delivered as Parquet.
        suffixes: how the names of such files end in a folder, but for what packing and rotating put behind that.
    """

    name: str
    formats: tuple[str, ...]
    help: str
    read: ReadPieces
    read_parquet: ReadParquet | None = None
    suffixes: tuple[str, ...] = LOG_SUFFIXES


def _json(name: str, about: str, rules: JsonRules, *others: str) -> FileKind:
    return FileKind(name, _formats(rules, others), about, partial(read_json, rules=rules))


def _lines(name: str, about: str, rules: JsonRules, *others: str) -> FileKind:
    """Lines of text; a file that begins with a brace or bracket holds JSON."""
    return FileKind(name, _formats(rules, others), about, partial(_read_lines_or_json, rules=rules))


def _formats(rules: JsonRules, others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((rules.format, *others)))


def _read_lines_or_json(chunks: Iterator[bytes], rules: JsonRules) -> Iterator[Piece]:
    first, chunks = first_character(chunks)
    if first in {b"{", b"["}:
        return read_json(chunks, rules)
    return read_lines(chunks, rules.from_text or (lambda text: RawRecord(text, rules.format)))


def _read_pgaudit(chunks: Iterator[bytes]) -> Iterator[Piece]:
    first, chunks = first_character(chunks)
    if first == b"{":
        return read_json(chunks, formats.PGAUDIT)
    return read_csv(chunks, lambda text: RawRecord(text, formats.PGAUDIT.format))


def _read_flow_parquet(path: str, on_read: Callable[[int], None]) -> Iterator[Piece]:
    from onshore_collectors.files.parquet import read_flow_parquet  # its library takes a while to load

    return read_flow_parquet(path, on_read)


KINDS: Final[tuple[FileKind, ...]] = (
    _json("cloudtrail", "AWS CloudTrail log files, and CloudWatch Logs' copies of them", cloudtrail.RULES),
    _lines("s3-access", "Amazon S3 server access logs", formats.S3_ACCESS),
    _lines(
        "object-store", "Access logs of object stores: Amazon S3, Azure Storage", formats.OBJECT_STORE, "azure.storage"
    ),
    FileKind(
        "flow-logs",
        (flow_logs.FORMAT,),
        "AWS VPC flow logs of any version, as text or Parquet, and CloudWatch Logs' copies of them",
        flow_logs.read_flow_logs,
        _read_flow_parquet,
        (*LOG_SUFFIXES, ".parquet"),
    ),
    _json("network-firewall", "AWS Network Firewall alert, flow and TLS logs", formats.NETWORK_FIREWALL),
    _json("bedrock", "Amazon Bedrock model invocation logs", formats.BEDROCK),
    _json(
        "gcp-audit",
        "Google Cloud log entries: audit, transparency, flows, firewall, DNS",
        formats.GCP_AUDIT,
        *formats.GCP_FORMATS,
    ),
    _json("gcp-flow", "Google Cloud VPC flow and firewall log entries", formats.GCP_FLOW, *formats.GCP_FORMATS),
    _json("gcp-dns", "Google Cloud DNS query log entries", formats.GCP_DNS, *formats.GCP_FORMATS),
    _json("access-transparency", "Google Access Transparency", formats.ACCESS_TRANSPARENCY, *formats.GCP_FORMATS),
    _json("access-approval", "Google Access Approval requests", formats.ACCESS_APPROVAL),
    _json(
        "azure-activity",
        "Azure activity, storage, Data Factory and Lockbox logs",
        formats.AZURE,
        *formats.AZURE_FORMATS,
    ),
    _json("lockbox", "Azure Customer Lockbox requests", formats.LOCKBOX, *formats.AZURE_FORMATS),
    _json("kubernetes-audit", "Kubernetes audit logs, and CloudWatch Logs' copies of them", formats.KUBERNETES_AUDIT),
    _json("kubernetes-events", "Kubernetes events (`kubectl get events -o json`)", formats.KUBERNETES_EVENTS),
    _json("gateway", "Access logs of LiteLLM, vLLM and Envoy", formats.GATEWAY, *formats.GATEWAY_FORMATS),
    _json("mcp", "Tool calls over the Model Context Protocol", formats.MCP),
    _json("model-registry", "Pulls, reads and exports of model weights", formats.MODEL_REGISTRY),
    FileKind(
        "pgaudit",
        (formats.PGAUDIT.format,),
        "PostgreSQL's log in CSV or JSON, with pgaudit",
        _read_pgaudit,
        suffixes=(".csv", *JSON_SUFFIXES),  # its .log is for people to read
    ),
    _json("dns", "DNS query logs", formats.DNS),
    _json("redfish", "Redfish events and log entries of BMCs", formats.REDFISH),
    _json("vpn", "Sessions over VPNs and bastion hosts, as JSON and sshd's lines", formats.VPN),
    _json("backup", "Backup jobs", formats.BACKUP),
    _json("replication", "Replication jobs, Kafka MirrorMaker's among them", formats.REPLICATION),
    _json("github", "GitHub's audit log", formats.GITHUB),
    _json("google-workspace", "Google Workspace's activities", formats.GOOGLE_WORKSPACE),
    _json("okta", "Okta's System Log", formats.OKTA),
    _json("databricks", "Databricks' audit log", formats.DATABRICKS),
    _json("tickets", "Vendors' support tickets and sessions", formats.TICKETS),
)


def kind_of_format(name: str, source_format: str) -> FileKind:
    """The kind `name` of files of a source format: its own, else JSON in any arrangement and lines of text.

    Raises:
        SettingsError: this is no format's name.
    """
    if not _FORMAT_NAME.fullmatch(source_format):
        raise SettingsError("--format", f"{source_format!r} is no source format, such as vpn.session")
    kind = next((kind for kind in KINDS if kind.formats == (source_format,)), None)
    if kind is not None:
        return replace(kind, name=name)
    return FileKind(name, (source_format,), "", partial(read_json, rules=formats.any_or_lines_of(source_format)))
