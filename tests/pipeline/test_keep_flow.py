"""What takes the sequencer seconds waits until no entry comes, and not for ever."""

from __future__ import annotations

from onshore_pipeline.jobs.keep import Flow


def test_while_entries_come_nothing_long_begins() -> None:
    flow = Flow(100.0)
    assert not flow.leaves_time(3, 100.4)
    assert not flow.leaves_time(1, 104.9)
    assert flow.leaves_time(0, 105.4)


def test_entries_that_never_cease_hold_it_up_for_five_seconds_at_most() -> None:
    flow = Flow(100.0)
    assert flow.leaves_time(0, 101.0)
    assert not flow.leaves_time(1, 105.9)
    assert flow.leaves_time(1, 106.0)
    assert flow.leaves_time(1, 107.0)
    assert flow.leaves_time(0, 108.0)
    assert not flow.leaves_time(1, 112.0)
