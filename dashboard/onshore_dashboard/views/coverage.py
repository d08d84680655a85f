"""Coverage: how much of what should have been seen was seen, who is silent, what is missing, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import streamlit as st

from onshore_dashboard import coverage_figures, coverage_queries, session
from onshore_dashboard.coverage_figures import MOST_SUGGESTED, Seen
from onshore_dashboard.formats import NOTHING, ago, duration, moment, number, share
from onshore_dashboard.markup import Column, Html, Tile, chip, paragraph, table, text, tiles
from onshore_dashboard.views import control_runs
from onshore_dashboard.views.notices import explained
from onshore_dashboard.views.scope import ANY

if TYPE_CHECKING:
    from datetime import datetime

_TONES: Final = {
    "silent": "severity-high", "wrong": "severity-high", "missed": "late", "seen": "satisfied",
    "waiting": "plain", "unknown": "plain",
}  # fmt: skip
_KINDS: Final = {
    "register": "the register", "heard": "heard in time", "silence": "silence", "sequence": "numbers",
    "sequence_gap": "numbers", "dropped": "lost by the sender", "digests": "digests", "digest_gap": "digests",
    "clock": "clock", "losses": "lost by a decoder", "skipped": "skipped by the source", "offsets": "log",
    "unregistered": "not registered", "control_run": "controls not run",
}  # fmt: skip
_UNITS: Final = {"s": "the time", "hours": "hours"}
_CODE: Final = re.compile(r"`([^`]+)`")
_MOST_PARTS: Final = 50


def show() -> None:
    """The page."""
    st.title("Coverage")
    with explained():
        tenant, _ = st.columns([1, 3])
        found = coverage_queries.tenants(session.CALM)
        chosen = tenant.selectbox("Tenant", [ANY, *found], key="tenant", bind="query-params")
        _measured(None if chosen in {ANY, None} else chosen)
    control_runs.section()


@st.fragment(run_every="10s")
def _measured(tenant: str | None) -> None:
    with explained():
        now = session.now()
        rows = coverage_queries.coverage(session.CALM, tenant)
        if rows.is_empty():
            st.html(
                paragraph(
                    "Coverage was not measured yet. The sequencer does so once a minute; `onshore status` says whether "
                    "it runs.",
                    "empty",
                )
            )
            return
        _sections(rows, now)


def _sections(rows: pl.DataFrame, now: datetime) -> None:
    measured_at = rows["measured_at"][0]
    st.html(
        paragraph(
            "A verdict speaks of what arrived. This says how much of what should have arrived did, over the last "
            f"30 days, as measured {ago(measured_at, now)} ({moment(measured_at)} UTC)."
        )
    )
    if rows.height >= coverage_queries.MOST_ROWS:
        st.html(
            paragraph(
                f"There is more than fits: the {number(rows.height)} worst rows stand here, and these figures are of "
                "them alone. Choose a tenant, or ask onshore status --coverage --json for everything."
            )
        )
    st.html(tiles(_tiles(rows)))
    st.subheader("What to look at")
    st.html(_to_mend(coverage_figures.to_mend(rows), now))
    expected = rows.filter(pl.col("kind") == "heard")
    st.subheader("Expected sources")
    if expected.is_empty():
        _first_register(rows, now)
    else:
        st.html(_expected(expected, now))
    parts = rows.filter(pl.col("kind").is_in(coverage_figures.PARTS)).sort("since", descending=True, nulls_last=True)
    st.subheader("Silences and gaps, one by one")
    st.html(_parts(parts.head(_MOST_PARTS)))
    if parts.height > _MOST_PARTS:
        st.html(paragraph(f"The newest {_MOST_PARTS}; `onshore status --coverage --json` has all that are kept."))
    st.subheader("Other measures")
    kinds = ("heard", "unregistered", "measured", *coverage_figures.PARTS)
    others = rows.filter((pl.col("state").is_in(("seen", "unknown", "waiting"))) & ~pl.col("kind").is_in(kinds))
    st.html(_others(others))
    strangers = rows.filter(pl.col("kind") == "unregistered")
    if not strangers.is_empty() and not expected.is_empty():
        st.subheader("Heard, and expected by nobody")
        st.html(_strangers(strangers, now))
        with st.expander("Rows of the register that would expect them"):
            _suggestion(rows, now)


def _tiles(rows: pl.DataFrame) -> list[Tile]:
    told = coverage_figures.figures(rows)
    return [
        Tile(
            "Expected time that was heard",
            share(told.time.seen, told.time.expected),
            f"of {number(told.sources)} expected sources together" if told.sources else "no source is registered",
            _tone(told.time),
        ),
        Tile(
            "Silent now",
            f"{number(told.silent)} of {number(told.sources)}" if told.sources else NOTHING,
            "for longer than the register allows",
            "bad" if told.silent else "good" if told.sources else "unsure",
        ),
        Tile(
            "Numbered messages that came",
            share(told.numbers.seen, told.numbers.expected),
            f"{number(told.numbers.expected - told.numbers.seen)} of {number(told.numbers.expected)} never came",
            _tone(told.numbers),
        ),
        Tile("To look at", number(told.wrong), "sources, clocks, losses", "bad" if told.wrong else "good"),
        Tile(
            "Not registered",
            number(told.unregistered),
            "heard, but nobody would miss them",
            "late" if told.unregistered else "good",
        ),
    ]


def _tone(seen: Seen) -> str:
    if not seen.expected:
        return "unsure"
    return "good" if seen.seen == seen.expected else "bad"


def _to_mend(rows: pl.DataFrame, now: datetime) -> Html:
    columns = (
        Column("State"), Column("Source", wide=True), Column("Seen", numeric=True), Column("What", wide=True),
        Column("What to do", wide=True),
    )  # fmt: skip
    return table(
        columns,
        (
            (_state(row), _name(row), _share(row), _what(row, now), _remedy(row))
            for row in rows.iter_rows(named=True)
        ),
        "What to look at",
        "Nothing that is measured is missing.",
    )  # fmt: skip


def _expected(rows: pl.DataFrame, now: datetime) -> Html:
    columns = (
        Column("State"), Column("Source", wide=True), Column("Time heard", numeric=True), Column("Last heard"),
        Column("Measured as", wide=True), Column("Owner"), Column("Why it matters", wide=True),
    )  # fmt: skip
    return table(
        columns,
        (
            (
                _state(row), _name(row), _share(row), ago(row["last_heard"], now), row["why"], row["owner"],
                row["matters"],
            )
            for row in rows.iter_rows(named=True)
        ),
        "Expected sources",
        "",
    )  # fmt: skip


def _parts(rows: pl.DataFrame) -> Html:
    columns = (
        Column("From, UTC"), Column("To, UTC"), Column("Length"), Column("Kind"), Column("Source", wide=True),
        Column("Missing", wide=True),
    )  # fmt: skip
    return table(
        columns,
        (
            (
                moment(row["since"]), moment(row["until"]),
                duration(row["until"] - row["since"]) if row["since"] and row["until"] else NOTHING,
                _KINDS[row["kind"]], _name(row), row["why"],
            )
            for row in rows.iter_rows(named=True)
        ),
        "Silences and gaps",
        "No silence, no hole in a sequence, no missing digest.",
    )  # fmt: skip


def _others(rows: pl.DataFrame) -> Html:
    columns = (Column("State"), Column("Measure"), Column("Source", wide=True), Column("Seen", numeric=True),
               Column("What", wide=True))  # fmt: skip
    return table(
        columns,
        (
            (_state(row), _KINDS.get(row["kind"], row["kind"]), _name(row), _share(row), row["why"])
            for row in rows.iter_rows(named=True)
        ),
        "Other measures",
        "No sender numbers its messages, and no chain of digests was verified: nothing says whether one is missing.",
    )


def _strangers(rows: pl.DataFrame, now: datetime) -> Html:
    columns = (Column("Tenant"), Column("Collector", wide=True), Column("Format"), Column("Last heard"))
    return table(
        columns,
        (
            (row["tenant"], row["collector"] or None, row["source"], ago(row["last_heard"], now))
            for row in rows.iter_rows(named=True)
        ),
        "Heard, and expected by nobody",
        "",
    )


def _first_register(rows: pl.DataFrame, now: datetime) -> None:
    st.html(
        paragraph(
            "No source is registered, so nobody would be missed: silence is not noticed, and there is no share of what "
            "should have been seen. Say who must be heard in the file expected_sources.yaml of the folder that "
            "ONSHORE_CONTEXT_DIR names. It is read again with every measurement.",
            "lead",
        )
    )
    _suggestion(rows, now)


def _suggestion(rows: pl.DataFrame, now: datetime) -> None:
    st.code(coverage_figures.suggested_register(rows, now), language="yaml")
    st.html(
        paragraph(
            f"Made from who was heard ({MOST_SUGGESTED} at most). Set how often each must be heard, who mends it and "
            "why it matters; docs/coverage.md explains every line."
        )
    )


def _state(row: dict[str, Any]) -> Html:
    return chip(row["state"], _TONES.get(row["state"], "plain"))


def _name(row: dict[str, Any]) -> Html:
    name = row["source"] or row["collector"]
    whose = " · ".join(part for part in (row["tenant"], row["collector"] if row["source"] else "") if part)
    shown = text(name) if name else Html('<span class="on-unknown">not named</span>')
    return Html(f"{shown}<br><small>{text(whose)}</small>" if whose else shown)


def _share(row: dict[str, Any]) -> Html:
    if row["expected"] is None or row["seen"] is None:
        return text(None)
    unit = _UNITS.get(row["unit"], row["unit"])
    of = f"of {unit}" if row["unit"] == "s" else f"of {number(row['expected'])} {unit}"
    return Html(f"{text(share(row['seen'], row['expected']))}<br><small>{text(of)}</small>")


def _what(row: dict[str, Any], now: datetime) -> Html:
    heard = f"; last heard {ago(row['last_heard'], now)}" if row["last_heard"] else ""
    kind = _KINDS.get(row["kind"], row["kind"])
    return Html(
        f"{text(row['why'] + heard)}<br><small>{text(' · '.join(filter(None, (kind, row['control_id']))))}</small>"
    )


def _remedy(row: dict[str, Any]) -> Html:
    remedy = row["remedy"] or (
        "Correct the file; until then the last good one stays in force." if row["kind"] == "register"
        else "`onshore status` says more."
    )  # fmt: skip
    asked = f"<br><small>owner: {text(row['owner'])}</small>" if row["owner"] else ""
    return Html(_CODE.sub(r"<code>\1</code>", text(remedy)) + asked)
