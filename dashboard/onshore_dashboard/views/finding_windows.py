"""The windows, sequences or absences behind a finding: what was said of each, and what a late event made of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from onshore_dashboard.formats import moment
from onshore_dashboard.markup import text

if TYPE_CHECKING:
    import polars as pl

_NAMES: Final = {"window": "Windows", "sequence": "Sequences", "absence": "Absences"}
_COLUMNS: Final = (2.4, 1.6, 3, 2)


def show_windows(said: pl.DataFrame) -> None:
    """A line each time something was said; `said` has the columns of `window_queries.finding_windows`."""
    st.subheader(_NAMES.get(str(said["looks_at"][0]), "Windows"))
    restated = said.filter(said["before"] != "").height
    note = f"{said['unit'].n_unique()} shown; {restated} times a late event changed what was said. Times are UTC."
    st.html(f'<p class="on-note">{note}</p>')
    lines = st.container(key="window-lines", gap="xxsmall")
    heads = lines.columns(_COLUMNS, gap="small")
    for head, name in zip(heads, ("From, to", "Said", "Known", "Since"), strict=True):
        head.html(f'<div class="on-small"><b>{name}</b></div>')
    for row in said.iter_rows(named=True):
        span, verdict, known, when = lines.columns(_COLUMNS, gap="small")
        span.html(f"{moment(row['since'])} to {moment(row['until'])}")
        verdict.html(_verdict(row))
        known.html(_known(row))
        when.html(moment(row["stated_at"]))


def _verdict(row: dict[str, Any]) -> str:
    lacks = f" <span class='on-small'>{text(row['missing'])} missing</span>" if row["missing"] else ""
    before = f" <span class='on-small'>restated, was {text(row['before'])}</span>" if row["before"] else ""
    return f"{text(row['verdict'])}{lacks}{before}"


def _known(row: dict[str, Any]) -> str:
    known = json.loads(row["known"])
    return str(text(", ".join(f"{name} ≥ {value}" for name, value in known.items()) or f"{row['events']} events"))
