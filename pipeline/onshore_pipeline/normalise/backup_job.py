"""Backups: restic's summary, Velero's Backup objects, and the plain form.

column              from (plain form: see `plain_form`)
action              backup.write; plain events restore and verify are data.read, delete and prune data.delete; a
                    record that is none of these stays a log record
outcome, reason     plain form; Velero's status.phase, status.failureReason; a summary of restic's is a success
destination_*       plain form: where the backup is. restic does not say; Velero names a storage location: an
                    attribute
dataset             plain form; Velero's metadata.name
bytes, item_count   plain form; data_added and files_new of restic, status.progress.itemsBackedUp of Velero
occurred_at         time; backup_end of restic; Velero's completionTimestamp, else startTimestamp
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "backup.job"

_SPELLED: Final = plain_form.spelled(
    time="backup_end | status completionTimestamp | status startTimestamp",
    reason="status failureReason",
    dataset="metadata name",
    moved="data_added",
    items="files_new | status progress itemsBackedUp",
    summary="message_type",
    snapshot="snapshot_id",
    kind="kind",
    phase="status phase",
    location="spec storageLocation",
)
_ATTRIBUTES: Final = {
    "event": "backup.event",
    "id": "backup.id",
    "snapshot": "backup.snapshot_id",
    "location": "backup.storage_location",
    "phase": "backup.phase",
}
_ACTIONS: Final = {
    "backup": "backup.write",
    "copy": "backup.write",
    "restore": "data.read",
    "verify": "data.read",
    "delete": "data.delete",
    "prune": "data.delete",
}
_PHASES: Final = {
    "Completed": "success",
    "Failed": "failure",
    "FailedValidation": "failure",
    "PartiallyFailed": "failure",
}


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of backups, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {})
    restic = (pl.col("summary") == "summary").fill_null(False)
    velero = (pl.col("kind") == "Backup").fill_null(False)
    described = [
        pl.coalesce(
            plain_form.word("event").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
            pl.when(restic | velero).then(pl.lit("backup.write")),
            pl.lit("log.record"),
        ).alias("action"),
        plain_form.outcome_of(
            pl.col("phase").replace_strict(_PHASES, default=None, return_dtype=pl.String),
            pl.when(restic).then(pl.lit("success")),
        ).alias("outcome"),
    ]
    return plain_form.columns(fields, FORMAT, described), added(fields, _ATTRIBUTES)


SHAPE: Final = Shape(FORMAT, (), describe)
