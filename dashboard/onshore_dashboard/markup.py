"""Small pieces of HTML: tables, chips, bars and tiles. Whatever comes from the store is escaped here."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from onshore_dashboard.formats import number, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onshore_dashboard.summaries import Tally


class Html(str):
    """Text that is markup already; everything else is escaped when it is put together."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its heading, and whether it holds numbers, which stand to the right."""

    heading: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure with its name, and the sentence without which the figure would mislead.

    Attributes:
        tone: '' or one of 'good', 'bad', 'unsure', 'late'.
    """

    label: str
    value: str
    note: str = ""
    tone: str = ""


def text(value: str | Html | None) -> Html:
    """A value ready for the page."""
    if value is None:
        return Html('<span class="on-unknown">unknown</span>')
    return value if isinstance(value, Html) else Html(escape(value))


def chip(word: str, kind: str) -> Html:
    """A word on a coloured ground; the word alone says everything, the colour repeats it."""
    return Html(f'<span class="on-chip on-{escape(kind)}">{escape(word)}</span>')


def severity(level: str) -> Html:
    """A finding's or control's severity."""
    return chip(level, f"severity-{level}")


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Html | None]], label: str, empty: str) -> Html:
    """A table that screen readers announce as `label`; one line saying `empty` when there are no rows."""
    body = "".join(_row(columns, row) for row in rows)
    if not body:
        return Html(f'<p class="on-empty">{escape(empty)}</p>')
    head = "".join(f'<th scope="col"{_class(column)}>{escape(column.heading)}</th>' for column in columns)
    return Html(
        f'<div class="on-scroll" tabindex="0"><table class="on-table" aria-label="{escape(label)}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(columns: Sequence[Column], row: Sequence[str | Html | None]) -> str:
    if len(row) == 1:  # a heading inside the table
        return f'<tr class="on-group"><th scope="rowgroup" colspan="{len(columns)}">{text(row[0])}</th></tr>'
    cells = (f"<td{_class(column)}>{text(cell)}</td>" for column, cell in zip(columns, row, strict=True))
    return f"<tr>{''.join(cells)}</tr>"


def _class(column: Column) -> str:
    names = [name for name, set_ in (("on-number", column.numeric), ("on-wide", column.wide)) if set_]
    return f' class="{" ".join(names)}"' if names else ""


def tiles(shown: Iterable[Tile]) -> Html:
    """A row of tiles."""
    boxes = "".join(
        f'<div class="on-tile on-tone-{tile.tone or "plain"}"><div class="on-label">{escape(tile.label)}</div>'
        f'<div class="on-value">{escape(tile.value)}</div><div class="on-note">{escape(tile.note)}</div></div>'
        for tile in shown
    )
    return Html(f'<div class="on-tiles">{boxes}</div>')


_VERDICTS: Final = ("satisfied", "violated", "undetermined")


def verdict_bar(tally: Tally) -> Html:
    """Satisfied, violated and undetermined side by side, in proportion; the numbers are its label."""
    if tally.applicable == 0:
        return Html('<div class="on-bar on-bar-none"></div>')
    parts = [(name, int(getattr(tally, name))) for name in _VERDICTS]
    label = ", ".join(f"{number(count)} {name} ({share(count, tally.applicable)})" for name, count in parts)
    pieces = "".join(f'<span class="on-{name}" style="flex-grow:{count}"></span>' for name, count in parts if count)
    return Html(f'<div class="on-bar" role="img" title="{label}" aria-label="{label}">{pieces}</div>')


def legend() -> Html:
    """What the colours of a verdict bar mean."""
    names = {"satisfied": "satisfied", "violated": "violated", "undetermined": "could not be decided"}
    keys = "".join(f'<span><i class="on-key on-{name}"></i>{said}</span>' for name, said in names.items())
    return Html(f'<div class="on-legend">{keys}</div>')


def columns_over_time(heights: Sequence[float], titles: Sequence[str], label: str) -> Html:
    """A column chart of plain boxes, the newest to the right; it changes in place, without a redraw."""
    top = max(heights, default=0.0) or 1.0
    bars = "".join(
        f'<i style="height:{100 * height / top:.1f}%" title="{escape(title)}"></i>'
        for height, title in zip(heights, titles, strict=True)
    )
    return Html(f'<div class="on-columns" role="img" aria-label="{escape(label)}">{bars}</div>')


def facts(pairs: Iterable[tuple[str, str | Html | None]]) -> Html:
    """Names and values, two columns."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return Html(f'<dl class="on-facts">{rows}</dl>')


def paragraph(words: str | Html, kind: str = "note") -> Html:
    """A paragraph in the tone of `kind`: 'note' or 'lead'."""
    return Html(f'<p class="on-{kind}">{text(words)}</p>')
