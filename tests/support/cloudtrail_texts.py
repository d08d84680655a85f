"""Small CloudTrail records and files, as their texts."""

from __future__ import annotations

import json


def record(number: int, **more: object) -> dict[str, object]:
    """A record that is told apart by its id."""
    return {
        "eventVersion": "1.08",
        "eventTime": "2023-07-10T11:42:36Z",
        "eventName": "GetObject",
        "eventID": f"id-{number}",
        **more,
    }


def text_of(*numbers: int) -> list[str]:
    """The texts of such records, as CloudTrail writes them."""
    return [json.dumps(record(number), separators=(",", ":")) for number in numbers]


def log_file(*texts: str) -> bytes:
    """A log file that holds these texts as its records."""
    return ('{"Records":[' + ",".join(texts) + "]}").encode()
