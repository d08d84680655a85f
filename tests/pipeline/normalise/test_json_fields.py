"""Fields of JSON records: the fast reader and the careful one give the same."""

from __future__ import annotations

import polars as pl
import pytest

from onshore_pipeline.normalise.json_fields import ITEMS, read_fields

PATHS = {
    "name": ("who", "name"),
    "places": ("places", ITEMS),
    "granted": ("rights", ITEMS, "granted"),
    "hops": ("ways", ITEMS, "hops", ITEMS, "number"),
}
WHOLE = (
    '{"who": {"name": "aiko"}, "places": ["a", null, 7], "rights": [{"granted": true}, {}, {"granted": false}],'
    ' "ways": [{"hops": [{"number": 1}, {"number": 2}]}, {"hops": []}, {"hops": [{"number": 3}]}]}'
)
EXPECTED = {"name": "aiko", "places": ["a", "7"], "granted": ["true", "false"], "hops": ["1", "2", "3"]}
NOTHING = dict.fromkeys(PATHS)
# A text where an object is looked for sends every record of its portion through the careful reader.
ODD = '{"who": "nobody", "places": {"no": "list"}, "rights": "none", "ways": [{"hops": "none"}, 5]}'


@pytest.mark.parametrize("beside", ["{}", ODD], ids=["fast", "careful"])
def test_lists_are_read_item_by_item(beside: str) -> None:
    read = read_fields(pl.Series([WHOLE, beside]), PATHS).to_dicts()
    assert read[0] == EXPECTED


@pytest.mark.parametrize("beside", ["{}", ODD], ids=["fast", "careful"])
def test_where_no_list_stands_it_is_unknown(beside: str) -> None:
    read = read_fields(pl.Series(['{"places": null}', "[]", None, beside]), PATHS).to_dicts()
    assert read[:3] == [NOTHING, NOTHING, NOTHING]


def test_a_list_of_the_wrong_kind_gives_what_can_be_read() -> None:
    assert read_fields(pl.Series([ODD]), PATHS).to_dicts() == [{"name": None, "places": [], "granted": [], "hops": []}]


@pytest.mark.parametrize("beside", ["{}", ODD], ids=["fast", "careful"])
def test_one_value_for_itself_is_a_list_of_it(beside: str) -> None:
    alone = '{"places": "a", "rights": {"granted": true}, "ways": {"hops": {"number": 1}}}'
    read = read_fields(pl.Series([alone, beside]), PATHS).to_dicts()
    assert read[0] == {"name": None, "places": ["a"], "granted": ["true"], "hops": ["1"]}


def test_no_record_gives_the_columns_all_the_same() -> None:
    empty = read_fields(pl.Series([], dtype=pl.String), PATHS)
    assert empty.schema["places"] == pl.List(pl.String)
    assert empty.schema["name"] == pl.String


def test_one_odd_text_among_many_changes_none_of_them() -> None:
    plain = [f'{{"who": {{"name": "{number}"}}, "places": [{number}]}}' for number in range(700)]
    read = read_fields(pl.Series([*plain[:333], ODD, *plain[333:]]), PATHS)
    names = read["name"].to_list()
    assert names == [*map(str, range(333)), None, *map(str, range(333, 700))]
    assert read["places"].to_list()[332:335] == [["332"], [], ["333"]]


def test_odd_texts_in_several_portions_stay_at_their_places() -> None:
    texts = [f'{{"who": {{"name": "{number}"}}}}' for number in range(1500)]
    expected: list[str | None] = [str(number) for number in range(1500)]
    for at in (0, 511, 512, 1499):
        texts[at], expected[at] = ODD, None
    texts[700], expected[700] = '{"who": {"name": "\\ud800"}}', "?"
    texts[701], expected[701] = ' \n {"who": {"name": "a"}} ', "a"
    texts[702], expected[702] = "no object", None
    assert read_fields(pl.Series(texts), PATHS)["name"].to_list() == expected


def test_nothing_but_unknown_texts_gives_unknown_columns() -> None:
    read = read_fields(pl.Series([None] * 3, dtype=pl.String), PATHS)
    assert read.to_dicts() == [NOTHING] * 3
    assert read.schema["places"] == pl.List(pl.String)
