"""Judges controls that look at more than one event: from committed events, again where something new bears on them.

Nothing is kept in memory between two runs. A run takes from the newly committed events the few columns that these
controls need, judges every window, sequence and absence anew that one of them may bear on or that has been waited for
long enough, and writes those that came out differently, as one generation that readers see whole. What windows add up
to is kept beside the facts, so that a run reads what is new (`windowed_added`). What comes out is a function of the
committed events and the time, so that a run that is cut short, done twice or done elsewhere gives the same.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl
import structlog

from onshore_pipeline.controls.windowed_facts import FACTS_SCHEMA
from onshore_pipeline.controls.windowed_verdicts import judge_windowed
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs import windowed_panes as panes_sql
from onshore_pipeline.jobs import windowed_run
from onshore_pipeline.jobs import windowed_statements as sql
from onshore_pipeline.jobs.aggregate import claim
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.jobs.windowed_added import AddedWindows, folds_until
from onshore_pipeline.jobs.windowed_run import Came, Run, Units, reached_units, text_of
from onshore_pipeline.jobs.windowed_time import now_ns, watermark
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.windowed import WindowedControl

log = structlog.get_logger("windowed")

# Questions in one statement.
_ROLES_AT_ONCE: Final = 8
# How often it is asked what has been waited for long enough.
_CLOSE_EVERY_NS: Final = 15_000_000_000
# What is younger may be on its way from another partition.
_SETTLED_NS: Final = 5_000_000_000


class Windows:
    """Judges again and again.

    Args:
        client: a writing connection.
        controls: gives the windowed controls in force.
        worker_status: the worker's report, which says where messages wait.
        clock: nanoseconds since 1970.
        at: told before the first write and after each.
    """

    def __init__(
        self,
        client: Client,
        controls: Callable[[], Sequence[WindowedControl]],
        worker_status: Path | None = None,
        clock: Callable[[], int] = now_ns,
        at: Callable[[str], None] = nowhere,
    ) -> None:
        self._client, self._read, self._status, self._clock, self._at = client, controls, worker_status, clock, at
        self._controls: Sequence[WindowedControl] = ()
        self._units = Units(client, at)
        self._added = AddedWindows(client, self._units, at)

    def judge(self, log_position: Mapping[int, int], log_id: UUID, *, caught_up: bool = True) -> int:
        """Judge once; `log_position` of `log_id` is what is rolled up. How many units came out differently.

        Raises:
            StoreUnavailable: try again later; readers see nothing of it.
        """
        self._controls = self._read()
        if not self._controls:
            return 0
        began = time.monotonic()
        with store_errors():
            run = self._begin(caught_up=caught_up)
            if run is None:
                return 0
            pending = self._taken(run)
            came = {each.rule: self._judge(each, run, is_pending=each.rule in pending) for each in self._controls}
            units = sum(each.units for each in came.values())
            self._units.find(self._controls, run, came)
            if int(self._client.query("SELECT max(generation) FROM rollup_claims").result_rows[0][0]) > run.generation:
                return (
                    units  # another one began and may have read less: nobody sees this, and the next run does it again
                )
            self._finish(run, log_position, log_id, units, int((time.monotonic() - began) * 1000))
        return units

    def _begin(self, *, caught_up: bool) -> Run | None:
        """What there is to do; None if it is nothing."""
        newest = self._client.query(sql.NEWEST_RUN).result_rows
        rules, before_ns, judged_ns, before, folded = newest[0] if newest else ((), 0, 0, 0, {})
        attempts = tuple(row[0] for row in self._client.query(sql.BEHIND).result_rows)
        now = self._clock()
        is_due = now - int(judged_ns) >= _CLOSE_EVERY_NS
        if not (attempts or is_due or any(control.rule not in rules for control in self._controls)):
            return None
        reached_ns = min([now - _SETTLED_NS, *self._reached(attempts)])
        # Time comes to a standstill between two looks at what is over: whatever fell due meanwhile is looked at then.
        time_ns = int(before_ns)
        if is_due:
            time_ns = watermark(self._client, self._status, caught_up=caught_up, before_ns=time_ns, now_ns=now)
        self._at("16.before")
        self._settle(int(before))
        generation = claim(self._client)
        self._at("16.claimed")
        return Run(
            generation=generation,
            before=int(before),
            attempts=attempts,
            known_rules=frozenset(rules),
            watermark_ns=time_ns,
            now_ns=now if is_due else int(judged_ns),
            closed_from_ns=min(int(before_ns), int(judged_ns)) if is_due else int(judged_ns),
            folded={str(rule): int(until) for rule, until in folded.items()},
            reached_ns=reached_ns,
        )

    def _reached(self, attempts: Sequence[str]) -> list[int]:
        """Up to when the partitions that were read were read."""
        asked = [{"attempts": some} for some in portions(attempts)]
        return [
            int(at) for each in asked for (at,) in self._client.query(panes_sql.REACHED, parameters=each).result_rows
        ]

    def _settle(self, before: int) -> None:
        """Finish the run before: its panes join the others, and what runs looked at is dropped."""
        built, pending = (
            [int(row[0]) for row in self._client.query(panes_sql.LEFT.format(table=table)).result_rows]
            for table in ("windowed_panes_built", "windowed_pending")
        )
        if before in built:
            self._client.command(panes_sql.SETTLE, parameters={"generation": before})
            self._at("16.settled")
        dropped = [("windowed_panes_built", each) for each in built]
        dropped += [("windowed_pending", each) for each in pending if each != before]
        for table, generation in dropped:
            self._client.command(f"ALTER TABLE {table} DROP PARTITION {generation}")
            self._at("16.dropped")

    def _taken(self, run: Run) -> frozenset[str]:
        """Take the facts of new attempts, and all facts of new controls; the rules that have something to look at."""
        new = [control for control in self._controls if control.rule not in run.known_rules]
        known = [control for control in self._controls if control.rule in run.known_rules]
        own = {"generation": run.generation}
        for some in portions(_roles(new), _ROLES_AT_ONCE):
            self._client.command(sql.take(some, everything=True))
            self._at("16.windowed_facts")
        for attempts in portions(run.attempts):
            for some in portions(_roles(known), _ROLES_AT_ONCE):
                self._client.command(sql.take(some, everything=False), parameters={**own, "attempts": attempts})
                self._at("16.windowed_pending")
        if run.attempts:
            self._client.command(panes_sql.KEEP, parameters=own)
            self._at("16.windowed_facts")
        if folded := {each.rule: run.folded[text_of(each)] for each in known if text_of(each) in run.folded}:
            self._client.command(panes_sql.carry(folded), parameters={**own, "before": run.before})
            self._at("16.carried")
        return frozenset(rule for (rule,) in self._client.query(panes_sql.PENDING, parameters=own).result_rows)

    def _judge(self, control: WindowedControl, run: Run, *, is_pending: bool) -> Came:
        """Judge what new facts of one text bear on, and what is over."""
        came = Came()
        is_window, is_new = control.windowed.kind == "window", control.rule not in run.known_rules
        if is_window and (is_new or text_of(control) not in run.folded):
            self._added.judge_all(control, run, came)
        elif is_new or is_pending or run.closed_from_ns < run.now_ns:
            if is_window:
                self._added.judge(control, run, came)
            else:
                self._chains(control, run, came, everything=is_new)
        self._units.withdraw(control, run, came)
        return came

    def _chains(self, control: WindowedControl, run: Run, came: Came, *, everything: bool) -> None:
        """Judge sequences and absences from the facts of the touched keys."""
        keys = sql.touched(control, everything=everything)
        within = {"generation": run.generation, "closed_from": run.closed_from_ns, "closed_to": run.now_ns}
        facts, low, high = self._client.query(sql.counted(control, keys), parameters=within).result_rows[0]
        if not facts:
            return
        bounds = {"low": int(low), "high": int(high) + control.span_ns}
        doubtful = self._units.frame(sql.doubtful(control), bounds)
        pieces = max(1, -(-int(facts) // windowed_run.ROWS_AT_ONCE))
        for piece in range(pieces):
            asked = {**within, "portions": pieces, "portion": piece}
            own = self._units.frame(sql.loaded(control, keys), asked)
            if own.is_empty():
                continue
            both = pl.concat([own.drop("key_hash"), doubtful]).cast(FACTS_SCHEMA)
            history = judge_windowed(control, both, watermark_ns=run.watermark_ns, now_ns=run.now_ns)
            whole = reached_units(control, history, own, self._units.frame(sql.reach(keys), asked))
            if whole.is_empty():
                continue
            low, high = whole.select(pl.col("since").min().alias("low"), pl.col("since").max().alias("high")).row(0)
            standing = self._units.standing(control, keys, low, high, asked)
            self._units.write(control, run, whole, standing, came)

    def _finish(self, run: Run, log_position: Mapping[int, int], log_id: UUID, units: int, took_ms: int) -> None:
        """In this order: a run that is noted as done is one that readers see."""
        finished = datetime.now(UTC)
        seen = [run.generation, finished, dict(log_position), 0, units, took_ms, log_id]
        self._client.insert("rollup_runs", [seen])
        self._at("16.seen")
        rules = [control.rule for control in self._controls]
        moments = [_moment(run.watermark_ns), _moment(run.now_ns)]
        texts = [control.control.digest for control in self._controls]
        windows = [control for control in self._controls if control.windowed.kind == "window"]
        folded = {text_of(control): folds_until(control, run) for control in windows}
        done = [run.generation, finished, log_id, dict(log_position), rules, *moments, 0, units, took_ms, texts, folded]
        self._client.insert("windowed_runs", [done])
        self._at("16.after")


def forget(client: Client) -> None:
    """Throw away what was derived; the next run builds it again. A restore may have changed the events."""
    with store_errors():
        for table in reversed(sql.TABLES):
            client.command(f"TRUNCATE TABLE {table}")


def _roles(controls: Iterable[WindowedControl]) -> list[tuple[WindowedControl, int]]:
    return [(control, role) for control in controls for role in range(len(control.roles))]


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000 / 1000, UTC)
