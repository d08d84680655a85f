"""Operations: is everything arriving, is it being judged, and who has fallen silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import streamlit as st

from onshore_dashboard import queries, session, summaries
from onshore_dashboard.formats import NOTHING, ago, clock, duration, moment, number, rate, share, size
from onshore_dashboard.markup import (
    Column,
    Html,
    Tile,
    chip,
    columns_over_time,
    paragraph,
    table,
    text,
    tiles,
)
from onshore_dashboard.views.notices import explained
from onshore_pipeline.domain.advice import what_to_send

if TYPE_CHECKING:
    import polars as pl

_HEARD_WITHIN: Final = timedelta(days=30)
_JUST_NOW: Final = timedelta(minutes=20)
_GAP_DAYS: Final = 30
_MOST_COLLECTORS: Final = 40


def show() -> None:
    """The page."""
    st.title("Operations")
    _live()
    st.subheader("What could not be decided, and what to send")
    _gaps()


@st.fragment(run_every="2s")
def _live() -> None:
    with explained():
        _show_live(session.now())


def _show_live(now: datetime) -> None:
    live, calm = session.LIVE, session.CALM
    committed = queries.rate(live, now)
    newest = committed["newest"].max()
    last_commit = newest if isinstance(newest, datetime) else queries.last_commit(calm)
    heard = summaries.merge_heard(
        queries.collectors(calm, _floor(now - _HEARD_WITHIN), _floor(now)),
        queries.collectors(live, _floor(now - _JUST_NOW), _floor(now)),
        now,
    )
    letters = queries.dead_letter_counts(live, _floor(now)).row(0, named=True)
    series = summaries.rate_series(committed, now)

    st.html(tiles(_tiles(now, series, last_commit, letters, heard)))
    st.html(_rate_chart(series, int(committed["events"].sum()), now))
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Collectors")
        st.html(_collectors_table(heard.head(_MOST_COLLECTORS), now))
        if heard.height > _MOST_COLLECTORS:
            st.html(paragraph(f"The {_MOST_COLLECTORS} longest silent of {number(heard.height)}."))
    with right:
        st.subheader("Open dead letters")
        st.html(_dead_letters_table(queries.dead_letters(live)))
        st.subheader("Store")
        st.html(_store_table(queries.newest_rollup(live), last_commit, now))
    st.subheader("Newest in the evidence log")
    st.html(_entries_table(queries.latest_entries(live, now)))


def _tiles(
    now: datetime,
    series: list[tuple[int, float]],
    last_commit: datetime | None,
    letters: dict[str, int],
    heard: pl.DataFrame,
) -> list[Tile]:
    silent, dropped = int(heard["silent"].sum()), int(heard["dropped_day"].sum())
    return [
        Tile("Events a second", rate(summaries.events_per_second(series)), "mean of the last minute"),
        _lag_tile(now),
        Tile("Last commit", ago(last_commit, now), f"{moment(last_commit)} UTC"),
        Tile(
            "Open dead letters",
            number(letters["open"]),
            f"{number(letters['day'])} in 24 h, {number(letters['ever'])} ever",
            "bad" if letters["open"] else "good",
        ),
        Tile(
            "Dropped by collectors, 24 h",
            number(dropped),
            "as the collectors report it",
            "bad" if dropped else "good",
        ),
        Tile(
            "Silent collectors",
            f"{number(silent)} of {number(heard.height)}",
            f"not heard from for {duration(summaries.SILENT_AFTER)}",
            "late" if silent else "good",
        ),
    ]


def _lag_tile(now: datetime) -> Tile:
    status = session.worker_status()
    waiting, known = summaries.waiting_messages(status), summaries.status_time(status)
    if waiting is None and status is not None and status.get("state") == "stopped":
        return Tile("Waiting messages", NOTHING, "the worker stopped: see `onshore status`", "bad")
    if waiting is None and status is not None and known is not None:
        return Tile("Waiting messages", NOTHING, "not known yet: no worker has joined its group", "unsure")
    if waiting is None:
        return Tile("Waiting messages", NOTHING, "not known here: no worker reports to this dashboard", "unsure")
    if status is not None and status.get("state") == "stopped":
        return Tile("Waiting messages", number(waiting), "the worker stopped: see `onshore status`", "bad")
    if known is None or now - known > timedelta(seconds=30):
        return Tile("Waiting messages", number(waiting), f"the worker last knew it {ago(known, now)}", "late")
    return Tile("Waiting messages", number(waiting), "not read by the worker yet", "good" if waiting == 0 else "")


def _rate_chart(series: list[tuple[int, float]], events: int, now: datetime) -> Html:
    titles = [f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}: {rate(value)} events/s" for at, value in series]
    top = max((value for _, value in series), default=0.0)
    label = f"Events a second over the last 15 minutes: {number(events)} events, at most {rate(top)} a second"
    chart = columns_over_time([value for _, value in series], titles, label)
    axis = (
        f'<div class="on-axis"><span>{clock(now - queries.RATE_WINDOW)} UTC</span>'
        f"<span>{number(events)} events committed in 15 minutes, at most {rate(top)} a second</span>"
        f"<span>{clock(now)} UTC</span></div>"
    )
    return Html(f'<div class="on-small">Events a second</div>{chart}{axis}')


def _collectors_table(heard: pl.DataFrame, now: datetime) -> Html:
    columns = (
        Column("Tenant"), Column("Collector"), Column("Last heard"), Column("Events", numeric=True),
        Column("Dropped", numeric=True),
    )  # fmt: skip
    rows = (
        (
            row["tenant"],
            Html(f"{text(row['collector'] or 'not named')}<br><small>{text(', '.join(row['source_formats']))}</small>"),
            Html(f"{ago(row['last_heard'], now)} {chip('silent', 'late') if row['silent'] else ''}"),
            number(row["events"]),
            number(row["dropped"]),
        )
        for row in heard.iter_rows(named=True)
    )
    return table(columns, rows, "Collectors heard from in 30 days", "No collector has been heard from in 30 days.")


def _dead_letters_table(letters: pl.DataFrame) -> Html:
    columns = (Column("Received (UTC)"), Column("Message"), Column("Why", wide=True))
    rows = (
        (
            Html(f"{moment(row['received_at'])}<br><small>{text(row['tenant'])}</small>"),
            Html(
                f"{text(row['topic'])}[{row['partition']}]@{row['offset']}<br><small>"
                f"{_records(row['records'])}, {size(row['size'])}"
                "</small>"
            ),
            Html(f"{text(row['reason'])}<br><small>at {text(row['stage'])}</small>"),
        )
        for row in letters.iter_rows(named=True)
    )
    return table(columns, rows, "Newest open dead letters", "No open dead letters.")


def _records(count: int) -> str:
    if count == 0:
        return "the whole message"
    return "1 record" if count == 1 else f"{number(count)} records"


def _store_table(rollup: pl.DataFrame, last_commit: datetime | None, now: datetime) -> Html:
    rows: list[tuple[str | Html | None, ...]] = []
    if rollup.is_empty():
        late = chip("none yet", "late")
        rows.append(("Rollups", Html(f"{late} compliance figures appear after the first rebuild")))
    else:
        newest = rollup.row(0, named=True)
        behind = summaries.rollups_behind(last_commit, newest["finished_at"], now)
        late = Html(f"{chip('behind', 'late')} by {duration(behind)}")
        work = f"{number(newest['hours'])} hours, {number(newest['findings'])} findings, {number(newest['took_ms'])} ms"
        rows.append(("Rollups", late if behind else "up to date with the evidence log"))
        rows.append(("Last rebuilt", f"{ago(newest['finished_at'], now)}: {work}"))
    rows.append(("Asked", f"{clock(now)} UTC"))
    return table((Column("Part"), Column("State")), rows, "State of the store", "")


def _entries_table(entries: pl.DataFrame) -> Html:
    columns = (
        Column("Committed (UTC)"), Column("Tenant"), Column("Message"), Column("Kind"), Column("Records", numeric=True),
        Column("Events", numeric=True), Column("Dead-lettered", numeric=True), Column("Entry hash"),
    )  # fmt: skip
    rows = (
        (
            moment(row["appended_at"]),
            row["tenant"],
            f"{row['topic']}[{row['partition']}]@{row['offset']}",
            row["kind"],
            number(row["records"]),
            number(row["events"]),
            number(row["dead_lettered"]),
            Html(f"<code>{text(row['entry_hash'][:16])}…</code>"),
        )
        for row in entries.iter_rows(named=True)
    )
    return table(columns, rows, "Newest log entries", "No message was committed in the last 15 minutes.")


@st.fragment(run_every="20s")
def _gaps() -> None:
    with explained():
        since = _floor(session.now() - timedelta(days=_GAP_DAYS))
        found = queries.gaps(session.CALM, queries.Scope(since=since))
        st.html(
            paragraph(
                f"Verdicts on events of the last {_GAP_DAYS} days. An unknown fact never counts as compliant; each "
                "heading says which one was missing."
            )
        )
        st.html(gaps_table(found))


def gaps_table(found: pl.DataFrame) -> Html:
    """Undetermined verdicts (`queries.gaps`) under the column that was missing, with the remedy."""
    columns = (
        Column("Tenant"), Column("Source format"), Column("Undetermined", numeric=True), Column("Share", numeric=True),
        Column("Controls it blocks", wide=True),
    )  # fmt: skip
    total = int(found["events"].sum())
    lines: list[tuple[str | Html | None, ...]] = []
    for (missing,), rows in found.group_by("missing", maintain_order=True):
        lines.append((_gap_heading(str(missing), int(rows["events"].sum())),))
        lines += [
            (row["tenant"], row["source_format"], number(row["events"]), share(row["events"], total), _listed(row))
            for row in rows.iter_rows(named=True)
        ]
    return table(columns, lines, "Undetermined verdicts by missing fact", "Every applicable verdict could be decided.")


def _gap_heading(missing: str, events: int) -> Html:
    name = f"<code>{text(missing)}</code>" if missing else "not named"
    remedy = _with_code(what_to_send(missing))
    return Html(f'{name} missing in {number(events)} verdicts: <span class="on-small">{remedy}</span>')


def _listed(row: dict[str, list[str]]) -> str:
    return ", ".join(row["control_ids"])


def _with_code(words: str) -> Html:
    pieces = text(words).split("`")
    return Html("".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces)))


def _floor(when: datetime) -> datetime:
    """The start of the minute, so that everyone who looks within it asks the same question."""
    return when.replace(second=0, microsecond=0)
