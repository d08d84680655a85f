"""Judges controls that look at more than one event: from committed events, again where something new bears on them.

Nothing is kept in memory between two runs. A run takes from the newly committed events the few columns that these
controls need, judges every window, sequence and absence anew that one of them may bear on or that has been waited for
long enough, and writes those that came out differently, as one generation that readers see whole. What comes out is a
function of the committed events and the time, so that a run that is cut short, done twice or done elsewhere gives the
same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import structlog

from onshore_pipeline.controls.compiled import ALWAYS
from onshore_pipeline.controls.windowed_facts import FACTS_SCHEMA
from onshore_pipeline.controls.windowed_verdicts import begins_within, judge_windowed
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.jobs import windowed_statements as sql
from onshore_pipeline.jobs.aggregate import claim
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.jobs.windowed_time import now_ns, watermark
from onshore_pipeline.jobs.windowed_units import unit_rows
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.tables import to_table
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.windowed import WindowedControl

log = structlog.get_logger("windowed")

# Rows of facts, each as often as it is in a window, that are judged at a time: what bounds memory.
ROWS_AT_ONCE: Final = 100_000
# Questions in one statement.
_ROLES_AT_ONCE: Final = 8
_FOREVER_NS: Final = (1 << 63) - 1
# How often it is asked what has been waited for long enough.
_CLOSE_EVERY_NS: Final = 15_000_000_000
_STANDING_SCHEMA: Final = pl.Schema(
    {"unit_id": pl.Binary, "stated_at": pl.Int64, "verdict": pl.String, "missing": pl.String, "events": pl.UInt64}
)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: its generation, what is new, how far time has come and how far it had come."""

    generation: int
    attempts: tuple[str, ...]
    known_rules: frozenset[str]
    watermark_ns: int
    now_ns: int
    closed_from_ns: int


@dataclass(slots=True)
class _Came:
    """What came of a run for one control: how many units came out differently, and which findings may have changed."""

    units: int = 0
    findings: set[bytes] = field(default_factory=set)


class Windows:
    """Judges again and again.

    Args:
        client: a writing connection.
        controls: gives the windowed controls in force.
        worker_status: the worker's report, which says where messages wait.
        clock: nanoseconds since 1970.
    """

    def __init__(
        self,
        client: Client,
        controls: Callable[[], Sequence[WindowedControl]],
        worker_status: Path | None = None,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self._client, self._read, self._status, self._clock = client, controls, worker_status, clock
        self._controls: Sequence[WindowedControl] = ()

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
            new = [control for control in self._controls if control.rule not in run.known_rules]
            fresh = self._taken(new, run)
            came = {control.rule: self._judge(control, run, fresh) for control in self._controls}
            units = sum(each.units for each in came.values())
            self._find(run, came)
            if int(self._client.query("SELECT max(generation) FROM rollup_claims").result_rows[0][0]) > run.generation:
                return (
                    units  # another one began and may have read less: nobody sees this, and the next run does it again
                )
            took_ms = int((time.monotonic() - began) * 1000)
            finished = datetime.now(UTC)
            # In this order: a run that is noted as done is one that readers see.
            seen = [run.generation, finished, dict(log_position), 0, units, took_ms, log_id]
            self._client.insert("rollup_runs", [seen])
            rules = [control.rule for control in self._controls]
            moments = [_moment(run.watermark_ns), _moment(run.now_ns)]
            texts = [control.control.digest for control in self._controls]
            done = [run.generation, finished, log_id, dict(log_position), rules, *moments, 0, units, took_ms, texts]
            self._client.insert("windowed_runs", [done])
        return units

    def _begin(self, *, caught_up: bool) -> _Run | None:
        """What there is to do; None if it is nothing."""
        newest = self._client.query(sql.NEWEST_RUN).result_rows
        rules, before_ns, judged_ns = newest[0] if newest else ((), 0, 0)
        attempts = tuple(row[0] for row in self._client.query(sql.BEHIND).result_rows)
        now = self._clock()
        reached = watermark(self._client, self._status, caught_up=caught_up, before_ns=int(before_ns), now_ns=now)
        is_due = now - int(judged_ns) >= _CLOSE_EVERY_NS
        if not (attempts or is_due or any(control.rule not in rules for control in self._controls)):
            return None
        closed_from = min(int(before_ns), int(judged_ns)) if is_due else int(judged_ns)
        generation = claim(self._client)
        return _Run(generation, attempts, frozenset(rules), reached, now if is_due else int(judged_ns), closed_from)

    def _taken(self, new: Sequence[WindowedControl], run: _Run) -> frozenset[str]:
        """Take the facts of the new attempts, and all facts of new controls; the rules that have some new ones."""
        fresh = {control.rule for control in new}
        for some in portions(_roles(new), _ROLES_AT_ONCE):
            self._client.command(sql.take(some, everything=True))
        known = _roles(control for control in self._controls if control.rule in run.known_rules)
        for attempts in portions(run.attempts):
            for some in portions(known, _ROLES_AT_ONCE):
                self._client.command(sql.take(some, everything=False), parameters={"attempts": attempts})
            rows = self._client.query(sql.FRESH, parameters={"attempts": attempts}).result_rows
            fresh.update(rule for (rule,) in rows)
        return frozenset(fresh)

    def _judge(self, control: WindowedControl, run: _Run, fresh: Collection[str]) -> _Came:
        """Judge what new facts of one text bear on, and what is over."""
        came = _Came()
        if control.rule not in run.known_rules:
            self._again(control, run, {}, came, everything=True)
        elif control.rule in fresh or run.closed_from_ns < run.now_ns:
            # What closes is asked for once, with the first attempts.
            for number, some in enumerate(list(portions(run.attempts)) or [[]]):
                closed_from = run.now_ns if number else run.closed_from_ns
                within = {"attempts": some, "closed_from": closed_from, "closed_to": run.now_ns}
                self._again(control, run, within, came, everything=False)
        self._withdraw(control, run, came)
        return came

    def _again(
        self, control: WindowedControl, run: _Run, within: Mapping[str, Any], came: _Came, *, everything: bool
    ) -> None:
        keys = sql.touched(control, everything=everything)
        counted = f"""SELECT count(), min(t.first), max(t.last) FROM windowed_facts AS f INNER JOIN ({keys}) AS t
            ON f.key_hash = t.key_hash WHERE f.rule = '{control.rule}'
                AND f.at BETWEEN t.first - {control.span_ns} AND t.last + {control.span_ns}"""  # noqa: S608 - ours
        facts, low, high = self._client.query(counted, parameters=dict(within)).result_rows[0]
        if not facts:
            return
        reach = {"low": int(low) - control.span_ns, "high": int(high) + control.span_ns}
        doubtful = self._frame(sql.doubtful(control), reach)
        windows = control.windowed.period_ns // control.windowed.every_ns if control.windowed.every_ns else 1
        pieces = max(1, -(-int(facts) * windows // ROWS_AT_ONCE))
        for piece in range(pieces):
            asked = {**within, "portions": pieces, "portion": piece}
            own = self._frame(sql.loaded(control, keys), asked)
            if own.height:
                part = {"portions": pieces, "portion": piece}
                self._write(control, run, own, doubtful, part, came)

    def _write(
        self,
        control: WindowedControl,
        run: _Run,
        own: pl.DataFrame,
        doubtful: pl.DataFrame,
        part: Mapping[str, int],
        came: _Came,
    ) -> None:
        """Judge, and write the units that came out differently."""
        facts = pl.concat([own.drop("first", "last", "key_hash"), doubtful]).cast(FACTS_SCHEMA)
        history = judge_windowed(control, facts, watermark_ns=run.watermark_ns, now_ns=run.now_ns)
        reached = own.group_by("keys").agg(pl.col("first").min(), pl.col("last").max(), pl.col("key_hash").first())
        whole = history.join(reached, on="keys").filter(
            (pl.col("since") > pl.col("first") - control.span_ns - _inclusive(control))
            & (pl.col("since") <= pl.col("last"))
            & begins_within(control)
        )
        if whole.is_empty():
            return
        rows = unit_rows(control, whole.drop("first", "last"), run.generation)
        changed, standing = self._different(control, rows, part)
        if changed.is_empty():
            return
        insert(self._client, "windowed_verdicts_built", to_table("windowed_verdicts_built", changed))
        violated = pl.col("verdict") == Verdict.VIOLATED.value
        were = pl.concat([each.filter(violated).select("unit_id") for each in (changed, standing)]).unique()
        came.findings.update(changed.join(were, on="unit_id", how="semi")["finding_id"].unique())
        came.units += changed["unit_id"].n_unique()

    def _different(
        self, control: WindowedControl, rows: pl.DataFrame, part: Mapping[str, int]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of the units whose history is not the one that stands, and the one that stands."""
        since = rows["since"].dt.timestamp("ns")
        asked = {"rule": control.rule, "low": since.min(), "high": since.max(), **part}
        standing = self._frame(sql.STANDING, asked).cast(_STANDING_SCHEMA)
        said = rows.with_columns(pl.col("stated_at").dt.timestamp("ns")).select(_STANDING_SCHEMA.names())
        same = said.join(standing, on=_STANDING_SCHEMA.names(), how="semi").group_by("unit_id").len("same")
        ours = said.group_by("unit_id").len("ours")
        theirs = standing.group_by("unit_id").len("theirs")
        equal = (
            ours.join(theirs, on="unit_id").join(same, on="unit_id")
            .filter((pl.col("ours") == pl.col("theirs")) & (pl.col("ours") == pl.col("same")))
        )  # fmt: skip
        return rows.join(equal, on="unit_id", how="anti"), standing

    def _withdraw(self, control: WindowedControl, run: _Run, came: _Came) -> None:
        """Take back what was said about units that begin outside of the text's time: it was not known in time."""
        if control.span == ALWAYS:
            return
        since, until = control.span.since_ns, control.span.until_ns
        low, high = -_FOREVER_NS if since is None else since, _FOREVER_NS if until is None else until
        within = {"rule": control.rule, "low": low, "high": high}
        rows = self._client.query(sql.OUTSIDE, parameters=within).result_rows
        for some in portions(rows):
            asked = {"rule": control.rule, "generation": run.generation, "now": run.now_ns}
            units = [str(unit) for unit, _ in some]
            self._client.command(sql.WITHDRAW, parameters={**asked, "units": units})
            came.findings.update(finding.bytes for _, finding in some)
            came.units += len(units)

    def _find(self, run: _Run, came: Mapping[str, _Came]) -> None:
        """Count findings again: of all texts of a control together, since they share its findings."""
        for control_id in dict.fromkeys(control.control.id for control in self._controls):
            texts = [control for control in self._controls if control.control.id == control_id]
            about = texts[-1].control
            findings = set[bytes]().union(*(came[text.rule].findings for text in texts))
            asked = {
                "rules": [text.rule for text in texts], "generation": run.generation, "domain": about.domains[0],
                "kind": about.kind, "severity": about.severity,
            }  # fmt: skip
            for some in portions(sorted(_uuid(each) for each in findings)):
                self._client.command(sql.FINDINGS, parameters={**asked, "findings": some})

    def _frame(self, statement: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        frame = pl.from_arrow(self._client.query_arrow(statement, parameters=dict(parameters), use_strings=True))
        assert isinstance(frame, pl.DataFrame)
        return frame


def forget(client: Client) -> None:
    """Throw away what was derived; the next run builds it again. A restore may have changed the events."""
    with store_errors():
        for table in reversed(sql.TABLES):
            client.command(f"TRUNCATE TABLE {table}")


def _roles(controls: Iterable[WindowedControl]) -> list[tuple[WindowedControl, int]]:
    return [(control, role) for control in controls for role in range(len(control.roles))]


def _inclusive(control: WindowedControl) -> int:
    """A window that ended when something happened is not touched by it; an absence that ended then is."""
    return 0 if control.windowed.kind == "window" else 1


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000 / 1000, UTC)


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
