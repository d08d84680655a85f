"""Who signed a bundle: one key, or while it is rotated two, of which either is enough."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import bundles
from bundles import said_by_both
from onshore_pipeline.evidence import verify_standalone as standalone

if TYPE_CHECKING:
    from pathlib import Path

_FILES = bundles.files_of(bundles.GOLDEN / "v1" / "good.zip")
_MANIFEST = _FILES[standalone.MANIFEST]
_PAYLOAD = standalone.statement_of(_MANIFEST, json.loads(_MANIFEST)["export"]["id"])
_OLD = bundles.signature(_PAYLOAD, bundles.KEY)
_NEW = bundles.signature(_PAYLOAD, bundles.OTHER_KEY)
# The heads of the golden bundle are signed by the old key alone.
_NEW_KEY = f"{bundles.verifier(bundles.OTHER_KEY)}\n"


def _said(folder: Path, *signatures: tuple[str, bytes], keys: str = bundles.KEYS) -> tuple[int, str]:
    rest = {name: content for name, content in _FILES.items() if name not in {standalone.MANIFEST, standalone.ENVELOPE}}
    target = folder / "bundle.zip"
    target.write_bytes(bundles.enveloped(rest, _MANIFEST, _PAYLOAD, list(signatures)))
    return said_by_both(target, keys)


def test_whoever_has_only_the_old_key_can_check_what_both_signed(tmp_path: Path) -> None:
    code, text = _said(tmp_path, _NEW, _OLD)
    assert code == 0, text
    assert _said(tmp_path, _OLD)[0] == 0


@pytest.mark.parametrize("keys", [bundles.KEYS, _NEW_KEY + bundles.KEYS], ids=["the old key", "both keys"])
def test_a_bad_signature_by_a_key_that_one_has_is_refused_also_beside_a_good_one(keys: str, tmp_path: Path) -> None:
    assert _said(tmp_path, _NEW, (_OLD[0], _NEW[1]), keys=keys)[0] == 1


def test_signatures_by_keys_of_others_alone_prove_nothing(tmp_path: Path) -> None:
    code, text = _said(tmp_path, _NEW)
    assert (code, "no key of yours" in text) == (2, True)


@pytest.mark.parametrize("signatures", [(), (_OLD, _OLD), (_NEW, _OLD, _NEW)], ids=["none", "twice", "another twice"])
def test_a_bundle_is_signed_and_by_no_key_twice(signatures: tuple[tuple[str, bytes], ...], tmp_path: Path) -> None:
    assert _said(tmp_path, *signatures)[0] == 1
