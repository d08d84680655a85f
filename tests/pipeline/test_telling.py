"""What goes wrong while something is told is said in `onshore status`, and sequencing goes on."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from exporting import reader_of
from onshore_pipeline import assembly
from onshore_pipeline.commands.status import status
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.findings.people_keys import KeyUnusable
from onshore_pipeline.findings.standing import folders
from onshore_pipeline.jobs.finding_states import FindingStates
from onshore_pipeline.jobs.keep import keep
from onshore_pipeline.jobs.telling import FINDINGS, REGISTRIES, Telling, telling_trouble
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.sequencer_status import status_path
from onshore_pipeline.stack import DataDir
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.settings import Settings


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("telling") / "data") as running:
        yield running


class Job:
    """Raises what it is given, if anything."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.looked = error, 0

    def look(self) -> None:
        self.looked += 1
        if self.error is not None:
            raise self.error


def violate(pipeline: Pipeline, tenant: str) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])], tenant=tenant)
    pipeline.work()


def announce(pipeline: Pipeline) -> None:
    """What `onshore up` and a worker leave in the data directory."""
    data = DataDir(pipeline.settings.data_dir)
    writer = json.loads(data.credentials.read_text())["writer"]
    data.stack.write_text(
        json.dumps({"store": pipeline.url, "store_user": writer["user"], "store_password": writer["password"]})
    )
    data.worker_status.write_text(json.dumps({"at": "2999-01-01T00:00:00+00:00", "lag": []}))


def states(pipeline: Pipeline, settings: Settings) -> FindingStates:
    where = folders(settings.context_dir, settings.data_dir)
    return FindingStates(reader_of(pipeline), pipeline.client, where, load_controls, None, "onshore 1")


def test_a_person_whose_key_is_none_is_named_and_all_is_told_all_the_same(pipeline: Pipeline, tmp_path: Path) -> None:
    settings = pipeline.settings.model_copy(update={"context_dir": tmp_path})
    key = tmp_path / "people_keys" / "kim.pem"
    key.parent.mkdir()
    key.write_text("garbage\n")
    violate(pipeline, "kims")
    pipeline.sequence()
    telling = states(pipeline, settings)
    for _ in range(2):  # also where nothing is new
        with pytest.raises(KeyUnusable, match=r"kim\.pem: no public key in PEM"):
            telling.look()
    told = (
        "SELECT count() FROM finding_states WHERE finding_id IN (SELECT finding_id FROM findings WHERE tenant = 'kims')"
    )
    assert int(str(pipeline.one(told))) > 0
    key.unlink()
    telling.clock = lambda: datetime(2100, 1, 1, tzinfo=UTC)
    telling.look()


def test_sequencing_goes_on_while_nothing_can_be_told_and_status_says_why(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = pipeline.settings
    broken, sound = Job(RuntimeError("of all\nthings")), Job()
    stop, counted = threading.Event(), "SELECT count() FROM evidence_log"
    before = int(str(pipeline.one(counted)))
    with closing(assembly.entry_reader(settings)) as reader:
        loop = threading.Thread(
            target=keep,
            args=(Sequencer(reader, pipeline.client), pipeline.client, stop),
            kwargs={
                "states": Telling(FINDINGS, broken, settings),
                "registries": Telling(REGISTRIES, sound, settings),
                "status_file": status_path(settings),
            },
        )
        loop.start()
        try:
            wait_until(lambda: broken.looked > 1, "it is tried again")
            violate(pipeline, "others")
            wait_until(lambda: int(str(pipeline.one(counted))) > before, "the next message is copied")
            assert loop.is_alive()
            assert telling_trouble(settings) == "where findings stand: RuntimeError: of all things"
            announce(pipeline)
            assert status(settings.data_dir, as_json=True) == 1
            found = json.loads(capsys.readouterr().out.splitlines()[-1])["attention"]
            why = "not all is told, and it is tried again: where findings stand: RuntimeError: of all things"
            assert why in found
            broken.error = None
            wait_until(lambda: telling_trouble(settings) == "", "all is told")
        finally:
            stop.set()
            loop.join()
    assert sound.looked > 1


def test_what_was_in_trouble_before_a_restart_is_told_to_be_well_behind_it(pipeline: Pipeline) -> None:
    job = Job(OSError("no"))
    Telling(REGISTRIES, job, pipeline.settings).look()
    assert telling_trouble(pipeline.settings) == "how registries changed: OSError: no"
    job.error = None
    Telling(REGISTRIES, job, pipeline.settings).look()
    assert telling_trouble(pipeline.settings) == ""


def test_a_store_that_is_away_is_nothing_to_be_told_but_to_wait_for(pipeline: Pipeline) -> None:
    with pytest.raises(StoreUnavailable):
        Telling(FINDINGS, Job(StoreUnavailable("away")), pipeline.settings).look()
    assert telling_trouble(pipeline.settings) == ""
