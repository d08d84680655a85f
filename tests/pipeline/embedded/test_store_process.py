"""The embedded store as a process: one owner, clean ends, nothing lost."""

from __future__ import annotations

import contextlib
import signal
import socket
import stat
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash%' AND query NOT LIKE '%processes%'"
CREATE = "CREATE TABLE kept (id UInt64) ENGINE = MergeTree ORDER BY id"


def test_what_was_answered_survives_kill_9(tmp_path: Path, start_store: Any) -> None:
    with start_store(tmp_path) as store:
        store.ask(CREATE)
        for number in range(10):
            assert store.ask(f"INSERT INTO kept VALUES ({number})").status == 200
        store.process.kill()
        store.process.wait()
    with start_store(tmp_path) as store:
        assert store.ask("SELECT count(), sum(id) FROM kept").body == b"10\t45\n"


def test_inserts_are_synced_and_small_parts_are_one_file(store: Any) -> None:
    wanted = ("fsync_after_insert", "fsync_part_directory", "min_bytes_for_wide_part")

    answer = store.ask(f"SELECT name, value FROM system.merge_tree_settings WHERE name IN {wanted} ORDER BY name")

    assert answer.body == b"fsync_after_insert\t1\nfsync_part_directory\t1\nmin_bytes_for_wide_part\t536870912\n"


def test_the_engine_keeps_no_logs_of_its_own(store: Any) -> None:
    store.ask("SELECT 1")
    store.ask("SYSTEM FLUSH LOGS")

    found = store.ask("SELECT name FROM system.tables WHERE database = 'system' AND engine LIKE 'MergeTree%'")

    assert found.body == b""


@pytest.mark.alone
def test_a_signal_ends_it_within_seconds_even_with_queries_under_way(tmp_path: Path, start_store: Any) -> None:
    slow = "SELECT count() FROM numbers(10000000000000) WHERE NOT ignore(sipHash64(number))"
    for number in (signal.SIGTERM, signal.SIGINT):
        with start_store(tmp_path) as store:
            asking = threading.Thread(target=_ask_in_vain, args=(store, slow))
            asking.start()
            while store.ask(RUNNING).body == b"0\n":
                pass
            began = time.monotonic()
            store.process.send_signal(number)
            assert store.process.wait(timeout=10) == 0
            assert time.monotonic() - began < 6
            asking.join()


def _ask_in_vain(store: Any, statement: str) -> None:
    with contextlib.suppress(OSError):
        store.ask(statement)


def test_it_ends_when_its_parent_is_gone(tmp_path: Path, start_store: Any) -> None:
    with start_store(tmp_path, more=["--with-parent"]) as store:
        store.process.stdin.close()
        store.process.stdin = None

        assert store.process.wait(timeout=10) == 0


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path, start_store: Any, store_command: Any) -> None:
    with start_store(tmp_path) as store:
        second = subprocess.run(store_command(tmp_path), capture_output=True, text=True, timeout=30, check=False)

        assert second.returncode == 2
        assert second.stderr.count("\n") == 1
        assert f"another onshore uses {tmp_path / 'store'} (pid {store.process.pid}); stop it first" in second.stderr


def test_a_busy_port_is_one_readable_line(tmp_path: Path, store_command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = subprocess.run(
            store_command(tmp_path, port=port), capture_output=True, text=True, timeout=30, check=False
        )

    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert f"127.0.0.1:{port} cannot be used" in found.stderr


def test_a_path_that_the_engine_would_misread_is_refused(tmp_path: Path, store_command: Any) -> None:
    odd = tmp_path / "what?"
    odd.mkdir()

    found = subprocess.run(store_command(odd), capture_output=True, text=True, timeout=30, check=False)

    assert found.returncode == 2
    assert "cannot open a path with ? in it" in found.stderr


def test_a_path_may_have_blanks_and_letters_of_any_kind(tmp_path: Path, start_store: Any) -> None:
    folder = tmp_path / "mes données"
    folder.mkdir()
    with start_store(folder) as store:
        assert store.ask("SELECT 1").body == b"1\n"
    assert any((folder / "store" / "engine" / "data").iterdir())


def test_credentials_are_random_private_and_kept(tmp_path: Path, start_store: Any) -> None:
    with start_store(tmp_path) as store:
        first = store.users
    with start_store(tmp_path) as store:
        assert store.users == first
    file = tmp_path / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len({first["writer"]["password"], first["reader"]["password"]}) == 2
    assert all(len(user["password"]) >= 32 for user in first.values())


def test_credentials_that_others_can_read_are_refused(tmp_path: Path, start_store: Any, store_command: Any) -> None:
    with start_store(tmp_path):
        pass
    (tmp_path / "credentials.json").chmod(0o644)

    found = subprocess.run(store_command(tmp_path), capture_output=True, text=True, timeout=30, check=False)

    assert found.returncode == 2
    assert "chmod 600" in found.stderr


def test_it_listens_on_this_machine_only(store: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own_address = probe.getsockname()[0]
    if own_address.startswith("127."):
        return
    with socket.socket() as client:
        client.settimeout(2)
        assert client.connect_ex((own_address, store.port)) != 0
