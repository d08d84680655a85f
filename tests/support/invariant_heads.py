"""Signed heads against the log's entries, read past our own code: every head is true, and a size has one root."""

from __future__ import annotations

import base64
from collections import defaultdict
from typing import TYPE_CHECKING

import evidence_reference as reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from clickhouse_connect.driver.client import Client

_HEADS = "SELECT DISTINCT kind, origin, size, lower(hex(root)), note FROM checkpoints ORDER BY kind, origin, size"


def heads_that_differ(client: Client, entries: Sequence[tuple[bytes, dict[str, Any]]]) -> Iterator[str]:
    """Heads of which the log says otherwise; `entries` are values and what they say, in the log's order."""
    whole = [reference.leaf(value) for value, _ in entries]
    logs: dict[str, list[bytes]] = defaultdict(list)
    for leaf, (_, told) in zip(whole, entries, strict=True):
        logs[f"{told['topic_id']}/{told['partition']}"].append(leaf)
    for kind, origin, size, root, note in client.query(_HEADS).result_rows:
        leaves = whole if kind == "deployment" else logs["/".join(origin.split("/")[2:])]
        if size > len(leaves):
            yield f"a head of {origin} is over {size} entries, and the log has {len(leaves)}"
        elif root != reference.root(leaves[:size]).hex():
            yield f"a head of {origin} over {size} entries has another root than the log"
        if note.split("\n")[:3] != [origin, str(size), base64.b64encode(bytes.fromhex(root)).decode()]:
            yield f"a head of {origin} over {size} entries is not what its note says"
