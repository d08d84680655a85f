"""As known then: judged by the registries that the entry names, whatever became of the files since."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.commands import rejudge as command
from onshore_pipeline.jobs.rejudge import Rejudged, Rejudger
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.settings import Settings

TOMORROW = datetime.now(UTC) + timedelta(days=1)


def settings_of(pipeline: Pipeline, folder: Path, text: str) -> Settings:
    folder.mkdir(exist_ok=True)
    (folder / "hosts.yaml").write_text(text)
    known = pipeline.settings
    return load_settings({"data_dir": known.data_dir, "geoip_dir": known.geoip_dir, "context_dir": folder})


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """A movement to a host that the registries place at home, judged and sealed."""
    with running_pipeline(tmp_path / "data") as running:
        settings = settings_of(running, tmp_path / "context", "- {host_pattern: vault.example, country: AU}\n")
        moved = {name: value for name, value in otlp.movement().items() if not name.startswith("onshore.destination")}
        running.send("otlp_logs", [otlp.logs([moved | {"server.address": "vault.example"}])], tenant="acme")
        running.judgement = assembly.judgement(settings)
        running.work()
        running.sequence()
        yield running


def again(pipeline: Pipeline, settings: Settings, as_known: str) -> Rejudged:
    judged_by = command.judged_by(settings, as_known, pipeline.client)
    with closing(assembly.message_reader(pipeline.settings)) as reader:
        now = datetime.now(UTC)
        rejudger = Rejudger(pipeline.client, reader, judged_by, control="AU-APP8-01")
        return rejudger.run(now - timedelta(hours=1), now + timedelta(hours=1))


def counts(told: Rejudged) -> list[tuple[str, int, int]]:
    return [(row["verdict"], row["sealed"], row["again"]) for row in told.verdicts]


def test_a_row_that_was_edited_in_place_is_what_it_was(pipeline: Pipeline, tmp_path: Path) -> None:
    edited = settings_of(pipeline, tmp_path / "context", "- {host_pattern: vault.example, country: US}\n")
    assert counts(again(pipeline, edited, "now")) == [("satisfied", 1, 0), ("violated", 0, 1)]
    then = again(pipeline, edited, "then")
    assert (then.messages, counts(then), then.not_stored, then.not_whole) == (1, [], 0, 0)


def test_a_row_that_was_removed_is_there_again(pipeline: Pipeline, tmp_path: Path) -> None:
    removed = settings_of(pipeline, tmp_path / "context", "- {host_pattern: other.example, country: US}\n")
    assert counts(again(pipeline, removed, "now")) == [("satisfied", 1, 0), ("undetermined", 0, 1)]
    assert counts(again(pipeline, removed, "then")) == []


def test_a_row_of_that_set_counts_as_known_only_from_its_own_time_on(pipeline: Pipeline, tmp_path: Path) -> None:
    later = f"- {{host_pattern: vault.example, country: AU, known_from: {TOMORROW:%Y-%m-%d}}}\n"
    settings = settings_of(pipeline, tmp_path / "context", later)
    pipeline.judgement = assembly.judgement(settings)
    moved = {name: value for name, value in otlp.movement().items() if not name.startswith("onshore.destination")}
    pipeline.send("otlp_logs", [otlp.logs([moved | {"server.address": "vault.example"}])], tenant="acme")
    pipeline.work()
    pipeline.sequence()
    then = again(pipeline, settings, "then")
    assert (then.messages, then.not_stored) == (2, 0)
    assert counts(then) == [("satisfied", 2, 1), ("undetermined", 0, 1)]


@pytest.mark.parametrize("lost", ["rule_sets", "rule_files"])
def test_where_the_store_has_not_that_set_today_s_files_stand_in_and_it_is_said(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    edited = settings_of(pipeline, tmp_path / "context", "- {host_pattern: vault.example, country: US}\n")
    pipeline.client.command(f"TRUNCATE TABLE {lost}")
    then = again(pipeline, edited, "then")
    assert counts(then) == [("satisfied", 1, 0), ("violated", 0, 1)]
    assert then.not_stored == 1
    command._show(then, "then")
    assert "1 messages were judged by the registry files of today" in capsys.readouterr().out


def test_a_text_that_was_altered_in_the_store_is_not_taken_for_what_the_entry_names(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    settings = settings_of(pipeline, tmp_path / "context", "- {host_pattern: vault.example, country: AU}\n")
    pipeline.client.command(
        "ALTER TABLE rule_files UPDATE content = replaceAll(content, 'country: AU', 'country: US')"
        " WHERE 1 SETTINGS mutations_sync = 2"
    )
    then = again(pipeline, settings, "then")
    assert (counts(then), then.not_stored) == ([], 1)


def test_geolocation_that_the_store_does_not_keep_is_said_to_be_another(pipeline: Pipeline, tmp_path: Path) -> None:
    settings = settings_of(pipeline, tmp_path / "context", "- {host_pattern: vault.example, country: AU}\n")
    folder = tmp_path / "geoip"
    folder.mkdir()
    (folder / "geoip").write_text("872415232,872415487,US\n")
    other = settings.model_copy(update={"geoip_dir": folder})
    then = again(pipeline, other, "then")
    assert (counts(then), then.not_stored, then.not_whole) == ([], 0, 1)
