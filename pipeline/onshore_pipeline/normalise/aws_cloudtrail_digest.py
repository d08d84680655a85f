"""CloudTrail digests: what verifying them found (`onshore collect cloudtrail-digests`), and digest files as they are.

    column            from
    action            outcome of a digest: valid, and so are all its log files: telemetry.verified; invalid, or a log
                      file that is: telemetry.altered; gap and missing, or a log file that is: telemetry.gap;
                      unverifiable, or a valid digest whose log files are not all valid: telemetry.unverified. A digest
                      file that nobody verified: telemetry.digest
    outcome, reason   success, failure, unknown; the finding's reason
    occurred_at       to: the end of the time that it is about
    dataset           the bucket
    object_type, object_digest   digest or log; SHA-256 of the digest
    item_count        how many log files the digest lists

What it is about stands in onshore.coverage.source, .from, .to and .reason, which coverage is measured by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import values
from onshore_pipeline.normalise.described import KEPT
from onshore_pipeline.normalise.json_fields import ITEMS, read_fields
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, times

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "aws.cloudtrail.digest"
_PATHS: Final = {
    "verification": ("verification",),
    "kind": ("kind",),
    "object": ("object",),
    "found": ("outcome",),
    "why": ("reason",),
    "source": ("source",),
    "since": ("from",),
    "until": ("to",),
    "bucket": ("bucket",),
    "sha256": ("sha256",),
    "fingerprint": ("fingerprint",),
    "signature": ("signature",),
    "files": ("logFiles",),
    "files_valid": ("logFilesValid",),
    "listed_by": ("listedBy",),
}
_FILE: Final = {
    "until": ("digestEndTime",),
    "since": ("digestStartTime",),
    "bucket": ("digestS3Bucket",),
    "object": ("digestS3Object",),
    "fingerprint": ("digestPublicKeyFingerprint",),
    "listed": ("logFiles", ITEMS, "s3Object"),
}
_ATTRIBUTES: Final = {
    "object": "aws.s3.key",
    "fingerprint": "aws.cloudtrail.digest.fingerprint",
    "signature": "aws.cloudtrail.digest.signature",
    "files_valid": "aws.cloudtrail.digest.files_valid",
    "listed_by": "aws.cloudtrail.digest.listed_by",
    "coverage_source": "onshore.coverage.source",
    "coverage_since": "onshore.coverage.from",
    "coverage_until": "onshore.coverage.to",
    "coverage_why": "onshore.coverage.reason",
}
_ACTIONS: Final = {
    "valid": "telemetry.verified",
    "invalid": "telemetry.altered",
    "gap": "telemetry.gap",
    "missing": "telemetry.gap",
    "unverifiable": "telemetry.unverified",
}
_OUTCOMES: Final = {"valid": "success", "invalid": "failure", "gap": "failure", "missing": "failure"}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of findings and digest files, row by row, and attributes to add."""
    found = _found(records)
    return found.select(*KEPT, *_what(), *_data()), added(found, _ATTRIBUTES)


def _found(records: Records) -> pl.DataFrame:
    bodies = records.frame["body"]
    is_finding = bodies.str.contains('"verification"', literal=True).fill_null(False)
    finding = read_fields(bodies.set(~is_finding, None), _PATHS)
    file = read_fields(bodies.set(is_finding, None), _FILE)
    listed = file["listed"].list.len().cast(pl.String)
    beside = records.frame.select(*KEPT, "time_ns", "observed_ns").hstack(
        [*finding, *(column.alias(f"file {column.name}") for column in file.drop("listed")), listed.alias("file files")]
    )
    both = {name: [name, *([f"file {name}"] if f"file {name}" in beside.columns else [])] for name in _PATHS}
    held = {name: [pl.when(pl.col(each) != "").then(pl.col(each)) for each in names] for name, names in both.items()}
    fields = beside.select(
        *KEPT,
        *("time_ns", "observed_ns"),
        *(pl.coalesce(*texts).alias(name) for name, texts in held.items()),
        pl.col("file until").is_not_null().alias("is_file"),
    )
    incomplete = (pl.col("found") == "valid") & (pl.col("kind") == "digest")
    incomplete &= ~(pl.col("files") == pl.col("files_valid")).fill_null(False)
    return fields.with_columns(incomplete=incomplete.fill_null(False)).with_columns(
        object=pl.when((pl.col("kind") != "time").fill_null(True)).then("object"),
        action=pl.when("incomplete")
        .then(pl.lit("telemetry.unverified"))
        .when("is_file")
        .then(pl.lit("telemetry.digest"))
        .otherwise(pl.col("found").replace_strict(_ACTIONS, default="log.record", return_dtype=pl.String)),
        coverage_source="source",
        coverage_since=pl.when(~pl.col("is_file")).then("since"),
        coverage_until=pl.when(~pl.col("is_file")).then("until"),
        coverage_why=pl.coalesce(
            pl.when("incomplete").then(
                pl.concat_str("files_valid", pl.lit(" of "), "files", pl.lit(" log files verified; "), "why")
            ),
            "why",
        ),
    )


def _what() -> list[pl.Expr]:
    outcome = pl.col("found").replace_strict(_OUTCOMES, default="unknown", return_dtype=pl.String)
    return [
        pl.lit(FORMAT).alias("source_format"),
        *times(pl.col("until")),
        pl.col("action"),
        pl.when("incomplete").then(pl.lit("unknown")).otherwise(outcome).fill_null("unknown").alias("outcome"),
        pl.col("coverage_why").alias("reason"),
        pl.lit("infrastructure").alias("domain"),
    ]


def _data() -> list[pl.Expr]:
    return [
        pl.col("bucket").alias("dataset"),
        pl.coalesce("kind", pl.when("is_file").then(pl.lit("digest"))).alias("object_type"),
        pl.col("sha256").alias("object_digest"),
        values.count_of(pl.col("files")).alias("item_count"),
    ]


SHAPE: Final = Shape(FORMAT, (), describe)
