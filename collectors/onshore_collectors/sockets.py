"""`onshore collect sockets`: the live connections of this machine as `network.flow` events.

An event is one direction of one connection since the last look, as in a cloud's flow logs: bytes sent have this machine
as their source, bytes received have it as their destination. A new connection on which nothing has moved yet gives one
event from the side that opened it; so does one whose bytes the kernel does not tell (UDP, macOS), without a size.

The emitter of a record counts as its source (`normalise.parties`). So the resource names this machine only for what it
sent; for what it received, the record itself says that this machine is the destination.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from onshore_collectors.connections import Connection, Owner, owner_of
from onshore_collectors.socket_diag import ByteCounts
from onshore_collectors.telemetry import open_telemetry
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.stack import write_private

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from opentelemetry.util.types import AttributeValue

    from onshore_collectors.stack_address import ReceiverAddress
    from onshore_collectors.telemetry import Telemetry

SCOPE: Final = "onshore.collectors.sockets"
ACTION: Final = "network.flow"

_NOTHING: Final = ByteCounts(0, 0)
_GIVE_UP_S: Final = 900.0
_ONCE_GIVE_UP_S: Final = 15.0
_ONCE_TIMEOUT_S: Final = 20.0
_FLUSH_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 3.0
_OPENING: Final = ("syn_sent", "syn_received")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

# How the resource's words for where the emitter is are said of a destination.
_AS_DESTINATION: Final = {
    "onshore.source.country": "onshore.destination.country",
    "onshore.source.entity": "onshore.destination.entity",
    "onshore.source.facility": "onshore.destination.facility",
    "onshore.source.region": "onshore.destination.region",
    "geo.country.iso_code": "destination.geo.country.iso_code",
}
_OF_THE_CALLED: Final = ("cloud.region", "cloud.provider", "cloud.account.id", "host.id", "host.name")


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a connection since the last look; `size` in bytes, None where it is not known."""

    connection: Connection
    direction: Literal["transmit", "receive"]
    size: int | None


@dataclass(frozen=True, slots=True)
class SocketsReport:
    """What a run did: looks taken, events sent, events lost."""

    looks: int
    sent: int
    dropped: int


def find_flows(
    connections: Iterable[Connection], before: Mapping[str, ByteCounts | None]
) -> tuple[list[Flow], dict[str, ByteCounts | None]]:
    """What is new since the last look, and what to remember for the next; counts are by `Connection.key`.

    A connection whose both ends are here gives only what was sent, else every byte would be told twice.
    """
    flows: list[Flow] = []
    after: dict[str, ByteCounts | None] = {}
    for each in connections:
        known, last = each.key in before, before.get(each.key)
        after[each.key] = each.counts if each.counts is not None else last
        moved = _moved(each, last)
        for direction, size in moved.items():
            flows.append(Flow(each, direction, size))
        if not known and not moved:
            opened_there = each.opened == "ingress" and not each.stays_here
            flows.append(Flow(each, "receive" if opened_there else "transmit", None if each.counts is None else 0))
    return flows, after


def _moved(each: Connection, last: ByteCounts | None) -> dict[Literal["transmit", "receive"], int]:
    if each.counts is None:
        return {}
    since = last or _NOTHING
    if each.counts.sent < since.sent or each.counts.received < since.received:
        since = _NOTHING  # the same ends, and another connection
    moved: dict[Literal["transmit", "receive"], int] = {"transmit": each.counts.sent - since.sent}
    if not each.stays_here:
        moved["receive"] = each.counts.received - since.received
    return {direction: size for direction, size in moved.items() if size}


def describe_flow(flow: Flow, owner: Owner) -> dict[str, AttributeValue]:
    """The attributes of a flow's event; what is not known is left out."""
    each = flow.connection
    ends = (each.local, each.remote) if flow.direction == "transmit" else (each.remote, each.local)
    (source, source_port), (destination, destination_port) = ends
    happened = bool(flow.size) or each.state not in _OPENING
    attributes: dict[str, AttributeValue | None] = {
        "onshore.domain": "data_movement",
        "onshore.action": ACTION,
        "onshore.outcome": "success" if happened else "unknown",
        "onshore.data.bytes": flow.size,
        "onshore.actor.id": owner.account,
        "source.address": source,
        "source.port": source_port,
        "destination.address": destination,
        "destination.port": destination_port,
        "network.transport": each.transport,
        "network.type": "ipv6" if ":" in source else "ipv4",
        "network.io.direction": flow.direction,
        "network.direction": each.opened,
        "network.connection.state": each.state,
        "process.pid": each.pid,
        "process.executable.name": owner.program,
        "process.owner": owner.account,
    }
    return {key: value for key, value in attributes.items() if value is not None}


def machine_as_destination(resource: Mapping[str, str]) -> dict[str, str]:
    """What a resource says about where the machine is, as attributes of a record that the machine received."""
    renamed = {name: resource[key] for key, name in _AS_DESTINATION.items() if key in resource}
    return {**renamed, **{key: resource[key] for key in _OF_THE_CALLED if key in resource}}


def without_place(resource: Mapping[str, str]) -> dict[str, str]:
    """The resource less what says where, or which machine, the emitter is."""
    return {key: value for key, value in resource.items() if key not in _AS_DESTINATION and key not in _OF_THE_CALLED}


class LastLook:
    """What the last look counted, kept in a file, so that a restart does not tell the same bytes again.

    Args:
        path: the file; written with mode 0600.
        boot_id: counts of an earlier boot are forgotten.
    """

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path, self._boot_id = path, boot_id

    def read(self) -> dict[str, ByteCounts | None]:
        """By connection; empty when there is nothing usable."""
        try:
            kept = json.loads(self._path.read_text())
            if kept["boot_id"] != self._boot_id:
                return {}
            return {key: ByteCounts(*counts) if counts else None for key, counts in kept["connections"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def keep(self, counts: Mapping[str, ByteCounts | None]) -> None:
        """Replace what is kept."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path, json.dumps({"boot_id": self._boot_id, "connections": counts}))


def read_boot_id(path: Path = _BOOT_ID) -> str:
    """What changes with every boot; '' where the system has no such thing."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class FlowSender:
    """Sends flows under the resource that fits their direction; used as a context manager.

    Args:
        receiver: where to.
        resource: resource attributes of this machine.
        once: wait for room, and raise when something is not taken.
        give_up_after_s: how long events are tried; None is a short time for `once`, else a quarter of an hour.
        gap_folder: where losses are kept that could not be reported before the end.
    """

    def __init__(
        self,
        receiver: ReceiverAddress,
        resource: Mapping[str, str],
        *,
        once: bool,
        give_up_after_s: float | None = None,
        gap_folder: Path | None = None,
    ) -> None:
        self._receiver, self._once = receiver, once
        self._give_up_after_s = give_up_after_s or (_ONCE_GIVE_UP_S if once else _GIVE_UP_S)
        self._here = machine_as_destination(resource)
        self._gap_folder = gap_folder
        self._transmitted = self._open(resource, "transmitted")
        self._received = self._open(without_place(resource), "received")

    @property
    def sent(self) -> int:
        """Events acknowledged."""
        return self._transmitted.sent + self._received.sent

    @property
    def dropped(self) -> int:
        """Events lost."""
        return self._transmitted.dropped + self._received.dropped

    def send(self, flows: list[Flow], now_ns: int) -> None:
        """Queue an event for every flow."""
        owners = {pid: owner_of(pid) for pid in {flow.connection.pid for flow in flows}}
        for flow in flows:
            attributes = describe_flow(flow, owners[flow.connection.pid])
            if flow.direction == "transmit":
                self._transmitted.emit(ACTION, attributes, time_ns=now_ns)
            else:
                self._received.emit(ACTION, {**attributes, **self._here}, time_ns=now_ns)

    def flush(self, timeout_s: float) -> bool:
        """True when everything was acknowledged within about `timeout_s`."""
        return self._transmitted.flush(timeout_s) and self._received.flush(timeout_s)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both ways."""
        self._transmitted.close(_CLOSE_TIMEOUT_S)
        self._received.close(_CLOSE_TIMEOUT_S)

    def _open(self, resource: Mapping[str, str], what: str) -> Telemetry:
        return open_telemetry(
            endpoint=self._receiver.endpoint,
            headers=self._receiver.headers,
            resource=resource,
            scope=SCOPE,
            block=self._once,
            give_up_after_s=self._give_up_after_s,
            gap_file=self._gap_folder / f"sockets-{what}.gaps" if self._gap_folder is not None else None,
        )


def collect_sockets(
    sender: FlowSender,
    look: Callable[[], list[Connection]],
    last_look: LastLook,
    *,
    interval_s: float,
    once: bool,
    stop: threading.Event,
) -> SocketsReport:
    """Look every `interval_s` seconds until `stop`, or once, and send what is new.

    Raises:
        BrokerUnavailable: `once`, and the events were not taken.
    """
    looks, counts = 0, last_look.read()
    while not stop.is_set():
        flows, counts = find_flows(look(), counts)
        sender.send(flows, time.time_ns())
        looks += 1
        if sender.flush(_ONCE_TIMEOUT_S if once else min(interval_s, _FLUSH_TIMEOUT_S)):
            # Only now: what was not taken would be missing after a restart.
            last_look.keep(counts)
        elif once:
            raise BrokerUnavailable(f"the events were not acknowledged within {_ONCE_TIMEOUT_S:g} s")
        if once:
            break
        stop.wait(interval_s)
    return SocketsReport(looks, sender.sent, sender.dropped)
