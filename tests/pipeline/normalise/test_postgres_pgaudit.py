from __future__ import annotations

import json

import pytest

from sample_messages import Sample
from source_samples import events_of

FORMAT = "postgres.pgaudit"
ENTRY = 'AUDIT: SESSION,5,1,READ,SELECT,TABLE,public.patients,"SELECT 1, 2",<not logged>'
LOGGED = {
    "timestamp": "2026-07-10 11:45:00.123 UTC",
    "user": "analyst",
    "dbname": "clinic",
    "remote_host": "203.0.113.9",
    "remote_port": 51234,
    "error_severity": "LOG",
    "message": ENTRY,
    "application_name": "psql",
}


@pytest.mark.parametrize(
    "body",
    [json.dumps(LOGGED), f"2026-07-10 11:45:00.123 UTC:203.0.113.9(51234):analyst@clinic:[1423]:LOG:  {ENTRY}"],
    ids=["jsonlog", "Amazon RDS"],
)
def test_other_logs_of_the_server_say_the_same(body: str) -> None:
    (event,) = events_of([Sample(body=body)], FORMAT)
    assert (event["action"], event["actor_id"], event["dataset"]) == ("data.read", "analyst", "clinic.public.patients")
    assert event["occurred_at"] == "2026-07-10T11:45:00.123000+00:00"
    assert event["source_address"].endswith("cb007109")


def test_an_entry_behind_a_prefix_that_nobody_knows_still_says_what_was_done() -> None:
    (event,) = events_of([Sample(body=f"Jul 10 db postgres[1]: [5-1] analyst clinic LOG:  {ENTRY}\n")], FORMAT)
    assert (event["action"], event["dataset"], event.get("actor_id")) == ("data.read", "public.patients", None)


@pytest.mark.parametrize("cut", range(0, 120, 3))
def test_a_line_cut_anywhere_is_an_event_of_what_is_left(cut: int) -> None:
    client = '"analyst","clinic",1423,"203.0.113.9:51234"'
    line = f'2026-07-10 11:45:00.123 UTC,{client},s,7,"SELECT",t,3/42,0,LOG,00000,"AUDIT: SESSION,5,1,READ'
    (event,) = events_of([Sample(body=line[:cut])], FORMAT)
    assert event["action"] == "log.record"
    assert event.get("actor_id") in (None, "analyst")
