"""Weights in stores of objects: told by where the register of models says that they lie."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.locate.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Events = Callable[..., pl.DataFrame]
    Own = Callable[..., Context]

WHEN = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = """
- {model: base, weights: ['s3://acme-models/base/', 'gs://acme/base'], home: [AU], categories: none}
- {model: tuned, weights: ['s3://acme-models/base/tuned/'], home: [AU, NZ], classification: secret}
- {model: quantised, weights: ['https://acme.blob.core.windows.net/models/q4.bin'], home: [JP]}
- {model: elder, weights: ['s3://old/'], home: [AU], valid_to: 2026-05-31}
- {model: elder, weights: ['s3://old/', 's3://new/'], home: [SG], valid_from: 2026-06-01}
"""


def located(context: Context, events: Events, place: str | None, **row: Any) -> dict[str, Any]:
    event = {"occurred_at": WHEN, "action": "data.read", "object_type": "object", "object_place": place, **row}
    (found,) = locate(events(event), context).rows(named=True)
    return dict(found)


@pytest.mark.parametrize(
    ("place", "home"),
    [
        ("s3://acme-models/base/model-00001.bin", ["AU"]),
        ("s3://acme-models/base", ["AU"]),
        ("s3://acme-models/base/tuned/model.bin", ["AU", "NZ"]),  # the innermost folder counts
        ("gs://acme/base/a/b/c", ["AU"]),
        ("azure://acme/models/q4.bin", ["JP"]),  # an object instead of a folder
        ("s3://new/x", ["SG"]),
    ],
)
def test_an_object_in_a_registered_folder_is_weights_with_the_models_home(
    own: Own, events: Events, place: str, home: list[str]
) -> None:
    row = located(own(**{"models.yaml": MODELS}), events, place)
    assert (row["object_type"], row["home_jurisdictions"]) == ("weights", home)


@pytest.mark.parametrize(
    "place",
    [
        "s3://acme-models/baseline/model.bin",  # a name that begins alike is another one
        "s3://acme-models/other/model.bin",
        "s3://acme-models",  # more than the weights
        "s3://Acme-models/base/x",  # names of objects have a case
        "gs://acme-models/base/x",
        "azure://acme/models/q4.bin.txt",
        None,
    ],
)
def test_what_lies_elsewhere_is_none(own: Own, events: Events, place: str | None) -> None:
    row = located(own(**{"models.yaml": MODELS}), events, place)
    assert (row["object_type"], row["home_jurisdictions"]) == ("object", [])


def test_the_row_of_the_events_day_counts(own: Own, events: Events) -> None:
    context = own(**{"models.yaml": MODELS})
    before = located(context, events, "s3://old/x", occurred_at=datetime(2026, 5, 31, 23, tzinfo=UTC))
    after = located(context, events, "s3://old/x")
    assert [row["home_jurisdictions"] for row in (before, after)] == [["AU"], ["SG"]]
    too_early = located(context, events, "s3://new/x", occurred_at=datetime(2026, 5, 31, 23, tzinfo=UTC))
    assert too_early["object_type"] == "object"
    timeless = located(context, events, "s3://old/x", occurred_at=None)
    assert timeless["object_type"] == "object"
    always = located(context, events, "s3://acme-models/base/x", occurred_at=None)
    assert always["object_type"] == "weights"


def test_only_events_about_data_and_only_general_words_become_weights(own: Own, events: Events) -> None:
    context = own(**{"models.yaml": MODELS})
    looked = located(context, events, "s3://acme-models/base/x", action="config.read")
    assert (looked["object_type"], looked["home_jurisdictions"]) == ("object", [])
    index = located(context, events, "s3://acme-models/base/x", object_type="index")
    assert (index["object_type"], index["home_jurisdictions"]) == ("index", ["AU"])
    unnamed = located(context, events, "s3://acme-models/base/x", object_type=None)
    assert unnamed["object_type"] == "weights"


def test_the_event_says_it_first_then_the_folder_then_the_bucket(own: Own, events: Events) -> None:
    context = own(
        **{
            "models.yaml": MODELS,
            "datasets.yaml": "- {dataset: acme-models, categories: [health], classification: open, home: [DE]}\n",
        }
    )
    row = located(context, events, "s3://acme-models/base/x", dataset="acme-models", home_jurisdictions=["FR"])
    assert (row["home_jurisdictions"], row["categories"], row["classification"]) == (["FR"], ["none"], "open")
    row = located(context, events, "s3://acme-models/base/x", dataset="acme-models")
    assert row["home_jurisdictions"] == ["AU"]
    beside = located(context, events, "s3://acme-models/other/x", dataset="acme-models")
    assert (beside["home_jurisdictions"], beside["object_type"]) == (["DE"], "object")


def test_many_events_keep_their_order(own: Own, events: Events) -> None:
    context = own(**{"models.yaml": MODELS})
    places = ["s3://acme-models/base/1", None, "s3://new/2", "s3://acme-models/base/1", "s3://x/3"]
    rows = [
        {"occurred_at": WHEN, "action": "data.read", "object_type": "object", "object_place": place} for place in places
    ]
    found = locate(events(*rows), context)
    assert found["object_type"].to_list() == ["weights", "object", "weights", "weights", "object"]
    assert found["home_jurisdictions"].to_list() == [["AU"], [], ["SG"], ["AU"], []]
