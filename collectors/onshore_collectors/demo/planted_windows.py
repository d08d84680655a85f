"""What is planted for controls that look at more than one event: a month ago, late, and in the wrong order.

Every key holds the play's name, so that no other play's events and none of the day's come into it. These events carry
the play's name under an attribute of its own: the day's counts leave them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.demo.play import Request
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_collectors.demo.truth import Truth

WINDOWED_RUN: Final = "onshore.demo.windows"
_DAY_NS: Final = 86_400_000_000_000
_HOUR_NS: Final = 3_600_000_000_000
_LONG_AGO_DAYS: Final = 30
_GB: Final = 1_000_000_000

Said = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Planted:
    """One key of one control, and what it must come to.

    Attributes:
        control: its id.
        column: the column that the key differs in from all others.
        attribute: the attribute that becomes that column.
        name: what it holds, before the play's name.
        verdict: the worst verdict among its windows, sequences or absences.
        events: (hours since midnight a month before, what the event says beside the key), as they happened.
        until_now: the hours count back from the end of the play instead.
    """

    control: str
    column: str
    attribute: str
    name: str
    verdict: Verdict
    events: tuple[tuple[float, Said], ...]
    until_now: bool = False

    def key(self, run: str) -> str:
        """What the column holds in this play."""
        return f"{self.name}.{run}"


def _says(action: str, domain: str = "data_movement", **more: str | int) -> Said:
    said: Said = {"onshore.domain": domain, "onshore.action": action, "onshore.outcome": "success"}
    return said | {f"onshore.{name.replace('_', '.')}": value for name, value in more.items()}


def _export(size: int | None = None) -> Said:
    said = _says("data.export", data_home="AU", destination_country="AU", data_categories="none")
    return said if size is None else said | {"onshore.data.bytes": size}


_READ: Final = _says("model.weights.read", "model_access", data_home="AU")
_ABROAD: Final = _says("model.weights.export", data_home="AU", destination_country="US")
_NOWHERE: Final = _says("model.weights.export", data_home="AU")
_REVOKED: Final = _says("access.revoke", "infrastructure")
_EXPIRED: Final = _says("access.expire", "infrastructure")
_BACKUP: Final = _says("backup.write", data_home="AU", destination_country="AU")
_ROTATED: Final = _says("key.rotate", "infrastructure")
_SESSION: Final = _says("admin.session", "infrastructure", data_home="AU", actor_id="operator", actor_country="AU")
_ELSEWHERE: Final = _says("admin.session", "infrastructure", data_home="AU", approval_id="none")
_FOREIGN: Final = _ELSEWHERE | {"onshore.actor.country": "IN"}
_OMIC: Final = _says(
    "data.export", data_home="US", data_categories="us_human_omic", destination_country="CN", actor_id="laboratory"
)
_READ_FROM_AFAR: Final = _says(
    "data.read", data_home="US", data_categories="us_human_omic", destination_country="US", actor_id="laboratory",
    actor_country="CN",
)  # fmt: skip
_PERHAPS: Final[Said] = {"onshore.outcome": ""}
_VIOLATED, _SATISFIED, _OPEN = Verdict.VIOLATED, Verdict.SATISFIED, Verdict.UNDETERMINED

_ACTOR: Final = ("actor_id", "onshore.actor.id")
_APPROVAL: Final = ("approval_id", "onshore.approval.id")
_SET: Final = ("dataset", "onshore.data.set")
_KEY: Final = ("key_id", "onshore.key.id")
_ENTITY: Final = ("destination_entity", "onshore.destination.entity")
_READER: Final = ("actor_entity", "onshore.actor.entity")

PLANTED: Final = (
    Planted("SOV-19-01", *_ACTOR, "much-in-a-day", _VIOLATED, ((9, _export(300 * _GB)), (17, _export(300 * _GB)))),
    Planted("SOV-19-01", *_ACTOR, "much-in-two-days", _SATISFIED, ((9, _export(300 * _GB)), (33, _export(300 * _GB)))),
    Planted("SOV-19-01", *_ACTOR, "of-unknown-size", _OPEN, ((9, _export(300 * _GB)), (17, _export()))),
    Planted("SOV-19-02", *_ACTOR, "many-small", _VIOLATED, tuple((9 + i / 400, _export(1000)) for i in range(200))),
    Planted("SOV-19-02", *_ACTOR, "few-small", _SATISFIED, tuple((9 + i, _export(1000)) for i in range(3))),
    Planted("SOV-19-02", *_ACTOR, "perhaps-small", _OPEN, ((9, _export(1000)), (9.5, _export()))),
    Planted("SOV-20-01", *_ACTOR, "read-and-exported", _VIOLATED, ((8, _READ), (12, _ABROAD))),
    Planted("SOV-20-01", *_ACTOR, "read-only", _SATISFIED, ((8, _READ), (60, _ABROAD))),
    Planted("SOV-20-01", *_ACTOR, "read-and-exported-somewhere", _OPEN, ((8, _READ), (12, _NOWHERE))),
    Planted("SOV-21-01", *_APPROVAL, "revoked", _VIOLATED, ((8, _REVOKED), (10, _SESSION))),
    Planted("SOV-21-01", *_APPROVAL, "expired", _SATISFIED, ((8, _SESSION), (10, _EXPIRED))),
    Planted("SOV-21-01", *_APPROVAL, "ended", _OPEN, ((8, _EXPIRED), (8, _SESSION))),
    Planted("SOV-22-01", *_SET, "left-alone", _VIOLATED, ((2, _BACKUP), (26, _BACKUP))),
    Planted("SOV-22-01", *_SET, "kept", _SATISFIED, ((-72, _BACKUP), (-48, _BACKUP), (-24, _BACKUP)), until_now=True),
    Planted("SOV-22-01", *_SET, "perhaps-kept", _OPEN, ((2, _BACKUP), (26, _BACKUP | _PERHAPS))),
    Planted("SOV-22-02", *_KEY, "old", _VIOLATED, ((-470 * 24, _ROTATED),)),
    Planted("SOV-22-02", *_KEY, "young", _SATISFIED, ((-345 * 24, _ROTATED), (10 * 24, _ROTATED))),
    Planted("SOV-22-02", *_KEY, "perhaps-young", _OPEN, ((-470 * 24, _ROTATED), (-170 * 24, _ROTATED | _PERHAPS))),
    Planted("SOV-23-01", *_ACTOR, "runs-it", _VIOLATED, tuple((i * 8, _FOREIGN) for i in range(21))),
    Planted("SOV-23-01", *_ACTOR, "looked-in", _SATISFIED, ((9, _FOREIGN),)),
    Planted("SOV-23-01", *_ACTOR, "from-somewhere", _OPEN, ((9, _ELSEWHERE),)),
    Planted("US-DSP205-01", *_ENTITY, "gathering", _VIOLATED, tuple(
        (day * 24, _OMIC | {"onshore.data.count": 600}) for day in (-100, 1))),
    Planted("US-DSP205-01", *_ENTITY, "below", _SATISFIED, ((9, _OMIC | {"onshore.data.count": 600}),)),
    Planted("US-DSP205-01", *_ENTITY, "uncounted", _OPEN, ((9, _OMIC),)),
    Planted("US-DSP205-02", *_READER, "reading", _VIOLATED, tuple(
        (day * 24, _READ_FROM_AFAR | {"onshore.data.count": 600}) for day in (-100, 1))),
    Planted("US-DSP205-02", *_READER, "reading-little", _SATISFIED, (
        (9, _READ_FROM_AFAR | {"onshore.data.count": 600}),)),
    Planted("US-DSP205-02", *_READER, "reading-uncounted", _OPEN, ((9, _READ_FROM_AFAR),)),
)  # fmt: skip


def windowed_requests(truth: Truth, tenant: str, stored_tenant: str, end_ns: int) -> Iterator[Request]:
    """Two requests of one tenant: the second half of what happened to each key, and then the first.

    `truth` names the play and is told what must be said; `end_ns` is where the played day ends.
    """
    run = truth.run
    truth.expect_windows(((each.control, each.key(run), each.verdict) for each in PLANTED), stored_tenant)
    requests = (ExportLogsServiceRequest(), ExportLogsServiceRequest())
    scopes = []
    for request in requests:
        holder = request.resource_logs.add()
        holder.resource.attributes.add(key=WINDOWED_RUN).value.string_value = run
        scopes.append(holder.scope_logs.add())
    midnight_ns = (end_ns // _DAY_NS - _LONG_AGO_DAYS) * _DAY_NS
    for planted in PLANTED:
        for place, (hours, said) in enumerate(planted.events):
            record = scopes[place < len(planted.events) // 2].log_records.add()
            record.time_unix_nano = (end_ns if planted.until_now else midnight_ns) + int(hours * _HOUR_NS)
            record.event_name = str(said["onshore.action"])
            for name, value in (said | {planted.attribute: planted.key(run)}).items():
                held = record.attributes.add(key=name).value
                if isinstance(value, int):
                    held.int_value = value
                elif value:
                    held.string_value = value
                else:
                    del record.attributes[-1]
    for request, scope in zip(requests, scopes, strict=True):
        yield Request(tenant, "log", request.SerializeToString(), len(scope.log_records), end_ns)
