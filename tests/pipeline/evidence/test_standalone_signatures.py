"""The verifier's own Ed25519 beside the RFC's vectors and a library's."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from onshore_pipeline.evidence import verify_standalone as standalone

L = 2**252 + 27742317777372353535851937790883648493

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc_are_accepted(public: str, message: str, signature: str) -> None:
    assert standalone.ed25519_verify(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_a_signature_with_the_group_order_added_is_refused(public: str, message: str, signature: str) -> None:
    raw = bytes.fromhex(signature)
    for times in range(1, 16):
        s = int.from_bytes(raw[32:], "little") + times * L
        if s < 2**256:
            malleable = raw[:32] + s.to_bytes(32, "little")
            assert not standalone.ed25519_verify(bytes.fromhex(public), bytes.fromhex(message), malleable)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_keys_of_small_order_are_refused(public: str) -> None:
    """With such a key R = identity, S = 0 is a signature of many messages."""
    key = bytes.fromhex(public)
    assert not standalone.sound_key(key)
    assert not standalone.ed25519_verify(key, b"anything", bytes([1]) + bytes(63))


def test_a_key_that_is_not_reduced_is_refused() -> None:
    p = 2**255 - 19
    for y in (p, p + 1, 2**255 - 1):
        assert not standalone.sound_key(y.to_bytes(32, "little"))


def test_wrong_lengths_are_refused() -> None:
    public, _, signature = (bytes.fromhex(each) for each in VECTORS[0])
    assert not standalone.ed25519_verify(public[:31], b"", signature)
    assert not standalone.ed25519_verify(public, b"", signature[:63])
    assert not standalone.ed25519_verify(public, b"", signature + b"\x00")


@settings(max_examples=40, deadline=None)
@given(
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=200),
    st.none() | st.integers(0, 511),
    st.sampled_from([b"", b"x"]),
)
def test_it_says_what_the_library_says(seed: bytes, message: bytes, flip: int | None, suffix: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), bytearray(key.sign(message))
    if flip is not None:
        signature[flip // 8] ^= 1 << flip % 8
    told = message + suffix
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(signature), told)
        expected = True
    except InvalidSignature:
        expected = False
    assert standalone.ed25519_verify(public, told, bytes(signature)) is expected
