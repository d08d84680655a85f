"""The needed fields of raw CloudTrail records, from their JSON text to flat text columns."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import polars as pl
from polars.exceptions import ComputeError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Column → path in the record (AWS CloudTrail record contents, event version 1.11).
RECORD_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "event_time": ("eventTime",),
    "event_source": ("eventSource",),
    "event_name": ("eventName",),
    "event_id": ("eventID",),
    "region": ("awsRegion",),
    "source": ("sourceIPAddress",),
    "error_code": ("errorCode",),
    "error_message": ("errorMessage",),
    "account": ("recipientAccountId",),
    "vpc_endpoint": ("vpcEndpointId",),
    "read_only": ("readOnly",),
    "actor_type": ("userIdentity", "type"),
    "actor_arn": ("userIdentity", "arn"),
    "actor_principal": ("userIdentity", "principalId"),
    "actor_account": ("userIdentity", "accountId"),
    "actor_service": ("userIdentity", "invokedBy"),
    "bytes_in": ("additionalEventData", "bytesTransferredIn"),
    "bytes_out": ("additionalEventData", "bytesTransferredOut"),
    "login": ("responseElements", "ConsoleLogin"),
    "bucket": ("requestParameters", "bucketName"),
    "table": ("requestParameters", "tableName"),
    "database_snapshot": ("requestParameters", "dBSnapshotIdentifier"),
    "database": ("requestParameters", "dBInstanceIdentifier"),
    "snapshot": ("requestParameters", "snapshotId"),
    "volume": ("requestParameters", "volumeId"),
    "secret": ("requestParameters", "secretId"),
    "key": ("requestParameters", "keyId"),
    "model": ("requestParameters", "modelId"),
    "source_region": ("requestParameters", "sourceRegion"),
}
# The same fields where only the request's parameters were sent.
REQUEST_PATHS: Final = {column: path[1:] for column, path in RECORD_PATHS.items() if path[0] == "requestParameters"}
_ROWS_AT_ONCE: Final = 512
_SURROGATES: Final = ["\\ud", "\\uD"]


def read_fields(texts: pl.Series, paths: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    """One text column a path, row by row; null where the text is no JSON object or holds no plain value there.

    Numbers and booleans are given as text, whole numbers without a fraction. Of duplicate keys the first counts.
    """
    objects = texts.str.strip_chars()
    plain = objects.set(~objects.str.starts_with("{"), None)
    parts = [_read(plain.slice(start, _ROWS_AT_ONCE), paths) for start in range(0, len(plain), _ROWS_AT_ONCE)]
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(paths, pl.String()))


def _read(texts: pl.Series, paths: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    # A lone surrogate would be read as NUL; whatever may hold one is read the careful way.
    if not texts.str.contains_any(_SURROGATES).any():
        with suppress(ComputeError):
            record = texts.alias("record").str.json_decode(_shape(paths)).to_frame()
            return record.select(_field(path).alias(column) for column, path in paths.items())
    # One text of another shape refuses them all ("requestParameters": "HIDDEN_DUE_TO_SECURITY_REASONS" is real).
    rows = [_read_one(text, paths) for text in texts.to_list()]
    return pl.DataFrame(rows, schema=dict.fromkeys(paths, pl.String()), orient="row")


def _shape(paths: Mapping[str, tuple[str, ...]]) -> pl.Struct:
    fields: dict[str, pl.DataType] = {}
    for first, *rest in paths.values():
        below = fields.get(first)
        known = {field.name: field.dtype for field in below.fields} if isinstance(below, pl.Struct) else {}
        fields[first] = pl.Struct({**known, rest[0]: pl.String()}) if rest else pl.String()
    return pl.Struct(fields)


def _field(path: tuple[str, ...]) -> pl.Expr:
    value = pl.col("record")
    for name in path:
        value = value.struct.field(name)
    return value


def _read_one(text: str | None, paths: Mapping[str, tuple[str, ...]]) -> list[str | None]:
    try:
        record = json.loads(text or "null", object_pairs_hook=_first_of_duplicates, parse_constant=_refuse)
    except (ValueError, RecursionError):
        record = None
    return [_plain(record, path) for path in paths.values()]


def _first_of_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _plain(value: object, path: tuple[str, ...]) -> str | None:
    """The text at the path, written as the fast reader writes it."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value) if isinstance(value, bool | int | float) else None
