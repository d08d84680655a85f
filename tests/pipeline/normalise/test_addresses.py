from __future__ import annotations

import ipaddress

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.normalise.addresses import split_addresses


def split(text: str) -> tuple[bytes | None, str | None]:
    addresses, hosts = split_addresses(pl.Series([text], dtype=pl.String))
    return addresses[0], hosts[0]


def packed(address: str) -> bytes:
    parsed = ipaddress.ip_address(address)
    return parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8.8.8.8", "8.8.8.8"),
        (" 8.8.8.8 ", "8.8.8.8"),
        ("10.0.0.1:443", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[::1]:80", "::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("https://192.0.2.7:8443/v1", "192.0.2.7"),
    ],
)
def test_an_address_is_found_under_ports_brackets_and_schemes(text: str, address: str) -> None:
    assert split(text) == (packed(address), None)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("AWS Internal", "AWS Internal"),
        ("ec2.amazonaws.com", "ec2.amazonaws.com"),
        ("api.openai.com:443", "api.openai.com"),
        ("https://llm.internal/v1", "llm.internal"),
        ("1.2.3", "1.2.3"),
        ("01.2.3.4", "01.2.3.4"),
        ("1.2.3.4, 5.6.7.8", "1.2.3.4, 5.6.7.8"),
        ("/run/model.sock", "/run/model.sock"),
    ],
)
def test_what_is_no_address_is_kept_as_a_host(text: str, host: str) -> None:
    assert split(text) == (None, host)


def test_an_address_with_a_zone_gives_the_address_and_keeps_the_text() -> None:
    assert split("fe80::1%eth0") == (packed("fe80::1"), "fe80::1%eth0")


def test_an_empty_text_is_neither() -> None:
    assert split("") == (None, None)


def test_the_answers_stand_beside_their_texts() -> None:
    addresses, hosts = split_addresses(pl.Series(["b", None, "1.1.1.1", "b"]))
    assert hosts.to_list() == ["b", None, None, "b"]
    assert addresses.to_list() == [None, None, packed("1.1.1.1"), None]


@given(st.ip_addresses())
def test_every_address_is_read_as_the_standard_library_reads_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not getattr(address, "scope_id", None):
        assert split(str(address)) == (packed(str(address)), None)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_text_is_lost(text: str) -> None:
    address, host = split(text)
    assert address is not None or host is not None or not text.strip() or "://" in text or text.startswith("[")
