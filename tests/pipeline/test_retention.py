"""Events whose time is over are deleted, and everything that proves the others stays."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from exporting import reader_of
from onshore_pipeline import assembly
from onshore_pipeline.context.retention import Retention, read_retention
from onshore_pipeline.failpoints import DELETING_POINTS
from onshore_pipeline.findings.standing import deleted_events
from onshore_pipeline.jobs.aggregate import rebuild
from onshore_pipeline.jobs.deletions import Deleter, Hold, Tombstone
from onshore_pipeline.jobs.incomplete import incomplete
from onshore_pipeline.jobs.restore import Restored
from onshore_pipeline.jobs.stored_leaves import with_altered_leaves
from onshore_pipeline.sequencer import stands
from restoring import facts, forget, lose, restore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class _Killed(Exception):
    """Stands for kill -9."""


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path / "data") as running:
        yield running


def rules(folder: Path, *rows: str) -> Retention:
    folder.mkdir(exist_ok=True)
    (folder / "retention.yaml").write_text("".join(f"- {{{row}, why: a test}}\n" for row in rows))
    return read_retention(folder)


def play(pipeline: Pipeline) -> None:
    """Two tenants' movements, a model call, and metrics."""
    for tenant in ("acme", "other"):
        pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 3)] * 2, tenant=tenant)
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "server.address": "api.openai.com"}
    pipeline.send("otlp_spans", [otlp.span(call, {"service.name": "app"})], tenant="acme")
    pipeline.send("otlp_metrics", [otlp.gauges({"hw.gpu.utilization": 0.5}, {"host.name": "gpu1"})], tenant="acme")
    pipeline.work(max_messages=3)
    pipeline.sequence()


def delete(
    pipeline: Pipeline,
    retention: Retention,
    holds: Sequence[Hold] = (),
    *,
    days_on: int = 31,
    most_events: int = 100,
    dies_at: str = "",
) -> list[Tombstone]:
    """Run as the command does, that many days later; the tombstones that were sealed meanwhile."""
    sealed: list[Tombstone] = []

    def at(point: str) -> None:
        if point == dies_at:
            raise _Killed

    deleter = Deleter(pipeline.client, sealed.append, most_events=most_events, at=at)
    done = list(deleter.run(retention, lambda: holds, datetime.now(UTC) + timedelta(days=days_on)))
    assert {each.deletion_id for each in sealed} <= {each.deletion_id for each in done}
    return done


def rebuild_all(pipeline: Pipeline) -> None:
    """As a sequencer does that finds everything touched."""
    attempts = [row[0] for row in pipeline.rows("SELECT DISTINCT attempt_id FROM events")]
    with closing(assembly.entry_reader(pipeline.settings)) as log:
        position, _ = stands(pipeline.client, log.log_id)
        rebuild(pipeline.client, attempts, position, log.log_id)


def left(pipeline: Pipeline) -> dict[str, int]:
    return {str(tenant): int(n) for tenant, n in pipeline.rows("SELECT tenant, count() FROM events_current GROUP BY 1")}


def untouched(pipeline: Pipeline) -> dict[str, Any]:
    """What stays, whatever is deleted; of violations and findings all but what they repeat of parties."""
    named = dict.fromkeys(("violations_current", "findings"), LEFT)
    gone = ("events_current", "metric_points_current")
    kept = {name: rows for name, rows in facts(pipeline).items() if name not in gone}
    return kept | {view: pipeline.rows(f"SELECT {sql} FROM {view} ORDER BY ALL") for view, sql in named.items()}


LEFT = "* EXCEPT fingerprint, fingerprint['dataset'], fingerprint['destination_country'], mapKeys(fingerprint)"


def told_of(pipeline: Pipeline, table: str, tenant: str = "acme") -> set[str]:
    """Whom violations or findings name."""
    where = f"tenant = '{tenant}' AND control_id = 'AU-APP8-01'"
    return {
        str(name) for (name,) in pipeline.rows(f"SELECT DISTINCT fingerprint['actor_id'] FROM {table} WHERE {where}")
    }


def test_what_is_due_goes_and_all_that_proves_the_rest_stays(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    before = untouched(pipeline)
    done = delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    assert left(pipeline) == {"other": 6}
    assert pipeline.one("SELECT count() FROM metric_points_current") == 0
    assert sum(each.events for each in done) == pipeline.one("SELECT count() FROM leaves") == 8
    assert untouched(pipeline) == before
    assert incomplete(pipeline.client) == []
    assert list(with_altered_leaves(pipeline.client)) == []
    assert restore(pipeline, hashes=True) == Restored()


def test_what_is_left_of_a_violation_no_longer_says_who_it_was(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    tables = ("violations", "findings_built", "findings")
    assert [told_of(pipeline, table) for table in tables] == [{"kim"}] * 3
    delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    assert [told_of(pipeline, table) for table in tables] == [{"deleted"}] * 3
    assert [told_of(pipeline, table, "other") for table in tables] == [{"kim"}] * 3


def test_a_finding_that_still_has_an_event_says_what_it_is_about(pipeline: Pipeline, tmp_path: Path) -> None:
    secret = otlp.movement() | {"onshore.data.classification": "secret"}
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement(), secret])], tenant="acme")
    pipeline.work()
    pipeline.sequence()
    delete(pipeline, rules(tmp_path / "c", "classification: secret, keep: 30d"))
    assert told_of(pipeline, "violations") == {"kim", "deleted"}
    rebuild_all(pipeline)
    assert told_of(pipeline, "findings") == {"kim"}
    (finding,) = pipeline.rows("SELECT toString(finding_id), events FROM findings WHERE control_id = 'AU-APP8-01'")
    with closing(reader_of(pipeline)) as reader:
        assert (finding[1], deleted_events(reader, str(finding[0]))) == (2, 1)


def test_a_restore_does_not_bring_back_who_it_was(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    before = facts(pipeline)
    lose(pipeline, "violations", "findings_built", "events")
    restore(pipeline)
    assert facts(pipeline) == before
    assert told_of(pipeline, "violations") == told_of(pipeline, "findings") == {"deleted"}


def test_windows_say_no_longer_whom_they_were_about(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    event = pipeline.one("SELECT event_id FROM events WHERE tenant = 'acme' AND domain = 'data_movement' LIMIT 1")
    other = pipeline.one("SELECT event_id FROM events WHERE tenant = 'other' LIMIT 1")
    for number, samples in ((1, [event]), (2, [event, other])):
        pipeline.client.command(
            "INSERT INTO windowed_verdicts_built (unit_id, finding_id, key, fingerprint, sample_event_ids) VALUES"
            f" (toUUID('{UUID(int=number)}'), toUUID('{UUID(int=number)}'), map('actor_id', 'kim', 'tenant', 'acme'),"
            f" map('actor_id', 'kim', 'dataset', 'd'), {[str(each) for each in samples]})"
        )
    delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    said = pipeline.rows("SELECT key['actor_id'], fingerprint FROM windowed_verdicts_built ORDER BY unit_id")
    assert said == [("deleted", {"actor_id": "deleted", "dataset": "d"}), ("kim", {"actor_id": "kim", "dataset": "d"})]


def test_nothing_is_due_before_its_time_nor_without_a_rule(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    assert delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"), days_on=29) == []
    assert delete(pipeline, Retention(), days_on=36500) == []
    assert left(pipeline) == {"acme": 8, "other": 6}


def test_a_hold_beats_retention(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    hold = Hold("h", "acme", "data_movement", None, None, None, None)
    retention = rules(tmp_path / "c", "keep: 30d")
    deleter = Deleter(pipeline.client, lambda _: None)
    plan = {
        (d.tenant, d.domain): (d.due, d.held) for d in deleter.due(retention, [hold], datetime.now(UTC) + timedelta(31))
    }
    assert plan[("acme", "data_movement")] == (0, 6)
    assert plan[("other", "data_movement")] == (6, 0)
    delete(pipeline, retention, [hold])
    assert left(pipeline) == {"acme": 6}


def test_a_hold_on_a_data_set_holds_what_may_be_of_it(pipeline: Pipeline, tmp_path: Path) -> None:
    known = otlp.movement()
    other = {**known, "onshore.data.set": "something else"}
    unknown = {name: value for name, value in known.items() if name != "onshore.data.set"}
    named = {**known, "onshore.data.set": "held"}
    pipeline.send("otlp_logs", [otlp.logs([named, other, unknown])], tenant="acme")
    pipeline.work()
    pipeline.sequence()
    delete(pipeline, rules(tmp_path / "c", "keep: 30d"), [Hold("h", None, None, "held", None, None, None)])
    assert pipeline.rows("SELECT dataset FROM events_current ORDER BY 1") == [("held",), (None,)]


@pytest.mark.parametrize("point", DELETING_POINTS)
def test_a_deletion_that_was_killed_is_ended_by_the_next_and_nothing_is_missing_in_between(
    pipeline: Pipeline, tmp_path: Path, point: str
) -> None:
    play(pipeline)
    retention = rules(tmp_path / "c", "tenant: acme, keep: 30d")
    with pytest.raises(_Killed):
        delete(pipeline, retention, dies_at=point)
    assert incomplete(pipeline.client) == []
    assert list(with_altered_leaves(pipeline.client)) == []
    delete(pipeline, retention)
    assert left(pipeline) == {"other": 6}
    assert incomplete(pipeline.client) == []
    assert pipeline.one("SELECT count() - uniqExact(event_id) FROM leaves") == 0
    unfinished = (
        "SELECT count() FROM leaves WHERE deletion_id NOT IN (SELECT deletion_id FROM deletions WHERE step = 'deleted')"
    )
    assert pipeline.one(unfinished) == 0


def test_much_is_deleted_in_portions_each_with_its_tombstone(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    done = delete(pipeline, rules(tmp_path / "c", "domain: data_movement, keep: 30d"), most_events=4)
    assert sorted(each.events for each in done) == [2, 2, 4, 4]
    assert len({each.root for each in done}) == 4


def test_restore_brings_back_what_was_lost_and_not_what_was_deleted(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    before = facts(pipeline)
    for table in ("events", "metric_points", "message_flows"):
        lose(pipeline, table)
    restore(pipeline)
    assert facts(pipeline) == before
    assert incomplete(pipeline.client) == []


def test_messages_whose_events_were_all_deleted_are_not_lost_when_the_broker_forgets_them(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    play(pipeline)
    delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    forget(pipeline, "otlp_logs", 2)  # acme's
    lose(pipeline, "events")
    assert restore(pipeline).lost == []
    assert left(pipeline) == {"other": 6}


def test_rows_are_gone_from_the_disk_too(pipeline: Pipeline, tmp_path: Path) -> None:
    play(pipeline)
    delete(pipeline, rules(tmp_path / "c", "tenant: acme, keep: 30d"))
    masked = (
        "SELECT sum(has_lightweight_delete) FROM system.parts WHERE active AND table IN ('events', 'metric_points')"
    )
    assert pipeline.one(masked) == 0
