"""Writes line-v1.json from the reference implementation; run it only for a new line version."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import evidence_reference as reference  # noqa: E402
import sealed_batches as batches  # noqa: E402

CASES: list[dict[str, Any]] = [
    {
        "message": 0,
        "record_index": 0,
        "values": {},
        "attributes": {},
        "resource_attributes": {"service.name": "gateway"},
    },
    {
        "message": 0,
        "record_index": 1,
        "values": {
            "actor_id": "mei.tanaka@example.jp",
            "actor_country": "JP",
            "actor_country_basis": "asserted",
            "source_address": "hex:00000000000000000000ffffcb007105",
            "destination_host": "api.example.com",
            "destination_country_candidates": ["AU", "SG"],
            "trace_id": "hex:000102030405060708090a0b0c0d0e0f",
            "span_id": "hex:0001020304050607",
            "collector_sequence": 18446744073709551615,
            "encrypted_at_rest": False,
            "categories": ["personal", "health"],
            "home_jurisdictions": ["JP"],
            "bytes": 0,
            "contradictions": ["destination:geoip=US,region=ap-southeast-2"],
            "body": 'line one\nsays "no" \\ \u0001 \u2028 名前 \U0001f30f',
        },
        "attributes": {"onshore.data.bytes": "0", "b": "2", "a": "", "é": "accent", "Z": "upper"},
        "resource_attributes": {"service.name": "gateway"},
    },
    {
        "message": 1,
        "record_index": 0,
        "values": {"domain": "model_access", "action": "model.invoke", "occurred_at": 0, "model_served": "llama-4"},
        "attributes": {"gen_ai.response.model": "llama-4"},
        "resource_attributes": {},
    },
]


def main() -> None:
    messages = batches.messages(2)
    roots: list[list[bytes]] = [[], []]
    for case in CASES:
        values = {
            name: bytes.fromhex(value[4:]) if str(value).startswith("hex:") else value
            for name, value in case["values"].items()
        }
        event = batches.Event(
            case["message"],
            case["record_index"],
            values,
            case["attributes"],
            case["message"],
            case["resource_attributes"],
        )
        line = batches.reference_line(event, messages[event.message])
        case["line"], case["leaf"] = line.decode(), reference.leaf(line).hex()
        roots[event.message].append(reference.leaf(line))
    golden = {"events": CASES, "events_roots": [reference.root(leaves).hex() for leaves in roots]}
    (HERE / "line-v1.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
