"""History judged again: by what is known now, by what was known then, and by nothing that is not known."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import Advance, Outgoing
from onshore_pipeline.commands import rejudge as command
from onshore_pipeline.jobs.rejudge import Rejudged, Rejudger
from onshore_pipeline.settings import load_settings
from running_stack import run_onshore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.settings import Settings

LEARNED = datetime.now(UTC) + timedelta(days=1)
# 2200: beyond the days that a Date of the store can hold.
CLOCK_AHEAD_NS = 7_258_118_400_000_000_000
REGISTRY = f"""
- {{host_pattern: vault.example, country: US, known_from: {LEARNED:%Y-%m-%d}}}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """One message of two movements to a host that nobody had registered when they were judged."""
    with running_pipeline(tmp_path_factory.mktemp("rejudge") / "data") as running:
        moved = {name: value for name, value in otlp.movement().items() if not name.startswith("onshore.destination")}
        running.send("otlp_logs", [otlp.logs([moved | {"server.address": "vault.example"}] * 2)], tenant="acme")
        running.work()
        running.send("otlp_logs", [b"no OTLP", otlp.logs([{"onshore.action": "host.state"}])], tenant="acme")
        at_home = otlp.movement(destination_country="AU")
        running.send("otlp_logs", [otlp.logs([at_home], at_ns=CLOCK_AHEAD_NS)], tenant="acme")
        running.work()
        running.sequence()
        yield running


def settings_of(pipeline: Pipeline, folder: Path, text: str) -> Settings:
    (folder / "hosts.yaml").write_text(text)
    known = pipeline.settings
    return load_settings({"data_dir": known.data_dir, "geoip_dir": known.geoip_dir, "context_dir": folder})


def again(pipeline: Pipeline, settings: Settings, as_known: str, tenant: str = "", control: str = "") -> Rejudged:
    judged_by = command.judged_by(settings, as_known, pipeline.client)
    with closing(assembly.message_reader(pipeline.settings)) as reader:
        now = datetime.now(UTC)
        rejudger = Rejudger(pipeline.client, reader, judged_by, tenant, control)
        return rejudger.run(now - timedelta(hours=1), now + timedelta(hours=1))


def test_by_the_same_registries_everything_comes_out_as_it_was_sealed(pipeline: Pipeline) -> None:
    told = again(pipeline, pipeline.settings, "now")
    assert (told.messages, told.events, told.gone, told.verdicts, told.examples) == (4, 4, 0, [], [])


def test_what_is_known_now_changes_verdicts_and_says_which_place_moved(pipeline: Pipeline, tmp_path: Path) -> None:
    told = again(pipeline, settings_of(pipeline, tmp_path, REGISTRY), "now", control="AU-APP8-01")
    assert [(row["verdict"], row["sealed"], row["again"]) for row in told.verdicts] == [
        ("undetermined", 2, 0), ("violated", 0, 2),
    ]  # fmt: skip
    assert [(each["sealed"], each["again"]) for each in told.examples] == [("not violated", "violated")] * 2
    assert told.examples[0]["places"] == {
        "destination_country": [None, "US"], "destination_country_basis": ["unknown", "asserted"],
    }  # fmt: skip
    assert pipeline.one("SELECT count() FROM violations WHERE control_id = 'AU-APP8-01'") == 0


def test_what_was_learned_later_is_not_known_then(pipeline: Pipeline, tmp_path: Path) -> None:
    settings = settings_of(pipeline, tmp_path, REGISTRY)
    for moment in ("then", f"{LEARNED - timedelta(days=1):%Y-%m-%d}"):
        assert again(pipeline, settings, moment).verdicts == []
    assert again(pipeline, settings, f"{LEARNED:%Y-%m-%d}", control="AU-APP8-01").verdicts != []


def test_another_tenant_s_history_is_left_alone(pipeline: Pipeline, tmp_path: Path) -> None:
    told = again(pipeline, settings_of(pipeline, tmp_path, REGISTRY), "now", tenant="somebody else")
    assert (told.messages, told.verdicts, told.examples) == (4, [], [])


def test_what_the_broker_no_longer_has_is_counted_never_guessed_and_tells_by_the_exit_code(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.settings_file(tmp_path, f'geoip_dir = "{pipeline.settings.geoip_dir}"\n')
    now = datetime.now(UTC)
    asked = [
        *("rejudge", "--from", f"{now - timedelta(hours=1):%Y-%m-%dT%H:%MZ}"),
        *("--to", f"{now + timedelta(hours=1):%Y-%m-%dT%H:%MZ}", "--as-known", "then"),
    ]
    whole = run_onshore(tmp_path, *asked)
    assert (whole.returncode, "every verdict comes out as it was sealed" in whole.stdout) == (0, True), whole.stderr
    let_go(pipeline)
    left = run_onshore(tmp_path, *asked)
    assert left.returncode == 2, left.stderr
    assert "4 messages are no longer kept by the broker and could not be judged again" in left.stdout
    assert "local_log_kept_hours" in left.stdout
    assert "nothing of what was sealed in that time could be judged again" in left.stdout
    told = json.loads(run_onshore(tmp_path, *asked, "--json").stdout)
    assert (told["messages"], told["gone"], told["verdicts"]) == (0, 4, [])
    others = run_onshore(tmp_path, *asked, "--tenant", "somebody else")
    assert (others.returncode, "nothing was sealed in that time" in others.stdout) == (0, True), others.stderr


def let_go(pipeline: Pipeline) -> None:
    """Have the local log keep nothing that was judged, and take a step that shows it."""
    short = load_settings({"data_dir": pipeline.settings.data_dir, "local_log_kept_hours": 0})
    with closing(assembly.local_log(short).producer()) as producer:
        producer.send("otlp_logs", [Outgoing(b"later")])
    with closing(assembly.consumer(short)) as consumer:
        [message] = consumer.poll(max_messages=10, max_bytes=1 << 20, timeout_s=1.0).messages
        end = message.offset + 1
        advance = Advance(message.topic, message.topic_id, message.partition, message.offset, end)
        consumer.commit([b"{}"], [advance])
