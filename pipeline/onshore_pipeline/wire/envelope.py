"""OTLP requests → their records, still encoded, and the resources and scopes these belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow.compute as pc

from onshore_pipeline.wire.attributes import LongAttributes, read_attributes
from onshore_pipeline.wire.descriptor import RESOURCE, SCOPE, Element, request_fault
from onshore_pipeline.wire.elements import column, decode_list, joined, read_elements
from onshore_pipeline.wire.values import text_or_null

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

ENCODING_FORMAT: Final = "encoding.format"


@dataclass(frozen=True, slots=True)
class Request:
    """One message's OTLP request as protobuf.

    Attributes:
        message: the message's position in the batch.
        value: ExportLogsServiceRequest, ExportTraceServiceRequest or ExportMetricsServiceRequest, encoded.
        holes: record index → reason, for records that could not be put into `value`; an empty record stands there.
    """

    message: int
    value: bytes
    holes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Requests of one signal, opened down to the encoded records.

    Attributes:
        faults: message → reason, for messages that cannot be opened; they are in nothing below.
        records: the encoded records of all messages in order, Binary.
        owners: a row for every record: `message` UInt32, `record_index` UInt32, `resource` UInt32, `scope` UInt32.
        scopes: a row for every scope: `scope_name`, `scope_version`, `schema_url` (its own, else the resource's) and
            `encoding_format`.
        resources: a row for every resource, as `frames.RESOURCES_SCHEMA`.
        resource_attributes: as `frames.RESOURCE_ATTRIBUTES_SCHEMA`.
        bad: record row → reason, for records whose resource or scope cannot be read, and for holes.
        counts: message → number of its records.
    """

    faults: dict[int, str]
    records: pa.Array
    owners: pl.DataFrame
    scopes: pl.DataFrame
    resources: pl.DataFrame
    resource_attributes: pl.DataFrame
    bad: dict[int, str]
    counts: dict[int, int]


def open_requests(requests: Sequence[Request]) -> Envelope:
    """Open requests down to the encoded records; raises `FastPathRefused`."""
    faults = {request.message: fault for request in requests if (fault := request_fault(request.value)) is not None}
    readable = [request for request in requests if request.message not in faults]
    resource_lists = decode_list("Request", [request.value for request in readable]).column("resources")
    resource_parts = resource_lists.flatten()
    scope_lists = resource_parts.field("scopes")
    scope_parts = scope_lists.flatten()
    record_lists = scope_parts.field("records")
    messages = pl.Series("message", [request.message for request in readable], dtype=pl.UInt32)
    messages_of = [messages.gather(parents(resource_lists))]
    for lists in (scope_lists, record_lists):
        messages_of.append(messages_of[-1].gather(parents(lists)))

    resources = pl.DataFrame(
        {"message": messages_of[0], "schema_url": column(resource_parts.field("schema_url"))}
    ).select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("resource"), "message", text_or_null("schema_url"))
    resource_attributes = _read_owned(RESOURCE, resource_parts.field("resource"))[1]
    scopes, bad_scopes = _read_scopes(scope_parts, parents(scope_lists), resources["schema_url"])
    owners = _owners(parents(record_lists), scopes["resource"], messages_of[2])
    bad = _bad_records(owners, "resource", resource_attributes.bad) | _bad_records(owners, "scope", bad_scopes)
    return Envelope(
        faults=faults,
        records=record_lists.flatten(),
        owners=owners,
        scopes=scopes.drop("resource"),
        resources=resources,
        resource_attributes=resource_attributes.frame.rename({"row": "resource"}),
        bad=bad | _hole_rows(owners, readable),
        counts=dict.fromkeys(messages, 0) | dict(owners.group_by("message").len().iter_rows()),
    )


def parents(lists: pa.ListArray) -> pl.Series:
    """For every item of the lists, in order, the position of its list; UInt32."""
    return column(pc.list_parent_indices(lists)).cast(pl.UInt32)


def _read_owned(element: Element, parts: pa.ListArray) -> tuple[pa.RecordBatch, LongAttributes]:
    """Decode resources or scopes and their attributes; `bad` of the attributes holds all unreadable ones."""
    batch, bad = read_elements(element, joined(parts))
    attributes = read_attributes(batch.column("attributes"))
    return batch, LongAttributes(attributes.frame, bad | attributes.bad)


def _read_scopes(
    parts: pa.StructArray, resource: pl.Series, resource_schema_urls: pl.Series
) -> tuple[pl.DataFrame, dict[int, str]]:
    batch, attributes = _read_owned(SCOPE, parts.field("scope"))
    scopes = pl.DataFrame(
        {
            "resource": resource,
            "scope_name": column(batch.column("name")),
            "scope_version": column(batch.column("version")),
            "schema_url": column(parts.field("schema_url")),
            "of_resource": resource_schema_urls.gather(resource),
        }
    ).select(
        "resource",
        text_or_null("scope_name"),
        text_or_null("scope_version"),
        text_or_null("schema_url").fill_null(pl.col("of_resource")),
        encoding_format=pl.lit(None, pl.String),
    )
    formats = attributes.frame.filter(pl.col("key") == ENCODING_FORMAT)
    if formats.height:
        told = scopes["encoding_format"].scatter(formats["row"], formats["text"])
        scopes = scopes.with_columns(told)
    return scopes, attributes.bad


def _owners(scope: pl.Series, resource_of_scope: pl.Series, message: pl.Series) -> pl.DataFrame:
    owners = pl.DataFrame({"message": message, "resource": resource_of_scope.gather(scope), "scope": scope})
    return owners.with_columns(record_index=pl.int_range(pl.len(), dtype=pl.UInt32).over("message"))


def _bad_records(owners: pl.DataFrame, owner: str, bad: dict[int, str]) -> dict[int, str]:
    if not bad:
        return {}
    rows = owners.with_row_index("row").filter(pl.col(owner).is_in(list(bad))).select("row", owner)
    return {row: bad[position] for row, position in rows.iter_rows()}


def _hole_rows(owners: pl.DataFrame, requests: Sequence[Request]) -> dict[int, str]:
    reasons = {(request.message, index): why for request in requests for index, why in request.holes.items()}
    if not reasons:
        return {}
    holes = pl.DataFrame(list(reasons), schema={"message": pl.UInt32, "record_index": pl.UInt32}, orient="row")
    rows = owners.with_row_index("row").join(holes, on=["message", "record_index"], how="semi")
    return {
        row: reasons[message, index]
        for row, message, index in rows.select("row", "message", "record_index").iter_rows()
    }
