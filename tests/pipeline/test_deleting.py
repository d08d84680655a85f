"""Rows that nobody sees are deleted beside other work, and asked for once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.jobs.deleting import delete
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MUTATIONS = "SELECT count() FROM system.mutations WHERE table = 'rollup_claims'"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


def test_a_deletion_that_is_not_waited_for_is_asked_for_once_until_it_is_done(pipeline: Pipeline) -> None:
    client = pipeline.client
    client.command("INSERT INTO rollup_claims SELECT number, now64(3) FROM numbers(1, 10)")
    client.command("SYSTEM STOP MERGES rollup_claims")
    assert delete(client, "rollup_claims", "generation <= {last:UInt64}", {"last": 3}, at_least=4, wait=False) == 0
    assert pipeline.one(MUTATIONS) == 0
    assert delete(client, "rollup_claims", "generation <= {last:UInt64}", {"last": 3}, wait=False) == 3
    assert delete(client, "rollup_claims", "generation <= {last:UInt64}", {"last": 5}, wait=False) == 0
    assert (pipeline.one(MUTATIONS), pipeline.one("SELECT count() FROM rollup_claims")) == (1, 10)
    client.command("SYSTEM START MERGES rollup_claims")
    wait_until(lambda: pipeline.one("SELECT count() FROM rollup_claims") == 7, "three are gone", 30)
    wait_until(lambda: not pipeline.one(f"{MUTATIONS} AND NOT is_done"), "it is done", 30)
    assert delete(client, "rollup_claims", "generation <= {last:UInt64}", {"last": 5}) == 2
    assert pipeline.one("SELECT count() FROM rollup_claims") == 5
