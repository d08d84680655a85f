"""Addresses met before are known again, each by its own number, whatever came in between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from onshore_pipeline.locate.address_memory import AddressMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_each_address_is_looked_up_once_and_keeps_its_number() -> None:
    rng, memory = random.Random(1), AddressMemory()
    known: dict[bytes, int] = {}
    # Many that differ in a few bits only, in either half.
    addresses = [bytes(10) + b"\xff\xff" + rng.randbytes(4) for _ in range(500)]
    addresses += [rng.randbytes(1) + bytes(14) + rng.randbytes(1) for _ in range(500)]

    def look_up(new: pl.Series) -> NDArray[np.int64]:
        assert not known.keys() & set(new.to_list())
        assert new.n_unique() == len(new)
        known.update({address: len(known) + number for number, address in enumerate(new.to_list())})
        return np.array([known[address] for address in new.to_list()], np.int64)

    for _ in range(20):
        asked = pl.Series(rng.choices(addresses, k=200), dtype=pl.Binary)
        assert memory.numbers_of(asked[10:], look_up).tolist() == [known[address] for address in asked[10:].to_list()]
    assert memory.count == len(known)


def test_a_look_up_that_fails_leaves_nothing_behind() -> None:
    memory, asked = AddressMemory(), pl.Series([bytes(16), b"\x01" * 16], dtype=pl.Binary)

    def fails(new: pl.Series) -> NDArray[np.int64]:
        raise OSError(len(new))

    with pytest.raises(OSError, match="2"):
        memory.numbers_of(asked, fails)
    assert memory.numbers_of(asked, lambda new: np.arange(len(new)) + 5).tolist() == [5, 6]
