"""Judges windows from what they add up to, and what is new: a run costs what came since the last one.

Each run adds to panes what arrived until a moment of its own, `until`, and judges windows from the panes of the run
before and the facts that arrived behind them. An event that arrived before that moment and was not there then is stale:
its key is judged and added up again from all its facts. So the moment is a matter of cost; verdicts do not depend on
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.controls.windowed import WAITING
from onshore_pipeline.controls.windowed_facts import FACTS_SCHEMA
from onshore_pipeline.controls.windowed_keys import keyed
from onshore_pipeline.controls.windowed_panes import PANES_SCHEMA, SAID_SCHEMA, Folded, folded_panes, pane_of
from onshore_pipeline.controls.windowed_verdicts import judge_windowed
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.jobs import windowed_panes as panes_sql
from onshore_pipeline.jobs import windowed_run
from onshore_pipeline.jobs import windowed_statements as sql
from onshore_pipeline.jobs.windowed_run import Came, Run, Units, reached_units, text_of
from onshore_pipeline.store.tables import to_table
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.windowed import WindowedControl

_FACTS: Final = FACTS_SCHEMA.names()
_BUILT: Final = "windowed_panes_built"


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some keys of a control: `asked` names them to the store; `doubts` are of all keys."""

    keys: str
    again: str | None
    asked: Mapping[str, Any]
    doubts: pl.DataFrame
    folded_ns: int
    until_ns: int


class AddedWindows:
    """Judges one control of windows at a time.

    Args:
        client: a writing connection.
        units: writes what came out differently.
        at: told after every write.
    """

    def __init__(self, client: Client, units: Units, at: Callable[[str], None]) -> None:
        self._client, self._units, self._at = client, units, at

    def judge(self, control: WindowedControl, run: Run, came: Came) -> None:
        """Judge what is new to the run or over, and add up."""
        folded_ns, until_ns = run.folded[text_of(control)], folds_until(control, run)
        asked = {
            "generation": run.generation, "rule": control.rule, "folded": folded_ns,
            "closed_from": run.closed_from_ns, "closed_to": run.now_ns,
        }  # fmt: skip
        keys = panes_sql.touched(control)
        rows, low, high = self._client.query(panes_sql.counted(control, keys), parameters=asked).result_rows[0]
        if not rows:
            return
        stale, keyless = self._client.query(panes_sql.STALE, parameters=asked).result_rows[0]
        again = panes_sql.stale_keys(control, keys, all_of_them=bool(keyless)) if stale else None
        if again is not None:
            rows += self._client.query(sql.counted(control, again), parameters=asked).result_rows[0][0]
        bounds = {"low": int(low), "high": int(high) + control.span_ns}
        doubts = self._units.frame(panes_sql.doubtful(control), {**asked, **bounds})
        pieces = _pieces(control, int(rows))
        for piece in range(pieces):
            part = {**asked, "portions": pieces, "portion": piece}
            self._judge(control, run, _Piece(keys, again, part, doubts, folded_ns, until_ns), came)

    def judge_all(self, control: WindowedControl, run: Run, came: Came) -> None:
        """Judge and add up all facts of a control that has no panes yet."""
        until_ns = folds_until(control, run)
        keys = sql.touched(control, everything=True)
        rows = self._client.query(sql.counted(control, keys), parameters={}).result_rows[0][0]
        doubts = self._units.frame(panes_sql.doubtful_facts(control), {})
        pieces = _pieces(control, int(rows))
        for piece in range(pieces if rows else 0):
            part = {"portions": pieces, "portion": piece}
            facts = self._units.frame(sql.loaded(control, keys), part)
            if facts.is_empty():
                continue
            reach = self._units.frame(sql.reach(panes_sql.everything(control)), part)
            standing = self._standing(control, keys, reach, part)
            history = self._from_facts(control, run, facts, doubts)
            self._units.write(control, run, reached_units(control, history, facts, reach), standing, came)
            self._fold(control, run, facts.filter(pl.col("arrival") <= until_ns), _no_panes())
        carried = {"generation": run.generation, "rule": control.rule, "folded": until_ns}
        self._client.command(panes_sql.CARRY_ALL, parameters=carried)
        self._at("16.carried")

    def _judge(self, control: WindowedControl, run: Run, piece: _Piece, came: Came) -> None:
        reach = self._units.frame(sql.reach(piece.keys), piece.asked)
        if reach.is_empty():
            return
        new = self._units.frame(panes_sql.pending(control), piece.asked)
        panes = self._units.frame(panes_sql.panes(control, piece.keys), piece.asked)
        standing = self._standing(control, piece.keys, reach, piece.asked)
        facts = self._units.frame(sql.loaded(control, piece.again), piece.asked) if piece.again else new.clear()
        is_again = pl.col("key_hash").is_in(facts["key_hash"].unique().implode())
        kept, kept_panes = new.filter(~is_again), panes.filter(~is_again)
        stands = (pl.col("missing") != WAITING) & (pl.col("verdict") != Verdict.NOT_APPLICABLE.value)
        said = standing.filter((pl.col("stated_at") <= piece.folded_ns) & stands)
        folded = Folded(
            piece.folded_ns,
            kept_panes.select(PANES_SCHEMA.names()).cast(PANES_SCHEMA),
            said.select(SAID_SCHEMA.names()).cast(SAID_SCHEMA),
        )
        history = judge_windowed(
            control, kept.select(_FACTS).cast(FACTS_SCHEMA), watermark_ns=run.watermark_ns, now_ns=run.now_ns,
            folded=folded, doubtful=piece.doubts,
        )  # fmt: skip
        histories = [history]
        if not facts.is_empty():
            histories.append(self._from_facts(control, run, facts, piece.doubts))
        named = pl.concat([each.select("keys", "key_hash") for each in (new, panes, facts)])
        self._units.write(control, run, reached_units(control, pl.concat(histories), named, reach), standing, came)
        ripe = pl.col("arrival") <= piece.until_ns
        self._fold(control, run, kept.filter(ripe), kept_panes)
        if not facts.is_empty():
            # Only panes that something new fell into; all their facts are among those that were loaded.
            pane = pane_of(control, pl.col("at")).alias("pane")
            fell = new.filter(is_again).select("keys", pane).unique()
            mine = facts.filter(ripe).with_columns(pane).join(fell, on=["keys", "pane"], how="semi", nulls_equal=True)
            self._fold(control, run, mine, _no_panes())

    def _from_facts(
        self, control: WindowedControl, run: Run, facts: pl.DataFrame, doubts: pl.DataFrame
    ) -> pl.DataFrame:
        whole = facts.select(_FACTS).cast(FACTS_SCHEMA)
        return judge_windowed(
            control, whole, watermark_ns=run.watermark_ns, now_ns=run.now_ns, doubtful=doubts
        )  # fmt: skip

    def _fold(self, control: WindowedControl, run: Run, facts: pl.DataFrame, panes: pl.DataFrame) -> None:
        """Add facts to panes, and write the panes that they fall into."""
        if facts.is_empty():
            return
        before = panes.select(PANES_SCHEMA.names()).cast(PANES_SCHEMA)
        found = keyed(facts.select(_FACTS).cast(FACTS_SCHEMA), control.key, (before,))
        added = folded_panes(control, found.facts, found.also[0])
        texts = found.keys.select(
            pl.concat_list(pl.all()).alias("keys"),
            pl.concat_list(pl.all().fill_null("")).alias("key_texts"),
            pl.concat_list(pl.all().is_null()).alias("key_lacks"),
            pl.any_horizontal(pl.all().is_null()).alias("keyless"),
        )
        hashes = facts.select("keys", "key_hash").unique("keys")
        rows = added.hstack(texts.select(pl.all().gather(added["key"]))).join(
            hashes, on="keys", how="left", nulls_equal=True
        )
        whole = rows.with_columns(rule=pl.lit(control.rule), generation=pl.lit(run.generation, pl.UInt64))
        insert(self._client, _BUILT, to_table(_BUILT, whole))
        self._at("16.windowed_panes_built")

    def _standing(
        self, control: WindowedControl, keys: str, reach: pl.DataFrame, asked: Mapping[str, Any]
    ) -> pl.DataFrame:
        low, high = reach.select(pl.col("low").min(), pl.col("high").max()).row(0)
        return self._units.standing(control, keys, int(low) - control.span_ns, int(high), asked)


def folds_until(control: WindowedControl, run: Run) -> int:
    """What arrived until then is added up: never past the next moment at which a window's verdict falls due.

    So that everything that was said of a pane's windows up to then is said for good, and need not be worked out again.
    """
    windowed = control.windowed
    behind = windowed.period_ns + windowed.lateness_ns
    next_due = ((run.watermark_ns - behind) // windowed.every_ns + 1) * windowed.every_ns + behind
    return max(run.folded.get(text_of(control), 0), min(run.reached_ns, next_due - 1))


def _pieces(control: WindowedControl, rows: int) -> int:
    windows = control.windowed.period_ns // control.windowed.every_ns
    return max(1, -(-rows * windows // windowed_run.ROWS_AT_ONCE))


def _no_panes() -> pl.DataFrame:
    return pl.DataFrame(schema=PANES_SCHEMA)
