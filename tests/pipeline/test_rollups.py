"""Rollups equal the committed facts, wherever a rebuild or a sweep was cut short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.jobs import aggregate
from onshore_pipeline.jobs import portions as portioned
from onshore_pipeline.jobs.aggregate import attempts_behind, drop_old_generations, rebuild
from onshore_pipeline.jobs.sweep import FACT_TABLES, Sweeper
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.store.migrate import migrate, plan, shipped, split_statements
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

_HOUR_NS: Final = 3600 * 10**9
_BUILT: Final = (
    "verdict_counts_built", "flows_hourly_built", "access_hourly_built", "heard_hourly_built", "findings_built",
)  # fmt: skip
_FROM_FACTS: Final = {
    "SELECT hour, tenant, control_id, verdict, sum(events) AS n FROM {} GROUP BY ALL ORDER BY ALL": (
        "verdict_counts", "message_verdicts_current",
    ),
    "SELECT hour, tenant, domain, action, sum(events) AS n, sum(bytes) AS b FROM {} GROUP BY ALL ORDER BY ALL": (
        "flows_hourly", "message_flows_current",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as running:
        yield running


class _Killed(Exception):
    """Stands for kill -9."""


class _Dying:
    """A client that dies at the given write, before it or after the store did it."""

    def __init__(self, client: Client, at: int, *, done: bool) -> None:
        self._client, self._left, self._done = client, at, done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def command(self, *arguments: Any, **named: Any) -> Any:
        return self._write(self._client.command, *arguments, **named)

    def insert(self, *arguments: Any, **named: Any) -> Any:
        return self._write(self._client.insert, *arguments, **named)

    def _write(self, write: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._left -= 1
        if self._left >= 0:
            return write(*arguments, **named)
        if self._done:
            write(*arguments, **named)
        raise _Killed


def _copy(pipeline: Pipeline, records: int = 2) -> tuple[frozenset[UUID], tuple[dict[int, int], UUID]]:
    """Messages of two hours, in the log's copy but in no rollup yet."""
    times = [otlp.AT_NS, otlp.AT_NS + _HOUR_NS] * records
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * len(times), at_ns=times)])
    pipeline.work()
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    while sequencer.step(max_entries=1000, timeout_s=0.0).entries:
        pass
    sequencer.close()
    return attempts_behind(pipeline.client), (sequencer.position, sequencer.log_id)


def _assert_equal_to_facts(pipeline: Pipeline) -> None:
    for query, (rollup, facts) in _FROM_FACTS.items():
        assert pipeline.rows(query.format(rollup)) == pipeline.rows(query.format(facts))
    counted = "SELECT finding_id, count(), sum(ifNull(bytes, 0)) FROM violations_current GROUP BY ALL ORDER BY ALL"
    assert pipeline.rows("SELECT finding_id, events, bytes FROM findings ORDER BY ALL") == pipeline.rows(counted)
    assert pipeline.one("SELECT count() - uniqExact(finding_id) FROM findings") == 0


@pytest.mark.parametrize("done", [False, True])
def test_a_rebuild_that_is_killed_anywhere_is_not_seen_and_the_next_one_is_right(
    running: Pipeline, *, done: bool
) -> None:
    views = ("verdict_counts", "flows_hourly", "findings")
    for at in range(6):  # the claim, three hourly rollups, findings, the finished run
        attempts, position = _copy(running)
        before = [running.rows(f"SELECT * FROM {view} ORDER BY ALL") for view in views]
        with pytest.raises(_Killed):
            rebuild(_Dying(running.client, at, done=done), attempts, *position)  # type: ignore[arg-type]
        if at < 5:
            assert [running.rows(f"SELECT * FROM {view} ORDER BY ALL") for view in views] == before
            assert attempts_behind(running.client) >= attempts
        rebuild(running.client, attempts, *position)
        _assert_equal_to_facts(running)
        assert not attempts_behind(running.client)


def test_what_finished_rebuilds_replaced_is_dropped_and_nothing_else(
    running: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "_RECORDS_TO_DROP", 1)
    attempts, position = _copy(running)
    with pytest.raises(_Killed):
        rebuild(_Dying(running.client, 4, done=True), attempts, *position)  # type: ignore[arg-type]
    rebuild(running.client, attempts, *position)
    with pytest.raises(_Killed):
        rebuild(_Dying(running.client, 4, done=True), attempts, *position)  # type: ignore[arg-type]
    drop_old_generations(running.client)
    _assert_equal_to_facts(running)
    for table in _BUILT[:2]:
        assert (
            running.one(f"SELECT uniqExact(generation) FROM {table} WHERE hour = (SELECT max(hour) FROM {table})") == 2
        )
    assert running.one("SELECT count() FROM rollup_runs") > 1
    _age(running.client, "rollup_runs", "finished_at")
    drop_old_generations(running.client)
    assert running.one("SELECT count() FROM rollup_runs") == 1
    _assert_equal_to_facts(running)


def _age(client: Client, table: str, column: str) -> None:
    rows = client.query(f"SELECT * REPLACE ({column} - INTERVAL 2 HOUR AS {column}) FROM {table}").result_rows
    client.command(f"TRUNCATE TABLE {table}")
    client.insert(table, rows)


def test_a_rebuild_beside_a_newer_one_asks_to_be_made_again(running: Pipeline) -> None:
    attempts, position = _copy(running)

    class Beside(_Dying):
        """Another host rebuilds while this one has claimed and not read yet."""

        def insert(self, *arguments: Any, **named: Any) -> Any:
            written = self._client.insert(*arguments, **named)
            if arguments[0] == "rollup_claims":
                assert not rebuild(self._client, attempts, *position).overtaken
            return written

    assert rebuild(Beside(running.client, 99, done=True), attempts, *position).overtaken  # type: ignore[arg-type]
    _assert_equal_to_facts(running)
    assert not rebuild(running.client, attempts, *position).overtaken
    _assert_equal_to_facts(running)


def test_a_clock_that_was_set_back_makes_no_older_generation(running: Pipeline) -> None:
    attempts, position = _copy(running)
    far = running.one("SELECT max(generation) FROM rollup_claims") + (1 << 50)
    running.client.insert("rollup_claims", [[far, datetime.now(UTC)]])
    rebuild(running.client, attempts, *position)
    assert running.one("SELECT max(generation) FROM rollup_runs") > far
    _assert_equal_to_facts(running)


def test_a_backlog_is_rebuilt_in_portions_that_fit_an_address(
    running: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts, position = _copy(running, records=3)
    assert [len(some) for some in portioned.portions(range(2_001))] == [1000, 1000, 1]
    many = {*attempts, *(uuid4() for _ in range(30_000))}
    rebuild(running.client, many, *position)
    _assert_equal_to_facts(running)
    monkeypatch.setattr(portioned.portions, "__defaults__", (1,))
    rebuild(running.client, attempts, *position)
    _assert_equal_to_facts(running)


def test_more_findings_than_an_address_holds_are_rebuilt(running: Pipeline) -> None:
    attempts, position = _copy(running)
    running.client.command(
        "INSERT INTO violations SELECT one.* REPLACE (generateUUIDv4(many.number) AS finding_id) FROM"
        " (SELECT * FROM violations_current WHERE attempt_id IN {attempts:Array(UUID)} LIMIT 1) AS one"
        " CROSS JOIN numbers(3000) AS many",
        parameters={"attempts": [str(attempt) for attempt in attempts]},
    )
    rebuilt = rebuild(running.client, attempts, *position)
    assert rebuilt.findings > 3000
    _assert_equal_to_facts(running)


def test_entries_of_a_log_partition_that_no_rebuild_knew_are_behind(running: Pipeline) -> None:
    attempts, position = _copy(running)
    rebuild(running.client, attempts, {7: 1_000_000}, position[1])
    assert attempts_behind(running.client) >= attempts
    rebuild(running.client, attempts, *position)
    assert not attempts_behind(running.client)


def _dead(pipeline: Pipeline, registered_at: datetime) -> Callable[[], int]:
    """Register an attempt that never commits and let the log pass it; the answer writes its rows."""
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()])])
    consumer = assembly.consumer(pipeline.settings)
    lost = pipeline.attempt(consumer)
    consumer.close()
    advance = lost.advances[0]
    places = [[advance.topic_id], [advance.partition], [advance.first], [advance.next_offset]]
    pipeline.client.insert("attempts", [[lost.attempt_id, "test", registered_at, "", "", "", *places]])
    pipeline.work()
    pipeline.sequence()

    return lambda: insert(pipeline.client, "events", lost.tables["events"])


def _hidden(pipeline: Pipeline) -> int:
    return sum(
        int(pipeline.one(f"SELECT (SELECT count() FROM {table}) - (SELECT count() FROM {table}_current)"))
        for table in FACT_TABLES
    )


def test_an_attempt_that_died_days_ago_is_swept_at_the_start_and_then_once_a_day(running: Pipeline) -> None:
    now = datetime.now(UTC) + timedelta(minutes=2)
    write = _dead(running, now - timedelta(days=3))
    write()
    assert _hidden(running) > 0
    sweeper = Sweeper(running.client)
    assert sweeper.sweep(now).rows > 0
    assert _hidden(running) == 0
    write()
    assert sweeper.sweep(now + timedelta(minutes=1)).dead_attempts == 0
    assert sweeper.sweep(now + timedelta(days=1, minutes=1)).rows > 0
    assert _hidden(running) == 0


def test_an_attempt_that_died_today_is_swept_every_time(running: Pipeline) -> None:
    now = datetime.now(UTC) + timedelta(minutes=2)
    write = _dead(running, now - timedelta(hours=1))
    sweeper = Sweeper(running.client)
    sweeper.sweep(now)
    write()
    assert sweeper.sweep(now + timedelta(minutes=1)).rows > 0
    assert _hidden(running) == 0


def test_a_sender_cannot_choose_the_partitions_of_a_table(running: Pipeline) -> None:
    keys = running.rows("SELECT DISTINCT partition_key FROM system.tables WHERE database = currentDatabase()")
    # `generation` is the number of a run of the windows' job, and the next run drops its partition.
    assert {key for (key,) in keys if key and "ingested_at" not in key} == {"generation"}


def test_a_migration_that_was_cut_short_is_finished_by_the_next_start(tmp_path: Path) -> None:
    with running_pipeline(tmp_path) as pipeline:
        named = "SELECT name, engine = 'View' FROM system.tables WHERE database = currentDatabase()"
        for name, is_view in pipeline.rows(named):
            pipeline.client.command(f"DROP {'VIEW' if is_view else 'TABLE'} {name} SYNC")
        _migrate_in_steps(pipeline.client)
        assert migrate(pipeline.client) == []
        assert pipeline.one("SELECT count() FROM findings") == 0


def _migrate_in_steps(client: Client) -> None:
    """Die after the first statement, start again, die after the second, and so on."""
    statements = sum(len(list(split_statements(migration.sql))) for migration in shipped())
    for at in range(statements):  # the n-th write is done, then the process dies before the next
        with pytest.raises(_Killed):
            migrate(_Dying(client, min(at, _left(client)), done=True))  # type: ignore[arg-type]
    migrate(client)


def _left(client: Client) -> int:
    """Writes until what is missing now is migrated, but for the record of the last one."""
    return sum(len(list(split_statements(migration.sql))) for migration in plan(client))
