"""Sessions through a VPN or a bastion: Teleport's audit events, sshd's lines, and the plain form.

    column              from (Teleport; plain form: see `plain_form`)
    action              by event (`_ACTIONS`): who comes in is admin.session, what is done there admin.command, the end
                        admin.session.end, so that no session counts twice; access_request.* by state access.request,
                        access.approve, access.deny, access.expire, access.end; what ends with a verb of change
                        config.change, any other event a log record. Plain events: start, end, login, command
    outcome             success, else the letter that code ends with: I went well, E failed, W was denied where it is of
                        coming in and failed elsewhere; what a code calls disallowed was denied
    reason              error, exitError, reason
    actor_id, _type     user; of a request's decision delegator, reviewer or updated_by; user_kind 1 a user, 2 (bot) and
                        3 (system) a service
    source_address      addr.remote; also actor_address. Of session.network src_addr, which is the server's
    destination_*       server_hostname, desktop_addr, db_uri, kubernetes_cluster, aws_host or app_public_addr; address
                        server_addr, dst_addr, and addr of a forwarded port; region aws_region
    object_type         proto, db_protocol, or what the event is about
    dataset             db_name of databases
    bytes               tx of session.data, length of a clipboard, what sftp_summary counts of its files
    approval_*          id of an access request, and of a session the first of access_requests; delegator, reviewer or
                        updated_by, when its state is APPROVED, and expires

sshd's lines say who was let in or not, how and from where: `Accepted publickey for aiko from 203.0.113.9 port 51234`.
WireGuard and OpenVPN write nothing of the kind: a script that they call prints the plain form.

Checked against gravitational/teleport (lib/events/api.go, codes.go;
api/proto/teleport/legacy/types/events/events.proto) of 2026, of which names and numbers were read, nothing else, and
OpenSSH's auth.c as far as its line of an authentication goes.
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
    reason="error | exitError | reason",
    actor="user | delegator | reviewer | updated_by",
    source_at="addr.remote | src_addr",
    destination_at="dst_addr | db_uri | desktop_addr | addr | server_addr",
    destination_name="server_hostname | kubernetes_cluster | aws_host | app_public_addr",
    destination_region="aws_region",
    destination_account="aws_account_id",
    dataset="db_name",
    object_kind="proto | db_protocol",
    moved="tx | length",
    read="file_transfer_stats [] bytes_read",
    written="file_transfer_stats [] bytes_written",
    decider="delegator | reviewer | updated_by",
    expires="expires",
    requests="access_requests []",
    user_kind="user_kind",
    impersonator="impersonator",
    roles="roles []",
    aws="aws_region",
    code="code",
    success="success",
    session="sid",
    login="login",
    request="id",
    state="state",
    path="path | file_path",
    paths="file_transfer_stats [] path",
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
    "paths": "file.paths",
    "requests": "teleport.access_requests",
    "impersonator": "teleport.impersonator",
    "roles": "teleport.roles",
    "state": "teleport.request_state",
    "method": "ssh.auth.method",
}
_ACTIONS: Final = {
    **dict.fromkeys(("start", "connect", "login", "session.start", "session.join", "user.login"), "admin.session"),
    **dict.fromkeys(("session.connect", "session.rejected", "auth", "port", "x11-forward"), "admin.session"),
    **dict.fromkeys(("port.local", "port.remote", "port.remote_conn", "saml.idp.auth"), "admin.session"),
    **dict.fromkeys(("app.session.start", "db.session.start", "windows.desktop.session.start"), "admin.session"),
    **dict.fromkeys(("end", "disconnect", "logout", "session.end", "session.leave"), "admin.session.end"),
    **dict.fromkeys(("app.session.end", "db.session.end", "windows.desktop.session.end"), "admin.session.end"),
    **dict.fromkeys(("client.disconnect",), "admin.session.end"),
    **dict.fromkeys(("command", "exec", "subsystem", "session.command", "kube.request"), "admin.command"),
    **dict.fromkeys(("app.session.request", "app.session.dynamodb.request", "git.command"), "admin.command"),
    **dict.fromkeys(("app.session.chunk", "db.session.malformed_packet"), "log.record"),
    "access_request.create": "access.request",
    "access_request.expire": "access.expire",
    "access_request.delete": "access.end",
    **dict.fromkeys(("session.network", "session.data"), "network.flow"),
    **dict.fromkeys(("session.disk", "session.recording.access", "desktop.directory.read"), "data.read"),
    **dict.fromkeys(("desktop.clipboard.send", "desktop.clipboard.receive"), "data.copy"),
    "desktop.directory.write": "data.copy",
}
_ABOUT: Final = (("db.", "database"), ("windows.", "desktop"), ("desktop.", "desktop"), ("kube.", "kubernetes"))
_STATES: Final = {"approved": "access.approve", "denied": "access.deny"}
_MOVED: Final = ("scp", "sftp", "sftp_summary")
_IN_DATABASE: Final = "db.session."
# SFTP's requests by number, of those that Teleport tells; all others only look or arrange.
_SFTP: Final = {"3": "data.read", "4": "data.copy", "11": "data.delete", "13": "data.delete"}
_READING: Final = r"[._](list|search|get|read)$"
_CHANGING: Final = (
    r"[._](created?|create_card|updated?|update_\w+|deleted?|delete_\w+|add|enroll|generated|password_change|review|join"
    r"|share|deactivate|enable|disable|installed|changed)$"
)
_COMING_IN: Final = r"^user\.login$|^auth$|\.auth$|rejected|session\.start$|session\.connect$|recovery_code|\.join$"
_DISALLOWED: Final = ("T3010E", "TS020E")
_KINDS: Final = {"1": "user", "2": "service", "3": "service"}
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
        actor_kind=pl.coalesce(
            "actor_kind", pl.col("user_kind").replace_strict(_KINDS, default=None, return_dtype=pl.String)
        ),
        source_at=pl.coalesce("source_at", parts[3]),
        time=pl.coalesce("time", line.str.extract(_ISO)),
        got=_sum("read"),
        put=_sum("written"),
        destination_name=pl.coalesce("destination_name", "writer_host"),
        writer_used=pl.col("destination_name").is_null() & pl.col("destination_at").is_null(),
    ).with_columns(moved=pl.coalesce("moved", (pl.col("got") + pl.col("put")).cast(pl.String)))
    return plain_form.columns(told, FORMAT, _described()), added(told, _ATTRIBUTES)


def _sum(name: str) -> pl.Expr:
    counts = pl.col(name).list.eval(pl.element().cast(pl.UInt64, strict=False))
    return pl.when(counts.list.len() > 0).then(counts.list.sum())


def _described() -> list[pl.Expr]:
    event = plain_form.word("event")
    asked = event.str.starts_with("access_request.").fill_null(False)
    approved = asked & (plain_form.word("state") == "approved").fill_null(False)
    in_aws = pl.when(pl.col("aws").is_not_null()).then(pl.lit("aws"))
    about = [pl.when(event.str.starts_with(beginning)).then(pl.lit(what)) for beginning, what in _ABOUT]
    return [
        _action(event).alias("action"),
        _outcome(event).alias("outcome"),
        pl.coalesce("object_kind", *about, pl.when(event.is_in(_MOVED)).then(pl.lit("file"))).alias("object_type"),
        pl.coalesce("approval", pl.when(asked).then("request"), pl.col("requests").list.first()).alias("approval_id"),
        pl.coalesce("approver", pl.when(approved).then("decider")).alias("approval_by"),
        values.time_of(pl.coalesce("approved_until", pl.when(approved).then("expires"))).alias("approval_expires_at"),
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
    got = (pl.col("direction") == "download") | ((pl.col("got") > 0) & (pl.col("put") == 0))
    state = plain_form.word("state").replace_strict(_STATES, default=None, return_dtype=pl.String)
    sftp = pl.col("direction").replace_strict(_SFTP, default="admin.command", return_dtype=pl.String)
    return pl.coalesce(
        pl.when(event.is_in(("access_request.update", "access_request.review"))).then(state),
        event.replace_strict(_ACTIONS, default=None, return_dtype=pl.String),
        pl.when(event == "sftp").then(sftp),
        pl.when(event.is_in(_MOVED)).then(
            pl.when(got.fill_null(False)).then(pl.lit("data.read")).otherwise(pl.lit("data.copy"))
        ),
        pl.when(event.str.starts_with(_IN_DATABASE)).then(pl.lit("admin.command")),
        pl.when(event.str.contains(_READING)).then(pl.lit("config.read")),
        pl.when(event.str.contains(_CHANGING)).then(pl.lit("config.change")),
        pl.when(pl.col("verdict").is_not_null()).then(pl.lit("admin.session")),
        pl.lit("log.record"),
    )


def _outcome(event: pl.Expr) -> pl.Expr:
    success = values.flag_of(pl.col("success"))
    letter = pl.col("code").str.extract(r"([IEW])$")
    refused = (letter == "W") & event.str.contains(_COMING_IN)
    denied = event.is_in(("access_request.update", "access_request.review")) & (plain_form.word("state") == "denied")
    return plain_form.outcome_of(
        pl.when(refused | denied | pl.col("code").is_in(_DISALLOWED)).then(pl.lit("denied")),
        pl.when(success.is_not_null()).then(pl.when(success).then(pl.lit("success")).otherwise(pl.lit("failure"))),
        letter.replace_strict({"I": "success", "E": "failure", "W": "failure"}, default=None, return_dtype=pl.String),
        pl.when(pl.col("verdict") == "Accepted").then(pl.lit("success")),
        pl.when(pl.col("verdict") == "Failed").then(pl.lit("denied")),
    )


SHAPE: Final = Shape(FORMAT, writer.KEYS, describe, resource_keys=writer.RESOURCE_KEYS)
