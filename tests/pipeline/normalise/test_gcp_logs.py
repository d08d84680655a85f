"""A sink of Google Cloud's may carry several logs: an entry is read as its log's, whatever format the sender names."""

from __future__ import annotations

import json
from typing import Final

import pytest

from source_samples import events_of, golden_events, samples_of

AMONG: Final = ("gcp.access_transparency", "gcp.dns", "gcp.firewall", "gcp.vpcflow")


def of_a_log(body: str) -> bool:
    """Whether the entry says which log it is of."""
    try:
        return "logName" in json.loads(body)
    except ValueError:
        return False


@pytest.mark.parametrize("source_format", AMONG)
def test_entries_of_other_logs_among_audit_logs_are_read_as_theirs(source_format: str) -> None:
    both = zip(samples_of(source_format), golden_events(source_format), strict=True)
    named = [(sample, golden) for sample, golden in both if of_a_log(sample.body)]
    assert named
    assert events_of([sample for sample, _ in named], "gcp.audit") == [golden for _, golden in named]


def test_an_audit_log_entry_stays_one_among_others() -> None:
    audit = [sample for sample in samples_of("gcp.audit") if of_a_log(sample.body)][:1]
    firewall = [sample for sample in samples_of("gcp.firewall") if of_a_log(sample.body)][:1]
    events = events_of([*firewall, *audit, *firewall], "gcp.audit")
    assert [event["source_format"] for event in events] == ["gcp.firewall", "gcp.audit", "gcp.firewall"]
