"""`onshore verify`: the steps of `verify_standalone`, with signatures that a library checks and compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from onshore_pipeline.evidence import verify_standalone as standalone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Bytes of lines: below, making compiled code ready takes longer than it saves.
_WORTH_WHILE_FROM: Final = 256 << 20


class LibraryKey(standalone.Key):
    """A verifier key whose signatures a library checks; keys of small order are refused as in the other verifier."""

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this is the key's signature."""
        if not standalone.sound_key(self.public):
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def quick_messages(
    size: int, least: int = _WORTH_WHILE_FROM
) -> Callable[[bytes, bytes, int], tuple[bytes, list[int], dict[str, int]] | None] | None:
    """A quick way through messages, as `verify_standalone.verify` asks for it.

    None where there is none here, or it is not worth while: for less than `least` bytes of lines.
    """
    if size < least:
        return None
    from onshore_pipeline.evidence.quick_messages import ready  # brings a compiler, which a small bundle does without

    return ready()


def verify_bundle(
    path: Path, keys: str, checkpoint: bytes | None = None, *, workers: int = 1, disclosed: bytes | None = None
) -> dict[str, Any]:
    """Run all steps; what `verify_standalone.report` prints.

    Args:
        path: the bundle.
        keys: the text of the file of verifier keys.
        checkpoint: a witnessed checkpoint.
        workers: processes that it may use.
        disclosed: the file of an event of the bundle of which something is disclosed later.

    Raises:
        verify_standalone.Altered, verify_standalone.Uncheckable: see there.
    """
    known = standalone.parse_keys(keys, LibraryKey)
    found: dict[str, Any] = standalone.verify(str(path), known, checkpoint, workers, disclosed, quick_messages)
    return found


def verify_event(raw: bytes, proof: bytes, keys: str, checkpoint: bytes | None = None) -> dict[str, Any]:
    """Check one event by itself, as `verify_standalone.verify_event`; `keys` is the text of the file of keys."""
    known = standalone.parse_keys(keys, LibraryKey)
    found: dict[str, Any] = standalone.verify_event(raw, proof, known, checkpoint)
    return found
