from __future__ import annotations

import pytest


def test_rotel_moves_the_benchmarks_messages_into_the_embedded_store() -> None:
    pytest.importorskip("rotel", reason="Rotel's wheel is for Python 3.11 only")
    import rotel_peer

    told = rotel_peer.bench_rotel(2_000)
    assert told["events"] == 2_000
    assert set(told["cpu_us_an_event_by_process"]) == {"rotel", "store"}
