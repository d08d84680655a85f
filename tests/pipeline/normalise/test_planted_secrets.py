"""No secret that is planted in an address of any source's sample survives normalising, but in the record's own text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from source_samples import formats, normalised_of, samples_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from sample_messages import Sample

How = Literal["user", "query", "fragment"]

PLANTED: Final = "pl4nted"
PARAMETERS: Final = (
    *("token", "access_token", "Access-Token", "refresh_token", "id_token", "private_token", "X-Amz-Security-Token"),
    *("sig", "signature", "Signature", "X-Amz-Signature", "X-Goog-Signature", "X-Amz-Credential", "sas", "code", "jwt"),
    *("key", "api_key", "apikey", "x-api-key", "AWSAccessKeyId", "access_key", "subscription-key", "private_key"),
    *("password", "passwd", "pwd", "pass", "secret", "client_secret", "hook_secret", "client_assertion", "auth"),
    *("SAMLResponse", "session", "authorization", "config[token]"),
)
_SECRET: Final = st.text("abcXYZ0189%+=_.~:-", min_size=1, max_size=12)
# Where a source writes an address without its scheme.
_KEYS: Final = re.compile(
    r"(?i)(^|[._-])(url|uri|urls|uris|referr?er|api_base|target)$|uri$|url$|x-envoy-origin-path|^query$"
)
_ATTRIBUTES: Final = ("url.path", "url.query", "url.full", "http.target", "http.request.header.referer")
_REQUEST_LINE: Final = re.compile(r'("(?:GET|PUT|POST|HEAD|DELETE) )(/[^ "]*)')
_QUOTED_URL: Final = re.compile(r'(?<=")[a-z]+://[^"\\ ]+(?=")')


def planted(text: str, how: How, name: str, secret: str) -> str:
    """The address with a secret of its own."""
    if how == "user":
        scheme, mark, rest = text.partition("://")
        return f"{scheme}{mark}app:{secret}@{rest}" if mark else planted(text, "query", name, secret)
    if how == "fragment" and "://" in text:
        return f"{text}#{name}={secret}"
    address, hash_, fragment = text.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{name}={secret}{hash_}{fragment}"


def is_address(key: str, text: str) -> bool:
    return bool(text) and " " not in text and ("://" in text or (bool(_KEYS.search(key)) and text.startswith("/")))


def plant(value: Any, how: How, name: str, secret: str, key: str = "") -> Any:
    """The value with a secret in each of its addresses, embedded JSON included."""
    if isinstance(value, dict):
        return {each: plant(below, how, name, secret, each) for each, below in value.items()}
    if isinstance(value, list):
        return [plant(below, how, name, secret, key) for below in value]
    if not isinstance(value, str):
        return value
    if value.startswith(("{", "[")) and (inner := _json(value)) is not None:
        return json.dumps(plant(inner, how, name, secret))
    return planted(value, how, name, secret) if is_address(key, value) else value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def plant_sample(sample: Sample, how: How, name: str, secret: str) -> Sample:
    body = _json(sample.body)
    if body is not None:
        text = json.dumps(plant(body, how, name, secret))
    else:
        text = _REQUEST_LINE.sub(lambda found: found[1] + planted(found[2], "query", name, secret), sample.body)
        text = _QUOTED_URL.sub(lambda found: planted(found[0], how, name, secret), text)

    def attribute(key: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if key == "url.query":
            return f"{value}&{name}={secret}"
        return planted(value, how, name, secret) if "://" in value or key in _ATTRIBUTES else value

    told = {key: attribute(key, value) for key, value in sample.attributes.items()}
    here = {key: attribute(key, value) for key, value in sample.resource.items()}
    return replace(sample, body=text, attributes=told, resource=here)


def survivors(source_format: str, samples: list[Sample], secret: str) -> Iterator[str]:
    """Every column and attribute that still says the secret."""
    normalised = normalised_of(samples, source_format)
    events = normalised.events.drop("body")
    for column in events.get_columns():
        texts = column.explode() if isinstance(column.dtype, pl.List) else column
        if texts.dtype == pl.String and texts.str.contains(secret, literal=True).any():
            yield f"{source_format} {column.name}: {texts.filter(texts.str.contains(secret, literal=True))[0]}"
    for frame in (normalised.attributes, normalised.resource_attributes):
        held = frame.filter(pl.col("text").str.contains(secret, literal=True))
        yield from (f"{source_format} {key}: {text}" for key, text in held.select("key", "text").iter_rows())


@cache
def with_addresses() -> dict[str, list[Sample]]:
    """The samples that have an address, by format."""
    found = {
        each: [s for s in samples_of(each) if plant_sample(s, "user", "token", PLANTED) != s] for each in formats()
    }
    return {each: samples for each, samples in found.items() if samples}


def test_the_sources_that_write_addresses_are_among_them() -> None:
    assert set(with_addresses()) >= {
        "aws.s3access", "azure.storage", "gateway.envoy", "gateway.litellm", "github.audit", "kubernetes.audit",
        "mcp.call", "model.registry",
    }  # fmt: skip


@pytest.mark.parametrize("how", ["user", "query", "fragment"])
@pytest.mark.parametrize("source_format", formats())
def test_no_planted_secret_survives_in_a_column_or_an_attribute(source_format: str, how: How) -> None:
    samples = with_addresses().get(source_format, [])
    for name in PARAMETERS if how == "query" else ("token",):
        assert list(survivors(source_format, [plant_sample(s, how, name, PLANTED) for s in samples], PLANTED)) == []


@settings(deadline=None, max_examples=40, phases=[Phase.generate])
@given(
    st.sampled_from(formats()),
    st.sampled_from(PARAMETERS),
    _SECRET,
    st.sampled_from(("user", "query", "fragment")),
    st.randoms(),
)
def test_whatever_it_is_called_and_however_it_is_spelled(
    source_format: str, name: str, rest: str, how: How, random: Random
) -> None:
    samples = with_addresses().get(source_format)
    assume(samples)
    spelled = "".join(random.choice((letter.lower(), letter.upper())) for letter in name)
    changed = [plant_sample(sample, how, spelled, PLANTED + rest) for sample in samples or ()]
    assert list(survivors(source_format, changed, PLANTED)) == []
