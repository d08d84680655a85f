"""Backups: restic's messages and snapshots, Velero's objects, and the plain form.

column              from (plain form: see `plain_form`)
action              plain events backup and copy are backup.write, restore and verify data.read, delete and prune
                    data.delete. restic: a backup's summary and a snapshot are backup.write, the summaries of restore
                    and check data.read, a group of forget that removed snapshots data.delete, init config.change.
                    Velero: by kind (`_KINDS`); a Backup in phase Deleting is data.delete. A dry run of a backup, and a
                    record that is none of these, stays a log record
outcome             plain form; of restic's summaries success, of check failure when it counts errors; error and
                    exit_error failure; Velero's status.phase (`_PHASES`). PartiallyFailed is unknown: something was
                    written, and not all
reason              plain form; restic's message; Velero's failureReason, message, validationErrors, errors
source_host         hostname of a restic snapshot; the node that read the volume (Velero), which a restore writes to
actor_id            username of a restic snapshot: the account on that host
destination_*       plain form: where the backup is. restic does not say; Velero's storage location is the facility
                    (of what is restored the source's): registered under its name, it has a place; of a volume kept by
                    restic, and of restic's init, the host is the repository's
dataset             plain form; Velero's schedule, else the namespace where there is one: a Backup's own name is another
                    one every night
object_type         plain form; else backup
bytes               restic's data_added_packed, else data_added; bytes_restored; Velero's status.incrementalBytes, else
                    progress.bytesDone
item_count          files_new and files_changed; files_restored; progress.itemsBackedUp, itemsRestored
occurred_at         time; backup_end of restic; Velero's completionTimestamp, else startTimestamp, creationTimestamp; of
                    a Backup that is being deleted the log record's time

Checked against restic v0.19.1 (doc/075_scripting.rst, internal/ui/backup/json.go, internal/ui/restore/json.go,
internal/data/snapshot.go, cmd/restic/cmd_check.go, cmd_forget.go, cmd_init.go, main.go) and velero v1.18.1
(pkg/apis/velero/v1 and v2alpha1, labels_annotations.go). restic's restore and forget do not say that they were dry
runs; what forget removed is gone from the repository only when it is pruned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, values
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "backup.job"

_LABELS: Final = "metadata labels velero.io/"


def _velero(*places: str) -> str:
    """Where one of Velero's objects holds it, which a watch of the Collector's puts below `object`."""
    return " | ".join([*places, *(f"object {place}" for place in places)])


_SPELLED: Final = plain_form.spelled(
    time=f"backup_end | {_velero('status completionTimestamp', 'status startTimestamp', 'metadata creationTimestamp')}",
    reason=f"message | error message | {_velero('status failureReason', 'status message')}",
    actor="username",
    source_name="hostname",
    moved="data_added_packed | data_added | bytes_restored | "
    + _velero("status incrementalBytes", "status progress bytesDone"),
    items="files_restored | " + _velero("status progress itemsBackedUp", "status progress itemsRestored"),
    said="message_type",
    dry="dry_run",
    new="files_new",
    changed="files_changed",
    restored="files_restored | bytes_restored | total_files | files_skipped | files_deleted | seconds_elapsed",
    errors="num_errors",
    tree="tree",
    paths="paths []",
    tags="tags []",
    summary_moved="summary data_added_packed | summary data_added",
    summary_new="summary files_new",
    summary_changed="summary files_changed",
    forgotten="remove [] id",
    kept="keep [] id",
    host="host",
    snapshot="snapshot_id | " + _velero("status snapshotID", "spec snapshotID"),
    during="during",
    item="item",
    code="code",
    verb="type",
    api=_velero("apiVersion"),
    kind=_velero("kind"),
    phase=_velero("status phase"),
    name=_velero("metadata name"),
    schedule=_velero(f"{_LABELS}schedule-name", "spec scheduleName"),
    backup=_velero("spec backupName", f"{_LABELS}backup-name"),
    namespaces=_velero("spec includedNamespaces []"),
    namespace=_velero("spec sourceNamespace", "spec pod namespace", "spec targetVolume namespace"),
    volume=_velero("spec sourcePVC", "spec volume", "spec targetVolume pvc"),
    node=_velero("spec node", "status node"),
    location=_velero("spec storageLocation", "spec backupStorageLocation", f"{_LABELS}storage-location"),
    repository="repository | " + _velero("spec repoIdentifier"),
    invalid=_velero("status validationErrors []"),
    undone=_velero("status errors []"),
)
_ATTRIBUTES: Final = {
    "event": "backup.event",
    "id": "backup.id",
    "snapshot": "backup.snapshot_id",
    "location": "backup.storage_location",
    "phase": "backup.phase",
    "paths": "backup.paths",
    "tags": "backup.tags",
    "name": "backup.name",
    "backup": "backup.of",
    "volume": "backup.volume",
    "repository": "backup.repository",
    "said": "restic.message_type",
    "during": "restic.during",
    "item": "restic.item",
    "code": "restic.exit_code",
    "faults": "backup.errors",
    "forgotten": "backup.forgotten",
}
_ACTIONS: Final = {
    "backup": "backup.write",
    "copy": "backup.write",
    "restore": "data.read",
    "verify": "data.read",
    "delete": "data.delete",
    "prune": "data.delete",
}
_READ: Final = ("Restore", "PodVolumeRestore", "DataDownload")
_KINDS: Final = {
    **dict.fromkeys(("Backup", "PodVolumeBackup", "DataUpload"), "backup.write"),
    **dict.fromkeys(_READ, "data.read"),
    "DeleteBackupRequest": "data.delete",
}
_PHASES: Final = {
    "Completed": "success",
    "Failed": "failure",
    "FailedValidation": "failure",
    "Canceled": "failure",
}
_ANY: Final = "*"
_GONE: Final = "DELETED"  # a watch's verb: the object is gone, whatever became of the backup
# As restic writes repositories: s3:https://host/..., rest:https://host:8000/, sftp:user@host:/path, sftp://user@host/.
_REPOSITORY: Final = r"^(?:s3|rest|sftp):(?:[a-z]+:)?(?://)?(?:[^@/]*@)?([^/:]+)[/:]"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of backups, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {})
    summary = pl.col("said") == "summary"
    told = fields.with_columns(
        velero=pl.when(
            pl.col("api").str.starts_with("velero.io/").fill_null(True) & (pl.col("verb") != _GONE).fill_null(True)
        ).then("kind"),
        stored=(pl.col("tree").is_not_null() & pl.col("paths").is_not_null()).fill_null(False),
        backed_up=(summary & pl.col("new").is_not_null()).fill_null(False),
        checked=(summary & pl.col("errors").is_not_null()).fill_null(False),
        begun=(pl.col("said") == "initialized").fill_null(False),
        source_name=pl.coalesce("source_name", pl.when(_weeded()).then("host")),
    ).with_columns(
        read=_was_restored(),
        dry=(values.flag_of(pl.col("dry")) & pl.col("backed_up")).fill_null(False),
        deletion=(pl.col("velero") == "DeleteBackupRequest").fill_null(False),
        deleting=((pl.col("velero") == "Backup") & (pl.col("phase") == "Deleting")).fill_null(False),
    )
    told = told.with_columns(
        time=pl.when(~pl.col("deleting")).then("time"),
        faults=pl.coalesce("errors", pl.when(~pl.col("deletion")).then(pl.col("undone").list.first())),
        moved=pl.when(~pl.col("dry")).then(pl.coalesce("moved", "summary_moved")),
        items=pl.when(~pl.col("dry")).then(
            pl.coalesce(
                _files("new", "changed"),
                _files("summary_new", "summary_changed"),
                "items",
                pl.col("forgotten").list.len().cast(pl.String),
            )
        ),
        reason=pl.coalesce(
            "reason",
            pl.col("invalid").list.join("; "),
            pl.when("deletion").then(pl.col("undone").list.join("; ")),
        ),
    )
    return plain_form.columns(told, FORMAT, _described()), added(told, _ATTRIBUTES)


def _weeded() -> pl.Expr:
    """Whether it is a group of `restic forget`: which snapshots were kept, and which removed."""
    return pl.col("forgotten").is_not_null() | pl.col("kept").is_not_null()


def _was_restored() -> pl.Expr:
    """Whether it is the summary of restic's restore, which leaves out every number that is 0."""
    other = pl.col("backed_up") | pl.col("checked")
    return ((pl.col("said") == "summary") & pl.col("restored").is_not_null() & ~other).fill_null(False)


def _files(new: str, changed: str) -> pl.Expr:
    return (values.count_of(pl.col(new)) + values.count_of(pl.col(changed)).fill_null(0)).cast(pl.String)


def _described() -> list[pl.Expr]:
    velero = pl.col("velero")
    to_node = velero.is_in(_READ).fill_null(False)
    return [
        _action().alias("action"),
        _outcome().alias("outcome"),
        pl.coalesce("dataset", "schedule", "namespace", _only_namespace()).alias("dataset"),
        pl.coalesce("object_kind", pl.when(_action().str.contains(r"^(data|backup)\.")).then(pl.lit("backup"))).alias(
            "object_type"
        ),
        pl.coalesce("source_name", "source_at_host", pl.when(~to_node).then("node")).alias("source_host"),
        pl.coalesce("source_facility", pl.when(to_node).then("location")).alias("source_facility"),
        pl.coalesce("destination_facility", pl.when(~to_node).then("location")).alias("destination_facility"),
        pl.coalesce(
            "destination_name",
            "destination_at_host",
            pl.when(to_node).then("node").otherwise(pl.col("repository").str.extract(_REPOSITORY)),
        ).alias("destination_host"),
    ]


def _only_namespace() -> pl.Expr:
    only = pl.col("namespaces").list.first()
    return pl.when((pl.col("namespaces").list.len() == 1) & (only != _ANY)).then(only)


def _action() -> pl.Expr:
    return pl.coalesce(
        plain_form.word("event").replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
        pl.when("dry").then(pl.lit("log.record")),
        pl.when(pl.col("backed_up") | pl.col("stored")).then(pl.lit("backup.write")),
        pl.when(pl.col("read") | pl.col("checked")).then(pl.lit("data.read")),
        pl.when(pl.col("deleting") | pl.col("forgotten").is_not_null()).then(pl.lit("data.delete")),
        pl.when("begun").then(pl.lit("config.change")),
        pl.col("velero").replace_strict(_KINDS, default=None, return_dtype=pl.String),
        pl.lit("log.record"),
    )


def _outcome() -> pl.Expr:
    written = (pl.col("backed_up") & ~pl.col("dry")) | pl.col("stored")
    done = written | pl.col("read") | pl.col("begun") | pl.col("forgotten").is_not_null()
    undone = pl.col("undone").list.len().fill_null(0) > 0
    processed = pl.col("deletion") & (pl.col("phase") == "Processed")
    return plain_form.outcome_of(
        pl.when(processed).then(pl.when(undone).then(pl.lit("failure")).otherwise(pl.lit("success"))),
        pl.when(pl.col("velero").is_not_null()).then(
            pl.col("phase").replace_strict(_PHASES, default=None, return_dtype=pl.String)
        ),
        pl.when("checked").then(pl.when(pl.col("errors") == "0").then(pl.lit("success")).otherwise(pl.lit("failure"))),
        pl.when(done).then(pl.lit("success")),
        pl.when(pl.col("said").is_in(["error", "exit_error"])).then(pl.lit("failure")),
    )


SHAPE: Final = Shape(FORMAT, (), describe)
