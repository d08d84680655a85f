"""Bundles taken apart and put together again, by the operator and by others, and every way to attack one."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq
import pypdfium2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import recorded
from onshore_pipeline.evidence import signed_note
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.signed_note import KeyType, VerifierKey
from onshore_pipeline.evidence.verify import verify_bundle
from onshore_pipeline.findings import waivers

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "bundles"
NAME: Final = "onshore/golden"
KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
WITNESS_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
Files = dict[str, bytes]


def verifier(key: Ed25519PrivateKey = KEY, name: str = NAME, kind: KeyType = KeyType.NOTE) -> VerifierKey:
    return VerifierKey(name, kind, key.public_key().public_bytes_raw())


KEYS: Final = f"{verifier()}\n{verifier(kind=KeyType.COSIGNATURE)}\n"
WITNESS: Final = f"{verifier(WITNESS_KEY, 'witness.example', KeyType.COSIGNATURE)}\n"


def said_by_both(path: Path, keys: str = KEYS, checkpoint: bytes | None = None) -> tuple[int, str]:
    """Exit code, and the report or the problem; the same from both, and from the plain way alone."""

    def alone() -> dict[str, Any]:
        return standalone.verify(str(path), standalone.parse_keys(keys), checkpoint)

    def plainly() -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("quick_object", "quick_event", "quick_opening"):
                patch.setattr(standalone, name, lambda *_: None)
            return alone()

    answers = []
    for run in (alone, lambda: verify_bundle(path, keys, checkpoint), plainly):
        try:
            answers.append((0, standalone.report(run())))
        except standalone.Problem as problem:
            answers.append((problem.exit_code, str(problem)))
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def files_of(path: Path) -> Files:
    with zipfile.ZipFile(path) as box:
        return {name: box.read(name) for name in box.namelist()}


def texts_of(path: Path) -> dict[str, str]:
    """What each file says, also where it is packed: a document's pages, a table's values."""
    said = {}
    for name, content in files_of(path).items():
        if name.endswith(".pdf"):
            read = pypdfium2.PdfDocument(content)
            said[name] = "".join(page.get_textpage().get_text_range() for page in read)
            read.close()
        elif name.endswith(".parquet"):
            said[name] = json.dumps(pq.read_table(io.BytesIO(content)).to_pylist(), default=str, ensure_ascii=False)
        else:
            said[name] = content.decode()
    return said


def container(files: list[tuple[str, bytes]]) -> bytes:
    """A stored zip as bundles are, whatever the names."""
    out, parts = b"", []
    for name, content in files:
        part = standalone.Part(name, len(content), zlib.crc32(content), len(out))
        parts.append(part)
        out += part.local_header() + content
    return out + standalone.container_end(parts, len(out))


def signed(files: Files, key: Ed25519PrivateKey = KEY, **manifest_changes: Any) -> bytes:
    """The bundle with a manifest of these files, signed: what an operator can do who wants to deceive."""
    manifest = json.loads(files[standalone.MANIFEST])
    covers = {each["name"]: each["covers"] for each in manifest["files"]}
    rest = {name: content for name, content in files.items() if name not in {standalone.MANIFEST, standalone.ENVELOPE}}
    manifest["files"] = [
        {
            "name": name,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "covers": covers.get(name, "signed"),
        }
        for name, content in rest.items()
    ]
    for section, changes in manifest_changes.items():
        manifest[section] = manifest[section] | changes
    raw = standalone.canonical(manifest)
    payload = standalone.statement_of(raw, manifest["export"]["id"])
    return enveloped(rest, raw, payload, [signature(payload, key)])


def signature(payload: bytes, key: Ed25519PrivateKey, name: str = NAME) -> tuple[str, bytes]:
    """The key's label, and its signature."""
    return f"{name}+{verifier(key, name).key_id.hex()}", key.sign(standalone.pre_authentication(payload))


def enveloped(rest: Files, manifest: bytes, payload: bytes, signatures: list[tuple[str, bytes]]) -> bytes:
    """The bundle with these signatures."""
    envelope = standalone.envelope_of(payload, signatures)
    return container([(standalone.MANIFEST, manifest), (standalone.ENVELOPE, envelope), *rest.items()])


def note(origin: str, size: int, root: str, key: Ed25519PrivateKey = KEY) -> bytes:
    text = f"{origin}\n{size}\n{root}\n"
    return f"{text}\n{signed_note.sign(text, NAME, key)}\n".encode()


def head_rows(files: Files) -> list[str]:
    return files[standalone.HEAD].decode().split("\n")


def _with(files: Files, **changed: bytes) -> Files:
    names = {name.replace("/", "_").replace(".", "_"): name for name in files}
    return files | {names[name]: content for name, content in changed.items()}


def lines(files: Files, name: str) -> list[bytes]:
    return files[name].splitlines(keepends=True)


def _swapped_events(files: Files) -> bytes:
    some, others = lines(files, standalone.EVENTS), lines(files, standalone.OPENINGS)
    some[0], some[1], others[0], others[1] = some[1], some[0], others[1], others[0]
    rows = [json.loads(line) for line in lines(files, standalone.MESSAGES)]
    assert rows[1][0] > 1, "the first message of the range has two events"
    return signed(_with(files, events_ndjson=b"".join(some), openings_ndjson=b"".join(others)))


def _without_last_message(files: Files) -> bytes:
    rows = lines(files, standalone.MESSAGES)
    told = json.loads(rows[-1])
    proof = json.loads(files[standalone.LOG_PROOF])
    proof["runs"][-1][1] -= 1
    cut = {
        standalone.MESSAGES: b"".join(rows[:-1]),
        standalone.ENTRIES: b"".join(lines(files, standalone.ENTRIES)[:-1]),
        standalone.LOG_PROOF: standalone.canonical(proof),
    }
    for name, size in ((standalone.EVENTS, told[2]), (standalone.OPENINGS, told[3]), (standalone.VERDICTS, told[4])):
        cut[name] = files[name][: len(files[name]) - size]
    return signed(files | cut)


def _head(files: Files, size: int) -> bytes:
    origin, _, root = head_rows(files)[:3]
    return signed(files | {standalone.HEAD: note(origin, size, root)})


def _older_checkpoint(files: Files) -> bytes:
    origin, size, root = head_rows(files)[:3]
    return signed(files | {standalone.HEAD: note(origin, int(size) - 2, root)})


def _head_by_unknown_key(files: Files) -> bytes:
    origin, size, root = head_rows(files)[:3]
    return signed(files | {standalone.HEAD: note(origin, int(size), root, OTHER_KEY)})


def _proof_of_another_leaf(files: Files) -> bytes:
    proof = json.loads(files[standalone.LOG_PROOF])
    proof["hashes"] = [hashlib.sha256(bytes.fromhex(each)).hexdigest() for each in proof["hashes"]]
    assert proof["hashes"], "the range is not the whole log"
    return signed(files | {standalone.LOG_PROOF: standalone.canonical(proof)})


def _moved_entries(files: Files) -> bytes:
    proof = json.loads(files[standalone.LOG_PROOF])
    proof["runs"][0][0] += 1
    return signed(files | {standalone.LOG_PROOF: standalone.canonical(proof)})


def _opening(files: Files, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The first event's opening changed, as the operator would sign it."""
    some = lines(files, standalone.OPENINGS)
    told = json.loads(some[0])
    change(told)
    return _opening_text(files, json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())


def _opening_text(files: Files, text: bytes) -> bytes:
    some = lines(files, standalone.OPENINGS)
    rows = [json.loads(line) for line in lines(files, standalone.MESSAGES)]
    first = next(row for row in rows if row[0])
    first[3] += len(text) + 1 - len(some[0])
    some[0] = text + b"\n"
    spelled = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
    return signed(files | {standalone.OPENINGS: b"".join(some), standalone.MESSAGES: spelled})


def _redacted_as_disclosed(files: Files) -> bytes:
    """A value made up for a field that is closed, with a salt made up for it."""
    manifest = json.loads(files[standalone.MANIFEST])
    counts = dict(manifest["counts"]["opened"])
    del counts["actor_host"]
    closed = []
    for line in lines(files, standalone.OPENINGS):
        told = json.loads(line)
        told.pop("actor_host", None)
        closed.append(told)
    closed[0] = {"actor_host": ["ab" * 32, "made up"]} | closed[0]
    text = b"".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for each in closed)
    rows = [json.loads(line) for line in lines(files, standalone.MESSAGES)]
    at = 0
    each_size = [len(line) for line in text.splitlines(keepends=True)]
    for row in rows:
        row[3] = sum(each_size[at : at + row[0]])
        at += row[0]
    spelled = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
    opened = counts | {"actor_host": 1}
    return signed(files | {standalone.OPENINGS: text, standalone.MESSAGES: spelled}, counts={"opened": opened})


def _denominators(files: Files) -> bytes:
    rows = files[standalone.VERDICTS_CSV].decode().splitlines(keepends=True)
    head, _, number = rows[1].rstrip("\n").rpartition(",")
    rows[1] = f"{head},{int(number) + 1}\n"
    return signed(files | {standalone.VERDICTS_CSV: "".join(rows).encode()})


def _second_manifest(files: Files) -> bytes:
    return container([*files.items(), (standalone.MANIFEST, files[standalone.MANIFEST])])


def _zip_slip(files: Files) -> bytes:
    return signed(files | {"../evil.sh": b"#!/bin/sh\n"})


def _absolute(files: Files) -> bytes:
    return signed(files | {"/etc/cron.d/evil": b"* * * * *\n"})


def _same_name_in_capitals(files: Files) -> bytes:
    return signed(files | {"EVENTS.NDJSON": b""})


def _bomb(files: Files) -> bytes:
    """The directory says that a file has four exabytes."""
    whole = container(list(files.items()))
    at = whole.rfind(b"PK\x01\x02")
    return whole[: at + 20] + struct.pack("<II", 0xFFFFFFFE, 0xFFFFFFFE) + whole[at + 28 :]


def _deflated(files: Files) -> bytes:
    from io import BytesIO

    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as box:
        for name, content in files.items():
            box.writestr(name, content)
    return out.getvalue()


def _unknown_format(files: Files) -> bytes:
    manifest = json.loads(files[standalone.MANIFEST]) | {"format": "onshore-bundle/99"}
    return signed(files | {standalone.MANIFEST: standalone.canonical(manifest)})


# Each attack makes another bundle of the golden one's files, with the exit code that it must get.
ATTACKS: Final[dict[str, tuple[int, Callable[[Files], bytes]]]] = {
    "truncated": (1, lambda files: container(list(files.items()))[:-40]),
    "trailing-data": (1, lambda files: container(list(files.items())) + b"\x00"),
    "second-manifest": (1, _second_manifest),
    "path-out-of-the-folder": (1, _zip_slip),
    "absolute-path": (1, _absolute),
    "same-name-in-capitals": (1, _same_name_in_capitals),
    "bomb": (1, _bomb),
    "deflated": (1, _deflated),
    "unknown-format": (2, _unknown_format),
    "unknown-key": (2, lambda files: signed(files, OTHER_KEY)),
    "head-by-unknown-key": (2, _head_by_unknown_key),
    "swapped-events": (1, _swapped_events),
    "last-message-dropped": (1, _without_last_message),
    "older-checkpoint": (1, _older_checkpoint),
    "tree-size-0": (1, lambda files: _head(files, 0)),
    "tree-size-1": (1, lambda files: _head(files, 1)),
    "tree-size-2-to-the-63": (1, lambda files: _head(files, 1 << 63)),
    "proof-of-another-leaf": (1, _proof_of_another_leaf),
    "entries-moved": (1, _moved_entries),
    "wrong-salt": (1, lambda files: _opening(files, lambda told: told["actor_id"].__setitem__(0, "00" * 32))),
    "other-value": (1, lambda files: _opening(files, lambda told: told["actor_id"].__setitem__(1, "somebody else"))),
    "redacted-as-disclosed": (1, _redacted_as_disclosed),
    "huge-integer": (1, lambda files: _opening_text(files, b'{"actor_id":' + b"9" * 5000 + b"}")),
    "deep-json": (1, lambda files: _opening_text(files, b"[" * 100_000)),
    "denominators": (1, _denominators),
}


def _without_line(files: Files, name: str, word: bytes) -> bytes:
    kept = [line for line in lines(files, name) if word not in line]
    assert len(kept) == len(lines(files, name)) - 1
    return signed(files | {name: b"".join(kept)})


def _altered_rule(files: Files) -> bytes:
    name = next(each for each in files if each.startswith("controls/"))
    return signed(files | {name: files[name].replace(b"high", b"low ")})


def _deleted(files: Files, change: Callable[[list[Any]], object]) -> bytes:
    """What is said of the first deleted event, changed."""
    rows = [json.loads(line) for line in lines(files, standalone.MESSAGES)]
    change(next(row for row in rows if len(row) == 8)[7][0])
    spelled = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
    return signed(files | {standalone.MESSAGES: spelled})


def _altered_set(files: Files) -> bytes:
    return signed(files | {standalone.SETS: files[standalone.SETS].replace(b".csv", b".txt")})


def _omitted_finding(files: Files) -> bytes:
    return signed(files | {standalone.FINDINGS: b"".join(lines(files, standalone.FINDINGS)[1:])})


def _altered_deletion(files: Files) -> bytes:
    row = json.loads(files[standalone.DELETIONS])
    return signed(files | {standalone.DELETIONS: standalone.canonical(row | {"root": "00" * 32}) + b"\n"})


# On a bundle of format 2 with a waiver and a deleted event. What nothing covers is named, and not refused.
ATTACKS_2: Final[dict[str, tuple[int, Callable[[Files], bytes]]]] = {
    "omitted-waiver": (1, lambda files: signed(files | {standalone.WAIVERS: b""})),
    "omitted-action": (1, lambda files: _without_line(files, standalone.ACTIONS, b'"waiver.approve"')),
    "omitted-finding": (1, _omitted_finding),
    "altered-rule": (1, _altered_rule),
    "altered-set": (
        1,
        lambda files: signed(files | {standalone.SETS: files[standalone.SETS].replace(b".csv", b".txt")}),
    ),
    "altered-deletion": (1, _altered_deletion),
    "omitted-deletion": (1, lambda files: signed(files | {standalone.DELETIONS: b""})),
    "deleted-by-another": (1, lambda files: _deleted(files, lambda row: row.__setitem__(3, "another"))),
    "deleted-leaf": (1, lambda files: _deleted(files, lambda row: row.__setitem__(2, "ab" * 32))),
    "deleted-elsewhere": (1, lambda files: _deleted(files, lambda row: row.__setitem__(1, 7))),
    "altered-rendering": (0, lambda files: signed(files | {"events.parquet": b"PAR1 something else"})),
}


def _rewritten(files: Files, name: str, change: Callable[[dict[str, Any]], object], only: str = "") -> bytes:
    """The rows of a file changed, as the operator would sign it; `only`: those whose action that is."""
    told = [json.loads(line) for line in lines(files, name)]
    for row in told:
        if not only or row["action"] == only:
            change(row)
    return signed(files | {name: b"".join(standalone.canonical(row) + b"\n" for row in told)})


def _sign_as(key: Ed25519PrivateKey, action: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    """Put another statement, or another's signature, into an action."""

    def change(row: dict[str, Any]) -> None:
        statement = json.loads(row["attributes"][waivers.STATEMENT]) | changes
        text = waivers.statement_of(statement)
        signature = key.sign(waivers.signed_text(action, text))
        row["attributes"] |= {waivers.STATEMENT: text, waivers.SIGNATURE: base64.b64encode(signature).decode()}

    return change


def _with_key(files: Files, person: str, key: Ed25519PrivateKey) -> bytes:
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()

    def change(row: dict[str, Any]) -> None:
        if row["person"] == person:
            row["public_key"] = public

    return _rewritten(files, standalone.PEOPLE, change)


def _broken_signature(row: dict[str, Any]) -> None:
    told = row["attributes"]
    raw = bytearray(base64.b64decode(told[waivers.SIGNATURE]))
    raw[7] ^= 1
    told[waivers.SIGNATURE] = base64.b64encode(raw).decode()


def _without_person(files: Files, person: str) -> bytes:
    return _without_line(files, standalone.PEOPLE, person.encode())


def _waiver(files: Files, **changes: Any) -> bytes:
    return _rewritten(files, standalone.WAIVERS, lambda row: row.update(changes))


def _revoked_in_silence(files: Files) -> bytes:
    """A revocation that its person signed stands among the actions, and the waiver goes on."""
    rows = lines(files, standalone.ACTIONS)
    approve = next(json.loads(line) for line in rows if b'"waiver.approve"' in line)
    row = approve | {"action": "waiver.revoke", "offset": approve["offset"] + 1_000}
    _sign_as(recorded.PEOPLE[recorded.OMAR], "waiver.revoke")(row)
    return signed(files | {standalone.ACTIONS: b"".join(rows) + standalone.canonical(row) + b"\n"})


def _hold(files: Files, **changes: Any) -> bytes:
    return _rewritten(files, standalone.HOLDS, lambda row: row.update(changes))


# On a bundle with people's keys and a hold.
ATTACKS_ON_PEOPLE: Final[dict[str, tuple[int, Callable[[Files], bytes]]]] = {
    "approval-by-broken-signature": (
        1,
        lambda files: _rewritten(files, standalone.ACTIONS, _broken_signature, "waiver.approve"),
    ),
    "approval-by-another-key": (
        1,
        lambda files: _rewritten(files, standalone.ACTIONS, _sign_as(OTHER_KEY, "waiver.approve"), "waiver.approve"),
    ),
    "proposal-stands-for-approval": (
        1,
        lambda files: _rewritten(
            files,
            standalone.ACTIONS,
            _sign_as(recorded.PEOPLE[recorded.OMAR], "waiver.propose"),
            "waiver.approve",
        ),
    ),
    "approval-of-another-statement": (
        1,
        lambda files: _rewritten(
            files,
            standalone.ACTIONS,
            _sign_as(recorded.PEOPLE[recorded.OMAR], "waiver.approve", reason="another"),
            "waiver.approve",
        ),
    ),
    "register-with-another-key": (1, lambda files: _with_key(files, recorded.OMAR, OTHER_KEY)),
    "one-key-for-two-people": (
        1,
        lambda files: _with_key(files, recorded.OMAR, recorded.PEOPLE[recorded.RINA]),
    ),
    "register-without-a-person": (2, lambda files: _without_person(files, recorded.OMAR)),
    "key-of-small-order": (
        1,
        lambda files: _rewritten(
            files, standalone.PEOPLE, lambda row: row.update(public_key=base64.b64encode(bytes(32)).decode())
        ),
    ),
    "waiver-of-wider-scope": (1, lambda files: _waiver(files, where={})),
    "waiver-of-another-control": (1, lambda files: _waiver(files, control="AU-APP8-02")),
    "waiver-that-ends-later": (
        1,
        lambda files: _rewritten(
            files, standalone.WAIVERS, lambda row: row.update(expires=row["expires"] + 86_400_000_000_000)
        ),
    ),
    "waiver-approved-by-its-proposer": (1, lambda files: _waiver(files, approved_by=recorded.RINA)),
    "waiver-approved-by-nobody-who-did": (1, lambda files: _waiver(files, approved_by="somebody")),
    "waiver-said-to-be-revoked": (1, lambda files: _waiver(files, state="revoked")),
    "waiver-revoked-in-silence": (1, _revoked_in_silence),
    "omitted-hold": (1, lambda files: signed(files | {standalone.HOLDS: b""})),
    "hold-said-to-be-released": (1, lambda files: _hold(files, state="released")),
    "hold-confirmed-by-another": (1, lambda files: _hold(files, confirmed_by="somebody")),
    "hold-of-another-scope": (1, lambda files: _hold(files, dataset="something else")),
    "hold-for-another-reason": (1, lambda files: _hold(files, reason="another case")),
    "hold-placed-at-another-time": (1, lambda files: _hold(files, placed_at=0)),
    "hold-reviewed-later": (1, lambda files: _hold(files, review="2100-01-31")),
    "hold-said-to-be-reviewed": (
        1,
        lambda files: _hold(files, next_review="2099-01-31", reviewed_by="somebody", reviewed_at=0),
    ),
    "hold-that-nobody-placed": (
        1,
        lambda files: _rewritten(files, standalone.HOLDS, lambda row: row.update(id="h-2")),
    ),
}
