#!/usr/bin/env python3
"""Verify an Onshore evidence bundle: this file, Python 3.9 or newer, a public key, and nothing else.

    python3 -I verify.py bundle.zip --key operator.vkey [--checkpoint witnessed.note] [--disclosed event.ndjson] [--json]
    python3 -I verify.py event.ndjson --proof event.tlog-proof --key operator.vkey

It opens no connection, imports the standard library only and writes no file. Exit codes: 0 everything checked is as it
was sealed; 1 something was altered; 2 it could not be checked. The numbered steps are those of docs/bundle-format.md.
Take this file and the key from somewhere else than the bundle: a bundle that brings its own judge proves nothing.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import hashlib
import io
import json
import os
import re
import struct
import sys
import unicodedata
import zlib
from bisect import bisect_left
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import repeat
from operator import itemgetter, lt
from typing import Any, BinaryIO, Collection, Iterator, NoReturn, Sequence, Tuple

FORMAT = "onshore-bundle/2"
FORMATS = ("onshore-bundle/1", FORMAT)
MANIFEST, ENVELOPE = "manifest.json", "manifest.dsse.json"
HEAD, LOG_PROOF, MESSAGES = "heads/head.note", "proofs/log.json", "proofs/messages.ndjson"
ENTRIES, EVENTS, OPENINGS = "entries.ndjson", "events.ndjson", "openings.ndjson"
VERDICTS, VERDICTS_CSV = "verdicts.ndjson", "verdicts.csv"
FINDINGS, ACTIONS, WAIVERS, DELETIONS = "findings.ndjson", "actions.ndjson", "waivers.ndjson", "deletions.ndjson"
FINDINGS_CSV, SETS = "findings.csv", "context/sets.json"
PEOPLE, HOLDS = "people.ndjson", "holds.ndjson"  # bundles of before there were these have neither
NEEDED = (HEAD, LOG_PROOF, MESSAGES, ENTRIES, EVENTS, OPENINGS, VERDICTS, VERDICTS_CSV)
NEEDED_SINCE_2 = (FINDINGS, ACTIONS, WAIVERS, DELETIONS, SETS)
# What covers a file, whatever its manifest says: the head, the sets and records of steps 11 and 12, the operator's
# signature alone, or nothing (renderings). Of other files no step knows what they say.
COVERS = {
    **dict.fromkeys(NEEDED, "proved"),
    **dict.fromkeys(("heads/before.note", "heads/after.note", "heads/witnessed.note", SETS), "proved"),
    **dict.fromkeys((FINDINGS, FINDINGS_CSV, ACTIONS, WAIVERS, DELETIONS, PEOPLE, HOLDS), "records"),
    **dict.fromkeys(("README.txt", "coverage.csv", "restatements.ndjson", "dictionary.csv", "verify.py"), "signed"),
    "context/digests.json": "signed",
    **dict.fromkeys(("events.parquet", "report.pdf", "timestamp.tsr"), "rendering"),
    **dict.fromkeys(("oscal/assessment-results.json", "ocsf/findings.ndjson"), "rendering"),
}
# What a bundle may come without, and what nobody is told then.
MISSED = {
    "coverage.csv": "what should have been seen and was not",
    "restatements.ndjson": "which windows were judged again, and what was said of them before",
    HOLDS: "which legal holds there are",
    PEOPLE: "the keys of those who signed waivers",
    FINDINGS_CSV: "the findings as a table",
    "context/digests.json": "the digests of the programs that judged",
    "dictionary.csv": "what the columns of its tables hold",
    "README.txt": "what it says it is",
}
ACTIONS_TOPIC = "onshore_actions"
FINDING_ID, DELETION_ID = "onshore.finding.id", "onshore.deletion.id"
DELETE = "evidence.delete"
RECORDED = (
    "finding.",
    "waiver.",
    "hold.",
    "evidence.delete",
    "context.change",
)  # actions that `actions.ndjson` has, every one
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STEPS = {
    1: "container",
    2: "manifest",
    3: "signature",
    4: "heads",
    5: "witness",
    6: "log entries",
    7: "events",
    8: "disclosed values",
    9: "verdicts",
    10: "scope and counts",
    11: "rules in force",
    12: "records",
}
_PARTIES = ("actor", "source", "destination")
COMMITTED = (
    *(f"{party}_{part}" for party in _PARTIES for part in ("id", "address", "host")),
    "contradictions",
    "body",
)
MAPS = ("resource_attributes", "attributes")
_MANIFEST_LIMIT = 64 << 20
_LINE_LIMIT = 256 << 20
_LARGEST_SIZE = (1 << 63) - 1
_MOST_DIGITS = 20
_CHUNK_BYTES = 8 << 20
_PARALLEL_FROM = 32 << 20


class Problem(Exception):
    """What stopped the verification: the numbered step, and what was found there."""

    exit_code = 2

    def __init__(self, step: int, what: str) -> None:
        super().__init__(step, what)
        self.step, self.what = step, what
        self.passed: list[tuple[int, str]] = []  # steps before it, each with what it found

    def __str__(self) -> str:
        return self.what if not self.step else f"step {self.step} ({STEPS[self.step]}): {self.what}"


class Altered(Problem):
    """Checked, and not what was sealed or signed."""

    exit_code = 1


class Uncheckable(Problem):
    """Could not be checked."""


# --- JSON: one spelling, no floats, no huge integers, no deep nesting ---------------------------------------------


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS or text == "-0":
        raise ValueError("an integer of more than 20 digits, or -0")
    return int(text)


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"a number that is no integer ({text[:40]})")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_no_float, parse_constant=_no_float)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True)
_quoted = json.encoder.encode_basestring
_sha256 = hashlib.sha256


def parse_json(raw: bytes, step: int, where: str) -> Any:
    """One JSON text that is spelled in the one way that RFC 8785 allows, members in the order given."""
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
        same = _ENCODER.encode(value) == text
    except (ValueError, RecursionError) as error:
        raise Altered(step, f"{where} is not the JSON it must be: {_short(error)}") from None
    if not same:
        raise Altered(step, f"{where} is not spelled as JSON is spelled here (a member twice, or white space)")
    return value


def canonical(value: Any) -> bytes:
    """JSON with members sorted, no white space, as bytes."""
    return _SORTED.encode(value).encode("utf-8")


def parse_sorted(raw: bytes, step: int, where: str) -> Any:
    """As `parse_json`, with members sorted by name."""
    value = quick_object(raw)
    if value is not None and list(value) == sorted(value):
        return value
    value = parse_json(raw, step, where)
    if canonical(value) != raw:
        raise Altered(step, f"{where} has its members in another order than sorted")
    return value


_CONTROLS = bytes(range(32))
_NOT_PLAIN = _CONTROLS + b"\\"  # which begins an escape
_white_space = re.compile(rb" (?:(?<=[\[{,:] )|(?=[\]},:]))").search  # that may stand outside a text


def quick_object(raw: bytes) -> dict[str, Any] | None:
    """A flat object that `parse_json` takes; None where that cannot be told without writing it again."""
    if len(raw.translate(None, _NOT_PLAIN)) != len(raw) or _white_space(raw):
        return None
    try:
        text = raw.decode("utf-8")
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    # Each member has a `":`. As many as names: no name is there twice, and none inside a member.
    if end != len(text) or not isinstance(value, dict) or raw.count(b'":') != len(value):
        return None
    return value


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def typed(value: Any, kind: Any, step: int, where: str) -> Any:
    """The value, if it is of this type (a bool is no integer)."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Altered(step, f"{where} is {type(value).__name__} instead of {kind.__name__}")
    return value


def count_of(value: Any, step: int, where: str) -> int:
    """A number that can count something."""
    if typed(value, int, step, where) < 0 or value > _LARGEST_SIZE:
        raise Altered(step, f"{where} is {value}, which counts nothing")
    return int(value)


def hash_of(value: Any, step: int, where: str) -> bytes:
    """32 bytes in lower-case hexadecimal."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise Altered(step, f"{where} is no hash")
    return bytes.fromhex(value)


# --- Ed25519 (RFC 8032) -------------------------------------------------------------------------------------------

Point = Tuple[int, int, int, int]
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)


def _add(one: Point, other: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(number: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = _add(total, point)
        point = _add(point, point)
        number >>= 1
    return total


def _decompress(raw: bytes) -> Point | None:
    """The point of 32 bytes; None where they are none, or not written in the one way there is."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    squared = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(squared, (_P + 3) // 8, _P)
    if (x * x - squared) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - squared) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def _compress(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, _P - 2, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE = _decompress(bytes.fromhex("58" + "66" * 31))


def sound_key(public: bytes) -> bool:
    """Whether these bytes are a public key, written in the one way there is, and not of small order."""
    key = _decompress(public) if len(public) == 32 else None
    return key is not None and _compress(_times(8, key)) != b"\x01" + bytes(31)


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is the key's signature of the message (RFC 8032, section 5.1.7).

    Stricter than asked for: a key of small order, whose signatures bind to no message, is refused.
    """
    if len(signature) != 64 or not sound_key(public):
        return False
    key, s = _decompress(public), int.from_bytes(signature[32:], "little")
    if key is None or _BASE is None or s >= _L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    x, y, z, t = key
    return _compress(_add(_times(s, _BASE), _times(k, (-x % _P, y, z, -t % _P)))) == signature[:32]


# --- Signed notes (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature) -----------------------------------------

NOTE_KEY, COSIGNATURE_KEY = 1, 4


class Key:
    """A verifier key: name, type (1 signs notes, 4 is a witness), 32 public bytes."""

    def __init__(self, name: str, kind: Any, public: bytes) -> None:
        self.name, self.kind, self.public = name, kind, public
        self.key_id = _sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]

    @property
    def label(self) -> str:
        """As envelopes name the key."""
        return f"{self.name}+{self.key_id.hex()}"

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this is the key's signature."""
        return ed25519_verify(self.public, message, signature)


def _base64(text: str, step: int, where: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Altered(step, f"{where} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Altered(step, f"{where} is not base64 as it is spelled")
    return raw


def parse_keys(text: str, make: Any = Key) -> list[Any]:
    """Verifier keys, one a line (name+id+key); empty lines, those that begin with # and a byte-order mark are left out.

    `make` is what they become; the installed command's have a library look at signatures.
    """
    keys = []
    for line in map(str.strip, text.removeprefix("\ufeff").splitlines()):
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if not name or len(raw) != 33 or raw[0] not in (NOTE_KEY, COSIGNATURE_KEY):
            raise Uncheckable(4, f"{line[:80]!r} is no verifier key (name+id+key) of a kind that is known here")
        key = make(name, raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise Uncheckable(4, f"the key of {name} has the id {key_id}, but its name and key give {key.key_id.hex()}")
        keys.append(key)
    if not any(key.kind == NOTE_KEY for key in keys):
        raise Uncheckable(4, "the key file has no operator's key in it")
    return keys


class Head:
    """A tree head whose signatures were checked: origin, size, root, who signed, who witnessed when, the signer's time."""

    def __init__(
        self, origin: str, size: int, root: bytes, signed_by: list[str], witnesses: list[tuple[int, str]], at: Any
    ) -> None:
        self.origin, self.size, self.root = origin, size, root
        self.signed_by, self.witnesses, self.at = signed_by, witnesses, at


def open_note(raw: bytes, keys: Sequence[Key], step: int, where: str) -> Head:
    """Read a signed checkpoint; every signature by a known key must be good, and one must be an operator's."""
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Altered(step, f"{where} is not UTF-8") from None
    text, parted, lines = whole.rpartition("\n\n")
    text += "\n"
    if not parted or len(raw) > 1 << 20 or not lines.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", whole):
        raise Altered(step, f"{where} is no signed note")
    known = {(key.name, key.key_id): key for key in keys}
    operators = {key.public for key in keys if key.kind == NOTE_KEY} | {
        key.name for key in keys if key.kind == NOTE_KEY
    }
    signed_by, witnesses, times = [], [], []
    for line in lines[:-1].split("\n"):
        name, parted, encoded = line[2:].partition(" ")
        blob = _base64(encoded, step, f"a signature of {where}")
        if not line.startswith("\u2014 ") or not parted or not name or len(blob) < 5:
            raise Altered(step, f"{where} has a line that is no signature")
        key = known.get((name, blob[:4]))
        if key is None:
            continue
        signature, signed, at = blob[4:], text.encode(), None
        if key.kind == COSIGNATURE_KEY:
            if len(signature) != 72:
                raise Altered(step, f"the cosignature of {name} on {where} is cut")
            at, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            signed = f"cosignature/v1\ntime {at}\n{text}".encode()
        if not key.signed(signed, signature):
            raise Altered(step, f"the signature of {key.label} on {where} is bad")
        if at is None:
            signed_by.append(key.label)
        elif key.public in operators or key.name in operators:
            times.append(at)  # the operator's own word about the time
        else:
            witnesses.append((at, key.label))
    if not signed_by:
        raise Uncheckable(
            step, f"{where} is not signed by a key of yours: it is another operator's, or a key is missing"
        )
    rows = text[:-1].split("\n")
    if len(rows) < 3 or not re.fullmatch("0|[1-9][0-9]{0,18}", rows[1]) or int(rows[1]) > _LARGEST_SIZE:
        raise Altered(step, f"{where} is no checkpoint")
    root = _base64(rows[2], step, f"the root of {where}")
    if len(root) != 32:
        raise Altered(step, f"the root of {where} has {len(root)} bytes")
    return Head(rows[0], int(rows[1]), root, signed_by, witnesses, max(times, default=None))


# --- Merkle trees (RFC 6962) ----------------------------------------------------------------------------------------

EMPTY_ROOT = _sha256(b"").digest()
_NOTHING, _LEAF = _sha256(), _sha256(b"\x00")


def node_hash(left: bytes, right: bytes) -> bytes:
    """Of an inner node."""
    return _sha256(b"\x01" + left + right).digest()


def leaf_hashes(lines: Sequence[bytes]) -> list[bytes]:
    """Of each line; a hash that began is copied, which is quicker than to begin anew."""
    hashes = []
    for line in lines:
        leaf = _LEAF.copy()
        leaf.update(line)
        hashes.append(leaf.digest())
    return hashes


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Over leaf hashes."""
    if not leaves:
        return EMPTY_ROOT
    while len(leaves) > 1:
        odd = list(leaves[-1:]) if len(leaves) % 2 else []
        leaves = [_sha256(b"\x01" + a + b).digest() for a, b in zip(leaves[::2], leaves[1::2])] + odd
    return leaves[0]


def multiproof_root(indexes: Sequence[int], leaves: list[bytes], size: int, proof: Sequence[bytes]) -> bytes:
    """The root that these leaves, at these rising indexes, and the hashes of what lies between them give.

    Raises ValueError where the proof does not fit.
    """
    unused = iter(proof)

    def found(start: int, end: int, first: int, last: int) -> bytes:
        if first == last:
            node = next(unused, None)
            if node is None:
                raise ValueError("the proof is too short")
            return node
        if last - first == end - start and end - start <= 1 << 16 and not end - start & (end - start - 1):
            return tree_root(leaves[first:last])
        if end - start == 1:
            return leaves[first]
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        between = bisect_left(indexes, middle, first, last)
        return node_hash(found(start, middle, first, between), found(middle, end, between, last))

    root = found(0, size, 0, len(indexes)) if size else EMPTY_ROOT
    if next(unused, None) is not None:
        raise ValueError("the proof is too long")
    return root


def consistency_holds(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        expected = new_root if old == new else EMPTY_ROOT
        return not proof and old_root == expected and (old > 0 or old_root == EMPTY_ROOT)
    nodes = list(proof) if old & (old - 1) else [old_root, *proof]
    if not nodes:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    from_old = from_new = nodes[0]
    for node in nodes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            from_old, from_new = node_hash(node, from_old), node_hash(node, from_new)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            from_new = node_hash(from_new, node)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and from_old == old_root and from_new == new_root


def inclusion_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that a leaf at `index` and the hashes of its inclusion proof give (RFC 9162, section 2.1.3.2).

    Raises ValueError where the proof does not fit.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    if len(leaf) != 32:
        raise ValueError("the leaf is no hash")
    fn, sn = index, size - 1
    for node in proof:
        if sn == 0:
            raise ValueError("the proof is too long")
        if fn & 1 or fn == sn:
            leaf = node_hash(node, leaf)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            leaf = node_hash(leaf, node)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise ValueError("the proof is too short")
    return leaf


# --- Step 1: the container --------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_FOUR, _TWO = 0xFFFFFFFF, 0xFFFF
_DOS_DATE = 0x21  # 1980-01-01


class Part:
    """One file of the container: name, size, CRC-32, where its header begins."""

    def __init__(self, name: str, size: int, crc: int, at: Any) -> None:
        self.name, self.size, self.crc, self.at = name, size, crc, at

    @property
    def data_at(self) -> int:
        return int(self.at) + len(self.local_header())

    def local_header(self) -> bytes:
        """The header in front of the data."""
        big = self.size >= _FOUR
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if big else b""
        size = _FOUR if big else self.size
        name = self.name.encode("ascii")
        fixed = (0x04034B50, 45 if big else 20, 0, 0, 0, _DOS_DATE, self.crc, size, size, len(name), len(extra))
        return struct.pack("<IHHHHHIIIHH", *fixed) + name + extra

    def central_header(self) -> bytes:
        """Its line of the directory."""
        big, far = self.size >= _FOUR, self.at >= _FOUR
        extra = (struct.pack("<QQ", self.size, self.size) if big else b"") + (
            struct.pack("<Q", self.at) if far else b""
        )
        extra = struct.pack("<HH", 1, len(extra)) + extra if extra else b""
        size, name = _FOUR if big else self.size, self.name.encode("ascii")
        version = 45 if big or far else 20
        fixed = (0x02014B50, 0x300 | version, version, 0, 0, 0, _DOS_DATE, self.crc, size, size)
        rest = (len(name), len(extra), 0, 0, 0, 0o100644 << 16, _FOUR if far else self.at)
        return struct.pack("<IHHHHHHIIIHHHHHII", *fixed, *rest) + name + extra


def container_end(parts: list[Part], at: int) -> bytes:
    """The directory of these parts, which begins at `at`, and what ends the file."""
    directory = b"".join(part.central_header() for part in parts)
    count, size = len(parts), len(directory)
    far = b""
    if at >= _FOUR or size >= _FOUR or count >= _TWO:
        far = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 0x300 | 45, 45, 0, 0, count, count, size, at)
        far += struct.pack("<IIQI", 0x07064B50, 0, at + size, 1)
    counted = min(count, _TWO)
    return (
        directory
        + far
        + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, counted, counted, min(size, _FOUR), min(at, _FOUR), 0)
    )


class Container:
    """The bundle's files, read where they lie; nothing is unpacked."""

    def __init__(self, path: str) -> None:
        try:
            self.file = open(path, "rb")
            self.size = os.fstat(self.file.fileno()).st_size
        except OSError as error:
            raise Uncheckable(1, f"{path} cannot be read: {error.strerror}") from None
        self.path: str = path
        self.parts: dict[str, Part] = {}

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def at(self, offset: int, size: int) -> bytes:
        """These bytes of the file."""
        self.file.seek(offset)
        return self.file.read(size)

    def read(self, name: str, limit: int = _MANIFEST_LIMIT) -> bytes:
        """A whole small file."""
        part = self.parts[name]
        if part.size > limit:
            raise Altered(1, f"{name} has {part.size} bytes, more than {limit}")
        return self.at(part.data_at, part.size)


def read_container(box: Container) -> None:
    """Step 1: read the directory, rebuild the container from it, and compare every byte that is not a file's own."""
    parts = _directory(box)
    at, names = 0, set()
    for part in parts:
        if not _NAME.fullmatch(part.name) or len(part.name) > 200:
            raise Altered(1, f"{part.name[:80]!r} is no name that a bundle's file may have")
        if part.name.lower() in names:
            raise Altered(1, f"{part.name} is in the container twice")
        names.add(part.name.lower())
        part.at = at
        header = part.local_header()
        if box.at(at, len(header)) != header:
            raise Altered(1, f"the header in front of {part.name} is not the one a bundle has")
        at += len(header) + part.size
    if box.size - at > 64 << 20 or box.at(at, box.size - at) != container_end(parts, at):
        raise Altered(
            1, "the container's directory is not the one a bundle with these files has, or something follows it"
        )
    box.parts = {part.name: part for part in parts}


def _directory(box: Container) -> list[Part]:
    """What the directory at the end of the file names. Nothing is trusted: all of it is rebuilt and compared."""
    end = box.at(max(box.size - 22, 0), 22)
    if len(end) < 22 or end[:4] != b"PK\x05\x06":
        raise Altered(1, "the file does not end as a bundle ends: it is cut, or something was added to it")
    *_, count, size, at, _ = struct.unpack("<IHHHHIIH", end)
    before = 22
    if count == _TWO or _FOUR in (size, at):
        far = box.at(max(box.size - 98, 0), 76)
        if len(far) < 76 or far[:4] != b"PK\x06\x06":
            raise Altered(1, "the container says that it is large and has no large directory")
        *_, count, size, at = struct.unpack("<IQHHIIQQQQ", far[:56])
        before = 98
    if at + size + before != box.size or size > 32 << 20:
        raise Altered(1, "the container's directory does not lie in front of its end")
    raw, parts, place = box.at(at, size), [], 0
    for _ in range(count):
        if len(raw) - place < 46:
            raise Altered(1, "the container's directory is cut")
        fields = struct.unpack("<IHHHHHHIIIHHHHHII", raw[place : place + 46])
        name, extra = fields[10], fields[11]
        text = raw[place + 46 : place + 46 + name].decode("latin-1")
        data = raw[place + 46 + name : place + 46 + name + extra]
        size = fields[9]
        if size == _FOUR:
            if len(data) < 12:
                raise Altered(1, "the container's directory is cut")
            size = struct.unpack("<Q", data[4:12])[0]
        if size > box.size:
            raise Altered(1, f"{text[:80]!r} is larger than the whole bundle")
        parts.append(Part(text, size, fields[7], 0))
        place += 46 + name + extra
    return parts


# --- Steps 2 and 3: the manifest and its signature ------------------------------------------------------------------


def read_manifest(box: Container, workers: int = 1) -> tuple[dict[str, Any], bytes]:
    """Step 2: the manifest names each file with size and digest, in the container's order, and nothing else is there."""
    names = list(box.parts)
    if names[:2] != [MANIFEST, ENVELOPE]:
        raise Altered(2, f"a bundle begins with {MANIFEST} and {ENVELOPE}")
    raw = box.read(MANIFEST)
    manifest = typed(parse_sorted(raw, 2, MANIFEST), dict, 2, MANIFEST)
    if manifest.get("format") not in FORMATS:
        known = " and ".join(map(repr, FORMATS))
        raise Uncheckable(
            2, f"the bundle's format is {str(manifest.get('format'))[:40]!r}; this verifier knows {known}"
        )
    needed = NEEDED if manifest["format"] == FORMATS[0] else NEEDED + NEEDED_SINCE_2
    listed = typed(manifest.get("files"), list, 2, "files")
    if [typed(each, dict, 2, "a file").get("name") for each in listed] != names[2:]:
        raise Altered(2, "the manifest names other files than the container holds")
    missing = [name for name in needed if name not in box.parts]
    if missing:
        raise Altered(2, f"the bundle has no {missing[0]}")
    if manifest["format"] == FORMATS[0] and any(name in box.parts for name in (*NEEDED_SINCE_2[1:], PEOPLE, HOLDS)):
        raise Altered(2, "the bundle says that it is of format 1 and has files of format 2")
    parts = [box.parts[each["name"]] for each in listed]
    for each, part, (digest, crc) in zip(listed, parts, _digests(box, parts, workers)):
        if each.get("size") != part.size:
            raise Altered(2, f"{part.name} has {part.size} bytes, the manifest says {each.get('size')}")
        if digest != each.get("sha256"):
            raise Altered(2, f"{part.name} is not the file whose digest the manifest has")
        _same_crc(part, crc)
    _check_covers(manifest)
    for name in (MANIFEST, ENVELOPE):
        _same_crc(box.parts[name], zlib.crc32(box.read(name)))
    return manifest, raw


def covers_of(name: str, version: str = FORMAT) -> str | None:
    """What covers a file of this name; None for one that no step knows."""
    if name not in COVERS and re.fullmatch(r"heads/.+|context/.+|controls/.+\.yaml", name):
        return "signed" if version == FORMATS[0] and not name.startswith("heads/") else "proved"
    return COVERS.get(name)


def made_at(manifest: dict[str, Any]) -> int:
    """When the export was made, by the operator's word, in nanoseconds since 1970."""
    try:
        return _nanoseconds(typed(manifest.get("export"), dict, 2, "export")["at"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Altered(2, "the export has no time") from None


def _check_covers(manifest: dict[str, Any]) -> None:
    """The manifest says of no file that it is proved which nothing proves."""
    for each in manifest["files"]:
        covers = covers_of(each["name"], manifest["format"])
        if each.get("covers") == "proved" and covers != "proved":
            kind = Uncheckable if covers is None else Altered
            raise kind(2, f"the manifest says that {each['name']} is proved, and no step of this verifier proves it")


def unproved_files(manifest: dict[str, Any]) -> list[str]:
    """Files that no step knows, and those that the bundle comes without, in words."""
    names = [each["name"] for each in manifest["files"]]
    unknown = [name for name in names if covers_of(name) is None]
    said = [f"Anything about files that no step knows: {', '.join(unknown)[:1000]}."] if unknown else []
    said += [
        f"{words[0].upper()}{words[1:]}: there is no {name}." for name, words in MISSED.items() if name not in names
    ]
    if manifest["format"] == FORMATS[0]:
        said.append(
            "What rules were in force, and what people did: the bundle is of format 1, of which steps 11 and 12 are not"
            f" run; {FINDINGS} and the texts under controls/ and context/ are the operator's word."
        )
    return said


def _same_crc(part: Part, crc: int) -> None:
    if crc != part.crc:
        raise Altered(1, f"the check sum of {part.name} in the container is not that of its bytes")


def _digests(box: Container, parts: list[Part], workers: int) -> Iterator[tuple[str, int]]:
    """SHA-256 and check sum of each, in this order; threads, because hashing large blocks lets others work."""
    if workers < 2 or box.size < _PARALLEL_FROM:
        yield from map(_digest_of, repeat(box.path), parts)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(_digest_of, repeat(box.path), parts)


def _digest_of(path: str, part: Part) -> tuple[str, int]:
    digest, crc, left = _sha256(), 0, part.size
    with open(path, "rb") as file:
        file.seek(part.data_at)
        while left:
            block = file.read(min(left, 1 << 20))
            if not block:
                raise Altered(1, f"{part.name} is cut")
            digest.update(block)
            crc = zlib.crc32(block, crc)
            left -= len(block)
    return digest.hexdigest(), crc


def statement_of(manifest_raw: bytes, export_id: str) -> bytes:
    """The in-toto statement that is signed: it names the manifest by its digest."""
    return canonical(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": MANIFEST, "digest": {"sha256": _sha256(manifest_raw).hexdigest()}}],
            "predicateType": "urn:onshore:bundle:1",
            "predicate": {"export": export_id},
        }
    )


def pre_authentication(payload: bytes) -> bytes:
    """What DSSE signs."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def envelope_of(payload: bytes, signatures: Sequence[tuple[str, bytes]]) -> bytes:
    """The envelope as it is spelled; signatures with the labels of their keys."""
    encoded = [{"keyid": label, "sig": base64.b64encode(signature).decode()} for label, signature in signatures]
    whole = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": encoded}
    return canonical(whole) + b"\n"


def check_envelope(box: Container, manifest: dict[str, Any], manifest_raw: bytes, keys: Sequence[Key]) -> str:
    """Step 3: the manifest is signed by a key of yours, in the one spelling there is; keys in rotation sign both."""
    raw = box.read(ENVELOPE)
    try:
        told = _DECODER.decode(raw.decode("utf-8"))["signatures"]
        signatures = [
            (typed(each["keyid"], str, 3, "keyid"), _base64(each["sig"], 3, "a signature"))
            for each in typed(told, list, 3, "signatures")
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Altered(3, f"{ENVELOPE} is no envelope with signatures") from None
    labels = [label for label, _ in signatures]
    if not labels or len(set(labels)) < len(labels):
        raise Altered(3, f"{ENVELOPE} has no signature, or two by one key")
    export = typed(manifest.get("export"), dict, 3, "export").get("id")
    payload = statement_of(manifest_raw, typed(export, str, 3, "the export's id"))
    if envelope_of(payload, signatures) != raw:
        raise Altered(3, f"{ENVELOPE} is not about this manifest, or not spelled as it must be")
    yours = {key.label: key for key in keys if key.kind == NOTE_KEY}
    known = [(yours[label], signature) for label, signature in signatures if label in yours]
    if not known:
        by = ", ".join(repr(label[:80]) for label in labels[:4])
        raise Uncheckable(3, f"the manifest is signed by {by}, which is no key of yours")
    for key, signature in known:
        if not key.signed(pre_authentication(payload), signature):
            raise Altered(3, f"the signature of {key.label} on the manifest is bad")
    return str(known[0][0].label)


# --- Steps 4 and 5: heads and witnesses -------------------------------------------------------------------------------


class Heads:
    """The head that everything is proved up to, what the log's proof says, and what of it was witnessed."""

    def __init__(self, head: Head, proof: dict[str, Any]) -> None:
        self.head, self.proof = head, proof
        self.signed: list[tuple[str, Head]] = []
        self.witnessed, self.by = 0, ""


def check_heads(box: Container, keys: Sequence[Key]) -> Heads:
    """Step 4: every head in the bundle is signed, of the same log, and consistent with the one that is proved up to."""
    head = open_note(box.read(HEAD), keys, 4, HEAD)
    proof = typed(parse_sorted(box.read(LOG_PROOF, 1 << 30), 4, LOG_PROOF), dict, 4, LOG_PROOF)
    heads = Heads(head, proof)
    for name in box.parts:
        if not name.startswith("heads/"):
            continue
        other = open_note(box.read(name), keys, 4, name)
        _follows(heads, other, 4, name)
        heads.signed.append((name, other))
    return heads


def _follows(heads: Heads, other: Any, step: int, where: str) -> None:
    head = heads.head
    if other.origin != head.origin:
        raise Altered(step, f"{where} is the head of another log ({other.origin[:80]})")
    if other.size == head.size:
        if other.root != head.root:
            raise Altered(step, f"{where} and {HEAD} are two different logs of {head.size} entries")
        return
    proofs = typed(heads.proof.get("consistency"), dict, step, "consistency")
    if other.size > head.size or str(other.size) not in proofs:
        kind = Uncheckable if step == 5 else Altered  # what is in the bundle must be connected in it
        raise kind(
            step,
            f"{where} is of {other.size} entries; the bundle, of {head.size}, does not bring what would connect them:"
            " ask for an export that names this checkpoint",
        )
    hashes = [hash_of(each, step, "a proof") for each in typed(proofs[str(other.size)], list, step, "a proof")]
    if not consistency_holds(other.size, head.size, other.root, head.root, hashes):
        raise Altered(step, f"the log of {HEAD} does not begin with the log that {where} is the head of")


def check_witness(heads: Heads, keys: Sequence[Key], checkpoint: bytes | None) -> None:
    """Step 5: how far others have seen the log: by their cosignatures, or by the checkpoint that you bring."""
    for _, head in heads.signed:
        for at, label in head.witnesses:
            if head.size > heads.witnessed or not heads.by:
                heads.witnessed, heads.by = head.size, f"{label}, at {moment(at * 10**9)}"
    if checkpoint is not None:
        brought = open_note(checkpoint, keys, 5, "the checkpoint that you brought")
        _follows(heads, brought, 5, "the checkpoint that you brought")
        if brought.size >= heads.witnessed:
            who = "".join(f", {label} at {moment(at * 10**9)}" for at, label in brought.witnesses)
            heads.witnessed, heads.by = brought.size, f"the checkpoint that you brought{who}"


_BEGIN = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(ns: int) -> str:
    """Nanoseconds since 1970 as people read them."""
    try:
        return (_BEGIN + timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return f"{ns} ns after 1970"


# --- Steps 6 to 9: what stands in the log ------------------------------------------------------------------------------


class Row:
    """What `proofs/messages.ndjson` says about one entry: how many lines and bytes of each file are its own."""

    __slots__ = (
        "deleted",
        "event_bytes",
        "events",
        "hashes",
        "opening_bytes",
        "positions",
        "verdict_bytes",
        "verdicts",
    )

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, list) or len(value) not in (5, 7, 8):
            raise Altered(6, f"{where} is not what is said of an entry")
        verdicts = value[1]
        self.events, self.verdicts = (
            count_of(value[0], 6, where),
            None if verdicts is None else count_of(verdicts, 6, where),
        )
        self.event_bytes, self.opening_bytes, self.verdict_bytes = (count_of(each, 6, where) for each in value[2:5])
        self.positions = self.hashes = None
        self.deleted = deleted_of(value[7], where) if len(value) == 8 else []
        if len(value) > 5:
            self.positions = [count_of(each, 6, where) for each in typed(value[5], list, 6, where)]
            self.hashes = [hash_of(each, 6, where) for each in typed(value[6], list, 6, where)]
            rising = all(a < b for a, b in zip(self.positions, self.positions[1:]))
            if len(self.positions) != self.events or not rising:
                raise Altered(6, f"{where} names positions that are not those of its events")


def deleted_of(value: Any, where: str) -> list[tuple[int, int, bytes, str]]:
    """What was deleted of a message: position, record index, leaf and the deletion's id, in the order of both."""
    found: list[tuple[int, int, bytes, str]] = []
    for each in typed(value, list, 6, where):
        if not isinstance(each, list) or len(each) != 4:
            raise Altered(6, f"{where} names a deleted event that is none")
        place, index = (count_of(number, 6, where) for number in each[:2])
        if found and (place <= found[-1][0] or index <= found[-1][1]):
            raise Altered(6, f"{where} names deleted events that are not in order")
        found.append((place, index, hash_of(each[2], 6, where), typed(each[3], str, 6, where)))
    if not found:
        raise Altered(6, f"{where} names no deleted event")
    return found


class Entry:
    """One entry of the log, and the line about it."""

    __slots__ = ("asked", "index", "row", "told")

    def __init__(self, index: int, told: Any, row: Row, asked: bool) -> None:
        self.index, self.told, self.row, self.asked = index, told, row, asked

    @property
    def name(self) -> str:
        told = self.told
        return f"{told.get('topic')}[{told.get('partition')}]@{told.get('offset')}"


_KINDS = ("message", "amends", "gap", "lost", "discards")
_WITH_EVENTS = ("message", "amends")


class Scope:
    """What the manifest says was asked for."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        scope = typed(manifest.get("scope"), dict, 2, "scope")
        self.since, self.until = (typed(scope.get(name), int, 2, name) for name in ("from", "to"))
        bounds = typed(scope.get("range"), list, 2, "range")
        if len(bounds) != 2:
            raise Altered(2, "the range is not [first, end]")
        self.first, self.end = (count_of(each, 2, "the range") for each in bounds)
        lists = (typed(scope.get(name), list, 2, name) for name in ("tenants", "controls", "findings", "redacted"))
        words = [[typed(word, str, 2, "a word of the scope") for word in each] for each in lists]
        self.tenants, self.controls, self.findings, self.redacted = words
        # In bundles of before keys could be closed one by one nothing is said of them.
        closed = typed(scope.get("closed_keys", {}), dict, 2, "closed_keys")
        self.closed_keys = frozenset(
            (name, typed(key, str, 2, "a closed key"))
            for name, keys in closed.items()
            for key in typed(keys, list, 2, name)
        )

    @property
    def closes(self) -> bool:
        """Whether anything that is opened elsewhere stays closed."""
        return bool(self.redacted or self.closed_keys)

    def asks_for(self, told: dict[str, Any]) -> bool:
        """Whether an entry's events were asked for."""
        if told["kind"] not in _WITH_EVENTS:
            return False
        at = told.get("timestamp")
        return (
            isinstance(at, int)
            and self.since <= at < self.until
            and (not self.tenants or told.get("tenant") in self.tenants)
        )


def read_entries(box: Container, heads: Heads, scope: Scope) -> list[Entry]:
    """Step 6: the entries stand in the log at the indexes given, up to the head's root."""
    runs = typed(heads.proof.get("runs"), list, 6, "runs")
    indexes: list[int] = []
    for run in runs:
        if not isinstance(run, list) or len(run) != 2:
            raise Altered(6, "a run of entries is not [first, count]")
        first, count = (count_of(each, 6, "a run of entries") for each in run)
        if not count or (indexes and first <= indexes[-1]) or first + count > heads.head.size:
            raise Altered(6, f"the run of {count} entries from {first} on is not in a log of {heads.head.size}")
        if count > box.parts[ENTRIES].size:
            raise Altered(6, "there are fewer entries than the runs say")
        indexes.extend(range(first, first + count))
    lines = lines_of(box.read(ENTRIES, 8 << 30), 6, ENTRIES)
    rows = lines_of(box.read(MESSAGES, 8 << 30), 6, MESSAGES)
    if len(lines) != len(indexes) or len(rows) != len(indexes):
        raise Altered(6, f"there are {len(lines)} entries and {len(rows)} lines about them for {len(indexes)} indexes")
    leaves = [_sha256(b"\x00" + line).digest() for line in lines]
    hashes = [hash_of(each, 6, "the log's proof") for each in typed(heads.proof.get("hashes"), list, 6, "hashes")]
    try:
        root = multiproof_root(indexes, leaves, heads.head.size, hashes)
    except ValueError as error:
        raise Altered(6, f"the entries are not proved to be in the log: {error}") from None
    if root != heads.head.root:
        raise Altered(6, "the entries are not those of the log whose head was signed")
    entries = []
    for index, line, row in zip(indexes, lines, rows):
        told = parse_sorted(line, 6, f"entry {index}")
        if not isinstance(told, dict) or told.get("kind") not in _KINDS:
            raise Uncheckable(6, f"entry {index} is of a kind that this verifier does not know")
        if told.get("line_version") != 1:
            raise Uncheckable(6, f"entry {index} is of line version {told.get('line_version')}; this verifier knows 1")
        where = f"the line about entry {index}"
        inside = scope.first <= index < scope.end or index > scope.end
        entries.append(Entry(index, told, Row(parse_json(row, 6, where), where), inside and scope.asks_for(told)))
    _check_offsets(entries)
    return entries


def _check_offsets(entries: list[Entry]) -> None:
    """Within a run, a topic-partition's entries leave no offset out and name none twice."""
    ends: dict[Any, int] = {}
    last = None
    for entry in entries:
        if last is not None and entry.index != last + 1:
            ends = {}
        last = entry.index
        told = entry.told
        if told["kind"] not in ("message", "gap"):
            continue
        key, offset = (told.get("topic_id"), told.get("partition")), count_of(told.get("offset"), 6, "an offset")
        if key in ends and ends[key] != offset:
            raise Altered(
                6, f"entry {entry.index} is about offset {offset} of {told.get('topic')}, after {ends[key] - 1}"
            )
        ends[key] = count_of(told.get("end"), 6, "an end") if told["kind"] == "gap" else offset + 1


def lines_of(raw: bytes, step: int, where: str) -> list[bytes]:
    """The lines of a file, without line ends."""
    if not raw:
        return []
    if not raw.endswith(b"\n"):
        raise Altered(step, f"{where} does not end with a line")
    return raw[:-1].split(b"\n")


class Chunk:
    """Consecutive entries, and where their lines begin in the three large files."""

    def __init__(self, entries: list[Entry], events_at: int, openings_at: int, verdicts_at: int) -> None:
        self.entries, self.events_at, self.openings_at, self.verdicts_at = entries, events_at, openings_at, verdicts_at


def chunks_of(box: Container, entries: list[Entry], chunk_bytes: int) -> list[Chunk]:
    """The entries in portions whose lines are read at one go; together they use up the files."""
    places = {name: box.parts[name].data_at for name in (EVENTS, OPENINGS, VERDICTS)}
    ends = {name: box.parts[name].data_at + box.parts[name].size for name in places}
    some, size, chunks = [], 0, []
    begin = dict(places)
    for entry in entries:
        row = entry.row
        some.append(entry)
        for name, taken in ((EVENTS, row.event_bytes), (OPENINGS, row.opening_bytes), (VERDICTS, row.verdict_bytes)):
            places[name] += taken
            size += taken
            if places[name] > ends[name]:
                raise Altered(7, f"{name} ends before the lines of {entry.name}")
        if size >= chunk_bytes:
            chunks.append(Chunk(some, begin[EVENTS], begin[OPENINGS], begin[VERDICTS]))
            some, size, begin = [], 0, dict(places)
    if some:
        chunks.append(Chunk(some, begin[EVENTS], begin[OPENINGS], begin[VERDICTS]))
    for name, place in places.items():
        if place != ends[name]:
            raise Altered(7, f"{name} has lines that belong to no entry")
    return chunks


class Deed:
    """What somebody did, as it is sealed among the shown events and as far as it is opened.

    `who` is None where it is closed; `attributes` has what is opened, and `whole` says whether that is all.
    """

    __slots__ = ("attributes", "place", "said", "who", "whole")

    def __init__(self, told: dict[str, Any], event: dict[str, Any], opening: dict[str, Any]) -> None:
        self.place = (told.get("topic_id"), told.get("offset"), event.get("record_index"), event.get("action"))
        self.said = {"tenant": told.get("tenant"), "at": told.get("timestamp"), "reason": event.get("reason", "")}
        actor, leaves = opening.get("actor_id"), opening.get("attributes")
        self.who = None if actor is None else actor[1] if len(actor) == 2 else ""
        self.attributes: dict[str, str] = {leaf[1]: leaf[2] for leaf in leaves or () if len(leaf) == 3}
        self.whole = "attributes" not in event or (leaves is not None and len(leaves) == len(self.attributes))

    @property
    def name(self) -> str:
        return f"{self.place[3]} at offset {self.place[1]} of {self.place[0]}"

    @property
    def about(self) -> str:
        """What it is about, as far as its attributes are opened."""
        names = (FINDING_ID, "onshore.waiver.id", "onshore.hold.id", DELETION_ID, "onshore.context.digest")
        return next((self.attributes[name] for name in names if self.attributes.get(name)), "")


class Tally:
    """What was counted, chunk by chunk."""

    def __init__(self, closed: Collection[Any] = frozenset()) -> None:
        self.closed = frozenset(closed)
        self.events = self.sealed_events = self.withheld = self.records = self.dead = self.messages = 0
        self.without_verdicts = self.deleted = self.tombstones = 0
        self.violating: dict[str, int] = {}  # of shown events, by control
        self.withheld_violating: dict[str, int] = {}  # of those that are not shown, as their verdicts say
        self.actions: list[Deed] = []
        self.opened: dict[str, int] = {}
        self.verdicts: dict[Any, int] = {}

    def add(self, other: Tally) -> None:
        """Put another's counts to these."""
        for name in (
            "events",
            "sealed_events",
            "withheld",
            "records",
            "dead",
            "messages",
            "without_verdicts",
            "deleted",
            "tombstones",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.actions += other.actions
        counts = (
            (self.opened, other.opened),
            (self.verdicts, other.verdicts),
            (self.violating, other.violating),
            (self.withheld_violating, other.withheld_violating),
        )
        for mine, theirs in counts:
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count


def check_chunk(
    path: str, chunk: Chunk, controls: Collection[str], closed: Collection[Any] = frozenset(), quick: Any = None
) -> Tally:
    """Steps 7, 8 and 9 for some entries; `controls` are those whose violated events must be here.

    `closed` are the keys of maps that are said to be closed, each with its map's name. `quick`: see `verify`.
    """
    tally, uses = Tally(closed), dict[Opened, int]()
    with open(path, "rb") as file:
        rows = [entry.row for entry in chunk.entries]
        events = _read(file, chunk.events_at, sum(row.event_bytes for row in rows))
        openings = _read(file, chunk.openings_at, sum(row.opening_bytes for row in rows))
        verdicts = _read(file, chunk.verdicts_at, sum(row.verdict_bytes for row in rows))
    at = [0, 0, 0]
    for entry in chunk.entries:
        row, told = entry.row, entry.told
        mine = _part(events, at, 0, row.event_bytes), _part(openings, at, 1, row.opening_bytes)
        words = _part(verdicts, at, 2, row.verdict_bytes)
        if told["kind"] not in _WITH_EVENTS:
            if row.events or row.verdicts or row.positions is not None or mine != (b"", b"") or words:
                raise Altered(7, f"entry {entry.index} is a {told['kind']}, which has no events")
            continue
        # A tombstone may be shown from anywhere in the log; that its events are such is looked at in step 10.
        is_tombstone = row.events and told.get("topic") == ACTIONS_TOPIC and row.verdicts is None
        if not entry.asked and not is_tombstone and (row.events or row.verdicts is not None):
            raise Altered(10, f"entry {entry.index} shows what the scope does not ask for")
        shown = _accepted(entry, *mine, tally, quick) if quick and not closed else None
        if shown is None:
            shown = _check_events(entry, lines_of(mine[0], 7, EVENTS), lines_of(mine[1], 8, OPENINGS), tally, uses)
        if not entry.asked:
            continue
        check_verdicts(entry, lines_of(words, 9, VERDICTS), shown, controls, tally)
    for each, times in uses.items():
        for name, key in each.keys & tally.closed:
            raise Altered(10, f"{key[:80]} of {name} is said to be closed and is opened")
        for name, count in each.counts.items():
            tally.opened[name] = tally.opened.get(name, 0) + count * times
    return tally


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    raw = file.read(size)
    if len(raw) != size:
        raise Altered(1, "the bundle is cut")
    return raw


def _part(raw: bytes, at: list[int], which: int, size: int) -> bytes:
    begin = at[which]
    at[which] = begin + size
    return raw[begin : begin + size]


def _accepted(entry: Entry, events: bytes, openings: bytes, tally: Tally, quick: Any) -> Collection[int] | None:
    """Steps 7 and 8 for one whole message the quick way; None where the other way must say whether it is good."""
    told, row = entry.told, entry.row
    if row.positions is not None or row.deleted or told.get("topic") == ACTIONS_TOPIC:
        return None
    sealed = count_of(told.get("events"), 7, f"the number of events of {entry.name}")
    found = quick(events, openings, row.events) if row.events and row.events == sealed else None
    if found is None or found[0].hex() != told.get("events_root"):
        return None
    if entry.asked:
        count_message(entry, row.events, tally)
    for name, count in found[2].items():
        tally.opened[name] = tally.opened.get(name, 0) + count
    return set(found[1])


def _check_events(
    entry: Entry, lines: Any, openings: list[bytes], tally: Tally, uses: dict[Opened, int]
) -> Collection[int]:
    """Steps 7 and 8 for one message; gives the record indexes that are shown.

    What is opened is counted in `tally`, or in `uses`, where it was read the quick way.
    """
    told, row = entry.told, entry.row
    sealed = count_of(told.get("events"), 7, f"the number of events of {entry.name}")
    if len(lines) != row.events or len(openings) != row.events:
        raise Altered(7, f"{entry.name} has {len(lines)} events and {len(openings)} openings instead of {row.events}")
    leaves = leaf_hashes(lines)
    if row.positions is None:
        if len(leaves) != sealed:
            raise Altered(7, f"{entry.name} has {len(leaves)} events, {sealed} were sealed")
        root = tree_root(leaves)
    else:
        try:
            root = multiproof_root(*with_deleted(row, leaves, sealed), row.hashes or [])
        except ValueError as error:
            raise Altered(7, f"events of {entry.name}: {error}") from None
    if root.hex() != told.get("events_root"):
        raise Altered(7, f"the events of {entry.name} are not those that were sealed")
    if entry.asked:
        count_message(entry, len(lines), tally)
    shown: set[int] = set()
    resources: set[str] = set()
    last = -1
    is_action = told.get("topic") == ACTIONS_TOPIC
    for number, line in enumerate(lines):
        event = quick_object(line) if is_action else quick_event(line)
        if event is None:
            where = f"event {number} of {entry.name}"
            event = typed(parse_json(line, 7, where), dict, 7, where)
        index = event.get("record_index")
        if not isinstance(index, int) or index <= last:
            raise Altered(7, f"event {number} of {entry.name} is not in the order of its records")
        last = index
        shown.add(index)
        opening = openings[number]
        if opening != b"{}" and not quick_opening(event, opening, resources, uses):
            where = f"event {number} of {entry.name}"
            check_opening(event, opening, resources, tally.opened, where, tally.closed)
            learn_opening(opening)
        if is_action:
            if str(event.get("action")).startswith(RECORDED):
                tally.actions.append(Deed(told, event, _DECODER.decode(opening.decode("utf-8"))))
            tally.tombstones += entry.asked and event.get("action") == DELETE
            if not entry.asked and event.get("action") != DELETE:
                raise Altered(10, f"event {number} of {entry.name} is shown, and the scope does not ask for it")
    if row.deleted:
        places = dict(zip(row.positions or (), sorted(shown)))
        places.update((place, index) for place, index, _, _ in row.deleted)
        in_order = [places[place] for place in sorted(places)]
        if any(a >= b for a, b in zip(in_order, in_order[1:])):
            raise Altered(7, f"the deleted events of {entry.name} are not where their records are")
    return shown


def with_deleted(row: Row, leaves: list[bytes], sealed: int) -> tuple[list[int], list[bytes], int]:
    """Positions and leaves of a message's shown and deleted events together, and how many were sealed."""
    known = sorted([*zip(row.positions or (), leaves), *((place, leaf) for place, _, leaf, _ in row.deleted)])
    positions = [place for place, _ in known]
    if any(a >= b for a, b in zip(positions, positions[1:])) or (positions and positions[-1] >= sealed):
        raise ValueError(f"a position is named twice, or is not among {sealed}")
    return positions, [leaf for _, leaf in known], sealed


def _no_such(text: str) -> NoReturn:
    raise ValueError(text)


def check_opening(
    event: dict[str, Any],
    line: Any,
    resources: set[str],
    opened: dict[str, int],
    where: str,
    closed: Collection[Any] = frozenset(),
) -> None:
    """Step 8 for one event: what is disclosed is what was committed to.

    `resources` are the roots of resource attributes that were opened in this message already; `closed` are keys of maps
    that may not be opened.
    """
    opening = parse_json(line, 8, f"the opening of {where}")
    try:
        for name, parts in opening.items():
            if name in _COMMITTED_PREFIX:
                salt = bytes.fromhex(parts[0])
                if name == "contradictions":
                    text = "[" + ",".join([_quoted(each) for each in parts[1:]]) + "]"
                else:
                    text = _quoted(parts[1]) if len(parts) == 2 else "null" if len(parts) == 1 else _no_such("parts")
                if (
                    len(salt) != 32
                    or _sha256(salt + _COMMITTED_PREFIX[name] + text.encode()).hexdigest() != event[name]
                ):
                    raise Altered(8, f"{name} of {where} is not what was committed to")
                opened[name] = opened.get(name, 0) + 1
            elif name in MAPS:
                root, keys = _map_root(parts)
                if root != event[name]:
                    raise Altered(8, f"{name} of {where} are not what was committed to")
                if name == "resource_attributes":
                    if root in resources:
                        raise Altered(8, f"{name} of {where} are opened a second time")
                    resources.add(root)
                for key in (
                    [leaf[1] for leaf in parts if len(leaf) == 3 and (name, leaf[1]) in closed] if closed else ()
                ):
                    raise Altered(10, f"{key[:80]} of {name} is said to be closed and is opened")
                opened[name] = opened.get(name, 0) + keys
            elif name == "pseudonyms":
                for column, pseudonym in parts:
                    if (
                        column not in _COMMITTED_PREFIX
                        or column in opening
                        or not re.fullmatch("p-[0-9a-f]{16}", pseudonym)
                    ):
                        raise Altered(8, f"{column[:40]} of {where} has a pseudonym that it cannot have")
            else:
                raise Altered(8, f"{name[:40]} of {where} is nothing that can be disclosed")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Altered(8, f"the opening of {where} is none: {_short(error)}") from None


_COMMITTED_PREFIX = {name: name.encode() + b"\x00" for name in COMMITTED}
_MAP_PREFIX = b"\x03" + bytes(31)


def _map_root(leaves: Any) -> tuple[str, int]:
    """Root over a map's leaves, in hexadecimal, and how many of them are opened."""
    nodes, keys, last = [_MAP_PREFIX], 0, b""
    for leaf in leaves:
        if len(leaf) == 1:
            node = bytes.fromhex(leaf[0])
        else:
            salt, key, value = leaf
            raw = bytes.fromhex(salt)
            if len(raw) != 16 or (keys and key.encode() <= last):
                _no_such("a key that is out of order, or a salt of another length")
            node, last, keys = (
                _sha256(b"\x00" + raw + f"[{_quoted(key)},{_quoted(value)}]".encode()).digest(),
                key.encode(),
                keys + 1,
            )
        if len(node) != 32:
            _no_such("a leaf of another length")
        nodes.append(node)
    return _sha256(b"".join(nodes)).hexdigest(), keys


# The quick way through events and openings. It only ever accepts: of what it is not sure, the other way says whether it
# is good. Lines are of few shapes. Of a line that was good its shape is learned as a pattern, and of the next line of
# that shape only what changes is taken out and checked.

_SEALED = frozenset((*COMMITTED, *MAPS))
_TEXT, _NUMBER = '"[^"]*"', "(?:0|-?[1-9][0-9]{0,18})"
_SHAPES_TRIED, _MOST_SHAPES, _LONGEST_SHAPE = 8, 200, 1 << 14
_ESCAPE = re.compile(rb'\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))')  # each in the one spelling there is
_unhex = binascii.unhexlify


class Shapes:
    """Patterns of whole lines, the one that was of use last in front, and what belongs to each."""

    def __init__(self) -> None:
        self.tried: list[Tuple[Any, Any]] = []
        self.learned: set[Any] = set()

    def find(self, line: Any) -> Tuple[Any, Any]:
        """What the pattern of this line takes out of it, and what belongs to it; None where none is known."""
        for place, (match, about) in enumerate(self.tried):
            found = match(line)
            if found is not None:
                if place:
                    self.tried.insert(0, self.tried.pop(place))
                return found.groups(), about
        return None, None

    def learn(self, pattern: Any, about: Any) -> None:
        """Remember a pattern; of a bundle with very many, not all: making one takes its time."""
        if len(self.learned) < _MOST_SHAPES and len(pattern) < _LONGEST_SHAPE and pattern not in self.learned:
            self.learned.add(pattern)
            self.tried.insert(0, (re.compile(pattern).fullmatch, about))
            del self.tried[_SHAPES_TRIED:]


event_shapes, opening_shapes = Shapes(), Shapes()


def quick_event(line: bytes) -> dict[str, Any] | None:
    """Record index and commitments of an event's line that `parse_json` takes; None where that cannot be told here."""
    if len(line.translate(None, _NOT_PLAIN)) != len(line):
        return None
    try:
        text = line.decode("utf-8")
    except ValueError:
        return None
    texts, names = event_shapes.find(text)
    if texts is None:
        event = quick_object(line)
        if event is not None:
            _learn_event(event)
        return event
    told: dict[str, Any] = dict(zip(names, texts))
    told["record_index"] = int(told["record_index"])
    return told


def _learn_event(event: dict[str, Any]) -> None:
    """The shape of a line: its members' names, and what kind each one's value is."""
    members, names = [], []
    for name, value in event.items():
        kind = _kind_of(value)
        if name == "record_index" and kind == _NUMBER:
            kind = "(0|[1-9][0-9]{0,9})"
            names.append(name)
        elif name in _SEALED:
            if kind != _TEXT:
                return
            kind = '"([^"]*)"'
            names.append(name)
        members.append(f'"{re.escape(name)}":{kind}')
    if "record_index" in names:
        event_shapes.learn(r"\{" + ",".join(members) + r"\}", names)


def _kind_of(value: Any) -> str:
    """The pattern of values that are spelled as this one is."""
    if isinstance(value, str):
        return _TEXT
    if isinstance(value, list):
        return rf"\[(?:{_TEXT}(?:,{_TEXT})*)?\]" if all(isinstance(each, str) for each in value) else "(?!)"
    if isinstance(value, bool):
        return "(?:true|false)"
    return "null" if value is None else _NUMBER if isinstance(value, int) else "(?!)"


def _pick(places: Sequence[int]) -> Any:
    """Takes what stands at these places, in a sequence, however many they are."""
    if len(places) > 1:
        return itemgetter(*places)
    return itemgetter(slice(places[0], places[0] + 1) if places else slice(0, 0))


class OpenedMap:
    """A map's open leaves (salt, and key and value as they are hashed) and closed ones, by their places in a shape."""

    def __init__(self, name: str, open_: list[int], closed: list[int]) -> None:
        self.name, self.open, self.any_closed = name, len(open_), bool(closed)
        self.salts, self.pairs = _pick(open_), _pick([place + 1 for place in open_])
        self.closed = _pick(closed)
        order = sorted(range(len(open_) + len(closed)), key=[*open_, *closed].__getitem__)
        self.in_order = _pick(order)

    def root(self, texts: Sequence[bytes]) -> str:
        """Root over the leaves, in hexadecimal. Raises ValueError."""
        salts, nodes = self.salts(texts), []
        for salt, pair in zip(salts, self.pairs(texts)):
            leaf = _LEAF.copy()
            leaf.update(_unhex(salt) + b"[" + pair)
            nodes.append(leaf.digest())
        if self.any_closed:
            closed = self.closed(texts)
            if set(map(len, closed)) != {64}:
                _no_such("a leaf of another length")
            nodes = self.in_order([*nodes, *map(_unhex, closed)])
        if nodes and not set(map(len, salts)) <= {32}:
            _no_such("a salt of another length")
        return _sha256(b"".join((_MAP_PREFIX, *nodes))).hexdigest()


class Opened:
    """What openings of one shape disclose: where among its pattern's groups, and what is hashed about each."""

    def __init__(self, opening: dict[str, Any]) -> None:
        self.names: list[str] = []
        self.leads: list[bytes] = []
        self.maps: list[OpenedMap] = []
        self.counts: dict[str, int] = {}
        self.keys: frozenset[Any] = frozenset(
            (name, leaf[1]) for name in MAPS for leaf in opening.get(name, ()) if len(leaf) == 3
        )
        self._groups = 0
        salts, values, members = [], [], []
        for name, parts in opening.items():
            if name in MAPS:
                pattern = self._map(name, parts)
            elif name == "pseudonyms":
                words = (rf'\["{re.escape(column)}","p-[0-9a-f]{{16}}"\]' for column, _ in parts)
                pattern = rf"\[{','.join(words)}\]"
            else:
                salts.append(self._groups)
                values.append(self._groups + 1 if len(parts) > 1 else -1)
                pattern = self._column(name, len(parts))
            members.append(f'"{name}":{pattern}')
        self.pattern = ("\\{" + ",".join(members) + "\\}").encode()
        self.salts, self.values = _pick(salts), _pick(values)

    def _column(self, name: str, parts: int) -> str:
        is_list = name == "contradictions"
        nothing, begin = (b"[]", b"[") if is_list else (b"null", b"")
        self.names.append(name)
        self.leads.append(_COMMITTED_PREFIX[name] + (begin if parts > 1 else nothing))
        self.counts[name] = 1
        self._groups += min(parts, 2)
        if parts == 1:
            return r'\["([^"]*)"\]'
        return rf'\["([^"]*)",({_TEXT}(?:,{_TEXT})*\])' if is_list else rf'\["([^"]*)",({_TEXT})\]'

    def _map(self, name: str, leaves: list[list[str]]) -> str:
        open_: list[int] = []
        closed: list[int] = []
        patterns = []
        for leaf in leaves:
            (closed if len(leaf) == 1 else open_).append(self._groups)
            self._groups += 1 if len(leaf) == 1 else 2
            pair = "" if len(leaf) == 1 else rf',("{re.escape(leaf[1])}",{_TEXT}\])'
            patterns.append(rf'\["([^"]*)"{pair}' if pair else r'\["([^"]*)"\]')
        self.maps.append(OpenedMap(name, open_, closed))
        self.counts[name] = len(open_)
        return rf"\[{','.join(patterns)}\]"

    def holds(self, event: dict[str, Any], texts: Sequence[bytes], resources: set[str]) -> bool:
        """Whether all of it is what the event commits to; then its resource attributes are added to `resources`."""
        if self.names:
            salts = self.salts(texts)
            if set(map(len, salts)) != {64}:
                return False
            for name, salt, lead, value in zip(self.names, salts, self.leads, self.values((*texts, b""))):
                found = _NOTHING.copy()
                found.update(_unhex(salt) + lead + value)
                if found.hexdigest() != event[name]:
                    return False
        new = set()
        for each in self.maps:
            root = each.root(texts)
            if root != event[each.name] or (each.name == "resource_attributes" and root in resources):
                return False
            if each.name == "resource_attributes":
                new.add(root)
        resources |= new
        return True


def _without_escapes(line: bytes) -> bytes | None:
    """The line with other bytes in place of escaped quotes and backslashes; None where it is not spelled as it must be."""
    if len(line.translate(None, _CONTROLS)) != len(line) or b"\\" in _ESCAPE.sub(b"", line):
        return None
    return line.replace(b"\\\\", b"\x00").replace(b'\\"', b"\x01")


def quick_opening(event: dict[str, Any], line: bytes, resources: set[str], uses: dict[Opened, int]) -> bool:
    """Whether this opening is good, as `check_opening` has it; False: look there. Counted in `uses`."""
    is_plain = len(line.translate(None, _NOT_PLAIN)) == len(line)
    try:
        texts, opened = opening_shapes.find(line if is_plain else _without_escapes(line) or b"")
        if texts is None:
            return False
        if not is_plain:
            texts = [each.replace(b"\x00", b"\\\\").replace(b"\x01", b'\\"') for each in texts]
        if not line.isascii():
            line.decode("utf-8")
        if not opened.holds(event, texts, resources):
            return False
    except (KeyError, ValueError):
        return False
    uses[opened] = uses.get(opened, 0) + 1
    return True


def learn_opening(line: bytes) -> None:
    """The shape of an opening that `check_opening` found good."""
    opening = _DECODER.decode(line.decode("utf-8"))
    keys = [leaf[1] for name in MAPS for leaf in opening.get(name, ()) if len(leaf) == 3]
    if all(parts for parts in opening.values()) and not any(_quoted(key) != f'"{key}"' for key in keys):
        opened = Opened(opening)
        opening_shapes.learn(opened.pattern, opened)


_COUNT_MEMBERS = {"control", "events", "hour", "missing", "source_format", "verdict", "version"}
_VIOLATION_MEMBERS = {"control", "record_index", "version"}
_VIOLATION = re.compile(
    rb'\{"control":"([ !#-\[\]-~]*)","record_index":(0|[1-9][0-9]{0,9}),"version":(0|[1-9][0-9]{0,9})\}'
).fullmatch  # as nearly every one is spelled


def count_message(entry: Entry, shown: int, tally: Tally) -> None:
    """Count one message of which so many events are shown."""
    told = entry.told
    sealed = count_of(told.get("events"), 7, "the number of events")
    if told["kind"] == "message":
        tally.messages += 1
        tally.records += count_of(told.get("records"), 7, "records")
        tally.dead += count_of(told.get("dead_lettered"), 7, "dead_lettered")
    deleted = len(entry.row.deleted)
    tally.events += shown
    tally.sealed_events += sealed
    tally.deleted += deleted
    tally.withheld += sealed - shown - deleted


def check_verdicts(entry: Entry, lines: Any, shown: Any, controls: Collection[str], tally: Tally) -> None:
    """Step 9 for one message: the verdict lines are those sealed, and agree with one another and with the events."""
    told, row = entry.told, entry.row
    if row.verdicts is None:
        if lines:
            raise Altered(9, f"{entry.name} shows no verdicts and has lines of them")
        tally.without_verdicts += 1
        return
    if len(lines) != row.verdicts or not all(map(lt, lines, lines[1:])):
        raise Altered(9, f"{entry.name} has {len(lines)} verdict lines instead of {row.verdicts}, or not in order")
    if tree_root(leaf_hashes(lines)).hex() != told.get("verdicts_root"):
        raise Altered(9, f"the verdicts of {entry.name} are not those that were sealed")
    violated: dict[Any, int] = {}
    named: dict[Any, int] = {}
    deleted = {index for _, index, _, _ in row.deleted}
    is_whole = len(shown) + len(deleted) == told.get("events")
    plain: dict[Any, int] = {}  # of shown events, spelled as nearly all are
    where = f"a verdict of {entry.name}"
    for line in lines:
        quick = _VIOLATION(line)
        if quick is not None and int(quick[2]) in shown:
            plain[quick[1], quick[3]] = plain.get((quick[1], quick[3]), 0) + 1
            continue
        value = typed(parse_sorted(line, 9, where), dict, 9, "a verdict")
        typed(value.get("control"), str, 9, "the control of a verdict")
        typed(value.get("version"), int, 9, "the version of a verdict")
        if value.keys() == _VIOLATION_MEMBERS:
            count_of(value["record_index"], 9, "the record of a violation")
            named[value["control"], value["version"]] = named.get((value["control"], value["version"]), 0) + 1
            if value["record_index"] in shown:
                tally.violating[value["control"]] = tally.violating.get(value["control"], 0) + 1
            elif value["record_index"] not in deleted:
                if is_whole or value["control"] in controls:
                    raise Altered(
                        9, f"event {value['record_index']} of {entry.name} violates {value['control']} and is left out"
                    )
                tally.withheld_violating[value["control"]] = tally.withheld_violating.get(value["control"], 0) + 1
        elif value.keys() == _COUNT_MEMBERS:
            count = count_of(value["events"], 9, "a count")
            for name in ("source_format", "verdict", "missing"):
                typed(value[name], str, 9, f"{name} of a verdict")
            if value["verdict"] == "violated":
                violated[value["control"], value["version"]] = (
                    violated.get((value["control"], value["version"]), 0) + count
                )
            key = (
                told.get("tenant"),
                *(value[name] for name in ("control", "version", "source_format", "verdict", "missing")),
            )
            tally.verdicts[key] = tally.verdicts.get(key, 0) + count
        else:
            raise Altered(9, f"{entry.name} has a line that is no verdict")
    for (raw, version), count in plain.items():
        control = raw.decode()
        named[control, int(version)] = named.get((control, int(version)), 0) + count
        tally.violating[control] = tally.violating.get(control, 0) + count
    if violated != named:
        raise Altered(9, f"the violations of {entry.name} are not as many as were counted")


def check_silence(entries: Sequence[Entry], scope: Scope) -> None:
    """Step 9: verdicts are missing only where an entry of the log says that nobody has a message's rows any more."""
    lost = [entry.told for entry in entries if entry.told["kind"] == "lost"]
    same = ("topic_id", "partition", "attempt")
    for entry in entries:
        if not entry.asked or entry.row.verdicts is not None:
            continue
        told, offset = entry.told, count_of(entry.told.get("offset"), 9, "an offset")
        if any(
            all(each.get(name) == told.get(name) for name in same)
            and count_of(each.get("offset"), 9, "an offset") <= offset < count_of(each.get("end"), 9, "an end")
            for each in lost
        ):
            continue
        why = f"{entry.name} comes without its verdicts, and no entry that is shown says that they were lost"
        if scope.tenants:  # such an entry names no tenant, and may be one of those withheld
            raise Uncheckable(9, f"{why}: ask for an export without tenants, or for the entry that says so")
        raise Altered(9, why)


def check_messages(
    box: Container,
    entries: list[Entry],
    controls: Collection[str],
    closed: Collection[Any],
    workers: int,
    quick: Any = None,
) -> Tally:
    """Steps 7 to 9 for all entries, on several processors where that is worth while; `quick` as in `verify`."""
    chunks, total = chunks_of(box, entries, _CHUNK_BYTES), Tally()
    size = sum(box.parts[name].size for name in (EVENTS, OPENINGS, VERDICTS))
    look = quick(size) if quick is not None else None
    if workers > 1 and len(chunks) > 1 and size >= _PARALLEL_FROM:
        by_many = _by_many(box.path, chunks, controls, closed, workers, look)
        if by_many is not None:
            return by_many
    for chunk in chunks:
        total.add(check_chunk(box.path, chunk, controls, closed, look))
    return total


def _by_many(
    path: str, chunks: list[Chunk], controls: Collection[str], closed: Collection[Any], workers: int, quick: Any
) -> Tally | None:
    """What some processes count together; None where they cannot be had here, or one of them died."""
    total = Tally()
    try:
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(min(workers, len(chunks))) as pool:
            for tally in pool.map(check_chunk, repeat(path), chunks, repeat(controls), repeat(closed), repeat(quick)):
                total.add(tally)
    except (ImportError, NotImplementedError, OSError, BrokenExecutor):
        return None
    return total


VERDICT_COLUMNS = ("tenant", "control", "version", "source_format", "verdict", "missing", "events")


def verdicts_csv(counted: Any) -> bytes:
    """The table of denominators, made from the sealed counts."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(VERDICT_COLUMNS)
    for key in sorted(counted, key=lambda key: tuple(str(each) for each in key)):
        writer.writerow((*key, counted[key]))
    return text.getvalue().encode()


# --- Step 10: the scope, and what was counted --------------------------------------------------------------------------


def check_scope(manifest: dict[str, Any], scope: Scope, entries: list[Entry], heads: Heads, tally: Tally) -> list[str]:
    """Step 10: the manifest says what was counted here; gives the sentences about what is complete."""
    if not scope.first <= scope.end <= heads.head.size:
        raise Altered(10, f"the range [{scope.first}, {scope.end}) is not in a log of {heads.head.size} entries")
    hidden = scope.end - scope.first - sum(scope.first <= entry.index < scope.end for entry in entries)
    if hidden and not scope.tenants:
        raise Altered(10, f"{hidden} entries of [{scope.first}, {scope.end}) are left out, and no tenant explains it")
    _check_bounds(scope, entries, heads.head.size)
    said = {
        "entries": len(entries), "entries_withheld": hidden, "messages": tally.messages, "records": tally.records,
        "events_sealed": tally.sealed_events, "events": tally.events, "dead_lettered": tally.dead,
        "messages_without_verdicts": tally.without_verdicts, "opened": tally.opened,
    }  # fmt: skip
    if manifest["format"] != FORMATS[0]:
        said["deleted"] = tally.deleted
    elif tally.deleted:
        raise Altered(10, "a bundle of this format has no deleted events")
    counts = typed(manifest.get("counts"), dict, 10, "counts")
    for name, count in said.items():
        if counts.get(name) != count:
            raise Altered(10, f"the manifest counts {name} {str(counts.get(name))[:80]}, here are {str(count)[:80]}")
    withheld = count_of(counts.get("closed_events", 0), 10, "closed_events")
    if withheld > tally.withheld:
        raise Altered(
            10, f"the manifest counts {withheld} events that repeat what is closed, {tally.withheld} are withheld"
        )
    for name in scope.redacted:
        if tally.opened.get(name):
            raise Altered(10, f"{name} is said to be redacted and is opened {tally.opened[name]} times")
    return _sentences(scope, entries, heads, tally, hidden)


def _check_bounds(scope: Scope, entries: list[Entry], size: int) -> None:
    """The range has every message that was asked for, as far as entries outside of it are shown; its neighbours are."""
    for entry in entries:
        if (
            not scope.first <= entry.index < scope.end
            and entry.told["kind"] == "message"
            and scope.asks_for(entry.told)
        ):
            raise Altered(
                10, f"entry {entry.index} ({entry.name}) was asked for and is not in [{scope.first}, {scope.end})"
            )
    if not scope.tenants:
        for index in _neighbours(scope, size) - {entry.index for entry in entries}:
            raise Altered(10, f"entry {index}, next to the range, is left out, and no tenant explains it")


def _neighbours(scope: Scope, size: int) -> set[int]:
    """The entries in front of the range and behind it, where the log has them."""
    return {index for index in (scope.first - 1, scope.end) if 0 <= index < size}


def _sentences(scope: Scope, entries: list[Entry], heads: Heads, tally: Tally, hidden: int) -> list[str]:
    first, end = scope.first, scope.end
    said = [
        f"Asked for: messages from {moment(scope.since)} to {moment(scope.until)} (exclusive)"
        + (f" of {', '.join(scope.tenants)}." if scope.tenants else "."),
        f"Entries {first} to {end} (exclusive) of a log of {heads.head.size}: {end - first - hidden} shown, {hidden} withheld.",
    ]
    by_index = {entry.index: entry for entry in entries}
    for index, word in ((first - 1, "in front of"), (end, "behind")):
        told = by_index[index].told if index in by_index else {}
        if isinstance(told.get("timestamp"), int):
            said.append(f"The entry {word} them is of {moment(told['timestamp'])}.")
    if end == heads.head.size:
        said.append("No entry is behind them in the log whose head was signed.")
    if scope.controls:
        others = f" and {tally.tombstones} tombstones" if tally.tombstones else ""
        said.append(
            f"{tally.events - tally.tombstones} events that violate {', '.join(scope.controls)[:400]}{others} are shown;"
            f" {tally.withheld} other events of these messages are withheld."
        )
        if not scope.findings and not tally.without_verdicts and not tally.deleted:
            said.append("Every event that was sealed as violating one of these controls is here.")
    elif tally.withheld:
        said.append(f"{tally.events} events are shown; {tally.withheld} are withheld: what they are is not proved.")
    elif not hidden:
        said.append(f"Nothing that was sealed there is left out: {tally.events} events, {tally.dead} dead letters.")
    else:
        said.append(f"Nothing of the shown messages is left out: {tally.events} events, {tally.dead} dead letters.")
    if tally.withheld_violating:
        named = (f"{control} ({count})" for control, count in sorted(tally.withheld_violating.items()))
        said.append(f"Sealed verdicts say that withheld events violate: {', '.join(named)[:400]}.")
    if tally.deleted:
        said.append(f"{tally.deleted} events of these messages were deleted: their leaves stand for them.")
    if hidden:
        said.append(f"That the {hidden} withheld entries are of other tenants is the operator's word.")
    if tally.without_verdicts:
        said.append(f"{tally.without_verdicts} messages come without their verdicts: the denominators lack these.")
    return said


_HOUR_NS = 3_600 * 10**9  # heads are signed at least as often, also where nothing happens


def unproved_of_head(head: Head, scope: Scope, manifest: dict[str, Any]) -> list[str]:
    """What was sealed after the head that everything is proved up to, in words."""
    if head.at is None:
        return ["How old the head is that all is proved up to: no signature of the operator's on it says a time."]
    signed, made, said = head.at * 10**9, made_at(manifest), []
    if signed < scope.until:
        said.append(
            f"What messages there are from {moment(signed)} on, when the head was signed, to {moment(scope.until)}, the"
            " end of the time that was asked for."
        )
    if made - signed > _HOUR_NS:
        said.append(
            f"What was sealed since {moment(signed)}: the head is {(made - signed) // _HOUR_NS} hours older than the"
            f" export ({moment(made)}); one is signed every hour at least."
        )
    return said


def unproved_of_scope(scope: Scope, entries: list[Entry], heads: Heads, tally: Tally) -> list[str]:
    """What of the scope nothing proves, in words."""
    said = []
    if (scope.first, scope.end) != (0, heads.head.size):
        said.append(
            "That no message of the time that was asked for stands farther from the range than the entries next to it:"
            " a log is not in the order of its messages' times."
        )
    withheld = len(_neighbours(scope, heads.head.size) - {entry.index for entry in entries})
    if withheld:
        said.append(f"Where the range begins and ends: {withheld} of the entries next to it are withheld.")
    said += [
        f"What entry {entry.index}, behind the range, amends of a message that was asked for: its events are not shown."
        for entry in entries
        if entry.index == scope.end and entry.told["kind"] == "amends" and scope.asks_for(entry.told)
    ]
    if scope.controls and not scope.findings and (tally.without_verdicts or tally.deleted):
        said.append(
            f"That every event that was sealed as violating {', '.join(scope.controls)[:400]} is here:"
            f" {tally.without_verdicts} messages come without their verdicts, {tally.deleted} of their events were deleted."
        )
    return said


# --- Steps 11 and 12: what the verdicts rest on, and what people did ---------------------------------------------------


def check_rules(box: Container, manifest: dict[str, Any], entries: list[Entry], tally: Tally) -> tuple[str, list[str]]:
    """Step 11: the sets of registers and controls are those that sealed entries name, and the texts are their parts.

    Gives what was found, and what of it nothing proves, in words.
    """
    sets = typed(parse_sorted(box.read(SETS, 1 << 30), 11, SETS), dict, 11, SETS)
    parts: set[Any] = set()
    names: dict[Any, set[str]] = {}  # of the controls' texts
    unknown = 0
    for kind in ("context", "controls"):
        named = {entry.told.get(kind) for entry in entries if entry.asked}
        told = typed(sets.get(kind), dict, 11, kind)
        for digest, text in told.items():
            if _sha256(typed(text, str, 11, f"a set of {kind}").encode()).hexdigest() != digest:
                raise Altered(11, f"the parts of {kind} {digest[:16]} do not give that digest")
            if digest not in named:
                raise Altered(11, f"{kind} {digest[:16]} are named by no entry that is shown")
            parts |= _parts_of(kind, text)
            if kind == "controls":
                for control, version, _, sha256 in _DECODER.decode(text)["controls"]:
                    name = f"controls/{control}-v{version}"
                    names.setdefault(sha256, set()).update((f"{name}.yaml", f"{name}-{sha256[:8]}.yaml"))
        unknown += len(named - set(told))
    proved = stated = 0
    for each in manifest["files"]:
        name = each["name"]
        if name in (SETS, "context/digests.json") or not name.startswith(("context/", "controls/")):
            continue
        if each["sha256"] in parts:
            if name.startswith("controls/") and name not in names.get(each["sha256"], ()):
                raise Altered(11, f"{name} is the text of another control or version")
            proved += 1
        elif unknown:
            stated += 1
        else:
            raise Altered(11, f"{name} is no text of the registers and controls that the sealed entries name")
    said = f"{proved} texts are those that the sealed entries name, of {len(parts)}"
    if len(parts) > proved:
        said += "; of the others the digests are here"
    if unknown:
        said += f"; {unknown} sets cannot be made again from their parts, and {stated} texts are the operator's word"
    return said, _unproved_rules(manifest, tally, len(parts) - proved, unknown, stated)


def _unproved_rules(manifest: dict[str, Any], tally: Tally, missing: int, unknown: int, stated: int) -> list[str]:
    said = []
    if unknown:
        said.append(
            f"What {unknown} sets of registers and controls are that the sealed entries name: {SETS} has not what would"
            f" give their digests, so that {stated} texts under context/ and controls/ are the operator's word."
        )
    if missing:
        said.append(f"What {missing} registers, lists and controls that were in force say: their texts are not here.")
    return said + _without_text(manifest, tally)


def _without_text(manifest: dict[str, Any], tally: Tally) -> list[str]:
    """Which controls gave verdicts without a text of theirs being here, in words."""
    named = [each["name"] for each in manifest["files"]]
    judged = sorted({f"{control}-v{version}" for _, control, version, *_ in tally.verdicts})
    shown = {re.sub(r"(-v\d+)(-\w+)?\.yaml$", r"\1", name) for name in named if name.startswith("controls/")}
    silent = [each for each in judged if f"controls/{each}" not in shown]
    return [
        f"What the controls say whose verdicts are here and whose texts are not: {', '.join(silent)[:400]}."
    ] * bool(silent)


def _parts_of(kind: str, text: str) -> set[Any]:
    """The digests of a set's parts."""
    if kind == "context":
        return {line.rpartition("\0")[2] for line in text.splitlines()}
    told = typed(parse_json(text.encode(), 11, "a set of controls"), dict, 11, "a set of controls")
    try:
        return {row[3] for row in told["controls"]} | {row[1] for row in told["lists"]}
    except (KeyError, IndexError, TypeError):
        raise Altered(11, "a set of controls is none") from None


def check_records(
    box: Container, scope: Scope, entries: list[Entry], tally: Tally, manifest: dict[str, Any]
) -> tuple[str, list[str]]:
    """Step 12: findings are as many events as were sealed as violating, every shown action is recorded, deletions fit.

    Waivers bear the signatures of those whom they name, and holds stand as the actions about them say. Gives what was
    found, and what of it nothing proves, in words.
    """
    findings = _records(box, FINDINGS, ("control", "events"))
    counted: dict[str, int] = {}
    for row in findings:
        typed(row["control"], str, 12, "the control of a finding")
        counted[row["control"]] = counted.get(row["control"], 0) + count_of(row["events"], 12, "events of a finding")
    expected = {c: n for c, n in tally.violating.items() if not scope.controls or c in scope.controls}
    # Of a single finding's events the sealed lines do not say how many there are; of messages without verdicts they
    # do not say what else there is.
    differ = {name for name in {*counted, *expected} if counted.get(name, 0) != expected.get(name, 0)}
    if tally.without_verdicts:
        differ = {name for name in differ if counted.get(name, 0) < expected.get(name, 0)}
    if not scope.findings and differ:
        wrong = min(differ)
        raise Altered(
            12, f"{FINDINGS} has {counted.get(wrong, 0)} events of {wrong}, {expected.get(wrong, 0)} were sealed"
        )
    _check_table(box, findings)
    listed, shown, closed = _check_actions(box, scope, entries, tally)
    (waivers, unproved), holds = check_waivers(box, scope, manifest, findings), check_holds(box)
    deletions, open_ends = _check_deletions(box, scope, entries, tally)
    unproved += open_ends
    partly = f" ({closed} closed in part)" if closed else ""
    if listed > shown:
        unproved.append(
            f"Who did what, and why, in {listed - shown} of {listed} actions: they are not among the shown events."
        )
    if closed:
        unproved.append(f"What is closed of {closed} actions that are shown: who acted, or what {ACTIONS} says of it.")
    said = (
        f"{len(findings)} findings have the events that were sealed; {shown} of {listed} actions of people stand among"
        f" the shown events{partly}, the others are the operator's word; {waivers}; {holds}{deletions} deletions"
    )
    return said, unproved


def _check_table(box: Container, findings: Sequence[dict[str, Any]]) -> None:
    """The table of findings, where there is one, says what the findings say."""
    if FINDINGS_CSV not in box.parts:
        return
    raw = box.read(FINDINGS_CSV, 1 << 30)
    columns = next(csv.reader(io.StringIO(raw.decode("utf-8", "replace"))), [])
    whole = all(set(columns) == row.keys() - {"sample_event_ids"} for row in findings)
    # Tables of before spreadsheets were kept from running formulas have these as they are.
    if not whole or raw not in (_findings_csv(columns, findings, guard) for guard in ("'", "")):
        raise Altered(12, f"{FINDINGS_CSV} does not say what {FINDINGS} says")


def _findings_csv(columns: Sequence[str], findings: Sequence[dict[str, Any]], guard: str) -> bytes:
    """Findings as a table; `guard` stands in front of what a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in findings:
        cells = (row.get(name) for name in columns)
        spelled = [_ENCODER.encode(each) if isinstance(each, (dict, list)) else each for each in cells]
        writer.writerow([_guarded(each, guard) for each in spelled])
    return text.getvalue().encode()


def _guarded(cell: Any, guard: str) -> Any:
    return f"{guard}{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _records(box: Container, name: str, members: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(lines_of(box.read(name, 1 << 30), 12, name)):
        row = typed(parse_json(line, 12, f"line {number + 1} of {name}"), dict, 12, name)
        if any(member not in row for member in members):
            raise Altered(12, f"line {number + 1} of {name} lacks one of {', '.join(members)}")
        rows.append(row)
    return rows


_ACTION = {"topic_id": str, "offset": int, "record_index": int, "action": str, "about": str}


def _actions(box: Container) -> list[dict[str, Any]]:
    rows = _records(box, ACTIONS, tuple(_ACTION))
    for row in rows:
        for name, kind in _ACTION.items():
            typed(row[name], kind, 12, f"{name} of an action")
    return rows


def _check_actions(box: Container, scope: Scope, entries: list[Entry], tally: Tally) -> tuple[int, int, int]:
    """Every action among the shown events is recorded as it was sealed, and every waiver's proposal is.

    Gives how many are recorded, how many of them are shown, and of how many of these something is closed.
    """
    rows = _actions(box)
    listed: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        place = tuple(row[name] for name in ("topic_id", "offset", "record_index", "action"))
        listed.setdefault(place, []).append(row)
    closed = 0
    for deed in sorted(tally.actions, key=lambda deed: str(deed.place)):
        found = listed.get(deed.place, [])
        if not found:
            raise Altered(12, f"{deed.name} was sealed, and {ACTIONS} leaves it out")
        for row in found:
            closed += not _is_told(deed, row, scope)
    sealed = {deed.place for deed in tally.actions}
    whole = {
        (entry.told.get("topic_id"), entry.told.get("offset"))
        for entry in entries
        if entry.asked and entry.row.events + len(entry.row.deleted) == entry.told.get("events")
    }
    for topic, offset, _, action in sorted(listed.keys() - sealed, key=str):
        if (topic, offset) in whole:
            raise Altered(12, f"{ACTIONS} has {action} at offset {offset} of {topic}, which was not sealed there")
    proposed = sorted(str(row["about"]) for row in rows if row["action"] == "waiver.propose")
    waivers = sorted(str(row["id"]) for row in _records(box, WAIVERS, ("id",)))
    if sorted(set(proposed)) != waivers:
        raise Altered(12, f"{WAIVERS} has {len(waivers)} waivers, {len(set(proposed))} were proposed")
    return len(listed), len(listed.keys() & sealed), closed


def _is_told(deed: Deed, row: dict[str, Any], scope: Scope) -> bool:
    """Whether a record says all of what was sealed; where it says something else it was altered."""
    hidden = [REDACTED] if scope.closes else []

    def same(name: str, said: Any, *sealed: Any) -> bool:
        if said not in (*sealed, *hidden):
            raise Altered(12, f"{ACTIONS} says another {name[:80]} of {deed.name} than was sealed")
        return said in sealed

    told = [same(name, row.get(name), value) for name, value in deed.said.items()]
    told.append(deed.who is not None and same("who", row.get("who"), deed.who))
    shown = row.get("attributes")
    if shown is None:
        if deed.attributes or not scope.closes:
            raise Altered(12, f"{ACTIONS} does not say what {deed.name} says")
        return False
    typed(shown, dict, 12, f"attributes of {deed.name}")
    # A finding's id may be a hash of what is closed; then another stands for it.
    finding = shown.get(FINDING_ID) if scope.closes else deed.attributes.get(FINDING_ID, "").lower()
    for name, value in deed.attributes.items():
        told.append(same(name, shown.get(name), finding if name == FINDING_ID else value))
    if deed.whole:
        made_up = shown.keys() - deed.attributes.keys()
        if made_up:
            raise Altered(12, f"{ACTIONS} says {min(made_up)[:80]} of {deed.name}, which was not sealed")
        told.append(same("about", row["about"], finding if deed.attributes.get(FINDING_ID) else deed.about))
    return deed.whole and all(told)


REDACTED = "redacted"
_SIGNED = (("proposed_by", "waiver.propose"), ("approved_by", "waiver.approve"), ("revoked_by", "waiver.revoke"))
_HOLD_SCOPE = ("tenant", "domain", "dataset", "actor_id", "since", "until", "review")


def _deeds(box: Container, kind: str) -> dict[str, list[dict[str, Any]]]:
    """Actions of a kind by what they are about, in the order of the log."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = [row for row in _actions(box) if row["action"].startswith(kind)]
    for row in rows:
        typed(row.get("at"), int, 12, f"the time of {row['action']}")
        typed(row.get("who"), str, 12, f"who did {row['action']}")
        if row.setdefault("attributes", None) is not None:
            typed(row["attributes"], dict, 12, f"what {row['action']} says")
    for row in sorted(rows, key=lambda row: (str(row["topic_id"]), row["offset"], row["record_index"])):
        found.setdefault(str(row["about"]), []).append(row)
    return found


class Signatures:
    """What people signed of waivers, checked with the keys that the bundle gives them."""

    def __init__(self, box: Container, redacted: Collection[str]) -> None:
        self.brought, self.redacted = PEOPLE in box.parts, redacted
        self.keys: dict[str, bytes] = {}
        for row in _records(box, PEOPLE, ("person", "public_key")) if self.brought else []:
            key = _base64(typed(row["public_key"], str, 12, "a key"), 12, f"a key in {PEOPLE}")
            if not sound_key(key) or typed(row["person"], str, 12, "a person") in self.keys:
                raise Altered(12, f"{PEOPLE} gives {row['person']} no key, or two")
            self.keys[row["person"]] = key
        self.deeds = _deeds(box, "waiver.")
        self.good, self.closed = 0, 0
        self.signers: set[str] = set()

    def check(self, row: dict[str, Any]) -> None:
        """Everybody whom a waiver names signed it, and nobody revoked it who is not named."""
        waiver, statement = str(row["id"]), ""
        own = self.deeds.get(waiver, [])
        for member, action in _SIGNED:
            person = row.get(member)
            if person:
                deeds = [each for each in own if each["action"] == action and each["who"] == person]
                statement = self._statement(row, person, deeds, statement)
        proposer, approver = row.get("proposed_by"), row.get("approved_by")
        if approver and approver == proposer != REDACTED:
            raise Altered(12, f"waiver {waiver} was proposed and approved by {approver}: it takes two people")
        if {proposer, approver} <= self.keys.keys() and self.keys[str(proposer)] == self.keys[str(approver)]:
            raise Altered(12, f"one key signed waiver {waiver} for {proposer} and for {approver}")
        for deed in own:
            revokes = deed["action"] == "waiver.revoke" and deed["at"] < row["expires"] and _said(deed)[0] == statement
            if revokes and statement and not row.get("revoked_by") and self._is_signed(deed):
                raise Altered(12, f"{deed['who']} revoked waiver {waiver}, and {WAIVERS} does not say so")

    def _statement(self, row: dict[str, Any], person: str, deeds: list[dict[str, Any]], before: str) -> str:
        """What the person signed; '' where that is closed."""
        waiver = row["id"]
        if not deeds:
            raise Altered(12, f"{person} is said to have signed waiver {waiver}, and {ACTIONS} has no such action")
        told = [deed for deed in deeds if all(_said(deed))]
        if not told or person == REDACTED:
            self.closed += 1
            return before
        told = [deed for deed in told if self._fits(row, _said(deed)[0]) and (not before or _said(deed)[0] == before)]
        if not told:
            raise Altered(12, f"waiver {waiver} is another than the one that {person} signed")
        if not self.brought:
            self.closed += 1
            return before
        if person not in self.keys:
            raise Uncheckable(12, f"{PEOPLE} has no key of {person}, who signed waiver {waiver}")
        signed = [deed for deed in told if self._is_signed(deed)]
        if not signed:
            raise Altered(12, f"the signature under waiver {waiver} is not that of {person}")
        self.good += 1
        self.signers.add(person)
        return _said(signed[0])[0]

    def _is_signed(self, deed: dict[str, Any]) -> bool:
        statement, signature = _said(deed)
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        text = f"onshore waiver 1\n{deed['action']}\n{statement}".encode()
        return deed["who"] in self.keys and ed25519_verify(self.keys[deed["who"]], text, raw)

    def _fits(self, row: dict[str, Any], statement: str) -> bool:
        """Whether a row says what was signed, as far as it is not closed."""
        try:
            told = _DECODER.decode(statement)
            until = _nanoseconds(told["expires"])
            where = dict(told["where"])
            names = ("id", "tenant", "control", "reason", "proposed_by")
            same = all(row.get(name) in (told[name], REDACTED) for name in names)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        shown = typed(row.get("where"), dict, 12, "what a waiver is about")
        return (
            same
            and until == row["expires"]
            and where.keys() == shown.keys()
            and all(name in self.redacted or shown[name] in (text, REDACTED) for name, text in where.items())
        )


def _said(deed: dict[str, Any]) -> tuple[str, str]:
    """Statement and signature of an action; '' where they are closed."""
    told = deed["attributes"] or {}
    parts = (told.get("onshore.waiver.statement"), told.get("onshore.waiver.signature"))
    texts = [each if isinstance(each, str) and each != REDACTED else "" for each in parts]
    return texts[0], texts[1]


_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3}([0-9]{3})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _nanoseconds(text: str) -> int:
    """A time with its zone, since 1970. Raises `ValueError`."""
    if not _TIME.fullmatch(text):  # what every Python from 3.9 on reads alike
        raise ValueError(f"{text!r} is no time")
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 1000


def check_waivers(
    box: Container, scope: Scope, manifest: dict[str, Any], findings: Sequence[dict[str, Any]]
) -> tuple[str, list[str]]:
    """Waivers stand as what their people signed says; what of that could be checked and what not, in words."""
    signatures, in_force, at = Signatures(box, scope.redacted), {}, made_at(manifest)
    rows = _records(box, WAIVERS, ("id", "state"))
    for row in rows:
        if row["state"] == "refused":  # nobody's registered key signed it, and it says nothing else
            continue
        expires = count_of(row.get("expires"), 12, f"the end of waiver {row['id']}")
        for name in ("id", "control", "proposed_by", *(each for each, _ in _SIGNED[1:] if row.get(each) is not None)):
            typed(row.get(name), str, 12, f"{name} of a waiver")
        states = (("revoked", row.get("revoked_by")), ("expired", at >= expires), ("approved", row.get("approved_by")))
        state = next((word for word, is_so in states if is_so), "proposed")
        if row["state"] != state or not row.get("proposed_by"):
            raise Altered(12, f"waiver {row['id']} is said to be {row['state']}; by what else it says it is {state}")
        signatures.check(row)
        if state == "approved":
            in_force[row["id"]] = row.get("control")
    for finding in findings:
        waiver = finding.get("waiver")
        is_open = waiver not in (None, REDACTED) and REDACTED not in in_force
        if is_open and in_force.get(str(waiver)) != finding["control"]:
            raise Altered(12, f"a finding of {finding['control']} waits under {waiver}, no waiver in force for it")
    unproved: list[str] = []
    said = f"{len(rows)} waivers, {signatures.good} signatures of people under them are good"
    if signatures.signers:
        keys = (f"{who} {_sha256(signatures.keys[who]).hexdigest()[:16]}" for who in sorted(signatures.signers))
        said += f" (keys: {', '.join(keys)[:400]})"
    if signatures.closed:
        why = "who signed, or what, is closed" if signatures.brought else "the bundle does not bring people's keys"
        said += f", {signatures.closed} NOT CHECKED: {why}"
        unproved.append(
            f"That people signed waivers who are said to have: {signatures.closed} signatures are not checked."
        )
    return said, unproved


def check_holds(box: Container) -> str:
    """Legal holds stand as the actions about them say; where the bundle does not say how they stand, ''."""
    if HOLDS not in box.parts:
        return ""
    rows, deeds, closed = (
        {str(row["id"]): row for row in _records(box, HOLDS, ("id", "state"))},
        _deeds(box, "hold."),
        0,
    )
    placed = {about: each for about, own in deeds.items() if (each := _standing(own))}
    if rows.keys() != placed.keys():
        raise Altered(12, f"{HOLDS} has {len(rows)} holds, {len(placed)} were placed")
    for hold, row in rows.items():
        standing, attributes = placed[hold], placed[hold].pop("attributes")
        if any(deed["who"] == REDACTED for deed in deeds[hold]):  # who is whom is closed, and so how it stands
            closed += 1
        elif any(row.get(name) != value for name, value in standing.items()):
            name = next(name for name, value in standing.items() if row.get(name) != value)
            said = f"said to be {row['state']}; the actions about it say {standing['state']}"
            if name != "state":
                said = f"said to have another {name} than the actions about it say"
            raise Altered(12, f"hold {hold} is {said}")
        for name in _HOLD_SCOPE if attributes is not None else ():
            if row.get(name) != attributes.get(f"onshore.hold.{name}"):
                raise Altered(12, f"hold {hold} is said to hold another {name} than was placed")
    return f"{len(rows)} holds stand as the actions about them say" + (f" ({closed} are closed); " if closed else "; ")


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written: `Ann`, `ann`, `Ann `."""
    return _spelled(one) == _spelled(other)


def _spelled(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def is_day(text: Any) -> bool:
    """Whether this is a day as 2027-03-31, and one that the calendar has."""
    if not isinstance(text, str) or not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True


def _standing(deeds: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How a hold stands: one person places it, another confirms; one wants it released, and again another confirms.

    Whoever reviews it names the next day on which somebody must look.
    """
    hold: dict[str, Any] | None = None
    for deed in deeds:
        what, who = str(deed["action"])[5:], deed["who"]
        if hold is None:
            if what == "place":
                hold = {"state": "placed", "placed_by": who, "confirmed_by": None, "release_by": None}
                hold.update(reason=deed.get("reason"), placed_at=deed["at"] // 1000 * 1000)
                hold.update(next_review=None, reviewed_by=None, reviewed_at=None, attributes=deed["attributes"])
        elif what == "review" and hold["state"] != "released":
            day = (deed["attributes"] or {}).get("onshore.hold.review")
            if is_day(day):
                hold.update(next_review=day, reviewed_by=who, reviewed_at=deed["at"] // 1000 * 1000)
        elif what == "confirm" and hold["state"] == "placed" and not same_person(who, hold["placed_by"]):
            hold.update(state="confirmed", confirmed_by=who)
        elif what == "release" and hold["state"] in ("placed", "confirmed"):
            hold.update(state="release proposed", release_by=who)
        elif (
            what == "release.confirm"
            and hold["state"] == "release proposed"
            and not same_person(who, hold["release_by"])
        ):
            hold.update(state="released")
    return hold


def _check_deletions(box: Container, scope: Scope, entries: list[Entry], tally: Tally) -> tuple[int, list[str]]:
    """Every deleted event names a deletion that is told as its tombstone tells it; all of one give its root.

    Gives how many deletions there are, and what of them nothing proves, in words.
    """
    gone: dict[str, list[Any]] = {}
    for entry in entries:
        for _, index, leaf, deletion in entry.row.deleted:
            place = (entry.told.get("topic_id"), entry.told.get("partition"), entry.told.get("offset"), index)
            gone.setdefault(deletion, []).append((place, leaf))
    rows: dict[str, dict[str, Any]] = {}
    for row in _records(box, DELETIONS, ("id", "events", "root", "rule")):
        if rows.setdefault(typed(row["id"], str, 12, "the id of a deletion"), row) is not row:
            raise Altered(12, f"{DELETIONS} tells of {row['id']} twice")
    if rows.keys() != gone.keys():
        raise Altered(12, f"{DELETIONS} tells of other deletions than the deleted events name")
    recorded = {row["about"] for row in _actions(box) if row["action"] == DELETE}
    stated = uncounted = partial = 0
    for deletion, leaves in gone.items():
        row = rows[deletion]
        total = count_of(row["events"], 12, "events of a deletion")
        if len(leaves) > total:
            raise Altered(12, f"deletion {deletion} took {total} events, and {len(leaves)} are said to be its own")
        if deletion not in recorded and not (scope.closes and REDACTED in recorded):
            raise Altered(12, f"{ACTIONS} has no {DELETE} about deletion {deletion}")
        sealed = _sealed_of(row, tally, scope)
        is_all = len(leaves) == total and len({place[0] for place, _ in leaves}) == 1
        leaves.sort(key=lambda each: each[0])
        if is_all and tree_root([leaf for _, leaf in leaves]).hex() != row["root"]:
            raise Altered(12, f"the deleted events of {deletion} are not those of its tombstone")
        stated += "root" not in sealed
        partial += not is_all
        uncounted += "root" in sealed and "events" not in sealed and not is_all
    said = []
    if stated:
        said.append(
            f"{stated} of {len(rows)} deletions: no tombstone of theirs is among the shown events and opened, so that"
            " what they took, how much and by what rule is the operator's word."
        )
    if partial:
        said.append(
            f"Which events {partial} of {len(rows)} deletions took: not all of their leaves are here, to give their roots."
        )
    if uncounted:
        said.append(f"How many events {uncounted} of {len(rows)} deletions took: their tombstones do not say it.")
    return len(rows), said


def _sealed_of(row: dict[str, Any], tally: Tally, scope: Scope) -> Collection[str]:
    """What a shown tombstone seals of a deletion; one that says something else was altered."""
    hidden = [REDACTED] if scope.closes else []
    said: dict[str, Any] = {name: row[name] for name in ("domain", "root") if name in row}
    said["events"] = str(row["events"])
    differ: list[str] = []
    for deed in tally.actions:
        if deed.place[3] != DELETE or deed.attributes.get(DELETION_ID) != row["id"]:
            continue
        sealed = {name for name in said if f"onshore.deletion.{name}" in deed.attributes}
        differ = [name for name in sorted(sealed) if deed.attributes[f"onshore.deletion.{name}"] != said[name]]
        differ += ["rule"] if row["rule"] not in (deed.said["reason"], *hidden) else []
        differ += ["tenant"] if row.get("tenant", deed.said["tenant"]) != deed.said["tenant"] else []
        if not differ:
            return sealed
    if differ:
        raise Altered(12, f"{DELETIONS} says another {differ[0]} of deletion {row['id']} than its tombstone")
    return ()


# --- One event by itself: its proof, and what is disclosed of it later ---------------------------------------------------

PROOF_FIRST_LINE = b"c2sp.org/tlog-proof@v1"
_MOST_HASHES = 64  # as many as a size has bits
_EVENT_LIMIT = 64 << 20


def event_lines(raw: bytes) -> tuple[bytes, bytes]:
    """The sealed line of an event's file, and the line that opens some of it; `{}` where there is none."""
    lines = lines_of(raw, 7, "the event's file")
    if len(lines) not in (1, 2):
        raise Altered(7, f"the event's file has {len(lines)} lines instead of the sealed one and what is opened of it")
    return lines[0], lines[1] if len(lines) == 2 else b"{}"


def opened_of(line: bytes, opening: bytes, where: str) -> list[str]:
    """Step 8 for one event: what is opened is what its line commits to; each as words."""
    event = typed(parse_json(line, 7, where), dict, 7, where)
    typed(parse_json(opening, 8, f"the opening of {where}"), dict, 8, f"the opening of {where}")
    check_opening(event, opening, set(), {}, where)
    words = []
    for name, parts in _DECODER.decode(opening.decode()).items():
        for leaf in parts if name in MAPS else [parts]:  # nothing signs these letters: there is one way to write them
            if name != "pseudonyms" and not re.fullmatch("[0-9a-f]+", leaf[0]):
                raise Altered(8, f"{name} of {where} is not spelled as it must be")
        if name in MAPS:
            words += [f"{name}.{leaf[1]} is {_quoted(leaf[2])}" for leaf in parts if len(leaf) == 3]
        elif name == "contradictions":
            words.append(f"{name} is {', '.join(parts[1:]) or 'empty'}")
        elif name in _COMMITTED_PREFIX:
            words.append(f"{name} is {_quoted(parts[1]) if len(parts) == 2 else 'unknown'}")
    return words


class EventProof:
    """A c2sp.org/tlog-proof, read: the leaf's place in the log, its hashes, the note, and what places the event in it."""

    def __init__(self, raw: bytes) -> None:
        above, parted, self.note = raw.partition(b"\n\n")
        rows = above.split(b"\n")
        index = re.fullmatch(rb"index (0|[1-9][0-9]{0,18})", rows[2]) if len(rows) > 2 else None
        if not parted or rows[0] != PROOF_FIRST_LINE or not rows[1].startswith(b"extra ") or index is None:
            raise Altered(6, "the proof is no c2sp.org/tlog-proof@v1 of an event")
        self.index = int(index[1])
        self.hashes = _hashes_of([row.decode("latin-1") for row in rows[3:]], "the proof")
        extra = _base64(rows[1][6:].decode("latin-1"), 6, "what the proof says besides")
        lines = lines_of(extra, 6, "what the proof says besides")
        if len(lines) != 2:
            raise Altered(6, "the proof does not bring the entry and the event's place in it")
        self.entry = lines[0]
        place = typed(parse_json(lines[1], 7, "the event's place"), list, 7, "the event's place")
        if len(place) != 2:
            raise Altered(7, "the event's place is not [position, hashes]")
        self.position = count_of(place[0], 7, "the event's position")
        self.inside = _hashes_of(typed(place[1], list, 7, "the event's hashes"), "the event's place")


def _hashes_of(texts: list[Any], where: str) -> list[bytes]:
    hashes = [_base64(typed(text, str, 6, where), 6, f"a hash of {where}") for text in texts]
    if len(hashes) > _MOST_HASHES or any(len(each) != 32 for each in hashes):
        raise Altered(6, f"{where} has hashes that are none, or too many")
    return hashes


def verify_event(raw: bytes, proof: bytes, keys: Sequence[Key], checkpoint: bytes | None = None) -> dict[str, Any]:
    """Check one event by itself: steps 4 to 8. Returns what to print; raises `Altered` or `Uncheckable`.

    Args:
        raw: the sealed line, and the line that opens some of it, if any.
        proof: a c2sp.org/tlog-proof of the event's entry.
        keys: what `parse_keys` gave.
        checkpoint: bytes of a witnessed checkpoint of the same size, or None.
    """
    line, opening = event_lines(raw)
    told = EventProof(proof)
    heads = Heads(open_note(told.note, keys, 4, "the proof's head"), {"consistency": {}})
    heads.signed.append(("the proof's head", heads.head))
    head = heads.head
    steps = [(4, f"the head of {head.origin}, of {head.size} entries, is signed by {', '.join(head.signed_by)}")]
    check_witness(heads, keys, checkpoint)
    steps.append((5, witness_line(heads)))
    try:
        root = inclusion_root(_sha256(b"\x00" + told.entry).digest(), told.index, head.size, told.hashes)
    except ValueError as error:
        raise Altered(6, f"the entry is not proved to be in the log: {error}") from None
    if root != head.root:
        raise Altered(6, "the entry is not in the log whose head was signed")
    entry = typed(parse_sorted(told.entry, 6, "the entry"), dict, 6, "the entry")
    if entry.get("kind") not in _WITH_EVENTS or entry.get("line_version") != 1:
        raise Uncheckable(6, "the entry is of a kind or version that this verifier does not know")
    where = f"{entry.get('topic')}[{entry.get('partition')}]@{entry.get('offset')}"
    steps.append((6, f"entry {told.index}, of {where}, stands in that log"))
    sealed = count_of(entry.get("events"), 7, "the number of events")
    try:
        root = inclusion_root(_sha256(b"\x00" + line).digest(), told.position, sealed, told.inside)
    except ValueError as error:
        raise Altered(7, f"the event is not proved to be in its entry: {error}") from None
    if root.hex() != entry.get("events_root"):
        raise Altered(7, f"the event is not one of those that were sealed of {where}")
    steps.append((7, f"the event is number {told.position} of the {sealed} that were sealed there"))
    words = opened_of(line, opening, "the event")
    steps.append((8, f"{len(words)} disclosed values are those committed to"))
    at = f", that the broker took at {moment(entry['timestamp'])}" if isinstance(entry.get("timestamp"), int) else ""
    proved = [f"This event was sealed as part of a message of {entry.get('tenant')}{at}.", *words]
    unproved = [line.format(renderings="none") for line in NOT_PROVED[:-1]]
    unproved.append("Which controls judged it, and what else was sealed: a bundle shows that.")
    return {"witnessed": witness_line(heads), "steps": steps, "proved": proved, "not_proved": unproved}


def check_disclosed(box: Container, raw: bytes) -> list[str]:
    """Step 8 for what is disclosed after the bundle was handed over: of an event of this bundle, what it commits to."""
    line, opening = event_lines(raw)
    part, number, left = box.parts[EVENTS], 0, box.parts[EVENTS].size
    box.file.seek(part.data_at)
    while left > 0:
        number += 1
        row = box.file.readline(left)
        left -= len(row)
        if row == line + b"\n":
            words = opened_of(line, opening, f"event {number} of the bundle")
            return [f"Disclosed later, of line {number} of {EVENTS}: {word}" for word in words]
    raise Altered(8, "the event that is disclosed later is none of this bundle's")


NOT_PROVED = (
    "That the sensors saw everything, that a sender told the truth, that an inferred place is right.",
    "That nothing was withheld in front of the broker.",
    "Anything behind the last witnessed head: whoever holds store and key can rewrite that.",
    "That pseudonyms, findings, coverage, texts and the context (the registers) are right: the operator signed them.",
    "That what is closed here stays closed: whoever has the salt key can open every commitment.",
    "Anything about renderings for reading: {renderings}.",
)


def verify(
    path: str,
    keys: Sequence[Key],
    checkpoint: bytes | None = None,
    workers: int = 1,
    disclosed: bytes | None = None,
    quick: Any = None,
) -> dict[str, Any]:
    """Run all steps. Returns what to print; raises `Altered` or `Uncheckable`.

    Args:
        path: the bundle.
        keys: what `parse_keys` gave.
        checkpoint: bytes of a witnessed checkpoint, or None.
        workers: processes that it may use.
        disclosed: the file of an event of the bundle of which something is disclosed later, or None.
        quick: asked once, with the bytes of all lines, for a function that looks at a message's events and openings
            (both as bytes, and how many there are) more quickly than is done here; None where that is not worth while.
            It gives the root over their leaves, the record indexes and how many values are opened by name; or None,
            also for what is wrong: then it is looked at here. The installed command has one, of compiled code.
    """
    steps: list[tuple[int, str]] = []
    try:
        with Container(path) as box:
            found = _verify(box, keys, checkpoint, workers, quick, steps)
            if disclosed is not None:
                found["proved"] += check_disclosed(box, disclosed)
            return found
    except Problem as problem:
        problem.passed = steps
        raise


def _verify(
    box: Container,
    keys: Sequence[Key],
    checkpoint: bytes | None,
    workers: int,
    quick: Any,
    steps: list[tuple[int, str]],
) -> dict[str, Any]:
    unproved: list[str] = []
    read_container(box)
    steps.append((1, f"{len(box.parts)} files, {box.size} bytes; rebuilt from their names, and the same byte by byte"))
    manifest, raw = read_manifest(box, workers)
    steps.append((2, "every file has the size and digest that the manifest says"))
    label = check_envelope(box, manifest, raw, keys)
    steps.append((3, f"the manifest is signed by {label}"))
    heads = check_heads(box, keys)
    at = f", signed at {moment(heads.head.at * 10**9)} by the operator's clock" if heads.head.at else ""
    steps.append(
        (4, f"{len(heads.signed)} heads of {heads.head.origin}, consistent, up to {heads.head.size} entries{at}")
    )
    check_witness(heads, keys, checkpoint)
    steps.append((5, witness_line(heads)))
    scope = Scope(manifest)
    entries = read_entries(box, heads, scope)
    steps.append((6, f"{len(entries)} entries stand in that log, unaltered and in their places"))
    # What a finding has of a control's events, the sealed lines do not say.
    controls = frozenset() if scope.findings else frozenset(scope.controls)
    tally = check_messages(box, entries, controls, scope.closed_keys, workers, quick)
    check_silence(entries, scope)
    steps.append((7, f"{tally.events} events are those that were sealed"))
    steps.append((8, f"{sum(tally.opened.values())} disclosed values are those committed to"))
    if verdicts_csv(tally.verdicts) != box.read(VERDICTS_CSV, 1 << 30):
        raise Altered(9, f"{VERDICTS_CSV} does not say what the sealed verdicts add up to")
    steps.append(
        (9, f"{sum(tally.verdicts.values())} verdicts are those that were sealed, and {VERDICTS_CSV} adds them up")
    )
    proved = check_scope(manifest, scope, entries, heads, tally)
    steps.append((10, "the manifest's scope and counts are what was found"))
    if manifest["format"] != FORMATS[0]:
        said, open_ends = check_rules(box, manifest, entries, tally)
        steps.append((11, said))
        unproved += open_ends
        said, open_ends = check_records(box, scope, entries, tally, manifest)
        steps.append((12, said))
        unproved += open_ends
    else:
        unproved += _without_text(manifest, tally)
    unproved += unproved_of_scope(scope, entries, heads, tally)
    unproved += unproved_of_head(heads.head, scope, manifest)
    unproved += unproved_files(manifest)
    renderings = [each["name"] for each in manifest["files"] if covers_of(each["name"]) == "rendering"]
    unproved += [line.format(renderings=", ".join(renderings) or "none") for line in NOT_PROVED]
    return {
        "witnessed": witness_line(heads),
        "steps": steps,
        "proved": proved,
        "not_proved": unproved,
        "manifest": manifest,
    }


def witness_line(heads: Heads) -> str:
    """Whether anybody else has seen the log, and how far."""
    if not heads.by:
        return "NOT WITNESSED: nobody but the operator vouches that this log was not rewritten before it was exported"
    return f"Witnessed up to entry {heads.witnessed} of {heads.head.size} by {heads.by}"


def report(found: dict[str, Any]) -> str:
    """What is printed: whether it is witnessed stands first."""
    lines = [found["witnessed"], "", *_numbered(found["steps"])]
    if "manifest" in found:
        export = found["manifest"]["export"]
        who = f"{export.get('recipient')} ({export.get('recipient_country')}), by {export.get('by')}"
        lines += ["", f"Export {export['id']} for {who}."]
    lines += ["", "Proved:", *(f"  {line}" for line in found["proved"])]
    lines += ["", "Not proved:", *(f"  {line}" for line in found["not_proved"])]
    return "\n".join(_printable(line) for line in lines)


def _numbered(steps: Sequence[tuple[int, str]]) -> list[str]:
    return [f"{number:>2}. {STEPS[number]}: {text}" for number, text in steps]


def _printable(line: str) -> str:
    """Names in a bundle are others' words: none of them may steer a terminal."""
    return "".join(each if each.isprintable() or each == " " else "?" for each in line)


def verdict_on(problem: Problem) -> tuple[str, str]:
    """The word for a problem, and the line that says it."""
    word = "ALTERED" if isinstance(problem, Altered) else "CANNOT BE CHECKED"
    return word, f"{word}: {_printable(str(problem))}"


def passed_before(problem: Problem) -> str:
    """The steps that came before a problem, for people; '' where there were none."""
    if not problem.passed:
        return ""
    lines = ["What was found before that, which proves nothing of the whole:", *_numbered(problem.passed)]
    return "\n".join(_printable(line) for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Verify an Onshore evidence bundle, offline.")
    parser.add_argument("bundle", help="a bundle; with --proof the file of one event")
    parser.add_argument("--key", required=True, help="file with the operator's verifier key, and witnesses' keys")
    parser.add_argument("--checkpoint", help="a checkpoint of the log that you have from somewhere else")
    parser.add_argument("--proof", help="a c2sp.org/tlog-proof: one event is checked by itself")
    parser.add_argument("--disclosed", help="file of an event of the bundle of which something was disclosed later")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 8), help="how many to use")
    told = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # names in a bundle may have letters that a terminal has not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        keys = parse_keys(read_file(told.key).decode("utf-8", "replace"))
        found = verify_files(told.bundle, keys, told.checkpoint, told.proof, told.disclosed, workers=told.processes)
    except Problem as problem:
        word, line = verdict_on(problem)
        if told.json:
            what = {"result": word, "step": problem.step, "what": _printable(problem.what), "steps": problem.passed}
            print(json.dumps(what))
        elif problem.passed:
            print(passed_before(problem))
        print(line, file=sys.stderr)
        return problem.exit_code
    print(json.dumps({"result": "GOOD", **found}) if told.json else report(found))
    return 0


def verify_files(
    path: str,
    keys: Sequence[Key],
    checkpoint: str | None,
    proof: str | None,
    disclosed: str | None,
    workers: int = 1,
    quick: Any = None,
) -> dict[str, Any]:
    """`verify`, or `verify_event` where a proof is given, of files by name."""
    try:
        return _verify_files(path, keys, checkpoint, proof, disclosed, workers, quick)
    except Problem:
        raise
    except Exception as error:  # whoever made the bundle has found what no step expects
        kind = type(error).__name__
        raise Uncheckable(0, f"it is made in a way that this verifier cannot read ({kind}: {_short(error)})") from error


def _verify_files(
    path: str,
    keys: Sequence[Key],
    checkpoint: str | None,
    proof: str | None,
    disclosed: str | None,
    workers: int,
    quick: Any,
) -> dict[str, Any]:
    brought = read_file(checkpoint) if checkpoint else None
    if proof is None:
        more = read_file(disclosed, _EVENT_LIMIT) if disclosed else None
        return verify(path, keys, brought, workers, more, quick)
    if disclosed is not None:
        raise Uncheckable(8, "--disclosed is about a bundle, --proof about one event: one of them")
    return verify_event(read_file(path, _EVENT_LIMIT), read_file(proof), keys, brought)


def read_file(path: str, limit: int = 1 << 20) -> bytes:
    """The bytes of a small file."""
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise Uncheckable(4, f"{path} cannot be read: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
