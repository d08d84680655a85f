"""The connections of this machine now: whose they are, where they lead, and how many bytes moved on them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal

import psutil

from onshore_collectors.socket_diag import ByteCounts, End, plain_address, read_byte_counts
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

# psutil's states → network.connection.state.
_STATES: Final = {
    "ESTABLISHED": "established",
    "SYN_SENT": "syn_sent",
    "SYN_RECV": "syn_received",
    "FIN_WAIT1": "fin_wait_1",
    "FIN_WAIT2": "fin_wait_2",
    "TIME_WAIT": "time_wait",
    "CLOSE": "closed",
    "CLOSE_WAIT": "close_wait",
    "LAST_ACK": "last_ack",
    "CLOSING": "closing",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as one of its ends on this machine sees it.

    Attributes:
        transport: TCP, or UDP where a program connected the socket to one peer.
        local: address and port here.
        remote: address and port there.
        state: `network.connection.state`; None for UDP.
        opened: 'ingress' when the other side opened it, which is so where a socket here listens on the local port.
        counts: bytes since it was opened; None where the kernel does not say.
        pid: the process; None where it cannot be seen.
    """

    transport: Literal["tcp", "udp"]
    local: End
    remote: End
    state: str | None
    opened: Literal["ingress", "egress"]
    counts: ByteCounts | None
    pid: int | None

    @property
    def key(self) -> str:
        """What tells it from every other connection at the same time."""
        (local, local_port), (remote, remote_port) = self.local, self.remote
        return f"{self.transport} {local} {local_port} {remote} {remote_port}"

    @property
    def stays_here(self) -> bool:
        """Whether both ends are on this machine."""
        return ip_address(self.remote[0]).is_loopback or self.local[0] == self.remote[0]


@dataclass(frozen=True, slots=True)
class Owner:
    """The program at this end; None where the system does not say."""

    program: str | None = None
    account: str | None = None


def look_at_connections() -> list[Connection]:
    """Every connection with a peer. One opened and closed between two looks is seen only while it lingers.

    Raises:
        OnshoreError: the system does not let this user list connections.
    """
    counts = read_byte_counts()
    try:
        listed = psutil.net_connections(kind="inet")
    except psutil.AccessDenied:
        raise OnshoreError("this system lists connections only to root; run `sudo onshore collect sockets`") from None
    waiting = {(each.type, each.laddr.port) for each in listed if each.laddr and not each.raddr}
    found: dict[str, Connection] = {}
    for each in listed:
        if not each.laddr or not each.raddr:
            continue
        local = (plain_address(each.laddr.ip), int(each.laddr.port))
        remote = (plain_address(each.raddr.ip), int(each.raddr.port))
        connection = Connection(
            transport="tcp" if each.type == socket.SOCK_STREAM else "udp",
            local=local,
            remote=remote,
            state=_STATES.get(each.status),
            opened="ingress" if (each.type, each.laddr.port) in waiting else "egress",
            counts=counts.get((local, remote)) if each.type == socket.SOCK_STREAM else None,
            pid=each.pid,
        )
        # A socket shared by several processes is listed once for each: the first stands for them.
        found.setdefault(connection.key, connection)
    return list(found.values())


def owner_of(pid: int | None) -> Owner:
    """Name and account of a process; nothing is guessed when it has ended or may not be seen."""
    if pid is None:
        return Owner()
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return Owner(process.name(), process.username())
    except psutil.Error:
        return Owner()


class OwnTraffic:
    """Tells the connections to the receiver that this process itself makes, which are never reported."""

    def __init__(self, pid: int, host: str, port: int) -> None:
        self._pid = pid
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            found = []
        self._receiver = {(plain_address(str(address[0])), int(address[1])) for *_, address in found}

    def without(self, connections: Iterable[Connection]) -> list[Connection]:
        """The connections that are not ours, nor the receiver's end of ours."""
        listed = list(connections)
        own = {(each.local, each.remote) for each in listed if each.pid == self._pid}
        return [each for each in listed if not self._is_own(each, own)]

    def _is_own(self, each: Connection, own: set[tuple[End, End]]) -> bool:
        if each.pid == self._pid or (each.remote, each.local) in own:
            return True
        # What lingers after it was closed has no process any more.
        lingers = each.pid is None and each.state not in {None, "established"}
        return lingers and bool({each.local, each.remote} & self._receiver)
