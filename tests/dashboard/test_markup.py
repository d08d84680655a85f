"""Markup: nothing from the store becomes a tag."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onshore_dashboard.markup import (
    Column,
    Html,
    Tile,
    chip,
    columns_over_time,
    facts,
    severity,
    table,
    text,
    tiles,
    verdict_bar,
)
from onshore_dashboard.summaries import Tally
from onshore_dashboard.views.finding_list import plain

HOSTILE = "<script>alert('x')</script> & \"quoted\""


def test_whatever_comes_from_the_store_is_escaped() -> None:
    pieces = [
        table((Column("A"),) * 2, [(HOSTILE, "b")], "label", "none"),
        tiles([Tile(HOSTILE, HOSTILE, HOSTILE)]),
        facts([(HOSTILE, HOSTILE)]),
        chip(HOSTILE, HOSTILE),
        severity(HOSTILE),
        columns_over_time([1.0], [HOSTILE], HOSTILE),
    ]
    for piece in pieces:
        assert "<script>" not in piece
        assert '"quoted"' not in piece


def test_markup_is_not_escaped_twice() -> None:
    assert text(Html("<b>x</b>")) == "<b>x</b>"


def test_what_is_not_known_is_called_unknown_and_never_left_blank() -> None:
    assert "unknown" in table((Column("A"), Column("B")), [(None, "x")], "label", "none")


def test_a_table_without_rows_says_what_that_means() -> None:
    assert "no dead letters" in table((Column("A"),), [], "label", "no dead letters")


def test_the_bar_of_a_control_names_all_three_parts() -> None:
    bar = verdict_bar(Tally(satisfied=8, violated=1, undetermined=1))
    assert "8 satisfied (80.0 %), 1 violated (10.0 %), 1 undetermined (10.0 %)" in bar


def test_a_control_that_never_applied_has_an_empty_bar_and_not_a_full_one() -> None:
    assert "on-satisfied" not in verdict_bar(Tally())


@given(st.text(max_size=40))
def test_markdown_finds_nothing_to_do_in_plain_words(words: str) -> None:
    unescaped = plain(words).replace("\\", "")
    assert unescaped == words.replace("\\", "")
    assert "](" not in plain(words)
