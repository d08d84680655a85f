"""Records that are odd but whole: each becomes an event with what can be read of it, each by its own region."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cloudtrail_texts import log_file, record
from onshore_collectors.__main__ import main
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collectors.conftest import Inbox

FLOW = "10.0.0.1 10.0.0.2 5 leo-1"


def events_of(inbox: Inbox, folder: Path, *records: dict[str, object]) -> list[dict[str, Any]]:
    """What becomes of a file with these records, in order; all of them arrive as they stood."""
    texts = [json.dumps(each) for each in records]
    (folder / "a.json").write_bytes(log_file(*texts))
    here = ["--otlp", inbox.endpoint, "--data-dir", str(folder / "data")]
    assert main(["collect", "cloudtrail", str(folder / "a.json"), *here]) == 0
    normalised = normalise(decode([(each.topic, each.value, "otlp_proto") for each in inbox.messages()]))
    assert normalised.failures == ()
    events = [each for each in normalised.events.to_dicts() if each["action"] != "telemetry.heartbeat"]
    assert [each["body"] for each in events] == texts
    return events


def read_of(number: int, **more: object) -> dict[str, object]:
    about = {"eventSource": "s3.amazonaws.com", "awsRegion": "eu-central-1", "recipientAccountId": "111122223333"}
    moved = {"additionalEventData": {"bytesTransferredIn": 0, "bytesTransferredOut": 375}}
    return record(number, **about, **moved) | more


def test_numbers_and_flags_that_are_written_as_texts_are_read_as_what_they_are(inbox: Inbox, tmp_path: Path) -> None:
    moved, account = {"bytesTransferredIn": "0", "bytesTransferredOut": "375"}, 111_122_223_333
    plain, odd = events_of(
        inbox,
        tmp_path,
        read_of(1, readOnly=True, managementEvent=False),
        read_of(1, readOnly="true", managementEvent="false", additionalEventData=moved, recipientAccountId=account),
    )
    assert plain["bytes"] == 375
    differing = {name for name in plain if plain[name] != odd[name]}
    assert differing <= {"body", "observed_at", "record_index", "row"}


def test_a_number_that_is_none_leaves_its_column_unknown_and_nothing_else(inbox: Inbox, tmp_path: Path) -> None:
    plain, odd = events_of(inbox, tmp_path, read_of(1), read_of(1, additionalEventData={"bytesTransferredOut": "many"}))
    assert (plain["bytes"], odd["bytes"]) == (375, None)
    assert plain["destination_region"] == odd["destination_region"] == "eu-central-1"


def test_records_of_a_version_to_come_are_read_as_far_as_they_are_known(inbox: Inbox, tmp_path: Path) -> None:
    identity = {"did": "did:web:x", "chain": []}
    version_3 = {"eventVersion": "3.0", "placement": {"orbit": ["leo-1"]}, "userIdentity": identity}
    plain, new = events_of(inbox, tmp_path, read_of(1), read_of(1, **version_3))
    for column in ("action", "destination_region", "destination_account", "bytes", "occurred_at"):
        assert plain[column] == new[column], column
    assert plain["action"] != "log.record"


def test_each_record_of_a_file_has_its_own_region_and_account(inbox: Inbox, tmp_path: Path) -> None:
    places = [("eu-central-1", "111122223333"), ("us-east-1", "444455556666"), ("ap-southeast-2", "111122223333")]
    events = events_of(
        inbox,
        tmp_path,
        *(read_of(at, awsRegion=region, recipientAccountId=account) for at, (region, account) in enumerate(places)),
    )
    assert [(each["destination_region"], each["destination_account"]) for each in events] == places


def test_what_is_odd_about_a_record_is_noted(inbox: Inbox, tmp_path: Path) -> None:
    moved = {"bytesTransferredIn": 0, "bytesTransferredOut": "375"}
    said_to_be = {"eventVersion": "2.01", "readOnly": "true", "additionalEventData": moved}
    texts = [json.dumps(read_of(1)), json.dumps(read_of(2, **said_to_be), separators=(",", ":"))]
    (tmp_path / "a.json").write_bytes(log_file(*texts))
    (tmp_path / "a.log").write_text(f"version srcaddr dstaddr bytes orbit\n10 {FLOW}\n11 {FLOW}\n")
    here = ["--otlp", inbox.endpoint, "--data-dir", str(tmp_path / "data")]
    assert main(["collect", "cloudtrail", str(tmp_path / "a.json"), *here]) == 0
    assert main(["collect", "flow-logs", str(tmp_path / "a.log"), *here]) == 0
    normalised = normalise(decode([(each.topic, each.value, "otlp_proto") for each in inbox.messages()]))
    noted = normalised.attributes.filter(key="onshore.source.oddities")
    bodies = dict(normalised.events.select("row", "body").iter_rows())
    assert {bodies[row]: text for row, _, text in noted.iter_rows()} == {
        texts[1]: "eventVersion 2.01, readOnly as text, bytesTransferredOut as text",
        f"11 {FLOW}": "version 11",
    }
