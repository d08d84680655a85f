"""Sessions through a VPN or a bastion: Teleport's audit events, sshd's lines, and the plain form.

    column              from (Teleport; plain form: see `plain_form`)
    action              by event (`_ACTIONS`): who comes in is admin.session, what is done there admin.command, the end
                        admin.session.end, so that no session counts twice. Plain events: start, end, login, command
    outcome             success, else the letter that code ends with: I went well, E failed, W was denied; exitError
    reason              error, exitError
    actor_id            user, else updated_by
    source_address      addr.remote; also actor_address. Of session.network src_addr, which is the server's
    destination_*       server_hostname, desktop_addr, db_uri, kubernetes_cluster, aws_host or app_public_addr; address
                        server_addr and dst_addr; region aws_region
    object_type         proto, db_protocol, or what the event is about
    dataset             db_name of databases
    bytes               tx of session.data, length of a clipboard
    approval_*          id of an access request; updated_by, when its state is APPROVED

sshd's lines say who was let in or not, how and from where: `Accepted publickey for aiko from 203.0.113.9 port 51234`.
WireGuard and OpenVPN write nothing of the kind: a script that they call prints the plain form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import plain_form, values, writer
from onshore_pipeline.normalise.shape import Shape
from onshore_pipeline.normalise.source_fields import added, source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

FORMAT: Final = "vpn.session"

_SPELLED: Final = plain_form.spelled(
    reason="error | exitError",
    actor="user | updated_by",
    source_at="addr.remote | src_addr",
    destination_at="dst_addr | db_uri | desktop_addr | server_addr",
    destination_name="server_hostname | kubernetes_cluster | aws_host | app_public_addr",
    destination_region="aws_region",
    destination_account="aws_account_id",
    dataset="db_name",
    object_kind="proto | db_protocol",
    moved="tx | length",
    aws="aws_region",
    code="code",
    success="success",
    session="sid",
    login="login",
    request="id",
    state="state",
    path="path | file_path",
    query="db_query | command",
    direction="action",
    cluster="cluster_name",
)
_ATTRIBUTES: Final = {
    "event": "session.event",
    "code": "teleport.code",
    "session": "session.id",
    "login": "process.user.name",
    "path": "file.path",
    "cluster": "teleport.cluster_name",
    "method": "ssh.auth.method",
}
_ACTIONS: Final = {
    **dict.fromkeys(("start", "connect", "login", "session.start", "session.join", "user.login"), "admin.session"),
    **dict.fromkeys(("session.connect", "session.rejected", "auth", "port", "x11-forward"), "admin.session"),
    **dict.fromkeys(("app.session.start", "db.session.start", "windows.desktop.session.start"), "admin.session"),
    **dict.fromkeys(("end", "disconnect", "logout", "session.end", "session.leave"), "admin.session.end"),
    **dict.fromkeys(("app.session.end", "db.session.end", "windows.desktop.session.end"), "admin.session.end"),
    **dict.fromkeys(("client.disconnect",), "admin.session.end"),
    **dict.fromkeys(("command", "exec", "subsystem", "session.command", "kube.request"), "admin.command"),
    **dict.fromkeys(("db.session.query", "db.session.query.failed", "app.session.dynamodb.request"), "admin.command"),
    **dict.fromkeys(("session.network", "session.data"), "network.flow"),
    **dict.fromkeys(("session.disk", "session.recording.access", "desktop.directory.read"), "data.read"),
    **dict.fromkeys(("desktop.clipboard.send", "desktop.clipboard.receive"), "data.copy"),
    "desktop.directory.write": "data.copy",
}
_ABOUT: Final = (("db.", "database"), ("windows.", "desktop"), ("desktop.", "desktop"), ("kube.", "kubernetes"))
_MOVED: Final = ("scp", "sftp")
_READING: Final = r"\.(list|search|get|read)$"
_SSHD: Final = r"(Accepted|Failed) (\S+) for (?:invalid user )?(\S+) from (\S+) port \d+"
_ISO: Final = r"^(\d{4}-\d\d-\d\dT\S+)"


def describe(records: Records) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns of sessions, row by row, and their fields without a column as attributes."""
    fields = source_fields(records, _SPELLED, {}).hstack(writer.of(records).get_columns())
    line = pl.when(~pl.col("raw")).then("body")
    parts = line.str.extract_groups(_SSHD).struct
    told = fields.with_columns(
        verdict=parts[0],
        method=parts[1],
        actor=pl.coalesce("actor", parts[2]),
        source_at=pl.coalesce("source_at", parts[3]),
        time=pl.coalesce("time", line.str.extract(_ISO)),
        destination_name=pl.coalesce("destination_name", "writer_host"),
        writer_used=pl.col("destination_name").is_null() & pl.col("destination_at").is_null(),
    )
    return plain_form.columns(told, FORMAT, _described()), added(told, _ATTRIBUTES)


def _described() -> list[pl.Expr]:
    event = plain_form.word("event")
    approved = (plain_form.word("state") == "approved").fill_null(False)
    in_aws = pl.when(pl.col("aws").is_not_null()).then(pl.lit("aws"))
    about = [pl.when(event.str.starts_with(beginning)).then(pl.lit(what)) for beginning, what in _ABOUT]
    return [
        _action(event).alias("action"),
        _outcome().alias("outcome"),
        pl.coalesce("object_kind", *about, pl.when(event.is_in(_MOVED)).then(pl.lit("file"))).alias("object_type"),
        pl.coalesce("approval", pl.when(event.str.starts_with("access_request.")).then("request")).alias("approval_id"),
        pl.coalesce("approver", pl.when(approved).then("actor")).alias("approval_by"),
        pl.coalesce(
            "actor_at_address", pl.when((event != "session.network").fill_null(True)).then("source_at_address")
        ).alias("actor_address"),
        *(
            pl.coalesce(f"destination_{what}", *also, pl.when("writer_used").then(f"writer_{what}")).alias(
                f"destination_{what}"
            )
            for what, also in (("region", ()), ("provider", (in_aws,)), ("account", ()))
        ),
    ]


def _action(event: pl.Expr) -> pl.Expr:
    fetched = (pl.col("direction") == "download").fill_null(False)
    return pl.coalesce(
        event.replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
        pl.when(event.is_in(_MOVED)).then(pl.when(fetched).then(pl.lit("data.read")).otherwise(pl.lit("data.copy"))),
        pl.when(event.str.contains(_READING)).then(pl.lit("config.read")),
        pl.when(event.is_not_null()).then(pl.lit("config.change")),
        pl.when(pl.col("verdict").is_not_null()).then(pl.lit("admin.session")),
        pl.lit("log.record"),
    )


def _outcome() -> pl.Expr:
    success = values.flag_of(pl.col("success"))
    letter = pl.col("code").str.extract(r"([IEW])$")
    return plain_form.outcome_of(
        pl.when(letter == "W").then(pl.lit("denied")),
        pl.when(success.is_not_null()).then(pl.when(success).then(pl.lit("success")).otherwise(pl.lit("failure"))),
        letter.replace_strict({"I": "success", "E": "failure"}, default=None, return_dtype=pl.String),
        pl.when(pl.col("verdict") == "Accepted").then(pl.lit("success")),
        pl.when(pl.col("verdict") == "Failed").then(pl.lit("denied")),
    )


SHAPE: Final = Shape(FORMAT, writer.KEYS, describe, resource_keys=writer.RESOURCE_KEYS)
