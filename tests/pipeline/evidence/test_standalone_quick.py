"""The quick way through lines in `verify.py`: it accepts nothing that the other way refuses, and counts the same."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bundles
from onshore_pipeline.evidence import verify_standalone as standalone

GOOD = bundles.GOLDEN / "v2" / "good.zip"
FILES = bundles.files_of(GOOD)
# What could be taken for the end of a text, an escape, white space between members, or a name.
ODD = st.sampled_from(['"', "\\", "\n", "\x1f", " ", ", ", ": ", '],"', '":', "é", "\u2028", "\U0001f600", "-0", "a"])
TEXTS = st.lists(st.one_of(ODD, st.text(max_size=3)), max_size=4).map("".join)
PLAIN = st.text(" !#],[:{}0azé\u2028\U0001f600\x7f", max_size=6)
SALT, LEAF_SALT = st.sampled_from(["ab" * 32, "09" * 32]), st.sampled_from(["cd" * 16, "7f" * 16])
DAMAGE = st.sampled_from([b'"', b"\\", b" ", b"0", b"F", b"]", b",", b"\xff", b""])
ESCAPES, COMMAS = st.sampled_from([True, False]), st.sampled_from([",", ", "])
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def openings(draw: st.DrawFn, texts: st.SearchStrategy[str], keys: st.SearchStrategy[str]) -> dict[str, Any]:
    """What one event may disclose, in the order in which bundles have it."""
    told: dict[str, Any] = {}
    for name in standalone.COMMITTED:
        if draw(st.booleans()):
            most = 3 if name == "contradictions" else 1
            told[name] = [draw(SALT), *draw(st.lists(texts, max_size=most))]
    for name in standalone.MAPS:
        leaves: list[list[str]] = []
        for key in draw(st.lists(keys, unique=True, max_size=4)):
            closed = draw(st.booleans())
            leaves.append([draw(SALT)] if closed else [draw(LEAF_SALT), key, draw(texts)])
        if draw(st.booleans()):
            told[name] = sorted(leaves, key=lambda leaf: leaf[1:2]) if draw(st.booleans()) else leaves
    if draw(st.booleans()):
        columns = st.sampled_from([*standalone.COMMITTED, "no column"])
        told["pseudonyms"] = draw(st.lists(st.tuples(columns, st.just("p-0123456789abcdef")).map(list), max_size=2))
    return told


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def committed(told: dict[str, Any]) -> dict[str, Any]:
    """The members of an event that commits to this (docs/evidence-format.md, section 4)."""
    event: dict[str, Any] = {}
    for name, parts in told.items():
        if name in standalone.MAPS:
            tree = b"\x03" + bytes(31)
            for leaf in parts:
                if len(leaf) == 1:
                    tree += bytes.fromhex(leaf[0])
                else:
                    pair = f"[{quoted(leaf[1])},{quoted(leaf[2])}]".encode()
                    tree += hashlib.sha256(b"\x00" + bytes.fromhex(leaf[0]) + pair).digest()
            event[name] = hashlib.sha256(tree).hexdigest()
        elif name != "pseudonyms":
            words = f"[{','.join(map(quoted, parts[1:]))}]"
            value = words if name == "contradictions" else quoted(parts[1]) if parts[1:] else "null"
            event[name] = hashlib.sha256(bytes.fromhex(parts[0]) + name.encode() + b"\x00" + value.encode()).hexdigest()
    return event


def judged(event: dict[str, Any], line: bytes, known: set[str]) -> tuple[bool, dict[str, int], set[str]] | None:
    """What the slow way says: what is opened, and the roots that are opened then; None: refused."""
    opened: dict[str, int] = {}
    try:
        standalone.check_opening(event, line, known, opened, "this event")
    except standalone.Altered:
        return None
    return True, opened, known


def learned(event: dict[str, Any], told: dict[str, Any]) -> bytes:
    """The opening as it is spelled; its shape is known from now on, if it is good."""
    line = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    standalone.opening_shapes.learned.clear()  # only so many are learned
    if judged(event, line, set()) is not None:
        standalone.learn_opening(line)
    return line


def judged_quickly(event: dict[str, Any], line: bytes, known: set[str]) -> tuple[bool, dict[str, int], set[str]] | None:
    uses: dict[Any, int] = {}
    if not standalone.quick_opening(event, line, known, uses):
        return None
    ((opened, times),) = uses.items()
    assert times == 1
    return True, opened.counts, known


@SLOW
@given(st.one_of(openings(TEXTS, PLAIN), openings(TEXTS, TEXTS)), ESCAPES, COMMAS, st.data())
def test_what_the_quick_way_accepts_the_other_accepts_and_counts_alike(
    told: dict[str, Any], escapes: Any, comma: str, data: st.DataObject
) -> None:
    event = committed(told)
    learned(event, told)
    line = json.dumps(told, ensure_ascii=escapes, separators=(comma, ":")).encode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(line) - 1))
        line = line[:at] + data.draw(DAMAGE) + line[at + data.draw(st.integers(0, 1)) :]
    known = {event[name] for name in standalone.MAPS if name in event and data.draw(st.booleans())}
    quick = judged_quickly(event, line, set(known))
    assert quick is None or quick == judged(event, line, set(known))


@SLOW
@given(openings(TEXTS, PLAIN))
def test_an_opening_with_plain_keys_goes_the_quick_way(told: dict[str, Any]) -> None:
    """Else nobody would notice that everything takes the slow one."""
    some = {name: parts for name, parts in told.items() if parts}
    event = committed(some)
    line = learned(event, some)
    if some and judged(event, line, set()) is not None:
        assert judged_quickly(event, line, set()) == judged(event, line, set())


def test_what_follows_an_opening_that_is_known_is_seen() -> None:
    told = {"actor_id": ["ab" * 32, "kim"]}
    event = committed(told)
    line = learned(event, told)
    assert judged_quickly(event, line, set()) is not None
    for more in (b'"', b'"x', b' "', b'""'):
        assert judged_quickly(event, line + more, set()) is None


def test_the_golden_lines_go_the_quick_way() -> None:
    lines, some = (FILES[name].splitlines() for name in (standalone.EVENTS, standalone.OPENINGS))
    for line, opening in zip(lines, some, strict=True):
        event = json.loads(line)
        assert b", " in line or b": " in line or standalone.quick_object(line) == event
        slow = judged(event, opening, set())
        assert slow is not None
        standalone.learn_opening(opening)
        assert judged_quickly(event, opening, set()) == slow
    for line in FILES[standalone.VERDICTS].splitlines() + FILES[standalone.ENTRIES].splitlines():
        assert standalone.quick_object(line) is not None


VALUES = st.one_of(
    TEXTS, st.integers(-(10**21), 10**21), st.none(), st.booleans(), st.lists(TEXTS, max_size=2),
    st.dictionaries(TEXTS, st.integers(), max_size=1),
)  # fmt: skip


EVENTS = st.fixed_dictionaries(
    {"record_index": st.integers(0, 10**12), "actor_id": PLAIN},
    optional={"attributes": VALUES, "body": TEXTS, "bytes": VALUES, "categories": VALUES, 'odd"name': VALUES},
)


@SLOW
@given(st.dictionaries(TEXTS, VALUES, max_size=4), ESCAPES, COMMAS, st.data())
def test_an_object_that_is_read_quickly_is_spelled_as_it_must_be(
    value: dict[str, Any], escapes: Any, comma: str, data: st.DataObject
) -> None:
    raw = json.dumps(value, ensure_ascii=escapes, separators=(comma, ":")).encode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(raw) - 1))
        odd = st.sampled_from([b'"', b"\\", b" ", b"-0", b"1.5", b"\t", b'"a":1,', b"{}", b"\xff", b""])
        raw = raw[:at] + data.draw(odd) + raw[at:]
    found = standalone.quick_object(raw)
    if found is not None:
        assert found == standalone.parse_json(raw, 7, "this")


@SLOW
@given(EVENTS, ESCAPES, COMMAS, st.data())
def test_of_an_event_that_is_read_quickly_the_other_way_reads_the_same(
    event: dict[str, Any], escapes: Any, comma: str, data: st.DataObject
) -> None:
    standalone.event_shapes.learned.clear()
    standalone.quick_event(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
    changed = event | {name: data.draw(VALUES) for name in event if data.draw(st.booleans())}
    line = json.dumps(changed, ensure_ascii=escapes, separators=(comma, ":")).encode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(line) - 1))
        line = line[:at] + data.draw(DAMAGE) + line[at + data.draw(st.integers(0, 1)) :]
    found = standalone.quick_event(line)
    if found is not None:
        whole = standalone.parse_json(line, 7, "this")
        assert {name: whole.get(name) for name in ("record_index", *standalone.COMMITTED, *standalone.MAPS)} == {
            name: found.get(name) for name in ("record_index", *standalone.COMMITTED, *standalone.MAPS)
        }


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}', b'{"a":{"b":1}}', b'{"a":-0}', b'{"a":[-0]}', b'{"a": 1}', b'{"a":1 }', b' {"a":1}',
        b'{"a":1} ', b'{"a":"\\u0061"}', b'{"a":"\\/"}', b'{"a":1.0}', b'{"a":1e5}', b'{"a":NaN}', b'{"a":01}', b"[]",
        b'{"a":"\t"}', b'{"a":"\xff"}', b'\xef\xbb\xbf{"a":1}', b'{"a":111111111111111111111}', b'{"a":1}x', b"",
    ],
)  # fmt: skip
def test_what_is_not_spelled_as_it_must_be_is_not_read_quickly(raw: bytes) -> None:
    assert standalone.quick_object(raw) is None


ON_MANY = """
import sys
sys.path.insert(0, ".")
sys.modules.update({name: None for name in sys.argv.pop(1).split(",") if name})
import verify
verify._PARALLEL_FROM, verify._CHUNK_BYTES = 0, 1
sys.exit(verify.main([*sys.argv[1:], "--key", "key", "--processes", "2"]))
"""


@pytest.mark.parametrize("missing", ["", "_multiprocessing"], ids=["with processes", "without"])
@pytest.mark.parametrize("name", ["good", "wrong-salt", "swapped-events", "denominators"])
def test_many_processes_say_what_one_says(name: str, missing: str, tmp_path: Path) -> None:
    shutil.copy(Path(standalone.__file__), tmp_path / "verify.py")
    shutil.copy(bundles.GOLDEN / "v1" / f"{name}.zip", tmp_path / "bundle.zip")
    (tmp_path / "key").write_text(bundles.KEYS)
    alone = [sys.executable, "-I", "verify.py", "bundle.zip", "--key", "key", "--processes", "1"]
    many = [sys.executable, "-B", "-c", ON_MANY, missing, "bundle.zip"]
    told = [subprocess.run(each, cwd=tmp_path, capture_output=True, text=True, check=False) for each in (alone, many)]
    assert [each.returncode for each in told] == [0 if name == "good" else 1] * 2
    assert (told[0].stdout, told[0].stderr) == (told[1].stdout, told[1].stderr)
