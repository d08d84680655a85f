from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from onshore_pipeline.wire.attributes import _sorted_unique

numbers = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_positions_are_sorted_by_owner_and_rank_and_the_last_of_equals_stays(pairs: list[tuple[int, int]]) -> None:
    frame = pl.DataFrame(pairs, schema={"owner": pl.UInt32, "rank": pl.UInt32}, orient="row")
    last = {pair: position for position, pair in enumerate(pairs)}
    assert _sorted_unique(frame["owner"], frame["rank"]).to_list() == [last[pair] for pair in sorted(last)]
