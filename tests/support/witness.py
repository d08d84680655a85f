"""A witness written from c2sp.org/tlog-witness and c2sp.org/tlog-cosignature alone; it shares no code with Onshore."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Sequence


class Refused(Exception):
    """The HTTP status that a witness answers with, and what stands behind it."""

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body


@dataclass
class Witness:
    """Knows logs by origin, and of each the last tree that it has cosigned.

    Attributes:
        name: of its key.
        private: its key.
        logs: by origin, the log's verifier keys as `onshore keys show` prints them.
        seen: by origin, size and root.
    """

    name: str
    private: Ed25519PrivateKey
    logs: dict[str, str] = field(default_factory=dict)
    seen: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def verifier_key(self, kind: int = 4) -> str:
        public = bytes([kind]) + self.private.public_key().public_bytes_raw()
        key_id = hashlib.sha256(self.name.encode() + b"\n" + public).digest()[:4]
        return f"{self.name}+{key_id.hex()}+{base64.b64encode(public).decode()}"

    def add_checkpoint(self, body: str, at: int) -> str:
        """The answer to a request at that second; raises `Refused`."""
        above, _, note = body.partition("\n\n")
        first, *proof = above.split("\n")
        old = int(first.removeprefix("old "))
        assert first == f"old {old}"
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        origin, size, root, *_ = text.split("\n")
        if origin not in self.logs:
            raise Refused(404)
        if not any(_is_good(text, line, self.logs[origin]) for line in signatures.splitlines()):
            raise Refused(403)
        if old > int(size):
            raise Refused(400)
        known, known_root = self.seen.get(origin, (0, b""))
        if old != known:
            raise Refused(409, f"{known}\n")
        raw = base64.b64decode(root)
        if old == int(size) and old and known_root != raw:
            raise Refused(409)
        if not _is_consistent(known, int(size), known_root, raw, [base64.b64decode(each) for each in proof]):
            raise Refused(422)
        self.seen[origin] = int(size), raw
        return self.line(text, at)

    def line(self, text: str, at: int) -> str:
        """The cosignature of a note's text, as a line."""
        signed = self.private.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        key_id = bytes.fromhex(self.verifier_key().rsplit("+", 2)[1])
        return f"— {self.name} {base64.b64encode(key_id + at.to_bytes(8, 'big') + signed).decode()}\n"


def _is_good(text: str, line: str, keys: str) -> bool:
    name, encoded = line.removeprefix("— ").split(" ")
    raw = base64.b64decode(encoded)
    for key in keys.splitlines():
        if key.startswith("#"):
            continue
        key_name, key_id, public = key.split("+", 2)
        decoded = base64.b64decode(public)
        if decoded[0] == 1 and key_name == name and bytes.fromhex(key_id) == raw[:4]:
            try:
                Ed25519PublicKey.from_public_bytes(decoded[1:]).verify(raw[4:], text.encode())
            except InvalidSignature:
                return False
            return True
    return False


def _is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 6962, section 2.1.2, turned round: both roots are made again by recursion over the proof from its end."""
    left = list(proof)
    if old == 0:
        return not left
    if old == new:
        return not left and old_root == new_root

    def both(m: int, n: int, *, whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            node = old_root if whole else left.pop(0)
            return node, node
        k = 1 << ((n - 1).bit_length() - 1)
        if m <= k:
            of_old, of_new = both(m, k, whole=whole)
            return of_old, _node(of_new, left.pop(0))
        of_old, of_new = both(m - k, n - k, whole=False)
        front = left.pop(0)
        return _node(front, of_old), _node(front, of_new)

    try:
        made = both(old, new, whole=True)
    except IndexError:
        return False
    return made == (old_root, new_root) and not left


def _node(one: bytes, other: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + one + other).digest()
