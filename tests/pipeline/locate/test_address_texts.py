"""Addresses spelled by compiled code, held to the standard library's."""

from __future__ import annotations

from ipaddress import IPv6Address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.locate.address_texts import address_texts

_MAPPED = 0xFFFF << 32
_ADDRESSES = st.one_of(
    st.integers(0, (1 << 128) - 1),
    st.integers(0, (1 << 32) - 1).map(lambda v4: _MAPPED | v4),
    st.sampled_from([0, 1, _MAPPED, _MAPPED | 0xFFFFFFFF, _MAPPED - 1, 0x1FFFF << 32, (1 << 128) - 1]),
)


@given(st.lists(_ADDRESSES, max_size=20))
def test_every_address_is_spelled_as_the_standard_library_spells_it(numbers: list[int]) -> None:
    keys = np.array([(number >> 64, number & ((1 << 64) - 1)) for number in numbers], np.uint64).reshape(-1, 2)
    addresses = [IPv6Address(number) for number in numbers]
    expected = [str(each.ipv4_mapped) if each.ipv4_mapped is not None else each.exploded for each in addresses]
    assert address_texts(keys) == expected
