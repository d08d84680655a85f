from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onshore_pipeline.normalise import normalise as under_test
from onshore_pipeline.normalise.frames import (
    EVENT_ATTRIBUTES_SCHEMA,
    EVENT_RESOURCE_ATTRIBUTES_SCHEMA,
    EVENTS_SCHEMA,
)
from onshore_pipeline.wire.frames import POINTS_SCHEMA, Failure

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

    from onshore_pipeline.normalise.frames import Normalised

UTC = dt.UTC
CLIENT = 3


def test_an_empty_batch_gives_no_events(batch: Batch) -> None:
    normalised = batch.normalised()
    assert normalised.events.schema == EVENTS_SCHEMA
    assert normalised.events.height == 0
    assert normalised.record_counts == ()


def test_a_plain_log_record_is_kept(batch: Batch) -> None:
    normalised = batch.log({"a": "b", "onshore.data.bytes": "12kB"}, body="something", severity_number=9).normalised()
    (event,) = normalised.events.to_dicts()
    assert (event["domain"], event["action"], event["outcome"]) == ("infrastructure", "log.record", "unknown")
    assert (event["source_format"], event["body"]) == ("otlp.log", "something")
    assert normalised.attributes.rows() == [(0, "a", "b"), (0, "onshore.data.bytes", "12kB")]


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("data.copy", "data.copy"),
        ("Data.Copy", "data.copy"),
        ("copied", "log.record"),
        ("two words.x", "log.record"),
        (None, "log.record"),
    ],
)
def test_a_dotted_event_name_is_the_action(batch: Batch, name: str | None, action: str) -> None:
    assert batch.log(event_name=name).event()["action"] == action


def test_the_deprecated_event_name_attribute_is_read(batch: Batch) -> None:
    assert batch.log({"event.name": "key.rotate"}).event()["action"] == "key.rotate"


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (None, "span.internal"),
        (1, "span.internal"),
        (2, "span.server"),
        (3, "span.client"),
        (4, "span.producer"),
        (5, "span.consumer"),
        (99, "span.internal"),
    ],
)
def test_a_span_is_named_by_its_kind(batch: Batch, kind: int | None, action: str) -> None:
    event = batch.span(span_kind=kind, name="GET /").event()
    assert (event["action"], event["body"], event["outcome"]) == (action, "GET /", "success")


@pytest.mark.parametrize(
    ("action", "domain"),
    [
        ("model.fallback", "model_access"),
        ("model.weights.read", "model_access"),
        ("model.weights.export", "data_movement"),
        ("data.replicate", "data_movement"),
        ("backup.write", "data_movement"),
        ("index.build", "data_movement"),
        ("telemetry.export", "data_movement"),
        ("key.use", "infrastructure"),
        ("admin.command", "infrastructure"),
        ("network.flow", "infrastructure"),
        ("whatever.else", "infrastructure"),
    ],
)
def test_the_domain_follows_the_action(batch: Batch, action: str, domain: str) -> None:
    assert batch.log({"onshore.action": action}).event()["domain"] == domain


@pytest.mark.parametrize(
    ("attributes", "domain"),
    [
        ({"db.query.text": "SELECT 1"}, "data_movement"),
        ({"aws.s3.bucket": "b"}, "data_movement"),
        ({"file.path": "/x"}, "data_movement"),
        ({"messaging.system": "kafka"}, "data_movement"),
        ({"onshore.data.bytes": 1}, "data_movement"),
        ({"gen_ai.agent.name": "a", "file.path": "/x"}, "model_access"),
        ({"http.route": "/"}, "infrastructure"),
    ],
)
def test_without_a_telling_action_the_attributes_give_the_domain(
    batch: Batch, attributes: dict[str, Any], domain: str
) -> None:
    other, event = batch.log({"http.route": "/"}).span(attributes, span_kind=CLIENT).events()
    assert (event["domain"], other["domain"]) == (domain, "infrastructure")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("llama/model-00001-of-00004.safetensors", "weights"),
        ("llama/Q4_K_M.GGUF", "weights"),
        ("whisper.ggml.zst", "weights"),
        ("resnet.onnx", "weights"),
        ("step-9/__0_0.distcp", "weights"),
        ("llama/model.safetensors.index.json", "object"),  # the list of the files
        ("llama/pytorch_model.bin", "object"),  # may be anything
        ("run/last.ckpt", "object"),
        ("safetensors", "object"),
        ("notes about gguf", "object"),
    ],
)
def test_an_objects_name_tells_weights_where_nothing_else_is_called_so(batch: Batch, key: str, kind: str) -> None:
    named = {"aws.s3.bucket": "b", "aws.s3.key": key}
    batch.log({"onshore.action": "data.read", **named}).log({"onshore.action": "config.read", **named})
    batch.log({"onshore.action": "data.copy", "onshore.data.set": f"gs://b/{key}"})
    read, looked, copied = batch.events()
    assert (read["object_type"], looked["object_type"]) == (kind, "object")
    assert (copied["object_type"], copied["object_place"]) == ({"object": "dataset"}.get(kind, kind), f"gs://b/{key}")


def test_what_is_named_a_data_set_and_nothing_else_is_one(batch: Batch) -> None:
    for attributes in (
        {"onshore.action": "data.copy", "onshore.data.set": "patients"},
        {"onshore.action": "data.copy", "onshore.data.set": "patients", "onshore.object.type": "table"},
        {"onshore.action": "data.copy"},
        {"onshore.action": "backup.write", "onshore.data.set": "patients"},
    ):
        batch.log(attributes)
    assert [event["object_type"] for event in batch.events()] == ["dataset", "table", None, None]


def test_standard_names_of_data_are_read(batch: Batch) -> None:
    batch.span({"aws.s3.bucket": "b", "aws.s3.key": "k"}).span({"db.namespace": "n", "db.collection.name": "c"})
    batch.log({"file.path": "/x", "file.size": 12})
    bucket, table, file = batch.events()
    assert (bucket["dataset"], bucket["object_type"]) == ("b", "object")
    assert (table["dataset"], table["object_type"]) == ("n", "table")
    assert (file["object_type"], file["bytes"]) == ("file", 12)


@pytest.mark.parametrize(
    ("time_ns", "observed_ns", "occurred"),
    [
        (1_000_000_000, 2_000_000_000, dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (None, 2_000_000_000, dt.datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)),
        (None, None, None),
        (2**63 - 1, None, dt.datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)),
    ],
)
def test_an_event_occurred_when_its_source_says(
    batch: Batch, time_ns: int | None, observed_ns: int | None, occurred: dt.datetime | None
) -> None:
    assert batch.log(time_ns=time_ns, observed_ns=observed_ns).event()["occurred_at"] == occurred


def test_an_empty_text_is_unknown(batch: Batch) -> None:
    event = batch.message({"host.name": ""}).log({"onshore.actor.id": "", "onshore.data.set": ""}, body="").event()
    assert (event["actor_id"], event["source_host"], event["body"]) == (None, None, None)


def test_ten_thousand_attributes_are_kept(batch: Batch) -> None:
    many = {f"key.{number}": number for number in range(10_000)}
    normalised = batch.log({**many, "onshore.action": "data.copy"}).normalised()
    assert normalised.attributes.height == 10_001
    assert normalised.events["action"].to_list() == ["data.copy"]


def test_what_decoding_refused_is_handed_on(batch: Batch) -> None:
    refused = Failure(message=0, record_indexes=(1,), stage="decode", reason="invalid UTF-8 in record 1")
    batch.message().log().failures.append(refused)
    batch.counts[-1] += 1
    normalised = batch.normalised()
    assert normalised.failures == (refused,)
    assert normalised.record_counts == (2,)


def test_a_message_gives_the_same_events_alone_and_in_company(batch: Batch) -> None:
    def add() -> None:
        batch.message({"cloud.region": "r"}).log({"onshore.action": "data.copy", "server.address": "192.0.2.1"})

    add()
    alone = batch.normalised().events
    batch.message().span({"gen_ai.operation.name": "chat"}).log(body="{}", encoding_format="aws.cloudtrail")
    batch.message().point("m", 1)
    company = batch.normalised().events
    assert company.filter(message=0).equals(alone)


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
HARD = (
    "",
    " ",
    "none",
    "AU",
    "-1",
    "1.5",
    "12kB",
    "true",
    "[1]",
    '["AU"]',
    "{",
    "fe80::1%eth0",
    "1.2.3.4:5",
    "success",
)
VALUE = st.one_of(st.sampled_from(HARD), TEXT, st.integers(-(2**63), 2**63 - 1))
KNOWN = st.sampled_from(sorted(under_test._KEYS))
ATTRIBUTES = st.dictionaries(st.one_of(KNOWN, TEXT), VALUE, max_size=8)
RESOURCE = st.dictionaries(st.one_of(st.sampled_from(sorted(under_test._RESOURCE_KEYS)), TEXT), VALUE)
TIME = st.one_of(st.none(), st.integers(0, 2**63 - 1))
RECORD = st.fixed_dictionaries(
    {
        "time_ns": TIME,
        "observed_ns": TIME,
        "event_name": st.one_of(st.none(), TEXT, st.just("aws.cloudtrail")),
        "body": st.one_of(st.none(), TEXT, st.just('{"eventName":"GetObject","awsRegion":1}')),
        "encoding_format": st.sampled_from([None, "aws.cloudtrail", "x"]),
        "schema_url": st.sampled_from([None, "", "https://opentelemetry.io/schemas/1.26.0", "x"]),
        "span_kind": st.one_of(st.none(), st.integers(-1, 9)),
        "status_code": st.one_of(st.none(), st.integers(0, 3)),
        "name": st.one_of(st.none(), TEXT),
    }
)
MESSAGE = st.one_of(
    st.tuples(st.just("log"), RESOURCE, st.lists(st.tuples(ATTRIBUTES, RECORD), max_size=4)),
    st.tuples(st.just("span"), RESOURCE, st.lists(st.tuples(ATTRIBUTES, RECORD), max_size=4)),
    st.tuples(
        st.just("metric"),
        RESOURCE,
        st.lists(st.tuples(TEXT, st.floats() | st.none(), st.none() | st.integers(0, 9_000_000_000))),
    ),
)


def filled(batch: Batch, messages: list[tuple[str, dict[str, Any], list[Any]]]) -> Normalised:
    for signal, resource, records in messages:
        batch.message(resource)
        for record in records:
            if signal == "metric":
                metric, value, at_s = record
                batch.point(metric, value, at_s=at_s)
            else:
                attributes, columns = record
                (batch.log if signal == "log" else batch.span)(attributes, **columns)
    return batch.normalised()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(MESSAGE, max_size=4))
def test_whatever_was_decoded_becomes_events_of_the_exact_types(
    batch: Batch, messages: list[tuple[str, dict[str, Any], list[Any]]]
) -> None:
    fresh = type(batch)()
    normalised = filled(fresh, messages)
    events = normalised.events
    assert events.schema == EVENTS_SCHEMA
    assert normalised.attributes.schema == EVENT_ATTRIBUTES_SCHEMA
    assert normalised.resource_attributes.schema == EVENT_RESOURCE_ATTRIBUTES_SCHEMA
    assert normalised.points.schema == pl.Schema({**POINTS_SCHEMA, "row": pl.UInt32()})
    # Every record is an event, and every event is counted in its message.
    counted = dict(events.group_by("message").len().rows())
    assert [counted.get(message, 0) for message in range(len(messages))] == list(normalised.record_counts)
    assert events.filter(pl.col("source_format") != "otlp.metric").height == len(fresh.records)
    assert events["row"].to_list() == list(range(events.height))
    assert events.select("message", "record_index").rows() == sorted(
        set(events.select("message", "record_index").rows())
    )
    # What is required is there, and unknown is null, never ''.
    assert events.select("domain", "action", "outcome", "source_format").null_count().sum_horizontal().item() == 0
    assert not (events.select(pl.col(pl.String)) == "").select(pl.any_horizontal(pl.all().any())).item()
    assert events.select(pl.col(pl.List(pl.String))).null_count().sum_horizontal().item() == 0
    # What was sent is there, in order.
    keyed = [(row["row"], row["key"]) for row in normalised.attributes.to_dicts()]
    assert keyed == sorted(set(keyed), key=lambda pair: (pair[0], pair[1].encode()))
    sent = sum(len(attributes) for signal, _, records in messages if signal != "metric" for attributes, _ in records)
    assert normalised.attributes.height >= sent
    assert normalised.points.height == len(fresh.points)
