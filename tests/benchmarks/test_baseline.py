"""The program that everything is compared with is honest: it judges as we do, and it takes every message."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import polars as pl

import baseline
from demo_judgement import shipped_judgement
from onshore_pipeline.assess import assess
from onshore_pipeline.bench.stages import messages_of
from onshore_pipeline.bench.traffic import Traffic, log_messages

# It asks one registry where an address is, and knows nothing of clouds' networks: who sits there, it gets wrong.
BY_ADDRESS = {"AU-APP8-03"}
NOT_BY_ADDRESS = ~pl.col("control_id").is_in(BY_ADDRESS)


def test_its_functions_give_the_verdicts_that_the_controls_give() -> None:
    values = list(log_messages(4, Traffic(seed=7)))
    attempt = assess(messages_of(values), shipped_judgement(), UUID(int=1))

    events = [event for value in values for event in baseline.decode(value)]
    for event in events:
        baseline.locate(event)
        baseline.judge(event)

    counts = (
        pl.DataFrame(attempt.tables["message_verdicts"])
        .filter(NOT_BY_ADDRESS)
        .group_by("control_id", "verdict")
        .agg(pl.sum("events"))
    )
    ours = {(control, verdict): count for control, verdict, count in counts.rows()}
    theirs = Counter(pair for event in events for pair in event["verdicts"].items() if pair[0] not in BY_ADDRESS)
    assert ours == dict(theirs)
    assert {verdict for _, verdict in ours} == {"satisfied", "violated", "undetermined"}


def test_it_finds_the_same_events_in_violation() -> None:
    values = list(log_messages(2, Traffic(seed=8)))
    attempt = assess(messages_of(values), shipped_judgement(), UUID(int=1))
    spans = pl.DataFrame(attempt.tables["events"].select(["event_id", "span_id"]))
    violations = pl.DataFrame(attempt.tables["violations"].select(["event_id", "control_id"])).filter(NOT_BY_ADDRESS)
    ours = set(violations.join(spans, on="event_id").select("span_id", "control_id").rows())

    theirs = set()
    for value in values:
        for event in baseline.decode(value):
            baseline.locate(event)
            baseline.judge(event)
            theirs |= {(event["span_id"], name) for name, word in event["verdicts"].items() if word == "violated"}
    theirs = {pair for pair in theirs if pair[1] not in BY_ADDRESS}
    assert {(span if isinstance(span, str) else span.hex(), name) for span, name in ours} == theirs


def test_the_traffic_is_the_contract_s() -> None:
    (value,) = log_messages(1)
    (event, *_) = baseline.decode(value)
    assert len(event["attributes"]) == 12
    assert 430 <= len(value) / 500 <= 470
