"""What happened to the rows of a registry between two versions of its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.context.changes import Part, PartChange, RowChanges, changed_parts, changed_rows
from onshore_pipeline.context.own import read_registry
from onshore_pipeline.context.shipped import shipped_countries

if TYPE_CHECKING:
    from onshore_pipeline.context.csv_table import Row

COUNTRIES = shipped_countries()


def rows(text: str, name: str = "people") -> list[Row]:
    return list(read_registry(Path(f"{name}.yaml"), text.encode(), COUNTRIES))


def people(before: str, after: str) -> RowChanges:
    return changed_rows("people", rows(before), rows(after))


def test_rows_are_added_changed_and_removed_by_their_key() -> None:
    assert people(
        "- {person: ana, country: AU}\n- {person: ben, country: NZ}\n- {person: cyd, country: NZ}\n",
        "- {person: Ana, country: SG}\n- {person: cyd, country: NZ, note: checked}\n- {person: dan, country: JP}\n",
    ) == RowChanges("people", added=("dan",), changed=("ana",), removed=("ben",))


def test_a_row_that_got_an_end_or_an_earlier_one_has_ended_and_a_later_end_is_a_change() -> None:
    open_, june, may = (
        f"- {{person: ana, country: AU, valid_from: 2026-01-01{end}}}\n"
        for end in ("", ", valid_to: 2026-06-30", ", valid_to: 2026-05-31")
    )
    assert people(open_, june) == RowChanges("people", ended=("ana",))
    assert people(june, may) == RowChanges("people", ended=("ana",))
    assert people(may, june) == RowChanges("people", changed=("ana",))
    assert people(may, open_) == RowChanges("people", changed=("ana",))


def test_a_correction_behind_a_row_is_added_and_the_row_stays() -> None:
    first = "- {person: ana, country: AU}\n"
    correction = "- {person: ana, country: SG, valid_from: 2026-03-01, known_from: 2026-05-10}\n"
    assert people(first, first + correction) == RowChanges("people", added=("ana",))


def test_a_period_that_ends_and_the_next_one_are_told_apart() -> None:
    before = "- {person: ana, country: AU, valid_from: 2026-01-01}\n"
    after = "- {person: ana, country: AU, valid_from: 2026-01-01, valid_to: 2026-05-31}\n"
    after += "- {person: ana, country: SG, valid_from: 2026-06-01}\n"
    assert people(before, after) == RowChanges("people", added=("ana",), ended=("ana",))


def test_a_key_of_several_columns_is_told_with_stars_for_its_blanks() -> None:
    after = rows("- {basis: contract, source: AU, category: personal}\n", "transfer_bases")
    assert changed_rows("transfer_bases", [], after).added == ("au/*/*/personal/contract",)


def test_files_that_came_went_and_are_others_are_told() -> None:
    kept, old, new = (Part("own/a.yaml", "1", "aa"), Part("own/b.yaml", "1", "bb"), Part("own/b.yaml", "2", "cc"))
    gone, came = Part("own/c.yaml", "", "dd"), Part("geoip/geoip", "7", "ee")
    assert changed_parts((kept, old, gone), (kept, new, came)) == (
        PartChange("geoip/geoip", None, came), PartChange("own/b.yaml", old, new), PartChange("own/c.yaml", gone, None),
    )  # fmt: skip


_ROWS = st.lists(
    st.builds(
        lambda person, country, first: f"- {{person: {person}, country: {country}{first}}}\n",
        st.sampled_from("abc"), st.sampled_from(("AU", "NZ")),
        st.sampled_from(("", ", valid_from: 2026-01-01", ", valid_to: 2026-06-30", ", known_from: 2026-02-01")),
    ),
    max_size=5,
)  # fmt: skip


@given(_ROWS, _ROWS)
def test_every_difference_is_told_once_and_nothing_is_told_of_what_is_the_same(
    before: list[str], after: list[str]
) -> None:
    found = people("".join(before), "".join(after))
    grown = len(found.added) - len(found.removed)
    distinct = {text for text in before if text in after}
    assert grown == len([each for each in after if each not in distinct]) - len(
        [each for each in before if each not in distinct]
    )
    assert people("".join(before), "".join(before)) == RowChanges("people")
