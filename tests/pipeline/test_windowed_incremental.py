"""Run after run on what is new, the windows' job says what one run over everything says: whatever comes when."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import pytest

import windowed_cases as cases
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.jobs.windowed import Windows, forget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.controls.windowed import WindowedControl

LOG: Final = UUID(int=7)
START: Final = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())
ACTIONS: Final = ("data.export", "data.export", "data.read", "data.copy", "backup.write", "model.weights.read",
    "model.weights.export")  # fmt: skip
COLUMNS: Final = ("attempt_id", "event_id", "tenant", "domain", "action", "outcome", "occurred_at", "ingested_at",
    "source_format", "actor_id", "dataset", "source_id", "destination_id", "destination_country", "bytes",
    "encrypted_at_rest")  # fmt: skip
SECONDS: Final = 50


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("incremental") / "data") as running:
        yield running


class Play:
    """Events of a minute and a half of event time; most arrive as they happen, some late, some out of order."""

    def __init__(self, pipeline: Pipeline, controls: list[WindowedControl], seed: int) -> None:
        self._pipeline, self._rng, self.now = pipeline, random.Random(seed), START
        self._events = self._position = 0
        self._windows = Windows(pipeline.client, lambda: controls, clock=self._clock)
        self._controls = controls

    def _clock(self) -> int:
        return self.now * cases.SECOND

    def send(self) -> None:
        """One attempt; those of one partition arrive in order, those of two do not."""
        choice, attempt = self._rng.choice, UUID(int=self._rng.getrandbits(128))
        arrived = self.now - choice([0, 0, 1, 4, 9])
        rows = []
        for _ in range(self._rng.randrange(1, 9)):
            at = arrived - choice([0, 0, 0, 1, 2, 5, 20])
            self._events += 1
            rows.append([
                attempt, UUID(int=self._events), "t", "data_movement", choice(ACTIONS), "success", _moment(at),
                _moment(arrived), "otlp.log", choice(["kim", "lee", "ü", None]), choice(["a", "b", None]),
                choice(["a", None]), choice(["x", "y", "z", None]), choice(["AU", "US", None]), choice([1, 3, 9, None]),
                choice([True, True, False, None]),
            ])  # fmt: skip
        self._pipeline.client.insert("events", rows, column_names=COLUMNS)
        names = ("log_id", "log_position", "log_index", "kind", "topic", "topic_id", "partition", "appended_at",
            "attempt_id", "entry")  # fmt: skip
        said = f'{{"timestamp": {arrived * cases.SECOND}, "clock": "broker"}}'
        where = [LOG, self._position, self._position, "message", "otlp_logs", LOG, self._position % 2]
        self._pipeline.client.insert("evidence_log", [[*where, _moment(self.now), attempt, said]], column_names=names)
        self._position += 1

    def judge(self) -> int:
        return self._windows.judge({0: self._position - 1}, LOG)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def said(pipeline: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "units": pipeline.rows("SELECT * FROM windowed_verdicts ORDER BY unit_id, stated_at"),
        "findings": pipeline.rows(
            "SELECT finding_id, events, first_seen, last_seen, fingerprint FROM findings WHERE events > 0"
            " ORDER BY finding_id"
        ),
    }


@pytest.mark.parametrize("seed", [1, 3])
def test_run_after_run_says_what_one_run_says(
    pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    for table in ("events", "evidence_log", "findings_built"):
        pipeline.client.command(f"TRUNCATE TABLE {table}")
    forget(pipeline.client)
    folder = tmp_path_factory.mktemp("controls")
    controls = [cases.read(folder, text, number=number) for number, text in enumerate(cases.EVERY_KIND)]
    play = Play(pipeline, controls, seed)
    for second in range(1, SECONDS):
        play.now = START + second
        for _ in range((second + seed) % 3):
            play.send()
        if second % (5 + seed) == 0:
            play.judge()
    play.now += 60
    play.judge()
    on_the_way = said(pipeline)
    assert len(on_the_way["units"]) > 50
    forget(pipeline.client)
    play.judge()
    assert said(pipeline) == on_the_way
