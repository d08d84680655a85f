"""A full disk is not the fault of who inserts: "not now", and it goes on once there is room."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.connect import connect, store_errors
from small_disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = b"\n".join(b'{"word":"%d"}' % number for number in range(200_000))
A_ROW = b'{"word":"one"}'
COLUMNS = [f"c{number}" for number in range(150)]
WIDE = (
    f"CREATE TABLE wide (id UInt64, {', '.join(f'{name} String' for name in COLUMNS)}) ENGINE = MergeTree ORDER BY id"
)
TRIES = 300
CHECKS = """
import sys, threading, time
from pathlib import Path
from onshore_pipeline.embedded.credentials import Role
from onshore_pipeline.embedded.engine import Engine

engine = Engine(Path(sys.argv[1]))
writer, checks = engine.open(Role.WRITER), engine.part_checks()
made = "CREATE TABLE words (word String) ENGINE = MergeTree ORDER BY word"
for statement in (made, "INSERT INTO words SELECT 'one'"):
    writer.run(statement, "Null", {}, whole=True)
print(checks.is_writing_for(0.0))
[(table, part)] = checks.written_since(time.time() - 60)
print(f"{table}/{part}", checks.is_whole(table, part))
[marks] = Path(sys.argv[1]).glob("data/store/*/*/all_1_1_0/data.*mrk*")
marks.write_bytes(b"")
print(checks.is_whole(table, part), checks.is_whole(table, "all_7_7_0"))
slow = "INSERT INTO words SELECT toString(sleepEachRow(0.05)) FROM numbers(60) SETTINGS max_block_size = 1"
writing = threading.Thread(target=writer.run, args=(slow, "Null", {}), kwargs={"whole": True})
writing.start()
deadline = time.monotonic() + 20
while not (is_writing := checks.is_writing_for(0.2)) and writing.is_alive() and time.monotonic() < deadline:
    time.sleep(0.02)
print(is_writing)
writing.join()
checks.close()
writer.close()
engine.close()
"""


@pytest.mark.parametrize("rows", [ROWS, A_ROW], ids=["body-in-a-file", "one-row"])
def test_an_insert_into_a_full_disk_is_to_be_tried_again_and_then_works(
    start_store: Any, tmp_path: Path, rows: bytes
) -> None:
    with small_disk(tmp_path / "store", 96) as disk, start_store(tmp_path) as store:
        who = store.users["writer"]
        client = connect(f"http://127.0.0.1:{store.port}", who["user"], who["password"])
        client.command("CREATE TABLE words (word String) ENGINE = MergeTree ORDER BY word")
        filler = fill(disk)
        with pytest.raises(StoreUnavailable), store_errors():
            client.raw_insert("words", ["word"], rows, fmt="JSONEachRow")
        filler.unlink()
        client.raw_insert("words", ["word"], rows, fmt="JSONEachRow")
        assert client.query("SELECT count() FROM words").result_rows == [(rows.count(b"\n") + 1,)]
        client.close()


def test_what_was_written_while_others_filled_the_disk_is_stored_or_not_answered_for(
    start_store: Any, tmp_path: Path
) -> None:
    stored, refused = [0], 0
    with small_disk(tmp_path / "store", 200) as disk:
        with start_store(tmp_path) as store:
            assert store.ask(WIDE).status == store.ask(row(0)).status == 200
            with filled_again_and_again(disk):
                for number in range(1, TRIES):
                    try:
                        is_stored = store.ask(row(number)).status == 200
                    except OSError:  # it ended, so that the next start sets aside what is cut short
                        assert store.process.wait(30) == 1
                        refused += 1
                        break
                    stored += [number] * is_stored
                    refused += not is_stored
        assert refused
        with start_store(tmp_path) as store:
            whole = " AND ".join(f"{name} = '{name}'" for name in COLUMNS)
            answer = store.ask(f"SELECT id FROM wide WHERE {whole}")
            assert answer.status == 200, answer.body
            assert set(stored) <= {int(line) for line in answer.body.split()}


@contextmanager
def filled_again_and_again(disk: Path) -> Iterator[None]:
    """Room for a moment, and none for three times as long as the store looks away."""
    stop, draw = threading.Event(), random.Random(1)

    def run() -> None:
        while not stop.wait(draw.uniform(0, 0.1)):
            filler = fill(disk)
            stop.wait(0.15)
            filler.unlink()

    filling = threading.Thread(target=run)
    filling.start()
    try:
        yield
    finally:
        stop.set()
        filling.join()


def row(number: int) -> str:
    values = ", ".join(f"'{name}'" for name in COLUMNS)
    return f"INSERT INTO wide VALUES ({number}, {values})"


def test_a_store_does_not_start_on_a_full_disk(start_store: Any, tmp_path: Path) -> None:
    with small_disk(tmp_path / "store", 96) as disk:
        with start_store(tmp_path):
            pass
        filler = fill(disk)
        with pytest.raises(pytest.fail.Exception, match="the disk is full: 0 MiB are free"), start_store(tmp_path):
            pass
        filler.unlink()
        with start_store(tmp_path) as store:
            assert store.ask("SELECT 1").status == 200


def test_a_part_that_a_full_disk_cut_short_ends_the_store_and_is_set_aside_at_the_next_start(
    start_store: Any, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "store", 200) as disk:
        with start_store(tmp_path) as store:
            store.ask("CREATE TABLE words (word String) ENGINE = MergeTree ORDER BY word")
            for word in ("whole", "short"):
                assert store.ask(f"INSERT INTO words VALUES ('{word}')").status == 200
            asked = "SELECT path FROM system.parts WHERE table = 'words' AND name = 'all_2_2_0'"
            part = Path(store.ask(asked).body.decode().strip())
            [marks] = part.glob("data.*mrk*")
            marks.write_bytes(b"")  # what the engine leaves of it where the disk is full
            filler = fill(disk)
            assert store.process.wait(30) == 1
            said = store.process.stderr.read().decode()
            assert "the disk was full and cut words/all_2_2_0 short" in said
        filler.unlink()
        with start_store(tmp_path) as store:
            assert store.ask("SELECT word FROM words").body == b"whole\n"


def test_a_full_disk_that_cut_nothing_short_ends_nothing(start_store: Any, tmp_path: Path) -> None:
    with small_disk(tmp_path / "store", 200) as disk, start_store(tmp_path) as store:
        store.ask("CREATE TABLE words (word String) ENGINE = MergeTree ORDER BY word")
        assert store.ask("INSERT INTO words VALUES ('one')").status == 200
        filler = fill(disk)
        threading.Event().wait(2)  # some looks at the part
        assert store.ask("INSERT INTO words VALUES ('two')").code == 243
        filler.unlink()
        assert store.ask("INSERT INTO words VALUES ('three')").status == 200
        assert store.ask("SELECT word FROM words ORDER BY word").body == b"one\nthree\n"
        assert store.process.poll() is None


def test_a_mutation_of_which_a_full_disk_left_nothing_does_not_keep_the_store_from_starting(
    start_store: Any, tmp_path: Path
) -> None:
    with start_store(tmp_path) as store:
        store.ask("CREATE TABLE words (word String) ENGINE = MergeTree ORDER BY word")
        store.ask("INSERT INTO words VALUES ('one'), ('two')")
        assert store.ask("DELETE FROM words WHERE word = 'two'").status == 200
    [mutation] = (tmp_path / "store").glob("engine/data/store/*/*/mutation_*.txt")
    mutation.write_bytes(b"")
    with start_store(tmp_path) as store:
        assert store.ask("SELECT word FROM words").body == b"one\n"
    assert not mutation.exists()


def test_checks_say_what_is_written_and_what_is_whole(tmp_path: Path) -> None:
    """In a process of its own: an engine stays in the one that opened it."""
    done = subprocess.run([sys.executable, "-c", CHECKS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "words/all_1_1_0", "True", "False", "True", "True"]
