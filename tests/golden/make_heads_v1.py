"""Writes heads-v1.json from docs/evidence-format.md alone; run it only for a new version of the format.

`litewitness` in it is what a witness of another implementation of c2sp.org/tlog-witness (torchwood 0.6.1) was sent and
answered; it is carried over from the file that is there, since nobody has its key any more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import evidence_reference as reference  # noqa: E402

NAME = "onshore/golden"
ORIGIN = f"{NAME}/6f1c1c4e-5a0b-4f57-9d6e-2f6c0a1b2c3d"
OLD, NEW, WITNESS, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2, 3, 4))
ENTRIES = [f'{{"kind":"message","offset":{offset}}}'.encode() for offset in range(8)]
LEAVES = [reference.leaf(each) for each in ENTRIES]
AT = 1_764_000_000


def verifier(name: str, key: Ed25519PrivateKey, kind: int) -> str:
    public = bytes([kind]) + key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(public).decode()}"


def line(name: str, key: Ed25519PrivateKey, kind: int, text: str, at: int = AT) -> str:
    key_id = bytes.fromhex(verifier(name, key, kind).rsplit("+", 2)[1])
    stamp = at.to_bytes(8, "big") if kind == 4 else b""
    signed = f"cosignature/v1\ntime {at}\n{text}" if kind == 4 else text
    return f"— {name} {base64.b64encode(key_id + stamp + key.sign(signed.encode())).decode()}\n"


def text_of(size: int, leaves: list[bytes] | None = None, origin: str = ORIGIN) -> str:
    whole = (leaves or LEAVES)[:size]
    of_log = f"{NAME}/018f4e7a-5b1c-7c3a-9d2e-4f6a8b0c1d2e/0\n{size}\n{_root(whole)}\n"
    logs = base64.b64encode(reference.root([reference.leaf(of_log.encode())])).decode()
    return f"{origin}\n{size}\n{_root(whole)}\nlogs 1 {logs}\n"


def _root(leaves: list[bytes]) -> str:
    return base64.b64encode(reference.root(leaves)).decode()


def signed(text: str, *keys: Ed25519PrivateKey, at: int = AT) -> str:
    lines = [line(NAME, key, 1, text) for key in keys] + [line(NAME, key, 4, text, at) for key in keys]
    return text + "\n" + "".join(lines)


def subproof(old: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """RFC 6962, section 2.1.2, as it stands there."""
    if old == len(leaves):
        return [] if whole else [reference.root(leaves)]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if old <= k:
        return [*subproof(old, leaves[:k], whole=whole), reference.root(leaves[k:])]
    return [*subproof(old - k, leaves[k:], whole=False), reference.root(leaves[:k])]


def main() -> None:
    path = HERE / "heads-v1.json"
    text, later = text_of(3), text_of(8)
    first, second = signed(text, OLD), signed(later, NEW, OLD, at=AT + 60)
    cosigned = second + line("witness.example/w1", WITNESS, 4, later, AT + 61)
    rewritten = text_of(8, [LEAVES[1], LEAVES[0], *LEAVES[2:]])
    by_stranger = later + "\n" + line("witness.example/w1", STRANGER, 4, later)
    last = cosigned[:-8] + ("A" if cosigned[-8] != "A" else "B") + cosigned[-7:]
    vectors = {
        "version": 1,
        "origin": ORIGIN,
        "operator": [verifier(NAME, key, kind) for key in (NEW, OLD) for kind in (1, 4)],
        "witness": verifier("witness.example/w1", WITNESS, 4),
        "entries": [each.decode() for each in ENTRIES],
        "journal": "".join(json.dumps({"note": note}, ensure_ascii=False) + "\n" for note in (first, second)),
        "consistency": [base64.b64encode(each).decode() for each in subproof(3, LEAVES, whole=True)],
        "cosigned": cosigned,
        "cosigned_at": AT + 61,
        "after_rotation": signed(later, NEW, at=AT + 90),
        "refused": [
            {"about": "a byte of the cosignature", "note": last},
            {"about": "the time of the cosignature", "note": second + _moved_time(cosigned)},
            {"about": "a size that was not signed", "note": cosigned.replace("\n8\n", "\n9\n", 1)},
            {"about": "a root that was not signed", "note": cosigned.replace(_root(LEAVES), _root(LEAVES[:7]), 1)},
            {"about": "another log's origin", "note": cosigned.replace(ORIGIN, ORIGIN[:-1] + "e", 1)},
            {"about": "a line more", "note": cosigned.replace("logs 1 ", "x\nlogs 1 ", 1)},
            {"about": "nobody whom we know", "note": by_stranger},
            {"about": "no signature", "note": later},
            {"about": "no newline at the end", "note": cosigned[:-1]},
            {"about": "a carriage return", "note": cosigned.replace("\n", "\r\n")},
            {"about": "a size with a zero in front", "note": signed(later.replace("\n8\n", "\n08\n"), NEW)},
            {"about": "a size of 2^63", "note": signed(later.replace("\n8\n", f"\n{1 << 63}\n"), NEW)},
            {"about": "half a root", "note": signed(later.replace(_root(LEAVES), "AAAA"), NEW)},
        ],
        "not_consistent": [
            {"about": "entries changed places", "note": signed(rewritten, NEW)},
            {"about": "it is smaller", "note": signed(text_of(2), NEW)},
        ],
        "litewitness": json.loads(path.read_text())["litewitness"],
    }
    path.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


def _moved_time(cosigned: str) -> str:
    name, encoded = cosigned.rstrip("\n").rpartition("\n")[2].rsplit(" ", 1)
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1
    return f"{name} {base64.b64encode(raw).decode()}\n"


if __name__ == "__main__":
    main()
