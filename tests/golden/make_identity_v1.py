"""Writes identity-v1.json from the reference implementation; run it only for a new line version."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import evidence_reference as reference  # noqa: E402

TOPIC_ID = "6f1c1c4e-5a0b-4f57-9d6e-2f6c0a1b2c3d"
HEX_DIGITS = b"00112233445566778899aabbccddeeff" * 2
CASES: list[dict[str, Any]] = [
    {"about": "64 hex digits are 64 bytes", "key_file": HEX_DIGITS, "tenant": "default", "offset": 0, "index": 0},
    {
        "about": "a last line break is not part",
        "key_file": HEX_DIGITS + b"\n",
        "tenant": "acme",
        "offset": 7,
        "index": 3,
    },
    {
        "about": "bytes of any kind",
        "key_file": bytes(range(224, 256)),
        "tenant": "会社",
        "offset": 2**40,
        "index": 2**31,
    },
]
TIMESTAMP_NS = 1_764_547_199_999_999_999  # 2025-11-30T23:59:59.999999999Z: still November


def vector(about: str, key_file: bytes, tenant: str, offset: int, index: int) -> dict[str, Any]:
    """Inputs and what comes of them; names that end in _hex hold bytes."""
    master = key_file.rstrip(b"\r\n")
    month = datetime.fromtimestamp(TIMESTAMP_NS // 10**9, UTC).strftime("%Y-%m")
    key = reference.salt_key(master, tenant, month)
    named = reference.identity(UUID(TOPIC_ID), 3, offset, index)
    return {
        "about": about,
        "key_file_hex": key_file.hex(),
        "tenant": tenant,
        "timestamp_ns": TIMESTAMP_NS,
        "topic_id": TOPIC_ID,
        "partition": 3,
        "offset": offset,
        "index": index,
        "master_hex": master.hex(),
        "salt_key_hex": key.hex(),
        "key_id": reference.salt_key_id(key, month),
        "identity_hex": named.hex(),
        "event_id": str(reference.event_id(UUID(TOPIC_ID), 3, offset, index)),
        "event_salt_hex": reference.event_salt(key, named).hex(),
    }


def main() -> None:
    text = json.dumps([vector(**case) for case in CASES], ensure_ascii=False, indent=1)
    (HERE / "identity-v1.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
