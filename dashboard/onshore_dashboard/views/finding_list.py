"""A list of findings, one line each, the title a link to its detail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from onshore_dashboard import pages
from onshore_dashboard.formats import number, seen, size
from onshore_dashboard.markup import Html, chip, severity, text
from onshore_dashboard.queries import CREDIBLE_AHEAD
from onshore_dashboard.summaries import fingerprint
from onshore_pipeline.findings.clocks import in_words
from onshore_pipeline.findings.life import CLOSED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import polars as pl

    from onshore_pipeline.findings.standing import Standing

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")
_COLUMNS: Final = (1.5, 6, 3)


def show_findings(
    found: pl.DataFrame, titles: Mapping[str, str], now: datetime, standings: Mapping[str, Standing]
) -> None:
    """Takes `finding_queries.findings`, control titles by id, and what people did about findings by their ids."""
    if found.is_empty():
        st.html('<p class="on-empty">No findings in this period and scope.</p>')
        return
    target = pages.finding()
    lines = st.container(key="finding-lines", gap="xxsmall")
    for row in found.iter_rows(named=True):
        level, about, figures = lines.columns(_COLUMNS, gap="small", vertical_alignment="top")
        level.html(f"{severity(row['severity'])} {kind_chip(row['kind'])}")
        title = titles.get(row["control_id"], row["control_id"])
        about.page_link(target, label=plain(title), query_params={"finding": row["finding"]})
        about.html(f'<div class="on-small">{text(row["control_id"])} · {fingerprint_line(row)}</div>')
        standing = standings.get(row["finding"])
        if standing is not None:
            about.html(f'<div class="on-small">{standing_line(standing, now)}</div>')
        last = seen(row["last_seen"], now, CREDIBLE_AHEAD)
        figures.html(
            f'<div>{_counted(row, standing)}<div class="on-small">{text(row["tenant"])} · last seen {last}</div></div>'
        )


def _counted(row: Mapping[str, Any], standing: Standing | None) -> Html:
    """How many events and bytes; how many windows, sequences or absences, of which bytes say nothing."""
    if standing is not None and standing.looks_at != "event":
        return text(standing.counted)
    stated = f", {size(row['bytes'])}" if row["bytes"] else ""  # no event said how much it was
    return Html(f"<b>{number(row['events'])}</b> event{'' if row['events'] == 1 else 's'}{stated}")


def standing_line(standing: Standing, now: datetime) -> Html:
    """State, owner, waiver and time left."""
    said = [text(f"{standing.state}{f', {standing.life.owner}' if standing.life.owner else ''}")]
    if standing.waiver is not None:
        said = [chip("waived", "kind"), text(f"until {standing.waiver.expires:%Y-%m-%d %H:%M} UTC")]
    if standing.due is not None:
        said.append(Html(f"<b>{text(in_words(standing.due, now))}</b> ({text(standing.due.clock_id)})"))
    elif standing.deadlines and standing.state not in CLOSED:
        said.append(text("no clock runs yet"))
    return Html(" · ".join(said))


def kind_word(kind: str) -> str:
    """What a violated control of this kind means: a breach, something a person must judge, or a lawful exposure."""
    return {"violation": "breach", "review": "review", "exposure": "exposure"}.get(kind, kind)


def kind_chip(kind: str) -> Html:
    """The word for a kind of control."""
    return chip(kind_word(kind), "kind")


def fingerprint_line(row: Mapping[str, Any]) -> Html:
    """What the finding's events have in common, but for the tenant, which stands beside it."""
    pairs = fingerprint(row["fingerprint"])
    said = [
        f"{text(key.replace('_', ' '))} <b>{text(value or 'unknown')}</b>" for key, value in pairs if key != "tenant"
    ]
    return Html(" · ".join(said))


def plain(words: str) -> str:
    """Words that Markdown must leave alone."""
    return _MARKDOWN.sub(r"\\\1", words)
