"""One run of the windows' job: what it is about, and the rows that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.controls.compiled import ALWAYS
from onshore_pipeline.controls.windowed_verdicts import begins_within
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.jobs import windowed_statements as sql
from onshore_pipeline.jobs.portions import portions
from onshore_pipeline.jobs.windowed_units import unit_rows
from onshore_pipeline.store.tables import to_table
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.windowed import WindowedControl

# Rows of facts and panes, each as often as it is in a window, that are judged at a time: what bounds memory.
ROWS_AT_ONCE: Final = 100_000
_FOREVER_NS: Final = (1 << 63) - 1
# What makes two histories different; `shown` is what a sequence or an absence shows (of a window, `events` tells).
_SAID_SCHEMA: Final = pl.Schema(
    {
        "unit_id": pl.Binary,
        "stated_at": pl.Int64,
        "verdict": pl.String,
        "missing": pl.String,
        "events": pl.UInt64,
        "shown": pl.String,
    }
)
_STANDING_SCHEMA: Final = pl.Schema([*_SAID_SCHEMA.items(), ("before", pl.String()), ("known", pl.List(pl.String()))])


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its generation and that of the run before, what is new, how far time has come and how far it had come.

    Attributes:
        generation: of this run.
        before: of the last run that was finished.
        attempts: what was committed since.
        known_rules: rules that the run before judged.
        watermark_ns: up to when everything is there.
        now_ns: until when it is asked what has been waited for long enough,
        closed_from_ns: and since when.
        folded: until which arrival the run before added up, by `text_of` the control.
        reached_ns: what arrived until then is likely to be there: it can be added up.
    """

    generation: int
    before: int
    attempts: tuple[str, ...]
    known_rules: frozenset[str]
    watermark_ns: int
    now_ns: int
    closed_from_ns: int
    folded: Mapping[str, int]
    reached_ns: int


@dataclass(slots=True)
class Came:
    """What came of a run for one control: how many units came out differently, and which findings may have changed."""

    units: int = 0
    findings: set[bytes] = field(default_factory=set)


class Units:
    """Writes the units of a run that came out differently.

    Args:
        client: a writing connection.
        at: told after every write.
    """

    def __init__(self, client: Client, at: Callable[[str], None]) -> None:
        self._client, self._at = client, at

    def frame(self, statement: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        """What the store answers."""
        frame = pl.from_arrow(self._client.query_arrow(statement, parameters=dict(parameters), use_strings=True))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def standing(
        self, control: WindowedControl, keys: str, low: int, high: int, asked: Mapping[str, Any]
    ) -> pl.DataFrame:
        """What is said of the units of some keys that begin between two moments: all changes of each."""
        named = {**asked, "rule": control.rule, "low": low, "high": high}
        return self.frame(sql.standing(keys), named).cast(_STANDING_SCHEMA)

    def write(
        self, control: WindowedControl, run: Run, history: pl.DataFrame, standing: pl.DataFrame, came: Came
    ) -> None:
        """Write the units whose history is not the one that stands.

        Args:
            control: theirs.
            run: this one.
            history: `HISTORY_SCHEMA` with `key_hash`.
            standing: what is said of these units.
            came: told what was written.
        """
        if history.is_empty():
            return
        rows = unit_rows(control, history, run.generation)
        said = rows.with_columns(pl.col("stated_at").dt.timestamp("ns"), _shown(control)).select(_SAID_SCHEMA.names())
        stands = standing.select(_SAID_SCHEMA.names())
        same = said.join(stands, on=_SAID_SCHEMA.names(), how="semi").group_by("unit_id").len("same")
        ours = said.group_by("unit_id").len("ours")
        theirs = stands.group_by("unit_id").len("theirs")
        equal = (
            ours.join(theirs, on="unit_id").join(same, on="unit_id")
            .filter((pl.col("ours") == pl.col("theirs")) & (pl.col("ours") == pl.col("same")))
        )  # fmt: skip
        changed = rows.join(equal, on="unit_id", how="anti")
        if changed.is_empty():
            return
        insert(self._client, "windowed_verdicts_built", to_table("windowed_verdicts_built", changed))
        self._at("16.windowed_verdicts_built")
        violated = pl.col("verdict") == Verdict.VIOLATED.value
        were = pl.concat([each.filter(violated).select("unit_id") for each in (changed, standing)]).unique()
        came.findings.update(changed.join(were, on="unit_id", how="semi")["finding_id"].unique())
        came.units += changed["unit_id"].n_unique()

    def withdraw(self, control: WindowedControl, run: Run, came: Came) -> None:
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
            self._at("16.windowed_verdicts_built")
            came.findings.update(finding.bytes for _, finding in some)
            came.units += len(units)

    def find(self, controls: Sequence[WindowedControl], run: Run, came: Mapping[str, Came]) -> None:
        """Count findings again: of all texts of a control together, since they share its findings.

        Args:
            controls: all that were judged.
            run: this one.
            came: what came of each, by its rule.
        """
        for control_id in dict.fromkeys(control.control.id for control in controls):
            texts = [control for control in controls if control.control.id == control_id]
            findings = set[bytes]().union(*(came[text.rule].findings for text in texts))
            asked = {
                "rules": [text.rule for text in texts], "generation": run.generation,
                "versions": [text.control.version for text in texts],
                **{name: [getattr(text.control, name) for text in texts] for name in ("kind", "severity")},
                "domain": [text.control.domains[0] for text in texts],
            }  # fmt: skip
            for some in portions(sorted(_uuid(each) for each in findings)):
                self._client.command(sql.FINDINGS, parameters={**asked, "findings": some})
                self._at("16.findings_built")


def text_of(control: WindowedControl) -> str:
    """The rule, and the time in which it is in force: with another one, windows are judged that were not before."""
    span = control.span
    return control.rule if span == ALWAYS else f"{control.rule} {span.since_ns} {span.until_ns}"


def reached_units(
    control: WindowedControl, history: pl.DataFrame, named: pl.DataFrame, reach: pl.DataFrame
) -> pl.DataFrame:
    """The units that may have changed, whose facts are all there and that are the text's to judge, with `key_hash`.

    Args:
        control: theirs.
        history: of all units that some fact is in.
        named: `keys` with their `key_hash`; more than once each.
        reach: key_hash, low and high: a stretch of time in which units of the key begin that something bears on.
    """
    hashes = named.select("keys", "key_hash").unique("keys")
    units = history.filter(begins_within(control)).with_row_index("at_row").join(hashes, on="keys", how="inner")
    begins = units.select("at_row", "key_hash", "since").join(reach, on="key_hash")
    hit = begins.filter(pl.col("since").is_between("low", "high")).select("at_row").unique()
    return units.join(hit, on="at_row", how="semi").drop("at_row")


def _shown(control: WindowedControl) -> pl.Expr:
    if control.windowed.kind == "window":
        return pl.lit("").alias("shown")
    ids = pl.col("sample_event_ids").list.eval(pl.element().bin.encode("hex"))
    return ids.list.join(",").alias("shown")


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
