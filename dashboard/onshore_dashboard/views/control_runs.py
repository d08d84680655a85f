"""Runs of controls: which ran in which hours, which missed some, and how far the log has sealed that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl
import streamlit as st

from onshore_dashboard import run_queries, session
from onshore_dashboard.formats import number
from onshore_dashboard.markup import Column, Html, Tile, chip, paragraph, table, text, tiles
from onshore_dashboard.views.notices import explained

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

_DAYS: Final = 30
_COUNTS: Final = {"event": "events", "window": "windows", "sequence": "sequences", "absence": "absences"}


@st.fragment(run_every="30s")
def section() -> None:
    """The section of a page."""
    with explained():
        st.subheader("Runs of controls, hour by hour")
        since = session.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=_DAYS)
        runs = run_queries.runs(session.CALM, since)
        if runs.is_empty():
            st.html(
                paragraph(
                    "No control has run yet. Runs are counted once a minute from the log's entries, as soon as events "
                    "are sealed; `onshore status` says whether worker and sequencer run.",
                    "empty",
                )
            )
            return
        _show(runs, run_queries.seals(session.CALM, since).row(0, named=True))


def _show(runs: pl.DataFrame, sealed: dict[str, Any]) -> None:
    missed = runs.filter(pl.col("missing") > 0)
    st.html(
        paragraph(
            f"Of each hour of the last {_DAYS} days in which events were sealed: was every control in force put to all "
            "of them? Ten minutes after its end the evidence log commits to the answer."
        )
    )
    st.html(tiles(_tiles(runs, missed, sealed)))
    st.html(_table(missed, "Controls that missed hours", "No control missed an hour in which events were sealed."))
    with st.expander(f"Every control ({number(runs.height)})"):
        st.html(_table(runs.sort("control_id"), "Every control that ran", ""))
    if not missed.is_empty():
        st.html(
            paragraph(
                "An hour that a control missed is a finding of ONS-COV-12. Put its file back, then run it over what it "
                "missed: onshore controls backtest. A control that is to end is retired: onshore controls retire."
            )
        )


def _tiles(runs: pl.DataFrame, missed: pl.DataFrame, sealed: dict[str, Any]) -> list[Tile]:
    unsealed = sealed["hours"] - sealed["sealed"]
    return [
        Tile("Controls that ran", number(runs.height), "retired ones among them"),
        Tile(
            "Controls that missed hours",
            number(missed.height),
            "not put to every sealed event" if missed.height else "every control saw every event",
            "bad" if missed.height else "good",
        ),
        Tile(
            "Hours sealed",
            f"{number(sealed['sealed'])} of {number(sealed['hours'])}",
            f"the newest from {_hour(sealed['newest'])} UTC" if sealed["newest"] else "none is over yet",
            "late" if unsealed > 3 else "good" if sealed["sealed"] else "unsure",  # noqa: PLR2004 - this hour, the last, and two of seals alone
        ),
    ]


def _table(rows: pl.DataFrame, label: str, empty: str) -> Html:
    columns = (
        Column("Control", wide=True), Column("State"), Column("Last run, UTC", numeric=True),
        Column("Hours expected", numeric=True), Column("Run", numeric=True), Column("Missing", numeric=True),
        Column("What is missing", wide=True),
    )  # fmt: skip
    return table(columns, (_row(row) for row in rows.iter_rows(named=True)), label, empty)


def _row(row: dict[str, Any]) -> tuple[str | Html, ...]:
    title = f"<br><small>{text(row['title'])}</small>" if row["title"] else ""
    what = (
        f"{number(row['events_missed'])} sealed events, last in the hour from {_hour(row['last_missing'])}"
        if row["missing"]
        else f"nothing; it counts {_COUNTS[row['looks_at']]}"
    )
    return (
        Html(f"{text(row['control_id'])}{title}"),
        chip("missed" if row["missing"] else "ran", "late" if row["missing"] else "satisfied"),
        _hour(row["last_run"]) if row["last_run"] else "never",
        number(row["expected"]),
        number(row["run"]),
        number(row["missing"]),
        what,
    )


def _hour(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"
