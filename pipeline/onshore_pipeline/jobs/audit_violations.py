"""Audit of what violations say beside what their message sealed: made again from event and control, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import polars as pl

from onshore_pipeline.controls.fingerprints import violations_of
from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.jobs.stored_events import BESIDE_OTHERS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from clickhouse_connect.driver.client import Client
    from numpy.typing import NDArray

    from onshore_pipeline.domain.control import Control
    from onshore_pipeline.jobs.audit_rules import SealedRules

# What many violations share is asked for once.
_SHARED: Final = """
SELECT DISTINCT toValidUTF8(toString(control_id)) AS control_id, control_version, finding_id,
    toValidUTF8(toString(kind)) AS kind, toValidUTF8(toString(severity)) AS severity,
    toValidUTF8(arrayStringConcat(
        arrayMap((k, v) -> concat(k, char(0), v), mapKeys(fingerprint), mapValues(fingerprint)), char(1)
    )) AS told, has(mapValues(fingerprint), 'deleted') AS is_closed
FROM violations WHERE attempt_id IN {attempts:Array(UUID)}
"""
_OF_EVENT: Final = ("tenant", "domain", "occurred_at", "ingested_at", "bytes")
_CONTROL: Final = ("control_id", "control_version")
_OF_CONTROL: Final = ("kind", "severity", "told")


def violation_problems(
    client: Client,
    named: Mapping[str, Any],
    events: pl.DataFrame,
    sound: NDArray[np.bool_],
    found: pl.DataFrame,
    rules: SealedRules,
) -> Iterator[Problem]:
    """Violations that say another thing than event and control.

    Args:
        client: a connection.
        named: `attempts`, those that were read.
        events: their rows, as in `StoredEvents`.
        sound: by event, whether its row is what was sealed.
        found: their violations, with `row`; beyond the events: of one that was deleted.
        rules: the controls.

    Raises:
        StoreUnavailable: try again later.
    """
    there = found.filter(pl.col("row") < events.height)
    kept = there.filter(sound[there["row"].to_numpy()])
    if kept.is_empty():
        return
    of_event = events.select(pl.col(_OF_EVENT).gather(kept["row"]))
    differs = pl.DataFrame([kept[name].ne_missing(of_event[name].cast(kept[name].dtype)) for name in _OF_EVENT])
    for place in differs.select(pl.any_horizontal(pl.all()).arg_true()).to_series():
        what = [name for name in _OF_EVENT if differs[name][place]]
        yield _problem("event", kept["event_id"][place], kept["control_id"][place], what)
    made, unknown = _made(events, kept, rules)
    for control, version in unknown:
        why = "no text of it is proved: its violations were not made again"
        where = f"violations of {control} version {version}"
        yield Problem("uncheckable", where, why, {"table": "violations", "control": control})
    others = kept.join(made, on=["row", *_CONTROL, "finding_id"], how="anti").join(
        made, on=["row", *_CONTROL], how="semi"
    )
    for event, control in others.select("event_id", "control_id").rows():
        yield _problem("event", event, control, ["finding_id"])
    with store_errors():
        shared = pl.from_arrow(
            client.query_arrow(_SHARED, parameters=dict(named), settings=BESIDE_OTHERS, use_strings=True)
        )
    assert isinstance(shared, pl.DataFrame)
    closed = found.filter(pl.col("row") >= events.height)["finding_id"]
    yield from _of_shared(shared, made, set(closed))


def _made(events: pl.DataFrame, kept: pl.DataFrame, rules: SealedRules) -> tuple[pl.DataFrame, list[tuple[str, int]]]:
    """What the texts of the violated controls give, and those of which no text is proved."""
    violated: list[tuple[Control, pl.Series]] = []
    unknown = []
    for (control, version), some in kept.partition_by(_CONTROL, as_dict=True).items():
        texts = rules.told(str(control), int(version))
        unknown += [] if texts else [(str(control), int(version))]
        # A text tells of a control what a fingerprint needs.
        violated += [(cast("Control", text), some["row"]) for text in texts]
    made = violations_of(events, violated)
    pairs = pl.element().struct.field("key") + "\0" + pl.element().struct.field("value")
    by = [*_CONTROL, "finding_id"]
    fingerprints = made.unique(by).select(*by, told=pl.col("fingerprint").list.eval(pairs).list.join("\1"))
    return made.drop("fingerprint").join(fingerprints, on=by, how="left"), unknown


def _of_shared(shared: pl.DataFrame, made: pl.DataFrame, closed: set[bytes]) -> Iterator[Problem]:
    by = [*_CONTROL, "finding_id"]
    expected = made.select(*by, *_OF_CONTROL).unique()
    others = shared.join(expected, on=[*by, *_OF_CONTROL], how="anti")
    both = others.join(expected, on=by, how="inner", suffix="_made")
    for row in both.iter_rows(named=True):
        what = [name for name in _OF_CONTROL if row[name] != row[f"{name}_made"]]
        if row["is_closed"] and row["finding_id"] in closed:  # who it was went with one of its events
            what = [name for name in what if name != "told"]
        if what:
            named = ["fingerprint" if name == "told" else name for name in what]
            yield _problem("finding", row["finding_id"], row["control_id"], named)


def _problem(of: str, about: bytes, control: str, what: list[str]) -> Problem:
    name = str(UUID(bytes=about))
    why = f"its row says another {', '.join(what)} than event and control give"
    place = {"table": "violations", "control": control, f"{of}_id": name}
    return Problem("violation", f"violation of {control} by {of} {name}", why, place)
