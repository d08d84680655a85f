"""Registries and controls that somebody edits while a worker runs."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.context.loading import assemble, read_geography
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.rules import ChangingRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onshore_pipeline.controls.load import ControlSet

CONTROL = """id: X-1
version: {version}
title: A test
jurisdiction: "*"
instrument: none
effective_from: 2026-01-01
effective_to: null
confidence: policy
checked_on: 2026-11-01
kind: violation
severity: low
outcomes: [success]
domain: data_movement
applies: destination_country = 'US'
violated: source_country = '{country}'
group_by: [tenant]
needs: x
rationale: x
evidence: x
remediation: x
maps_to: []
examples:
  - {{name: v, event: {{destination_country: US, source_country: {country}}}, verdict: violated}}
  - {{name: s, event: {{destination_country: US, source_country: NZ}}, verdict: satisfied}}
  - {{name: u, event: {{destination_country: US}}, verdict: undetermined}}
  - {{name: n, event: {{destination_country: NZ}}, verdict: not_applicable}}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "context").mkdir()
    (folder / "controls").mkdir()
    with running_pipeline(folder / "data") as running:
        running.settings = running.settings.model_copy(
            update={"context_dir": folder / "context", "controls_dir": folder / "controls"}
        )
        yield running


@pytest.fixture
def rules(pipeline: Pipeline) -> Iterator[ChangingRules]:
    assert pipeline.settings.context_dir is not None
    assert pipeline.settings.controls_dir is not None
    for folder in (pipeline.settings.context_dir, pipeline.settings.controls_dir):
        for file in folder.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    control_file(pipeline, CONTROL.format(version=1, country="NO").replace("id: X-1", "id: X-0"), "X-0.yaml")
    changing = assembly.rules(pipeline.settings)
    yield changing
    changing.close()


def context_file(pipeline: Pipeline, name: str, text: str) -> Path:
    assert pipeline.settings.context_dir is not None
    file = pipeline.settings.context_dir / name
    file.write_text(text, encoding="utf-8")
    return file


def control_file(pipeline: Pipeline, text: str, name: str = "X-1.yaml") -> None:
    assert pipeline.settings.controls_dir is not None
    (pipeline.settings.controls_dir / name).write_text(text, encoding="utf-8")


def looked(rules: ChangingRules) -> bool:
    """Once to see that something changed, once more to see that nobody writes to it any more."""
    rules.look()
    return rules.look()


def test_a_registry_that_changed_is_in_force_once_nobody_writes_to_it_any_more(
    pipeline: Pipeline, rules: ChangingRules
) -> None:
    before = rules.in_force()
    context_file(pipeline, "tenants.yaml", "- {tenant: acme, home: [AU]}\n")
    assert not rules.look()
    assert rules.in_force() is before
    assert rules.look()
    assert "own/tenants.yaml" in {source.name for source in rules.in_force().context.sources}
    assert rules.in_force().controls is before.controls
    assert not looked(rules)


def test_a_file_that_cannot_be_used_changes_nothing_and_is_named(pipeline: Pipeline, rules: ChangingRules) -> None:
    context_file(pipeline, "tenants.yaml", "- {tenant: acme, home: [AU]}\n")
    assert looked(rules)
    good = rules.in_force()
    context_file(pipeline, "tenants.yaml", "# one\n- {tenant: acme, home: [Atlantis]}\n")
    assert not looked(rules)
    assert rules.in_force() is good
    assert "tenants.yaml:2: " in rules.state()["rules_trouble"]
    context_file(pipeline, "tenants.yaml", "- {tenant: acme, home: [NZ]}\n")
    assert looked(rules)
    assert rules.state()["rules_trouble"] == ""
    assert rules.state()["context_digest"] != good.context.digest


def test_a_control_that_changed_judges_from_then_on_and_a_broken_one_does_not(
    pipeline: Pipeline, rules: ChangingRules
) -> None:
    control_file(pipeline, CONTROL.format(version=1, country="AU"))
    assert looked(rules)
    first = rules.in_force().controls
    control_file(pipeline, CONTROL.format(version=2, country="AU").replace("destination_country = 'US'", "nonsense"))
    assert not looked(rules)
    assert rules.in_force().controls is first
    assert "X-1.yaml:" in rules.state()["rules_trouble"]
    control_file(pipeline, CONTROL.format(version=2, country="JP"))
    assert looked(rules)
    control = rules.in_force().controls.control("X-1")
    assert control is not None
    assert control.version == 2


def test_every_file_that_cannot_be_used_is_named_and_not_the_first_one_alone(
    pipeline: Pipeline, rules: ChangingRules
) -> None:
    good = rules.in_force()
    broken = CONTROL.format(version=2, country="AU")
    control_file(pipeline, broken.replace("destination_country = 'US'", "nonsense"))
    twice = broken.replace("severity: low", "severity: dire").replace("kind: violation", "kind: crime")
    control_file(pipeline, twice.replace("id: X-1", "id: X-2"), "X-2.yaml")
    control_file(pipeline, broken.replace("id: X-1", "id: X-3"), "X-3.yaml")
    context_file(pipeline, "tenants.yaml", "- {tenant: acme, home: [Atlantis]}\n")
    context_file(pipeline, "facilities.csv", "facility,country\nSYD1,Oz\n")
    assert not looked(rules)
    assert rules.in_force() is good
    trouble = rules.state()["rules_trouble"]
    lines = [broken[: broken.index(field)].count("\n") + 1 for field in ("applies:", "kind:")]
    for named in ("tenants.yaml:1: ", "facilities.csv:2: ", f"X-1.yaml:{lines[0]}:10: ", f"X-2.yaml:{lines[1]}:7: "):
        assert trouble.count(named) == 1
    assert trouble.count("(and 1 more in it)") == 1
    assert "X-3" not in trouble


def test_of_very_many_files_that_cannot_be_used_the_first_are_named_and_the_others_counted(
    pipeline: Pipeline, rules: ChangingRules
) -> None:
    for number in range(23):
        control_file(pipeline, "id: [\n", f"B-{number:02}.yaml")
    assert not looked(rules)
    trouble = rules.state()["rules_trouble"]
    assert trouble.count(".yaml:") == 20
    assert trouble.endswith("(and 3 more of other files)")


def test_each_attempt_names_what_it_was_judged_by_and_the_store_has_the_texts(
    pipeline: Pipeline, rules: ChangingRules
) -> None:
    control_file(pipeline, CONTROL.format(version=1, country="AU"))
    assert looked(rules)
    digests = [rules.in_force().controls.digest]
    send_and_work(pipeline, rules)
    control_file(pipeline, CONTROL.format(version=2, country="JP"))
    context_file(pipeline, "tenants.yaml", "- {tenant: acme, home: [AU]}\n")
    assert looked(rules)
    digests.append(rules.in_force().controls.digest)
    send_and_work(pipeline, rules)
    named = "SELECT JSONExtractString(entry, 'controls') FROM evidence_log WHERE kind = 'message' ORDER BY offset"
    assert [row[0] for row in pipeline.rows(named)][-2:] == digests
    texts = "SELECT DISTINCT version FROM controls WHERE control_id = 'X-1' ORDER BY 1"
    assert pipeline.rows(texts) == [(1,), (2,)]
    for digest in digests:
        parts = f"SELECT count() > 100 FROM rule_sets WHERE digest = unhex('{digest}') AND kind = 'controls'"
        assert pipeline.one(parts) == 1


def test_a_context_can_be_made_again_from_what_the_store_keeps(pipeline: Pipeline, rules: ChangingRules) -> None:
    file = context_file(pipeline, "tenants.yaml", "- {tenant: acme, home: [AU]}\n")
    assert looked(rules)
    digest = rules.in_force().context.digest
    RuleTexts().keep(pipeline.client, rules.in_force())
    kept = dict(
        pipeline.rows(
            "SELECT name, content FROM rule_sets INNER JOIN rule_files USING sha256"
            f" WHERE digest = unhex('{digest}') AND kind = 'context'"
        )
    )
    own = {file: kept["own/tenants.yaml"].encode()}
    shipped = {name.removeprefix("reference/"): text.encode() for name, text in kept.items() if "reference/" in name}
    assert assemble(own, read_geography((), ()), shipped=shipped).digest == digest


def test_a_thread_looks_by_itself(pipeline: Pipeline, rules: ChangingRules) -> None:
    before = rules.in_force()
    rules.start()
    context_file(pipeline, "tenants.yaml", "- {tenant: someone, home: [AU]}\n")
    wait_for(lambda: "own/tenants.yaml" in {source.name for source in rules.in_force().context.sources})
    assert rules.in_force().context.digest != before.context.digest


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_no_file_among_the_lists_is_named_and_the_next_change_still_noticed(
    pipeline: Pipeline, rules: ChangingRules, *, is_link: bool
) -> None:
    assert pipeline.settings.controls_dir is not None
    lists = pipeline.settings.controls_dir / "lists"
    lists.mkdir()
    good = rules.in_force()
    rules.start()
    if is_link:
        (lists / "mine.csv").symlink_to("nowhere")
    else:
        (lists / "mine.csv").mkdir()
    wait_for(lambda: "lists/mine.csv: cannot be read: " in rules.state()["rules_trouble"])
    assert rules.in_force() is good
    shutil.rmtree(lists)
    control_file(pipeline, CONTROL.format(version=1, country="AU"))
    wait_for(lambda: rules.in_force().controls.control("X-1") is not None)
    assert rules.state()["rules_trouble"] == ""


def test_whatever_reading_comes_upon_the_last_good_rules_stay_and_the_folders_are_watched(
    pipeline: Pipeline, rules: ChangingRules
) -> None:
    judgement, folder = rules.in_force(), pipeline.settings.controls_dir
    surprises: list[Exception] = [RuntimeError("of all\nthings")]

    def read() -> ControlSet:
        for surprise in surprises:
            raise surprise
        return load_controls()

    watching = ChangingRules(judgement, (None, lambda: judgement.context), (folder, read))
    watching.start()
    control_file(pipeline, CONTROL.format(version=1, country="AU"))
    wait_for(lambda: watching.state()["rules_trouble"] == f"{folder}: cannot be read: RuntimeError: of all things")
    assert watching.in_force() is judgement
    surprises.clear()
    control_file(pipeline, CONTROL.format(version=2, country="AU"))
    wait_for(lambda: watching.in_force() is not judgement)
    assert watching.state()["rules_trouble"] == ""
    watching.close()


def test_a_telling_that_fails_is_said_and_tried_again(rules: ChangingRules) -> None:
    tries: list[int] = []

    def tell(*_: object) -> None:
        tries.append(len(tries))
        if len(tries) in {1, 2}:
            raise StoreUnavailable("away") if len(tries) == 1 else OSError("no")

    rules.start(tell)
    wait_for(lambda: rules.state()["rules_trouble"] == "the folders cannot be watched: OSError: no")
    wait_for(lambda: rules.state()["rules_trouble"] == "")
    assert len(tries) == 3


def wait_for(is_so: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(600):
        if is_so():
            return
        waited.wait(0.05)
    pytest.fail("it never came to that")


def send_and_work(pipeline: Pipeline, rules: ChangingRules) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])], tenant="acme")
    pipeline.work(rules=rules)
    pipeline.sequence()
