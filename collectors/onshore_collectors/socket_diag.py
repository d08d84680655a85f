"""Bytes of TCP connections, asked of Linux over netlink (sock_diag(7)); works without privileges or programs.

Layouts: struct inet_diag_req_v2 and inet_diag_msg of linux/inet_diag.h, struct tcp_info of linux/tcp.h.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

End = tuple[str, int]

_AF_NETLINK: Final = 16
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_ERROR, _DONE = 2, 3
_INET_DIAG_INFO: Final = 2
_EVERY_STATE_BUT_LISTEN_AND_TIME_WAIT: Final = 0xFFF & ~(1 << 10) & ~(1 << 6)

_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBBI48x")
_PORTS: Final = struct.Struct("!HH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_MESSAGE_BYTES: Final = 72
_ID_AT, _SOURCE_AT, _DESTINATION_AT = 4, 8, 24
_BYTES_ACKED_AND_RECEIVED: Final = struct.Struct("=QQ")
_ACKED_AT: Final = 120
_BYTES_SENT_AND_RESENT: Final = struct.Struct("=QQ")
_SENT_AT: Final = 200

_BUFFER_BYTES: Final = 1 << 17
_TIMEOUT_S: Final = 5.0


class ByteCounts(NamedTuple):
    """Payload bytes of a connection since it was opened."""

    sent: int
    received: int


def plain_address(address: str) -> str:
    """An address as it is compared and sent: no zone, IPv4 out of its IPv6 form."""
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def read_byte_counts() -> dict[tuple[End, End], ByteCounts]:
    """Bytes by (local end, remote end); empty where the kernel does not tell (not Linux, or not allowed)."""
    counts: dict[tuple[End, End], ByteCounts] = {}
    try:
        with socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_TIMEOUT_S)
            for family in (socket.AF_INET, socket.AF_INET6):
                counts.update(_ask(netlink, family))
    except OSError:
        return counts
    return counts


def _ask(netlink: socket.socket, family: int) -> Iterator[tuple[tuple[End, End], ByteCounts]]:
    asked = _REQUEST.pack(
        family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0, _EVERY_STATE_BUT_LISTEN_AND_TIME_WAIT
    )
    netlink.send(_HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + asked)
    while True:
        answer = netlink.recv(_BUFFER_BYTES)
        at = 0
        while at + _HEADER.size <= len(answer):
            length, kind, *_ = _HEADER.unpack_from(answer, at)
            if kind in {_ERROR, _DONE} or length < _HEADER.size:
                return
            found = _read_message(answer[at + _HEADER.size : at + length])
            if found is not None:
                yield found
            at += (length + 3) & ~3


def _read_message(message: bytes) -> tuple[tuple[End, End], ByteCounts] | None:
    info = _attribute(message[_MESSAGE_BYTES:], _INET_DIAG_INFO)
    if len(info) < _ACKED_AT + _BYTES_ACKED_AND_RECEIVED.size:
        return None
    family = message[0]
    local_port, remote_port = _PORTS.unpack_from(message, _ID_AT)
    size = 4 if family == socket.AF_INET else 16
    local, remote = (
        plain_address(socket.inet_ntop(family, message[at : at + size])) for at in (_SOURCE_AT, _DESTINATION_AT)
    )
    acked, received = _BYTES_ACKED_AND_RECEIVED.unpack_from(info, _ACKED_AT)
    sent = acked
    if len(info) >= _SENT_AT + _BYTES_SENT_AND_RESENT.size:
        # Acknowledged bytes count SYN and FIN; what was sent less what was sent again does not.
        all_sent, resent = _BYTES_SENT_AND_RESENT.unpack_from(info, _SENT_AT)
        sent = max(all_sent - resent, 0)
    return ((local, local_port), (remote, remote_port)), ByteCounts(sent, received)


def _attribute(attributes: bytes, wanted: int) -> bytes:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == wanted:
            return attributes[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return b""
