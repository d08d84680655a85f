"""What signing heads costs: the trees over all entries so far, and a signature for each of their heads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onshore_pipeline.bench.measured import Laps
from onshore_pipeline.evidence.keyring import new_keyring
from onshore_pipeline.log_trees import LogTrees

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.bench.parts import Parts


def signing_us(client: Client, parts: Parts, events: int) -> float:
    """µs of CPU an event, this process's and the store's, of a head over everything that the store has copied.

    A sequencer takes up where its last head ended, so that it does the same work in smaller parts.
    """
    log_id = client.query("SELECT any(log_id) FROM evidence_log").result_rows[0][0]
    now = datetime.now(UTC)
    keyring, trees = new_keyring("onshore/bench", now), LogTrees(log_id)
    before, laps = parts.cpu_s()["store"], Laps()
    trees.grow(client)
    head, logs = trees.heads(keyring.name)
    for each in (head, *logs):
        keyring.signed(str(each), now, timed=each is head)
    laps("signing")
    return round((laps.cpu_s["signing"] + parts.cpu_s()["store"] - before) * 1e6 / events, 4)
