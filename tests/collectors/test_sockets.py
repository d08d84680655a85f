"""Live connections as flows: what is new, whose it is, which side is which."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from onshore_collectors.connections import Connection, Owner, OwnTraffic, look_at_connections, owner_of
from onshore_collectors.socket_diag import ByteCounts, plain_address, read_byte_counts
from onshore_collectors.sockets import (
    Flow,
    FlowSender,
    LastLook,
    collect_sockets,
    describe_flow,
    find_flows,
    machine_as_destination,
    without_place,
)
from onshore_collectors.stack_address import ReceiverAddress, endpoint_of
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collectors.conftest import Inbox

HERE, THERE = ("10.0.0.5", 50_000), ("203.0.113.7", 443)
RESOURCE = {
    "service.name": "onshore-collector",
    "onshore.collector.id": "host-17/sockets",
    "host.id": "machine-17",
    "host.name": "host-17",
    "cloud.region": "ap-southeast-2",
    "cloud.provider": "aws",
    "onshore.source.facility": "syd-1",
}


def connection(**changes: Any) -> Connection:
    given: dict[str, Any] = {
        "transport": "tcp",
        "local": HERE,
        "remote": THERE,
        "state": "established",
        "opened": "egress",
        "counts": ByteCounts(100, 50),
        "pid": None,
        **changes,
    }
    return Connection(**given)


def moved(flows: list[Flow]) -> list[tuple[str, int | None]]:
    return [(flow.direction, flow.size) for flow in flows]


def test_a_new_connection_tells_what_moved_since_it_was_opened() -> None:
    flows, after = find_flows([connection()], {})
    assert moved(flows) == [("transmit", 100), ("receive", 50)]
    assert after == {connection().key: ByteCounts(100, 50)}


def test_later_looks_tell_only_what_moved_in_between() -> None:
    _, first = find_flows([connection()], {})
    flows, second = find_flows([connection(counts=ByteCounts(130, 50))], first)
    assert moved(flows) == [("transmit", 30)]
    flows, _ = find_flows([connection(counts=ByteCounts(130, 50))], second)
    assert flows == []


def test_a_connection_between_the_same_ends_starts_again() -> None:
    _, first = find_flows([connection()], {})
    flows, _ = find_flows([connection(counts=ByteCounts(120, 7))], first)
    assert moved(flows) == [("transmit", 120), ("receive", 7)]


@pytest.mark.parametrize(("opened", "direction"), [("egress", "transmit"), ("ingress", "receive")])
@pytest.mark.parametrize(("counts", "size"), [(None, None), (ByteCounts(0, 0), 0)])
def test_a_connection_on_which_nothing_is_seen_to_move_is_told_once(
    opened: str, direction: str, counts: ByteCounts | None, size: int | None
) -> None:
    each = connection(opened=opened, counts=counts)
    flows, after = find_flows([each], {})
    assert moved(flows) == [(direction, size)]
    assert find_flows([each], after)[0] == []


def test_what_lingers_after_it_was_closed_is_not_told_again() -> None:
    _, after = find_flows([connection()], {})
    assert find_flows([connection(state="time_wait", counts=None)], after)[0] == []


def test_a_connection_that_stays_here_tells_every_byte_once() -> None:
    one, other = ("127.0.0.1", 1), ("127.0.0.1", 2)
    ends = [
        connection(local=one, remote=other, counts=ByteCounts(5, 9)),
        connection(local=other, remote=one, counts=ByteCounts(9, 5)),
    ]
    assert moved(find_flows(ends, {})[0]) == [("transmit", 5), ("transmit", 9)]


def test_a_flow_says_what_it_knows_and_leaves_out_the_rest() -> None:
    attributes = describe_flow(Flow(connection(pid=7), "receive", 50), Owner("curl", "aiko"))
    assert attributes == {
        "onshore.domain": "data_movement",
        "onshore.action": "network.flow",
        "onshore.outcome": "success",
        "onshore.data.bytes": 50,
        "onshore.actor.id": "aiko",
        "source.address": "203.0.113.7",
        "source.port": 443,
        "destination.address": "10.0.0.5",
        "destination.port": 50_000,
        "network.transport": "tcp",
        "network.type": "ipv4",
        "network.io.direction": "receive",
        "network.direction": "egress",
        "network.connection.state": "established",
        "process.pid": 7,
        "process.executable.name": "curl",
        "process.owner": "aiko",
    }
    bare = describe_flow(Flow(connection(transport="udp", state=None, counts=None), "transmit", None), Owner())
    assert not {"onshore.data.bytes", "onshore.actor.id", "process.pid", "network.connection.state"} & bare.keys()


def test_a_connection_that_is_still_being_opened_has_no_known_outcome() -> None:
    flow = Flow(connection(state="syn_sent", counts=ByteCounts(0, 0)), "transmit", 0)
    assert describe_flow(flow, Owner())["onshore.outcome"] == "unknown"


def test_where_the_machine_is_moves_from_the_resource_to_what_it_received() -> None:
    assert machine_as_destination(RESOURCE) == {
        "onshore.destination.facility": "syd-1",
        "cloud.region": "ap-southeast-2",
        "cloud.provider": "aws",
        "host.id": "machine-17",
        "host.name": "host-17",
    }
    assert without_place(RESOURCE) == {
        "service.name": "onshore-collector",
        "onshore.collector.id": "host-17/sockets",
    }


@pytest.mark.parametrize(
    ("written", "plain"),
    [("::ffff:10.0.0.5", "10.0.0.5"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8::0", "2001:db8::")],
)
def test_addresses_are_compared_in_one_spelling(written: str, plain: str) -> None:
    assert plain_address(written) == plain


# --- the machine's own connections ---


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection on this machine: the one that opened it, and the one that took it."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with taken:
            yield client, taken


def ends_of(client: socket.socket, taken: socket.socket) -> tuple[Connection, Connection]:
    listed = {each.local: each for each in look_at_connections() if each.pid == os.getpid()}
    return listed[client.getsockname()], listed[taken.getsockname()]


def test_the_kernels_byte_counts_are_exact(pair: tuple[socket.socket, socket.socket]) -> None:
    client, taken = pair
    if (client.getsockname(), taken.getsockname()) not in read_byte_counts():
        pytest.skip("this kernel does not tell byte counts (no sock_diag)")
    client.sendall(b"x" * 70_001)
    taken.sendall(b"y" * 13)
    received = 0
    while received < 70_001:
        received += len(taken.recv(1 << 16))
    assert client.recv(13, socket.MSG_WAITALL) == b"y" * 13
    ours, theirs = ends_of(client, taken)
    assert ours.counts == ByteCounts(70_001, 13)
    assert theirs.counts == ByteCounts(13, 70_001)


def test_process_state_and_who_opened_it_are_known(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends_of(*pair)
    assert (ours.state, ours.transport, ours.stays_here) == ("established", "tcp", True)
    assert (ours.opened, theirs.opened) == ("egress", "ingress")
    assert (ours.local, ours.remote) == (theirs.remote, theirs.local)
    owner = owner_of(ours.pid)
    assert owner.program
    assert owner.account
    assert owner_of(None) == Owner()
    assert owner_of(2**22 + 1) == Owner()


def test_a_connected_udp_socket_is_seen_without_a_size() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", 9))
        (each,) = [each for each in look_at_connections() if each.local == sender.getsockname()]
    assert (each.transport, each.state, each.counts, each.opened) == ("udp", None, None, "egress")


def test_connections_to_the_receiver_that_are_our_own_are_left_out(pair: tuple[socket.socket, socket.socket]) -> None:
    client, taken = pair
    host, port = taken.getsockname()
    own, other = OwnTraffic(os.getpid(), host, port), OwnTraffic(1, host, port)
    ours = {client.getsockname(), taken.getsockname()}
    assert not ours & {each.local for each in own.without(look_at_connections())}
    assert ours <= {each.local for each in other.without(look_at_connections())}


def test_the_receivers_end_of_our_connection_and_what_lingers_are_left_out() -> None:
    receiver = ("10.0.0.9", 4318)
    ours = connection(remote=receiver, pid=7)
    its_end = connection(local=receiver, remote=HERE, pid=8)
    lingering = connection(local=("10.0.0.5", 50_001), remote=receiver, state="time_wait")
    strangers = connection(local=("10.0.0.5", 50_002), remote=receiver, pid=9)
    own = OwnTraffic(7, *receiver)
    assert own.without([ours, its_end, lingering, strangers]) == [strangers]


# --- to a receiver ---


def events(inbox: Inbox) -> list[dict[str, str | int]]:
    return [inbox.attributes(record) for record in inbox.log_records()]


def test_flows_arrive_and_are_understood_as_source_and_destination(inbox: Inbox, tmp_path: Path) -> None:
    last_look = LastLook(tmp_path / "collectors" / "sockets.json", "boot-1")
    with FlowSender(inbox.address, RESOURCE, once=True) as sender:
        report = collect_sockets(
            sender, lambda: [connection()], last_look, interval_s=60, once=True, stop=threading.Event()
        )
    assert (report.looks, report.sent, report.dropped) == (1, 2, 0)
    messages = [(each.topic, each.value, "otlp_proto") for each in inbox.messages()]
    flows = normalise(decode(messages)).events.sort("bytes")
    assert flows["action"].to_list() == ["network.flow"] * 2
    assert flows["domain"].to_list() == ["data_movement"] * 2
    assert flows["collector_id"].to_list() == ["host-17/sockets"] * 2
    received, transmitted = flows.rows(named=True)
    assert (received["bytes"], transmitted["bytes"]) == (50, 100)
    here, there = (socket.inet_aton(address) for address in (HERE[0], THERE[0]))
    assert transmitted["source_address"].endswith(here)
    assert transmitted["destination_address"].endswith(there)
    assert [transmitted[f"source_{name}"] for name in ("id", "host", "region", "facility")] == [
        "machine-17",
        "host-17",
        "ap-southeast-2",
        "syd-1",
    ]
    assert (transmitted["destination_region"], transmitted["destination_facility"]) == (None, None)
    assert received["source_address"].endswith(there)
    assert received["destination_address"].endswith(here)
    assert [received[f"source_{name}"] for name in ("id", "host", "region", "facility")] == [None] * 4
    assert (received["destination_region"], received["destination_facility"]) == ("ap-southeast-2", "syd-1")


def test_a_restart_does_not_tell_the_same_bytes_again(inbox: Inbox, tmp_path: Path) -> None:
    looks = iter([ByteCounts(100, 0), ByteCounts(130, 0), ByteCounts(150, 0)])
    for boot_id, expected in (("boot-1", 100), ("boot-1", 30), ("boot-2", 150)):
        with FlowSender(inbox.address, RESOURCE, once=True) as sender:
            collect_sockets(
                sender,
                lambda: [connection(counts=next(looks))],
                LastLook(tmp_path / "sockets.json", boot_id),
                interval_s=60,
                once=True,
                stop=threading.Event(),
            )
        assert [each["onshore.data.bytes"] for each in events(inbox)] == [expected]


def test_looks_are_repeated_until_it_is_told_to_stop(inbox: Inbox, tmp_path: Path) -> None:
    stop, counts = threading.Event(), iter(range(10, 100, 10))

    def look() -> list[Connection]:
        sent = next(counts)
        if sent == 30:
            stop.set()
        return [connection(counts=ByteCounts(sent, 0))]

    with FlowSender(inbox.address, RESOURCE, once=False) as sender:
        last_look = LastLook(tmp_path / "sockets.json", "")
        report = collect_sockets(sender, look, last_look, interval_s=0.01, once=False, stop=stop)
    assert report.looks == 3
    assert sender.sent == 3
    assert [each["onshore.data.bytes"] for each in events(inbox)] == [10, 10, 10]


def test_a_single_look_that_nobody_takes_is_an_error_and_is_not_remembered(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        path = tmp_path / "sockets.json"
        sender = FlowSender(ReceiverAddress(nobody, {}, nobody), RESOURCE, once=True, give_up_after_s=0.2)
        with pytest.raises(BrokerUnavailable, match="did not take telemetry"), sender:
            collect_sockets(
                sender, lambda: [connection()], LastLook(path, ""), interval_s=1, once=True, stop=threading.Event()
            )
    assert not path.exists()


def test_an_address_gives_host_and_port() -> None:
    assert endpoint_of("https://[2001:db8::1]/otlp") == ("2001:db8::1", 443)
