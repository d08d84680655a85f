"""Where findings stand is told when it changes: to whoever asks the store, and to a SIEM."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.broker import FINDINGS_TOPIC, Outgoing
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.findings import life
from onshore_pipeline.findings.standing import Folders
from onshore_pipeline.jobs.finding_states import FindingStates
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTROLS = load_controls()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("states") / "data") as running:
        yield running


class Siem:
    """Takes what is sent, unless it is away."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.away = False

    def take(self, topic: str, messages: Sequence[Outgoing]) -> None:
        if self.away:
            raise BrokerUnavailable("nobody is there")
        assert topic == FINDINGS_TOPIC
        self.told += [((each.key or b"").decode(), json.loads(each.value)) for each in messages]

    def of(self, finding: str) -> list[dict[str, Any]]:
        return [said for key, said in self.told if key == finding]


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def states(pipeline: Pipeline, siem: Siem | None, clock: Clock) -> FindingStates:
    known = json.loads((pipeline.settings.data_dir / "credentials.json").read_text())["reader"]
    reader = Reader(pipeline.url, known["user"], known["password"])
    take = siem.take if siem else None
    return FindingStates(reader, pipeline.client, Folders(), lambda: CONTROLS, take, "onshore 1", clock)


def violate(pipeline: Pipeline, tenant: str) -> str:
    """One more event of the tenant's one finding of AU-APP8-01."""
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])], tenant=tenant)
    pipeline.work()
    pipeline.sequence()
    sql = f"SELECT toString(finding_id) FROM findings WHERE tenant = '{tenant}' AND control_id = 'AU-APP8-01'"
    return str(pipeline.one(sql))


def act(pipeline: Pipeline, tenant: str, action: str, finding: str, reason: str = "", who: str = "") -> None:
    said = {life.FINDING_ID: finding} | ({life.OWNER: who} if who else {})
    with closing(assembly.recorder(pipeline.settings)) as recorder:
        record_action(recorder, Action(action, tenant, "rina", reason, said))
    pipeline.work()
    pipeline.sequence()


def seen(pipeline: Pipeline, finding: str) -> tuple[Any, ...]:
    (row,) = pipeline.rows(f"SELECT toString(status), owner, events FROM findings WHERE finding_id = '{finding}'")
    return row


def test_what_people_do_is_told_at_once_and_nothing_is_told_twice(pipeline: Pipeline) -> None:
    siem, clock, tenant = Siem(), Clock(), uuid4().hex
    telling = states(pipeline, siem, clock)
    finding = violate(pipeline, tenant)
    assert seen(pipeline, finding) == ("open", "", 1)
    assert telling.look() > 0
    assert telling.look() == 0
    act(pipeline, tenant, life.ASSIGN, finding, who="omar")
    clock.now += timedelta(seconds=1)
    assert telling.look() == 1
    assert seen(pipeline, finding) == ("assigned", "omar", 1)
    act(pipeline, tenant, life.RESOLVE, finding, "the copy was deleted")
    clock.now += timedelta(seconds=1)
    assert telling.look() == 1
    assert seen(pipeline, finding) == ("resolved", "omar", 1)
    told = siem.of(finding)
    assert [(each["activity_name"], each["status"]) for each in told] == [
        ("Create", "New"), ("Update", "In Progress"), ("Close", "Resolved"),
    ]  # fmt: skip
    assert len({each["metadata"]["uid"] for each in told}) == 3
    assert {each["finding_info"]["uid"] for each in told} == {finding}
    assert states(pipeline, siem, clock).look() == 0  # nor by one that was started anew


def test_counts_alone_are_told_once_a_minute(pipeline: Pipeline) -> None:
    siem, clock, tenant = Siem(), Clock(), uuid4().hex
    telling = states(pipeline, siem, clock)
    finding = violate(pipeline, tenant)
    telling.look()
    assert violate(pipeline, tenant) == finding
    clock.now += timedelta(seconds=30)
    assert telling.look() == 0
    clock.now += timedelta(seconds=31)
    assert telling.look() == 1
    assert [each["count"] for each in siem.of(finding)] == [1, 2]


def test_what_a_broker_does_not_take_is_told_again_and_counts_as_told_only_then(pipeline: Pipeline) -> None:
    siem, clock, tenant = Siem(), Clock(), uuid4().hex
    telling = states(pipeline, siem, clock)
    finding = violate(pipeline, tenant)
    siem.away = True
    assert telling.look() == 0
    assert pipeline.one(f"SELECT count() FROM finding_states WHERE finding_id = '{finding}'") == 0
    siem.away = False
    assert telling.look() > 0
    assert len(siem.of(finding)) == 1


def test_what_was_sent_and_not_noted_is_told_again_under_the_same_name(pipeline: Pipeline) -> None:
    siem, clock, tenant = Siem(), Clock(), uuid4().hex
    finding = violate(pipeline, tenant)
    states(pipeline, siem, clock).look()
    pipeline.client.command("TRUNCATE TABLE finding_states")  # as if it had been killed between the two
    clock.now += timedelta(seconds=5)
    states(pipeline, siem, clock).look()
    first, second = siem.of(finding)
    assert (first["metadata"]["uid"], first["time"] < second["time"]) == (second["metadata"]["uid"], True)


def test_without_a_siem_the_store_is_told_all_the_same(pipeline: Pipeline) -> None:
    clock, tenant = Clock(), uuid4().hex
    finding = violate(pipeline, tenant)
    act(pipeline, tenant, life.ACKNOWLEDGE, finding)
    assert states(pipeline, None, clock).look() > 0
    assert seen(pipeline, finding)[0] == "acknowledged"
