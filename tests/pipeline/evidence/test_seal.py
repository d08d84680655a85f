from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evidence_reference as reference
import sealed_batches as batches
from onshore_pipeline.domain.event import InLine, Kind
from onshore_pipeline.evidence import merkle, salts, seal
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import salt_master

GOLDEN = Path(__file__).parents[2] / "golden" / "line-v1.json"
IDENTITIES = GOLDEN.with_name("identity-v1.json")

texts = st.text(max_size=12)
BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: texts,
    Kind.WORD: texts,
    Kind.TIME: st.integers(0, 2**63 - 1),
    Kind.ADDRESS: st.binary(min_size=16, max_size=16),
    Kind.U32: st.integers(0, 2**32 - 1),
    Kind.U64: st.integers(0, 2**64 - 1),
    Kind.BOOL: st.booleans(),
    Kind.WORDS: st.lists(texts, max_size=3),
    Kind.TRACE_ID: st.binary(min_size=16, max_size=16),
    Kind.SPAN_ID: st.binary(min_size=8, max_size=8),
}
maps = st.dictionaries(texts, texts, max_size=4)


@st.composite
def batches_of_events(draw: st.DrawFn) -> list[batches.Event]:
    optional = {
        column.name: st.none() | BY_KIND[column.kind]
        for column in batches.LINE_COLUMNS
        if column.line is not InLine.SUBTREE and column.name not in batches.REQUIRED and column.name != "record_index"
    }
    events = []
    for message in range(draw(st.integers(1, 3))):
        resource = draw(maps)
        for index in range(draw(st.integers(0, 3))):
            values = {name: value for name, value in draw(st.fixed_dictionaries(optional)).items() if value is not None}
            events.append(batches.Event(message, index, values, draw(maps), message, resource))
    return events


@settings(max_examples=60, deadline=None)
@given(batches_of_events())
def test_lines_and_leaves_are_those_of_the_written_format(events: list[batches.Event]) -> None:
    messages = batches.messages(3)
    frames = batches.frames(events)
    leaves, lines = seal.leaf_hashes(*frames, messages), seal.lines(*frames, messages)
    expected = [batches.reference_line(event, messages[event.message]) for event in events]
    assert [line.encode() for line in lines] == expected
    assert [row.tobytes() for row in leaves] == [reference.leaf(line) for line in expected]


def test_event_ids_are_those_of_the_written_format() -> None:
    messages = batches.messages(2)
    ids = seal.event_ids(messages, np.array([0, 1, 1], np.uint32), np.array([0, 0, 7], np.uint32))
    expected = [
        reference.event_id(messages[m].topic_id, messages[m].partition, messages[m].offset, index).bytes
        for m, index in ((0, 0), (1, 0), (1, 7))
    ]
    assert ids.to_list() == expected


def test_a_salt_key_is_that_of_the_written_format() -> None:
    key = batches.key_of("firmus")
    assert key.key == reference.salt_key(batches.MASTER, "firmus", "2025-11")
    assert key.key_id == reference.salt_key_id(key.key, "2025-11")
    assert key.key.hex() not in repr(key)


@pytest.mark.parametrize("case", json.loads(IDENTITIES.read_text()), ids=lambda case: case["about"])
def test_golden_ids_and_salts_have_not_changed_by_a_byte(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "salt.key"
    file.write_bytes(bytes.fromhex(case["key_file_hex"]))
    master = salt_master(load_settings({"salt_key_file": file}))
    key = salts.salt_key(master, case["tenant"], case["timestamp_ns"])
    topic_id, partition, offset, index = (case[name] for name in ("topic_id", "partition", "offset", "index"))
    message = seal.SealedMessage(UUID(topic_id), partition, offset, key)
    (event_id,) = seal.event_ids([message], np.array([0], np.uint32), np.array([index], np.uint32))
    identity = salts.identities(
        np.frombuffer(UUID(topic_id).bytes, np.uint8)[None, :],
        np.array([partition], np.uint32), np.array([offset], np.uint64), np.array([index], np.uint32),
    )  # fmt: skip
    salt = salts.salts(identity, [key], np.array([0], np.int64))
    assert (master.hex(), key.key.hex(), key.key_id) == (case["master_hex"], case["salt_key_hex"], case["key_id"])
    assert str(UUID(bytes=event_id)) == case["event_id"]
    assert (identity.tobytes().hex(), salt.tobytes().hex()) == (case["identity_hex"], case["event_salt_hex"])


def test_golden_lines_have_not_changed_by_a_byte() -> None:
    golden = json.loads(GOLDEN.read_text())
    events = [
        batches.Event(
            case["message"],
            case["record_index"],
            {
                name: bytes.fromhex(value[4:]) if str(value).startswith("hex:") else value
                for name, value in case["values"].items()
            },
            case["attributes"],
            case["message"],
            case["resource_attributes"],
        )
        for case in golden["events"]
    ]
    frames, messages = batches.frames(events), batches.messages(2)
    leaves, lines = seal.leaf_hashes(*frames, messages), seal.lines(*frames, messages)
    assert lines.to_list() == [case["line"] for case in golden["events"]]
    assert [row.tobytes().hex() for row in leaves] == [case["leaf"] for case in golden["events"]]
    sizes = np.bincount([event.message for event in events], minlength=2).astype(np.int64)
    assert [row.tobytes().hex() for row in merkle.roots(leaves, sizes)] == golden["events_roots"]


def test_two_resources_of_one_message_share_no_leaf() -> None:
    one = batches.Event(0, 0, {}, {}, 0, {"host.id": "a", "zone": "x"})
    two = batches.Event(0, 1, {}, {}, 1, {"host.id": "a", "zone": "y"})
    lines = seal.lines(*batches.frames([one, two]), batches.messages(1))
    roots = {json.loads(line)["resource_attributes"] for line in lines}
    assert len(roots) == 2


@pytest.mark.parametrize("missing", ["actor_id", "body", "destination_address"])
def test_a_commitment_does_not_tell_whether_a_value_was_known(missing: str) -> None:
    lines = seal.lines(*batches.frames([batches.Event(0, 0, {}, {}, 0, {})]), batches.messages(1))
    assert len(json.loads(lines[0])[missing]) == 64


def test_roots_of_many_trees_are_rfc_6962_roots() -> None:
    rng = np.random.default_rng(6962)
    sizes = np.array([0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 0, 100], np.int64)
    leaves = rng.integers(0, 256, (int(sizes.sum()), 32), dtype=np.uint8)
    ends = np.cumsum(sizes)
    expected = [
        reference.root([row.tobytes() for row in leaves[end - size : end]])
        for size, end in zip(sizes, ends, strict=True)
    ]
    assert [row.tobytes() for row in merkle.roots(leaves, sizes)] == expected
    assert [
        merkle.root([row.tobytes() for row in leaves[end - size : end]]) for size, end in zip(sizes, ends, strict=True)
    ] == expected


def test_an_empty_batch_seals_to_nothing() -> None:
    frames, messages = batches.frames([]), batches.messages(1)
    leaves, lines = seal.leaf_hashes(*frames, messages), seal.lines(*frames, messages)
    assert leaves.shape == (0, 32)
    assert lines.len() == 0
    assert lines.dtype == pl.String
