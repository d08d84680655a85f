"""What a bundle says besides the sealed lines, signed by the operator: findings, coverage, rule texts; and Parquet."""

from __future__ import annotations

import csv
import hmac
import io
import ipaddress
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine, Kind
from onshore_pipeline.evidence.openings import pseudonyms
from onshore_pipeline.evidence.redaction import Disclosure, repeats
from onshore_pipeline.evidence.row_code import Spelling
from onshore_pipeline.evidence.rows import Part, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from onshore_pipeline.jobs.export_shown import ShownBatch
    from onshore_pipeline.store.reader import Reader

REDACTED: Final = "redacted"
FINDING_COLUMNS: Final = (
    "finding_id", "tenant", "domain", "control", "version", "kind", "severity", "fingerprint", "first_seen",
    "last_seen", "events", "bytes", "state", "owner", "due", "waiver",
)  # fmt: skip
_SAMPLES: Final = 5
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SHOWN: Final = tuple(c for c in EVENT_COLUMNS if c.line in {InLine.PLAIN, InLine.COMMITTED})


@dataclass
class FoundSoFar:
    """Findings of the scope, added up from the violations of the events that are shown.

    Attributes:
        rows: by finding id.
        ids: what each finding's id is in the bundle.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def add(self, violations: pl.DataFrame) -> None:
        """Add the violations of a batch."""
        if violations.is_empty():
            return
        grouped = (
            violations.sort("occurred_at", "event_id")
            .group_by("finding_id", maintain_order=True)
            .agg(
                pl.col("tenant", "domain", "control_id", "fingerprint").last(),
                # Of several versions the newest says what it is, as in the store.
                pl.col("kind", "severity").sort_by("control_version", "occurred_at").last(),
                pl.col("control_version").max(),
                first=pl.col("occurred_at").min().cast(pl.Int64),
                last=pl.col("occurred_at").max().cast(pl.Int64),
                events=pl.len(),
                bytes=pl.col("bytes").sum(),
                samples=pl.concat_list(pl.col("occurred_at").cast(pl.Int64).cast(pl.String), "event_id").head(_SAMPLES),
            )
        )
        for row in grouped.iter_rows(named=True):
            row["samples"] = [(int(at), event_id) for at, event_id in row["samples"]]
            known = self.rows.get(row["finding_id"])
            if known is None:
                self.rows[row["finding_id"]] = row
                continue
            known["first"], known["last"] = min(known["first"], row["first"]), max(known["last"], row["last"])
            known["events"], known["bytes"] = known["events"] + row["events"], known["bytes"] + row["bytes"]
            if row["control_version"] >= known["control_version"]:
                known |= {name: row[name] for name in ("control_version", "kind", "severity")}
            known["samples"] = sorted([*known["samples"], *row["samples"]])[:_SAMPLES]

    def told(self, disclosure: Disclosure, states: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One dict a finding, ordered by id, without redacted values; an id that is made of one is replaced.

        `states` says by id where each stands; `ids` then has what each id was replaced by.
        """
        rows = []
        for row in self.rows.values():
            finding = _finding(row, disclosure)
            self.ids[str(row["finding_id"])] = finding["finding_id"]
            rows.append(finding | _NO_STATE | dict(states.get(str(row["finding_id"]), {})))
        return sorted(rows, key=lambda row: str(row["finding_id"]))

    def shown_id(self, finding_id: str, disclosure: Disclosure) -> str:
        """A finding's id in the bundle, once `told` was called."""
        finding_id = finding_id.lower()
        replaced = replaced_finding_id(finding_id, disclosure) if disclosure.closes else finding_id
        return self.ids.get(finding_id, replaced)


_NO_STATE: Final = {"state": "open", "owner": "", "due": None, "waiver": None}


def replaced_finding_id(finding_id: str, disclosure: Disclosure) -> str:
    """In place of an id that is a hash of what is closed: whoever guesses the value could check the guess."""
    keyed = hmac.digest(disclosure.pseudonym_key, b"finding\x00" + finding_id.encode(), "sha256")
    return str(UUID(bytes=keyed[:16], version=4))


def _finding(row: Mapping[str, Any], disclosure: Disclosure) -> dict[str, Any]:
    pairs = {each["key"]: each["value"] for each in row["fingerprint"]}
    closed = {
        name
        for name, value in pairs.items()
        if name in disclosure.redacted or repeats(pl.Series([value], dtype=pl.String), disclosure.values).any()
    }
    told = {name: _pseudonym(value, disclosure) if name in closed else value for name, value in pairs.items()}
    finding_id = row["finding_id"]
    if closed:
        finding_id = replaced_finding_id(str(finding_id), disclosure)
    return {
        "finding_id": finding_id,
        "tenant": row["tenant"],
        "domain": row["domain"],
        "control": row["control_id"],
        "version": row["control_version"],
        "kind": row["kind"],
        "severity": row["severity"],
        "fingerprint": told,
        "first_seen": row["first"],
        "last_seen": row["last"],
        "events": row["events"],
        "bytes": row["bytes"],
        "sample_event_ids": [event_id for _, event_id in row["samples"]],
    }


def _pseudonym(value: str, disclosure: Disclosure) -> str:
    if not disclosure.pseudonyms:
        return REDACTED
    return str(pseudonyms(pl.Series([value], dtype=pl.String), disclosure.pseudonym_key)[0])


def findings_ndjson(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def findings_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The same as a table; times in nanoseconds since 1970."""

    def cell(value: object) -> object:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, dict) else value

    return table(FINDING_COLUMNS, ([cell(row[name]) for name in FINDING_COLUMNS] for row in rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file: comma, double quotes where needed, one line feed a row.

    A text that a spreadsheet would run as a formula has a leading apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_no_formula(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


COVERAGE_COLUMNS: Final = (
    "kind", "tenant", "source", "collector_id", "since", "until", "unit", "expected", "seen", "state", "control_id",
    "why",
)  # fmt: skip


def coverage_csv(rows: pl.DataFrame) -> bytes:
    """What `coverage_rows` gave, as a table."""
    return table(COVERAGE_COLUMNS, rows.rows())


def coverage_rows(reader: Reader, tenants: Sequence[str], disclosure: Disclosure) -> pl.DataFrame:
    """What the newest measurement says, as texts; cells that say a redacted value are closed."""
    asked = ", ".join(f"toString({name}) AS {name}" for name in COVERAGE_COLUMNS)
    some = "WHERE empty({tenants:Array(String)}) OR tenant = '' OR has({tenants:Array(String)}, tenant)"
    sql = f"SELECT {asked} FROM coverage {some} ORDER BY ALL"  # noqa: S608 - names of ours
    rows = reader.frame(sql, {"tenants": list(tenants)})
    for name in rows.columns:
        texts = rows[name].cast(pl.String)
        closed = repeats(texts, disclosure.values)
        rows = rows.with_columns(pl.when(closed).then(pl.lit(REDACTED)).otherwise(texts).alias(name))
    return rows


def control_texts(reader: Reader, versions: Iterable[tuple[str, int]]) -> dict[str, bytes]:
    """The texts of the controls that gave verdicts, by the name of their file in the bundle."""
    found = {}
    sql = (
        "SELECT text, lower(hex(digest)) AS digest FROM controls FINAL"
        " WHERE control_id = {id:String} AND version = {version:UInt32} ORDER BY digest"
    )
    for control, version in sorted(versions):
        rows = reader.rows(sql, {"id": control, "version": version})
        for row in rows:
            suffix = f"-{row['digest'][:8]}" if len(rows) > 1 else ""
            found[f"controls/{control}-v{version}{suffix}.yaml"] = row["text"].encode()
    return found


class ParquetFile:
    """The shown events as Parquet: a rendering for reading, which nothing proves."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, _PARQUET, compression="zstd")

    def add(self, batch: ShownBatch) -> None:
        """Add a batch."""
        self._writer.write_table(_parquet(batch))

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def _arrow_type(kind: Kind) -> pa.DataType:
    if kind is Kind.TIME:
        return pa.timestamp("ns", "UTC")
    plain = {Kind.U32: pa.uint32(), Kind.U64: pa.uint64(), Kind.BOOL: pa.bool_(), Kind.WORDS: pa.list_(pa.string())}
    return plain.get(kind, pa.string())


_PARQUET: Final = pa.schema(
    [
        pa.field("event_id", pa.string()),
        *(pa.field(column.name, _arrow_type(column.kind)) for column in _SHOWN),
        pa.field("attributes", pa.string()),
    ]
)


def _parquet(batch: ShownBatch) -> pa.Table:
    parts = [
        Part(batch.attributes["key"], Spelling.JSON, b'"', b'":'),
        Part(batch.attributes["text"], Spelling.JSON, b'"', b'"'),
    ]
    attributes = (
        batch.attributes.select("row", member=texts(parts, batch.attributes.height))
        .group_by("row", maintain_order=True)
        .agg(attributes=pl.lit("{") + pl.col("member").str.join(",") + "}")
    )
    rows = batch.events.join(attributes, on="row", how="left", maintain_order="left")
    columns = [rows["event_id"].to_arrow().cast(pa.string())]
    columns += [
        _readable(rows[column.name], column.kind).to_arrow().cast(_arrow_type(column.kind)) for column in _SHOWN
    ]
    columns.append(rows["attributes"].to_arrow().cast(pa.string()))
    return pa.table(columns, schema=_PARQUET)


def _readable(values: pl.Series, kind: Kind) -> pl.Series:
    if kind is Kind.ADDRESS:
        distinct = values.drop_nulls().unique()
        spelled = [str((known := ipaddress.IPv6Address(each)).ipv4_mapped or known) for each in distinct]
        return values.replace_strict(
            distinct, pl.Series(spelled, dtype=pl.String), default=None, return_dtype=pl.String
        )
    return values.bin.encode("hex") if values.dtype == pl.Binary else values
