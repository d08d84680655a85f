"""A full disk is not the fault of who inserts: "not now", and it goes on once there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.connect import connect, store_errors
from small_disk import fill, small_disk

if TYPE_CHECKING:
    from pathlib import Path

ROWS = b"\n".join(b'{"word":"%d"}' % number for number in range(200_000))
A_ROW = b'{"word":"one"}'


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
