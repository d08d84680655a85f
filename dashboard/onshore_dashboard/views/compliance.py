"""Compliance: which controls hold, over which denominators, and where the data went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from onshore_dashboard import charts, finding_queries, finding_standings, pages, queries, session, summaries
from onshore_dashboard.finding_queries import FindingFilter
from onshore_dashboard.formats import claimed, moment, number, share, size
from onshore_dashboard.geometry import country_name
from onshore_dashboard.markup import (
    Column,
    Html,
    Tile,
    chip,
    legend,
    paragraph,
    severity,
    table,
    text,
    tiles,
    verdict_bar,
)
from onshore_dashboard.summaries import Tally
from onshore_dashboard.theme import SATISFIED, VIOLATED
from onshore_dashboard.views.disputes import show_disputes
from onshore_dashboard.views.finding_list import kind_word, show_findings
from onshore_dashboard.views.notices import explained, show_unusable_keys
from onshore_dashboard.views.scope import choose_scope, jurisdiction_name

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

_WORST = 8
_SHOWN_FLOWS = 12
_STANDINGS = {
    "within": "within the country",
    "abroad": "abroad",
    "flagged": "abroad, in a finding",
    "unknown": "unknown",
}


def show() -> None:
    """The page."""
    st.title("Compliance")
    controls = queries.controls(session.CALM)
    scope = choose_scope(sorted(set(controls["jurisdiction"]), key=lambda code: (code == "*", code)))
    _figures(scope)
    st.subheader("Where the data went")
    _flows(scope)
    st.subheader("Where sources disagree")
    show_disputes(scope)
    st.subheader("Worst findings")
    _worst(scope)


@st.fragment(run_every="5s")
def _figures(scope: queries.Scope) -> None:
    with explained():
        _show_figures(scope)


def _show_figures(scope: queries.Scope) -> None:
    verdicts = queries.verdicts(session.CALM, scope)
    rows = summaries.by_control(verdicts, queries.controls(session.CALM), scope.jurisdiction)
    flows = summaries.flow_totals(queries.flows(session.CALM, scope))
    overall = summaries.tally(verdicts)
    st.html(tiles(_tiles(overall, summaries.violated_by_kind(rows), flows)))
    if overall.applicable == 0:
        st.html(paragraph(_nothing_judged(queries.newest_hour(session.CALM)), "empty"))
    st.subheader("Controls")
    st.html(legend())
    st.html(_controls_table(rows))
    st.html(
        paragraph(
            "A verdict is one control on one event; “could not be decided” means that a fact it needs is unknown: "
            "it counts as neither satisfied nor violated and stays in every denominator. "
            f"Times are UTC. Asked at {moment(session.now())}."
        )
    )


def _nothing_judged(newest: datetime | None) -> str:
    if newest is None:
        return "No event has been judged yet; verdicts appear here as soon as they are rolled up."
    if newest > session.now() + queries.CREDIBLE_AHEAD:
        return f"No control applied to an event of this period and scope. The newest is of {claimed(newest)}."
    return f"No control applied to an event of this period and scope. The newest is of {newest:%Y-%m-%d %H:%M} UTC."


def _tiles(overall: Tally, violated: dict[str, int], flows: summaries.FlowTotals) -> list[Tile]:
    kinds = (("violation", "breach"), ("review", "for review"), ("exposure", "exposure"))
    split = ", ".join(f"{number(violated[kind])} {said}" for kind, said in kinds if violated.get(kind))
    return [
        Tile(
            "Satisfied",
            share(overall.satisfied, overall.applicable),
            f"{number(overall.satisfied)} of {number(overall.applicable)} applicable verdicts",
            "good" if overall.satisfied else "",
        ),
        Tile(
            "Violated",
            number(overall.violated),
            f"{share(overall.violated, overall.applicable)} of applicable" + (f": {split}" if split else ""),
            "bad" if overall.violated else "",
        ),
        Tile(
            "Could not be decided",
            number(overall.undetermined),
            f"{share(overall.undetermined, overall.applicable)} of applicable; a fact was unknown",
            "unsure" if overall.undetermined else "",
        ),
        Tile(
            "Data and model calls abroad",
            number(flows.abroad),
            f"{share(flows.abroad, flows.all)} of {number(flows.all)} events",
        ),
        Tile(
            "From or to an unknown place",
            number(flows.unknown),
            f"{share(flows.unknown, flows.all)} of events; on no map",
            "unsure" if flows.unknown else "",
        ),
    ]


def _controls_table(rows: pl.DataFrame) -> Html:
    columns = (
        Column("Control", wide=True), Column("Severity"), Column("Kind"), Column("Applicable", numeric=True),
        Column("Satisfied", numeric=True), Column("Violated", numeric=True), Column("Undecided", numeric=True),
        Column("Share satisfied", numeric=True), Column("Verdicts"),
    )  # fmt: skip
    lines: list[tuple[str | Html | None, ...]] = []
    tallies = summaries.by_jurisdiction(rows)
    for jurisdiction, tally in tallies.items():
        of = f"{share(tally.satisfied, tally.applicable)} satisfied of {number(tally.applicable)} applicable"
        lines.append((Html(f'{text(jurisdiction_name(jurisdiction))} <span class="on-small">{of}</span>'),))
        lines += [_control_line(row) for row in rows.iter_rows(named=True) if row["jurisdiction"] == jurisdiction]
    return table(columns, lines, "Verdicts by control", "No control has been loaded into the store yet.")


def _control_line(row: dict[str, str | int]) -> tuple[str | Html | None, ...]:
    tally = Tally(int(row["satisfied"]), int(row["violated"]), int(row["undetermined"]))
    control_id, title, instrument = (text(str(row[name])) for name in ("control_id", "title", "instrument"))
    link = f'<a href="findings?control={control_id}">{control_id}</a>'
    return (
        Html(f"{link} {title}<br><small>{instrument}</small>"),
        severity(str(row["severity"])),
        kind_word(str(row["kind"])),
        number(tally.applicable),
        number(tally.satisfied),
        number(tally.violated),
        number(tally.undetermined),
        share(tally.satisfied, tally.applicable),
        verdict_bar(tally),
    )


@st.fragment(run_every="30s")
def _flows(scope: queries.Scope) -> None:
    with explained():
        _show_flows(scope)


def _show_flows(scope: queries.Scope) -> None:
    flows = queries.flows(session.CALM, scope)
    flagged = queries.flagged_destinations(session.CALM, scope)
    standing = summaries.classify_flows(flows, flagged)
    totals = summaries.flow_totals(flows)
    st.html(_map_legend())
    st.vega_lite_chart(spec=charts.flow_map(standing), width="stretch", key="flow_map")
    undrawn = f"{number(totals.unknown)} of {number(totals.all)} events ({share(totals.unknown, totals.all)})"
    st.html(
        paragraph(
            f"{undrawn} have no known source or destination country and cannot be drawn. "
            "Lines join countries, not routes. Borders: Natural Earth, simplified; they express no opinion on "
            "the status of any territory."
        )
    )
    st.html(_flows_table(standing.head(_SHOWN_FLOWS), totals.all))
    if standing.height > _SHOWN_FLOWS:
        with st.expander(f"All {number(standing.height)} flows"):
            st.html(_flows_table(standing, totals.all))


def _map_legend() -> Html:
    keys = (("abroad", SATISFIED), ("abroad, named by a finding", VIOLATED))
    lines = "".join(f'<span><i class="on-line" style="color:{colour}"></i>{said}</span>' for said, colour in keys)
    return Html(f'<div class="on-legend">{lines}<span>wider: more events</span></div>')


def _flows_table(flows: pl.DataFrame, total: int) -> Html:
    columns = (
        Column("From"), Column("To"), Column("Standing"), Column("Events", numeric=True), Column("Share", numeric=True),
        Column("Bytes", numeric=True), Column("Destination attested or observed", numeric=True),
        Column("Controlled from"),
    )  # fmt: skip
    rows = (
        (
            country_name(row["source"]) if row["source"] else None,
            country_name(row["destination"]) if row["destination"] else None,
            chip(_STANDINGS["flagged"], "severity-high")
            if row["standing"] == "flagged"
            else _STANDINGS[row["standing"]],
            number(row["events"]),
            share(row["events"], total),
            size(row["bytes"]),
            share(row["firm"], row["events"]),
            ", ".join(country_name(code) for code in row["controllers"] if code) or None,
        )
        for row in flows.iter_rows(named=True)
    )
    return table(columns, rows, "Flows between countries", "No data movement or model call in this period and scope.")


@st.fragment(run_every="10s")
def _worst(scope: queries.Scope) -> None:
    with explained():
        now = session.now()
        found = finding_queries.findings(session.CALM, FindingFilter(scope), now, _WORST)
        controls = queries.controls(session.CALM)
        every = finding_standings.standing_findings(
            session.CALM, FindingFilter(scope), None, summaries.controls_of(controls, scope.jurisdiction), now,
            session.folders(),
        )  # fmt: skip
        show_unusable_keys()
        waived = sum(each.waiver is not None for each in every)
        st.html(
            paragraph(
                f"{number(waived)} of {number(len(every))} findings wait under a waiver; none is left out of any count."
            )
        )
        show_findings(found, summaries.control_titles(controls), now, finding_standings.by_id(every))
        if found.height:
            st.page_link(pages.findings(), label="All findings", icon=":material/arrow_forward:", icon_position="right")
