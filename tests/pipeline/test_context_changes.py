"""A change of the registries is an action of its own: recorded once, sealed, shown, exported, restored."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import bundles
import exporting
import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.__main__ import app
from onshore_pipeline.broker import ACTIONS_TOPIC
from onshore_pipeline.commands import context_history
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.jobs.context_changes import ContextChanges
from onshore_pipeline.rule_texts import InForce
from onshore_pipeline.store.reader import Reader
from restoring import lose, restore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onshore_pipeline.broker import Outgoing
    from onshore_pipeline.rules import ChangingRules

ANA, BEN = "- {person: ana, country: AU}\n", "- {person: ben, country: NZ}\n"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("changes")
    (folder / "context").mkdir()
    with running_pipeline(folder / "data") as running:
        running.settings = running.settings.model_copy(update={"context_dir": folder / "context"})
        yield running


class Watched:
    """A worker's rules, and whoever sequences, a step at a time."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        known = json.loads((pipeline.settings.data_dir / "credentials.json").read_text())
        self.writer = Reader(pipeline.url, known["writer"]["user"], known["writer"]["password"])
        self.reader = Reader(pipeline.url, known["reader"]["user"], known["reader"]["password"])
        self.rules = self.started()
        self.looking = ContextChanges(self.writer, self.sent, "default")
        self.earlier = 0

    def started(self) -> ChangingRules:
        rules = assembly.rules(self.pipeline.settings)
        rules._tell = InForce(self.pipeline.client, "worker here:1", self.pipeline.settings.context_dir).tell
        rules._say()
        return rules

    def write(self, text: str, name: str = "people.yaml") -> None:
        assert self.pipeline.settings.context_dir is not None
        (self.pipeline.settings.context_dir / name).write_text(text, encoding="utf-8")
        self.rules.look()
        assert self.rules.look()
        self.rules._say()

    def another(self) -> ContextChanges:
        """Whoever sequences next."""
        return ContextChanges(self.writer, self.sent, "default")

    def sent(self, topic: str, messages: Sequence[Outgoing]) -> None:
        with closing(assembly.producer(self.pipeline.settings)) as producer:
            producer.send(topic, messages)

    def sealed(self) -> None:
        self.pipeline.work(rules=self.rules)
        self.pipeline.sequence()

    def history(self) -> list[dict[str, Any]]:
        """What was recorded since this test began."""
        told = [context_history._change(row) for row in self.reader.frame(context_history._SEALED).to_dicts()]
        return told[self.earlier :]


@pytest.fixture
def watched(pipeline: Pipeline) -> Iterator[Watched]:
    """A worker that has just taken up an empty folder, with all of earlier tests recorded and sealed."""
    assert pipeline.settings.context_dir is not None
    for file in pipeline.settings.context_dir.iterdir():
        file.unlink()
    made = Watched(pipeline)
    made.looking.look()
    made.sealed()
    made.earlier = len(made.history())
    yield made
    made.rules.close()


def test_a_change_is_a_sealed_action_that_says_files_rows_and_who_noticed(watched: Watched) -> None:
    looking = watched.looking
    before = watched.rules.in_force().context.digest
    watched.write(ANA)
    watched.write(ANA.replace("AU", "SG") + BEN)
    assert looking.look() == 2
    assert looking.look() == 0
    watched.sealed()
    first, second = watched.history()
    assert (first["digest_before"], first["digest"]) == (before, second["digest_before"])
    assert second["number"] == first["number"] + 1
    assert second["digest"] == watched.rules.in_force().context.digest
    assert [each["name"] for each in second["files"]] == ["own/people.yaml"]
    assert first["files"][0]["before"] is None
    assert first["rows"]["people"]["added"] == {"count": 1, "ids": ["ana"]}
    assert {kind: rows["ids"] for kind, rows in second["rows"]["people"].items()} == {
        "added": ["ben"], "ended": [], "changed": ["ana"], "removed": [],
    }  # fmt: skip
    assert (second["who"], second["written_at"] is None) == ("worker here:1", False)
    assert second["written_by"]
    event = "SELECT actor_id, toString(actor_type) FROM events_current WHERE event_id = '{}'"
    assert watched.pipeline.rows(event.format(second["event_id"])) == [("worker here:1", "service")]


def test_whoever_sequences_next_or_again_records_nothing_twice(watched: Watched) -> None:
    count = "SELECT count() FROM message_actions_current WHERE action = 'context.change'"
    before = watched.pipeline.one(count)
    watched.write(ANA)
    assert watched.another().look() == 1  # and is killed before anybody seals it
    assert watched.another().look() == 1  # says it again; the log has it once
    watched.sealed()
    assert watched.another().look() == 0
    assert len(watched.history()) == 1
    assert watched.pipeline.one(count) == before + 1


def test_a_change_that_stands_twice_in_a_log_that_does_not_number_is_one_action(watched: Watched) -> None:
    said: list[Outgoing] = []
    watched.looking.send = lambda _, messages: said.extend(messages)
    watched.write(ANA)
    assert watched.looking.look() == 1
    for _ in range(2):  # as on Kafka, where a sequencer was killed before anybody sealed it
        watched.sent(ACTIONS_TOPIC, [replace(each, numbered=None) for each in said])
    watched.sealed()
    assert len(watched.history()) == 1
    assert watched.another().look() == 0


def test_another_worker_that_takes_the_same_files_up_is_no_change(watched: Watched) -> None:
    looking = watched.looking
    watched.write(ANA)
    watched.started().close()
    assert looking.look() == 1
    watched.started().close()
    assert looking.look() == 0


def test_files_that_went_back_are_two_changes(watched: Watched) -> None:
    looking = watched.looking
    watched.write(ANA)
    watched.write(BEN)
    watched.write(ANA)
    assert looking.look() == 3
    watched.sealed()
    numbers = [each["number"] for each in watched.history()]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert watched.history()[0]["digest"] == watched.history()[2]["digest"]


def test_of_a_new_store_what_the_last_message_was_judged_by_is_the_first_and_no_change(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    with running_pipeline(tmp_path / "data") as pipeline:
        pipeline.settings = pipeline.settings.model_copy(update={"context_dir": tmp_path / "context"})
        pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
        pipeline.work()
        pipeline.sequence()
        (tmp_path / "context" / "people.yaml").write_text(ANA)  # while nothing runs
        watched = Watched(pipeline)
        assert watched.looking.look() == 1
        watched.sealed()
        (change,) = watched.history()
        assert (change["number"], change["digest_before"]) == (1, pipeline.judgement.context.digest)
        assert watched.another().look() == 0
        watched.rules.close()


def test_registers_that_judge_nothing_are_recorded_as_well_and_what_cannot_be_used_is_not(watched: Watched) -> None:
    watched.write("- {keep: 7y, why: law}\n", "retention.yaml")
    watched.write("- {keep: soon, why: law}\n", "retention.yaml")
    watched.write("- {keep: 8y, why: law}\n- {tenant: acme, keep: 30d, why: contract}\n", "retention.yaml")
    assert watched.looking.look() == 2
    watched.sealed()
    first, second = watched.history()
    assert first["digest"] == first["digest_before"] == second["digest"]
    assert [each["name"] for each in second["files"]] == ["own/retention.yaml"]
    assert first["rows"]["retention"]["added"]["ids"] == ["*/*/*"]
    told = second["rows"]["retention"]
    assert (told["changed"]["ids"], told["added"]["ids"]) == (["*/*/*"], ["acme/*/*"])
    assert watched.another().look() == 0


def test_a_broker_that_is_away_is_told_later(watched: Watched) -> None:
    def away(topic: str, messages: Sequence[Outgoing]) -> None:
        raise BrokerUnavailable(f"{topic}: nobody takes {len(messages)}")

    looking = watched.looking
    looking.send = away
    watched.write(ANA)
    assert looking.look() == 0
    looking.send = watched.sent
    assert looking.look() == 1


def test_ids_are_left_off_where_there_are_too_many_and_all_are_counted(watched: Watched) -> None:
    looking = watched.looking
    watched.write("".join(f"- {{person: somebody-with-a-long-name-{number}, country: AU}}\n" for number in range(900)))
    assert looking.look() == 1
    watched.sealed()
    (change,) = watched.history()
    people = change["rows"]["people"]
    assert people["added"]["count"] == 900
    assert len(people["added"]["ids"]) + people["ids_left_off"] == 900
    assert len(json.dumps(people)) < 8_192


def test_a_store_that_lost_the_rows_has_the_history_again(watched: Watched) -> None:
    looking = watched.looking
    watched.write(ANA)
    looking.look()
    watched.sealed()
    before = watched.history()
    lose(watched.pipeline, "message_actions")
    assert watched.history() == []
    restore(watched.pipeline)
    assert watched.history() == before
    assert watched.another().look() == 0


def test_a_bundle_has_it_and_one_that_leaves_it_out_is_altered(watched: Watched, tmp_path: Path) -> None:
    keyring = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
    looking = watched.looking
    watched.write(ANA)
    looking.look()
    watched.sealed()
    exporting.sign(watched.pipeline, keyring)
    path = tmp_path / "b.zip"
    exporting.export_to(watched.pipeline, path, keyring)
    keys = standalone.parse_keys(bundles.KEYS)
    standalone.verify(str(path), keys)
    files = bundles.files_of(path)
    row = [json.loads(line) for line in files[standalone.ACTIONS].splitlines()][-1]
    digest = watched.rules.in_force().context.digest
    assert (row["action"], row["about"]) == ("context.change", digest)
    left = b"".join(line for line in files[standalone.ACTIONS].splitlines(keepends=True)[:-1])
    path.write_bytes(bundles.signed(files | {standalone.ACTIONS: left}))
    with pytest.raises(standalone.Altered, match="leaves it out"):
        standalone.verify(str(path), keys)


def test_the_command_shows_it_in_words_and_as_json(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_history, "reader_of", lambda _: watched.reader)

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["context", "history", *arguments], standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.stdout

    looking = watched.looking
    watched.write(ANA)
    looking.look()
    watched.sealed()
    assert "people: 1 added: ana" in said()
    assert "noticed by worker here:1" in said()
    assert json.loads(said("people", "--json"))["changes"][-1] == watched.history()[-1]
    assert json.loads(said("datasets", "--json")) == {"changes": []}
    assert "No change of datasets is recorded" in said("datasets")
