"""The local log beyond the contract: durability, bounds, refusals, several processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.broker import Advance, Gap, Message, Outgoing
from onshore_pipeline.embedded.local_consumer import fair_shares
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import FILE_NAME, LogLimits
from onshore_pipeline.embedded.log_records import pack_headers, unpack_headers
from onshore_pipeline.embedded.stamps import StepBack
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced, LogInUse, SettingsError
from onshore_pipeline.producers import open_producer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onshore_pipeline.broker import Consumer

_START_NS = 1_700_000_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = _START_NS

    def __call__(self) -> int:
        return self.now_ns


def poll(consumer: Consumer, max_messages: int = 10_000, max_bytes: int = 1 << 26) -> tuple[Message, ...]:
    return consumer.poll(max_messages=max_messages, max_bytes=max_bytes, timeout_s=0).messages


def advance(messages: Sequence[Message]) -> Advance:
    first, last = messages[0], messages[-1]
    return Advance(first.topic, first.topic_id, first.partition, first.offset, last.offset + 1)


@given(st.lists(st.tuples(st.text(), st.binary())))
def test_headers_survive_packing(headers: list[tuple[str, bytes]]) -> None:
    assert unpack_headers(pack_headers(headers)) == tuple(headers)


@given(st.lists(st.integers(0, 1000)), st.integers(0, 5000))
def test_shares_are_fair_and_within_the_budget(wanted: list[int], budget: int) -> None:
    shares = fair_shares(wanted, budget)
    assert sum(shares) <= budget
    for share, want in zip(shares, wanted, strict=True):
        assert share <= want
        assert share == want or share >= max(shares) - 1  # whoever gets less than wanted gets as much as anyone
    assert sum(shares) == min(budget, sum(wanted)) or sum(shares) > budget - len(wanted)


def test_a_poll_shares_its_bytes_over_topics(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        producer.send("otlp_logs", [Outgoing(b"x" * 1000)] * 100)
        producer.send("otlp_spans", [Outgoing(b"x" * 1000)] * 5)
        polled = [message.topic for message in poll(consumer, max_bytes=20_000)]
        assert polled.count("otlp_spans") == 5
        assert 8 <= polled.count("otlp_logs") <= 14


def test_a_message_larger_than_its_share_gets_its_turn(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        producer.send("otlp_logs", [Outgoing(b"small")] * 100)
        producer.send("otlp_spans", [Outgoing(b"x" * 10_000)])
        polls = [poll(consumer, max_messages=4, max_bytes=1000) for _ in range(2)]
        assert "otlp_spans" in {message.topic for messages in polls for message in messages}


def test_stamps_do_not_go_back_when_the_clock_is_set_back_by_minutes(tmp_path: Path) -> None:
    clock = Clock()
    log = LocalLog(tmp_path, now_ns=clock)
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        for now_ns in (_START_NS, _START_NS - 5, _START_NS + 5):
            clock.now_ns = now_ns
            producer.send("otlp_logs", [Outgoing(b"a")])
        assert [message.timestamp_ns for message in poll(consumer)] == [_START_NS, _START_NS, _START_NS + 5]


def test_a_clock_that_ran_ahead_once_stamps_what_it_stamped_and_nothing_behind_it(tmp_path: Path) -> None:
    clock = Clock()
    log = LocalLog(tmp_path, now_ns=clock)
    glitch_ns = _START_NS + 73 * 365 * 86_400 * 10**9
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        for now_ns in (_START_NS, glitch_ns, _START_NS + 1, _START_NS + 2):
            clock.now_ns = now_ns
            producer.send("otlp_logs", [Outgoing(b"a")])
            ahead_ns = log.stamps().ahead_ns
            clock.now_ns = _START_NS + 1
            assert (ahead_ns, log.stamps().ahead_ns) == (0, glitch_ns - clock.now_ns if now_ns == glitch_ns else 0)
        stamps = [message.timestamp_ns for message in poll(consumer)]
        assert stamps == [_START_NS, glitch_ns, _START_NS + 1, _START_NS + 2]
    assert log.stamps().steps_back == (StepBack("otlp_logs", 0, 2, glitch_ns, _START_NS + 1),)


def test_where_stamps_went_back_is_remembered_up_to_a_bound(tmp_path: Path) -> None:
    clock = Clock()
    log = LocalLog(tmp_path, now_ns=clock)
    with closing(log.producer()) as producer:
        for number in range(110):
            clock.now_ns = _START_NS - number * 301 * 10**9
            producer.send("otlp_logs", [Outgoing(b"a")])
    steps = log.stamps().steps_back
    assert [each.offset for each in steps] == list(range(109, 9, -1))


def test_equal_keys_share_a_partition_and_partitions_can_be_added(tmp_path: Path) -> None:
    LocalLog(tmp_path, now_ns=Clock())
    log = LocalLog(tmp_path, now_ns=Clock(), partitions={"otlp_logs": 3})
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        for number in range(30):
            producer.send("otlp_logs", [Outgoing(b"%d" % (number % 5), key=b"%d" % (number % 5)), Outgoing(b"none")])
        messages = poll(consumer)
        assert len(messages) == 60
        assert len({message.partition for message in messages if message.value == b"none"}) > 1
        for key in (b"0", b"1", b"2", b"3", b"4"):
            assert len({message.partition for message in messages if message.value == key}) == 1


def test_consumed_messages_are_deleted_and_their_space_is_used_again(tmp_path: Path) -> None:
    limits = LogLimits(kept_bytes=2_000_000, trim_bytes=1_000_000, wal_bytes=1_000_000)
    log = LocalLog(tmp_path, now_ns=Clock(), limits=limits)
    sizes = []
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        for _ in range(100):
            producer.send("otlp_logs", [Outgoing(os.urandom(50_000))] * 10)
            messages = poll(consumer)
            consumer.commit([b"entry"] * len(messages), [advance(messages)])
            sizes.append(sum(each.stat().st_size for each in tmp_path.iterdir()))
        assert max(sizes[50:]) <= 10_000_000  # 50 MB went through
        by_topic = {size.topic: size for size in log.sizes()}
        assert by_topic["otlp_logs"].waiting_messages == 0
        assert 0 < by_topic["otlp_logs"].kept_bytes < 4_000_000
        assert by_topic["onshore_evidence_log"].kept_messages == 1000


def test_consumed_messages_are_kept_no_longer_than_the_safety_window(tmp_path: Path) -> None:
    clock = Clock()
    log = LocalLog(tmp_path, now_ns=clock, limits=LogLimits(kept_s=60))
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        producer.send("otlp_logs", [Outgoing(b"old")] * 3)
        consumer.commit([b"entry"] * 2, [advance(poll(consumer)[:2])])
        assert log.sizes()[0].kept_messages == 3
        clock.now_ns += 61_000_000_000
        assert poll(consumer) == ()
        assert (log.sizes()[0].kept_messages, log.sizes()[0].waiting_messages) == (1, 1)


def test_free_space_is_given_back_after_a_backlog(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock(), limits=LogLimits(kept_bytes=100_000, wal_bytes=1))
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        producer.send("otlp_logs", [Outgoing(os.urandom(100_000))] * 200)
        messages = poll(consumer)
        consumer.commit([b"entry"] * 200, [advance(messages)])
        for _ in range(3):
            poll(consumer)
        assert (tmp_path / FILE_NAME).stat().st_size < 5_000_000  # of 20 MB


def test_offsets_that_are_gone_come_back_as_a_gap(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(b"%d" % number) for number in range(10)])
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM messages WHERE id & 1023 < 4")
        connection.execute("UPDATE partitions SET begin_offset = 4, begin_bytes = 260 WHERE end_offset = 10")
    with closing(log.consumer()) as consumer:
        polled = consumer.poll(max_messages=100, max_bytes=10_000, timeout_s=0)
        topic_id = polled.messages[0].topic_id
        assert polled.gaps == (Gap("otlp_logs", topic_id, 0, 0, 4),)
        assert [message.offset for message in polled.messages] == [4, 5, 6, 7, 8, 9]
        consumer.commit([b"gap"] + [b"entry"] * 6, [Advance("otlp_logs", topic_id, 0, 0, 10)])
        assert consumer.poll(max_messages=100, max_bytes=10_000, timeout_s=0).gaps == ()


def test_a_consumer_that_was_replaced_is_told_so_by_its_next_poll(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer, closing(log.consumer()) as older, closing(log.consumer()) as newer:
        producer.send("otlp_logs", [Outgoing(b"a")])
        moved = advance(poll(older))
        poll(newer)
        producer.send("otlp_logs", [Outgoing(b"b")])
        for _ in range(2):
            with pytest.raises(CommitFenced, match="newer consumer"):
                poll(older)
        with pytest.raises(CommitFenced, match="newer consumer"):
            older.commit([b"entry"], [moved])
        assert [message.value for message in poll(newer)] == [b"b"]


def test_a_second_process_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_POLLER), str(tmp_path)]
    environment = os.environ | _PYTHONPATH
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == b"polled\n"
        log = LocalLog(tmp_path, now_ns=Clock())
        with closing(log.producer()) as producer, closing(log.consumer()) as second:
            producer.send("otlp_logs", [Outgoing(b"a")])
            for _ in range(2):
                with pytest.raises(LogInUse, match=rf"another worker reads it \(process {first.pid}\)"):
                    poll(second)
            second.commit([b"amends"], [])  # what moves no position disturbs nobody
            assert second.lag()
            first.stdin.write(b"again\n")
            first.stdin.flush()
            assert first.stdout.readline() == b"polled\n"  # the first one noticed nothing
            first.kill()
            first.wait()
            assert [message.value for message in poll(second)] == [b"a"]


def test_dead_letters_are_kept_up_to_their_bound_newest_last(tmp_path: Path) -> None:
    limits = LogLimits(kept_dead_letter_bytes=500_000, trim_bytes=100_000, max_waiting_bytes=10_000_000)
    log = LocalLog(tmp_path, now_ns=Clock(), limits=limits)
    with closing(log.consumer()) as consumer:
        for number in range(100):
            consumer.commit([b"entry"], [], [Outgoing(b"%d " % number + b"x" * 50_000)])
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        kept = [
            int(bytes(value).split()[0])
            for (value,) in connection.execute("SELECT value FROM messages WHERE length(value) > 50000 ORDER BY id")
        ]
    assert kept == list(range(91, 100))
    by_topic = {size.topic: size for size in log.sizes()}
    assert by_topic["onshore_dead_letters"].kept_bytes <= 500_000
    assert by_topic["onshore_evidence_log"].kept_messages == 100


def test_dead_letters_take_their_part_of_the_room_but_never_all(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock(), limits=LogLimits(max_waiting_bytes=100_000))
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        for _ in range(10):
            consumer.commit([b"entry"], [], [Outgoing(b"x" * 20_000)])
        with pytest.raises(BrokerUnavailable, match="full"):
            producer.send("otlp_logs", [Outgoing(b"x" * 85_000)])
        producer.send("otlp_logs", [Outgoing(b"x" * 70_000)])


def test_a_full_log_refuses_until_the_worker_catches_up(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock(), limits=LogLimits(max_waiting_bytes=10_000))
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        producer.send("otlp_logs", [Outgoing(b"x" * 6000)])
        with pytest.raises(BrokerUnavailable, match="full"):
            producer.send("otlp_logs", [Outgoing(b"x" * 6000)])
        producer.send("onshore_findings", [Outgoing(b"x" * 6000)])  # nothing waits for the worker there
        messages = poll(consumer)
        consumer.commit([b"entry"], [advance(messages)])
        producer.send("otlp_logs", [Outgoing(b"x" * 6000)])


def test_a_nearly_full_disk_is_refused_before_the_worker_has_no_room(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock(), limits=LogLimits(min_free_bytes=1 << 60))
    with closing(log.producer()) as producer, pytest.raises(BrokerUnavailable, match="disk is full"):
        producer.send("otlp_logs", [Outgoing(b"a")])


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        pages = producer._file.connection.execute("PRAGMA page_count").fetchone()[0]
        producer._file.connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        sent = 0
        refusal = ""
        while not refusal:
            try:
                producer.send("otlp_logs", [Outgoing(b"%d" % sent + b"x" * 50_000)])
                sent += 1
            except BrokerUnavailable as error:
                refusal = str(error)
        assert "disk is full: free some space" in refusal
        assert sent > 2
        assert [int(message.value.rstrip(b"x")) for message in poll(consumer)] == list(range(sent))
        producer._file.connection.execute("PRAGMA max_page_count = 1000000")
        producer.send("otlp_logs", [Outgoing(b"again")])
        assert [message.value for message in poll(consumer)] == [b"again"]


def test_a_file_that_another_process_holds_is_named(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock(), limits=LogLimits(lock_timeout_s=0.1))
    with closing(log.producer()) as producer, closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerUnavailable, match="another process holds the file"):
            producer.send("otlp_logs", [Outgoing(b"a")])
        other.rollback()
        producer.send("otlp_logs", [Outgoing(b"a")])


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else" * 1000)
    with pytest.raises(BrokerUnavailable, match=r"log\.sqlite3: cannot open it: .*not an Onshore log"):
        LocalLog(tmp_path, now_ns=Clock())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(os.urandom(100_000))])
    content = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    with pytest.raises(BrokerUnavailable, match="damaged"), closing(log.consumer()) as consumer:
        poll(consumer)


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    LocalLog(tmp_path, now_ns=Clock())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(BrokerUnavailable, match="upgrade Onshore"):
        LocalLog(tmp_path, now_ns=Clock())


def test_an_impossible_advance_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:
        producer.send("otlp_logs", [Outgoing(b"a")])
        (message,) = poll(consumer)
        for next_offset in (0, 2):
            with pytest.raises(ValueError, match="does not lead"):
                consumer.commit([b"entry"], [Advance("otlp_logs", message.topic_id, 0, 0, next_offset)])


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    LocalLog(tmp_path, now_ns=Clock())
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_a_busy_receiver_does_not_starve_the_worker(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, now_ns=Clock())
    stop = threading.Event()
    with closing(log.producer()) as producer, closing(log.consumer()) as consumer:

        def receive() -> None:
            while not stop.is_set():
                producer.send("otlp_logs", [Outgoing(b"x" * 10_000)])

        threads = [threading.Thread(target=receive) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                messages = consumer.poll(max_messages=100, max_bytes=1 << 20, timeout_s=5).messages
                consumer.commit([b"entry"] * len(messages), [advance(messages)])
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_open_producer_picks_the_local_log_and_needs_something_to_pick(tmp_path: Path) -> None:
    with closing(open_producer(log_folder=tmp_path, now_ns=Clock())) as producer:
        producer.send("otlp_logs", [Outgoing(b"a")])
    with closing(LocalLog(tmp_path, now_ns=Clock()).consumer()) as consumer:
        assert [message.value for message in poll(consumer)] == [b"a"]
    with pytest.raises(SettingsError, match="kafka_bootstrap_servers"):
        open_producer(now_ns=Clock())


_SENDER = """
    import os, sys, threading, time
    from pathlib import Path
    from onshore_pipeline.broker import Outgoing
    from onshore_pipeline.embedded.local_log import LocalLog
    producer = LocalLog(Path(sys.argv[1]), now_ns=time.time_ns).producer()
    def send(sender):
        for number in range(1_000_000):
            producer.send("otlp_logs", [Outgoing(b"%d-%d " % (sender, number) + b"x" * 20_000)])
            os.write(1, b"%d-%d\\n" % (sender, number))
    for sender in range(4):
        threading.Thread(target=send, args=(sender,)).start()
"""

_WORKER = """
    import os, sys, time
    from pathlib import Path
    from onshore_pipeline.broker import Advance
    from onshore_pipeline.embedded.local_log import LocalLog
    consumer = LocalLog(Path(sys.argv[1]), now_ns=time.time_ns).consumer()
    while True:
        messages = consumer.poll(max_messages=3, max_bytes=1 << 20, timeout_s=1).messages
        if messages:
            first, last = messages[0], messages[-1]
            moved = Advance(first.topic, first.topic_id, 0, first.offset, last.offset + 1)
            consumer.commit([b"%d" % message.offset for message in messages], [moved])
            os.write(1, b"committed\\n")
"""


_POLLER = """
    import sys, time
    from pathlib import Path
    from onshore_pipeline.embedded.local_log import LocalLog
    consumer = LocalLog(Path(sys.argv[1]), now_ns=time.time_ns).consumer()
    while True:
        consumer.poll(max_messages=1, max_bytes=1, timeout_s=0)
        print("polled", flush=True)
        sys.stdin.readline()
"""


def _killed(code: str, folder: Path, lines: int) -> list[bytes]:
    """Run `code`, kill -9 it after `lines` lines of output; gives all it wrote."""
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | _PYTHONPATH) as process:
        assert process.stdout is not None
        written = [process.stdout.readline() for _ in range(lines)]
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        written += process.stdout.readlines()
    return [line.strip() for line in written if line.endswith(b"\n")]


_PYTHONPATH = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_kill_minus_nine_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    acknowledged: list[bytes] = []
    for lines in (12, 25, 50):
        acknowledged += _killed(_SENDER, tmp_path, lines)
        _killed(_WORKER, tmp_path, 2)
    log = LocalLog(tmp_path, now_ns=Clock())
    with closing(log.consumer()) as consumer, closing(log.entry_reader()) as reader:
        entries = reader.read(after={}, max_entries=1_000_000, timeout_s=0)
        position = next(lag.next_offset for lag in consumer.lag() if lag.topic == "otlp_logs")
        assert position > 0
        assert [int(entry.value) for entry in entries] == list(range(position))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        stored = [
            bytes(row[0]).split()[0] for row in connection.execute("SELECT value FROM messages WHERE id < 2 << 40")
        ]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(set(acknowledged) - set(stored)) == []
    # names come again with every sender that was started; none may be there more often than that
    assert max(stored.count(name) for name in set(stored)) <= 3
    assert stored.count(b"0-0") + stored.count(b"1-0") + stored.count(b"2-0") + stored.count(b"3-0") <= 12
