"""The compiled way through whole messages: it accepts nothing that `verify.py` refuses, and counts the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bundles
from onshore_pipeline.domain.event import EVENT_COLUMNS, InLine
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.quick_messages import Found, quick_message, ready
from onshore_pipeline.evidence.verify import quick_messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = bundles.GOLDEN / "v2" / "good.zip"
FILES = bundles.files_of(GOOD)
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ODD = st.sampled_from(
    ['"', "\\", "\n", "\x1f", "\x08", " ", '],"', '":', "é", "\u2028", "\U0001f600", "\x7f", "-0", "a" * 17]
)
TEXTS = st.lists(st.one_of(ODD, st.text(max_size=3)), max_size=4).map("".join)
PLAIN = st.text(" !#],[:{}0azé\u2028\U0001f600\x7f", max_size=40)
DAMAGE = st.sampled_from(
    [b'"', b"\\", b" ", b"0", b"F", b"]", b"[", b"}", b",", b"\n", b"\xff", b"\\u0008", b"\\u0010", b""]
)
VALUES = st.one_of(
    TEXTS,
    st.integers(-(10**21), 10**21),
    st.none(),
    st.booleans(),
    st.lists(TEXTS, max_size=3),
    st.just([1]),
    st.just({}),
)
ORDER = [column.name for column in EVENT_COLUMNS if column.line is not InLine.OUTSIDE]
PLAIN_COLUMNS = [name for name in ORDER if name not in (*standalone.COMMITTED, *standalone.MAPS, "record_index")]
SALTS, LEAF_SALTS = st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16)


def spelled(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@st.composite
def openings(draw: st.DrawFn, keys: st.SearchStrategy[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What one event discloses, and what it commits to (docs/evidence-format.md, section 4)."""
    told: dict[str, Any] = {}
    event: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(standalone.COMMITTED), unique=True, max_size=11)):
        salt, parts = draw(SALTS), draw(st.lists(TEXTS, max_size=3 if name == "contradictions" else 1))
        value = spelled(parts) if name == "contradictions" else spelled(parts[0]) if parts else b"null"
        told[name] = [salt.hex(), *parts]
        event[name] = hashlib.sha256(salt + name.encode() + b"\x00" + value).hexdigest()
    for name in standalone.MAPS:
        leaves: list[list[str]] = []
        tree = b"\x03" + bytes(31)
        for key in sorted(draw(st.lists(keys, unique=True, max_size=5)), key=str.encode):
            if draw(st.booleans()):
                leaves.append([draw(SALTS).hex()])
                tree += bytes.fromhex(leaves[-1][0])
                continue
            leaves.append([draw(LEAF_SALTS).hex(), key, draw(TEXTS)])
            tree += hashlib.sha256(b"\x00" + bytes.fromhex(leaves[-1][0]) + spelled(leaves[-1][1:])).digest()
        if draw(st.booleans()) and leaves:
            told[name], event[name] = leaves, hashlib.sha256(tree).hexdigest()
    if draw(st.integers(0, 9)) == 0:
        told["pseudonyms"] = [["body", "p-0123456789abcdef"]]
    return told, event


@st.composite
def messages(draw: st.DrawFn, keys: st.SearchStrategy[str]) -> tuple[list[bytes], list[bytes]]:
    """Lines of a message's events, and what is opened of them."""
    lines: list[bytes] = []
    opened: list[bytes] = []
    index = draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 4))):
        told, event = draw(openings(keys))
        some: dict[str, Any] = dict(draw(st.dictionaries(st.sampled_from(PLAIN_COLUMNS), VALUES, max_size=5)))
        some |= event | {"record_index": index}
        lines.append(spelled({name: some[name] for name in ORDER if name in some}))
        opened.append(spelled(told))
        index += draw(st.integers(1, 2))
    return lines, opened


def found_slowly(lines: list[bytes], opened: list[bytes]) -> Found | None:
    """What `verify.py` says of the message; None: refused."""
    indexes: list[int] = []
    counts: dict[str, int] = {}
    resources: set[str] = set()
    try:
        for line, opening in zip(lines, opened, strict=True):
            event = standalone.typed(standalone.parse_json(line, 7, "an event"), dict, 7, "an event")
            index = event.get("record_index")
            if not isinstance(index, int) or index <= (indexes[-1] if indexes else -1):
                return None
            indexes.append(index)
            standalone.check_opening(event, opening, resources, counts, "an event")
    except standalone.Altered:
        return None
    opened_of = {name: count for name, count in counts.items() if count}
    return standalone.tree_root(standalone.leaf_hashes(lines)), indexes, opened_of


def found_quickly(lines: list[bytes], opened: list[bytes]) -> Found | None:
    return quick_message(
        b"".join(line + b"\n" for line in lines), b"".join(line + b"\n" for line in opened), len(lines)
    )


@SLOW
@given(messages(st.one_of(PLAIN, TEXTS)), st.data())
def test_what_the_compiled_way_accepts_the_other_accepts_and_counts_alike(
    message: tuple[list[bytes], list[bytes]], data: st.DataObject
) -> None:
    for raws in message:
        for row, raw in enumerate(raws):
            if raw and data.draw(st.integers(0, 3)) == 0:
                at = data.draw(st.integers(0, len(raw) - 1))
                raws[row] = raw[:at] + data.draw(DAMAGE) + raw[at + data.draw(st.integers(0, 1)) :]
    quick = found_quickly(*message)
    assert quick is None or quick == found_slowly(*message)


@SLOW
@given(messages(PLAIN))
def test_a_good_message_goes_the_compiled_way(message: tuple[list[bytes], list[bytes]]) -> None:
    """Else nobody would notice that everything takes the slow one."""
    slow = found_slowly(*message)
    is_usual = all(line.find(b"[1]") < 0 and b":{}" not in line for line in message[0]) and not any(
        b'"pseudonyms"' in line for line in message[1]
    )
    if slow is not None and is_usual and not any(len(word) > 18 for word in _numbers(message[0])):
        assert found_quickly(*message) == slow


def _numbers(lines: list[bytes]) -> list[str]:
    return [str(value) for line in lines for value in json.loads(line).values() if isinstance(value, int)]


LINES = [FILES[name].splitlines() for name in (standalone.EVENTS, standalone.OPENINGS)]


def test_each_byte_of_a_golden_event_and_its_opening_counts() -> None:
    """Any one of them altered: nothing is accepted that the other way refuses, and no leaf stays what it was."""
    for line, opening in zip(*LINES, strict=True):
        good = found_quickly([line], [opening])
        assert good is None or good == found_slowly([line], [opening])
        for at in range(len(opening)):
            for byte in (opening[at] ^ 1, opening[at] ^ 0x20):
                altered = opening[:at] + bytes([byte]) + opening[at + 1 :]
                quick = found_quickly([line], [altered])
                assert quick is None or quick == found_slowly([line], [altered])
        for at in range(len(line)):
            altered = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            quick = found_quickly([altered], [opening])
            assert quick is None or (quick == found_slowly([altered], [opening]) and good and quick[0] != good[0])


def test_most_golden_events_go_the_compiled_way() -> None:
    taken = [found_quickly([line], [opening]) is not None for line, opening in zip(*LINES, strict=True)]
    assert sum(taken) > len(taken) // 2


@pytest.mark.parametrize(
    ("events", "opened"),
    [
        (b"", b""),
        (b'{"record_index":0}', b"{}\n"),
        (b'{"record_index":0}\n', b"{}"),
        (b'{"record_index":0}\n', b"{}\n\n"),
        (b'{"record_index":0}\n\n', b"{}\n"),
        (b"{}\n", b"{}\n"),
        (b'{"record_index":-1}\n', b"{}\n"),
        (b'{"record_index":0,"record_index":0}\n', b"{}\n"),
        (b'{"record_index":true}\n', b"{}\n"),
        (b'{"record_index":00}\n', b"{}\n"),
        (b'{"record_index":0}\n', b'{"body":[]}\n'),
        (b'{"record_index":0,"body":"\xff"}\n', b"{}\n"),
        (b"\n", b"\n"),
    ],
)
def test_what_is_no_message_is_not_accepted(events: bytes, opened: bytes) -> None:
    assert quick_message(events, opened, 1) is None


def test_resources_that_are_opened_twice_are_not_accepted() -> None:
    salt = "7f" * 16
    tree = b"\x03" + bytes(31) + hashlib.sha256(b"\x00" + bytes.fromhex(salt) + b'["a","b"]').digest()
    lines = [spelled({"record_index": n, "resource_attributes": hashlib.sha256(tree).hexdigest()}) for n in range(2)]
    opening = spelled({"resource_attributes": [[salt, "a", "b"]]})
    assert found_quickly(lines, [opening, b"{}"]) is not None
    assert found_quickly(lines, [opening, opening]) is None


BUNDLES = sorted((bundles.GOLDEN / "v2").glob("*.zip"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_a_bundle_is_judged_alike_with_and_without(path: Path) -> None:
    asked: list[int] = []

    def compiled(_size: int) -> Callable[[bytes, bytes, int], Found | None]:
        def quick(events: bytes, opened: bytes, count: int) -> Found | None:
            asked.append(count)
            return quick_message(events, opened, count)

        return quick

    keys = standalone.parse_keys(bundles.KEYS)
    told = [_verdict(path, keys, each) for each in (None, compiled)]
    assert told[0] == told[1]
    assert asked or told[0][0] != "GOOD"


def test_compiled_code_is_not_made_ready_for_a_bundle_that_is_verified_sooner_without() -> None:
    assert quick_messages((256 << 20) - 1) is None
    assert quick_messages(100, least=101) is None
    assert (quick_messages(101, least=101) is None) == (ready() is None)


def _verdict(path: Path, keys: list[Any], quick: Any) -> tuple[str, Any]:
    try:
        return "GOOD", standalone.verify(str(path), keys, quick=quick)
    except standalone.Problem as problem:
        return standalone.verdict_on(problem)
