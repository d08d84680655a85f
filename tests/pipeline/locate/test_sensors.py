"""A place is observed where a collector of ours, known by its credential, sits on the machine; by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.errors import ContextError
from onshore_pipeline.locate.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Events = Callable[..., pl.DataFrame]
    Own = Callable[..., Context]

FACILITIES = "- {facility: SYD1, country: AU}\n- {facility: SIN1, country: SG}\n"
COLLECTORS = """- {collector: syd-1, host: gpu-8.acme.example, facility: syd1}
- {collector: roaming, host: van-1, country: AU, valid_to: 2026-05-31}
- {collector: roaming, host: van-1, country: NZ, valid_from: 2026-06-01}
"""
HERE = {"source_host": "GPU-8.acme.example", "source_format": "otlp.metric", "sensor": "syd-1"}


@pytest.fixture
def known(own: Own) -> Context:
    return own(**{"facilities.yaml": FACILITIES, "collectors.yaml": COLLECTORS})


def located(context: Context, events: Events, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    when = {"occurred_at": datetime(2026, 6, 1, tzinfo=UTC)}
    return list(locate(events(*(when | row for row in rows)), context).iter_rows(named=True))


def place(row: dict[str, Any], party: str = "source") -> tuple[str | None, str]:
    return row[f"{party}_country"], row[f"{party}_country_basis"]


def test_the_machine_on_which_a_collector_of_ours_sits_is_where_the_registry_says(
    known: Context, events: Events
) -> None:
    by_host, by_id, received = located(
        known,
        events,
        HERE,
        {**HERE, "source_host": None, "source_id": "gpu-8.acme.example"},
        {"sensor": "syd-1", "source_format": "otlp.log", "destination_host": "gpu-8.acme.example", "source_host": "x"},
    )
    assert place(by_host) == place(by_id) == place(received, "destination") == ("AU", "observed")
    assert place(received) == (None, "unknown")


@pytest.mark.parametrize(
    "forged",
    [
        {"sensor": None},
        {"sensor": None, "collector_id": "syd-1"},
        {"sensor": "another"},
        {"sensor": "roaming"},
        {"source_host": "gpu-9.acme.example"},
        {"source_format": "aws.cloudtrail"},
    ],
    ids=str,
)
def test_nothing_that_a_sender_says_makes_a_place_observed(
    known: Context, events: Events, forged: dict[str, Any]
) -> None:
    (row,) = located(known, events, {**HERE, "source_declared_country": "AU", **forged})
    assert place(row) == ("AU", "asserted")


def test_a_sender_that_says_otherwise_contradicts_what_the_sensor_observes(known: Context, events: Events) -> None:
    (row,) = located(known, events, {**HERE, "source_declared_country": "US"})
    assert place(row) == (None, "asserted")
    assert row["source_country_candidates"] == ["AU", "US"]
    assert row["contradictions"] == ["source:sensor=AU,declared=US"]


def test_a_collector_sits_where_it_sat_on_the_day(known: Context, events: Events) -> None:
    van = {"sensor": "Roaming", "source_host": "van-1", "source_format": "otlp.log"}
    before, since = located(known, events, {**van, "occurred_at": datetime(2026, 5, 31, tzinfo=UTC)}, van)
    assert [place(before), place(since)] == [("AU", "observed"), ("NZ", "observed")]


def test_without_a_registry_of_collectors_nothing_is_observed(own: Own, events: Events) -> None:
    (row,) = located(own(**{"facilities.yaml": FACILITIES}), events, HERE)
    assert place(row) == (None, "unknown")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{collector: a, host: b}", "by a facility or by a country: fill one of the two"),
        ("{collector: a, host: b, facility: SYD1, country: AU}", "fill one of the two"),
        ("{collector: a, host: b, facility: MEL9}", "facility 'MEL9' is not in facilities"),
    ],
)
def test_a_collector_that_sits_nowhere_or_twice_is_an_error(own: Own, row: str, why: str) -> None:
    with pytest.raises(ContextError, match=why):
        own(**{"facilities.yaml": FACILITIES, "collectors.yaml": f"- {row}\n"})
