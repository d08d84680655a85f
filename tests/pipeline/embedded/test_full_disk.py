"""A full disk is not the fault of who inserts: "not now", and it goes on once there is room."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.connect import connect, store_errors
from small_disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = b"\n".join(b'{"word":"%d"}' % number for number in range(200_000))
A_ROW = b'{"word":"one"}'
COLUMNS = [f"c{number}" for number in range(150)]
WIDE = (
    f"CREATE TABLE wide (id UInt64, {', '.join(f'{name} String' for name in COLUMNS)}) ENGINE = MergeTree ORDER BY id"
)
TRIES = 300


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
