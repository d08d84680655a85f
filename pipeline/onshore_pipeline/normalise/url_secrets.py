"""Addresses (URLs) without what opens the door: passwords before the host, and keys and tokens in query and path.

What is taken out reads REDACTED, as OpenTelemetry's conventions for `url.full` want it. Whatever has a scheme is looked
at, in every attribute and in the columns that may hold an address; paths and queries without one only where the key
says what they are. Rather too much of an address is taken out than too little.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.views import have_scheme

# A password may hold an @ itself: everything up to the last one before the path belongs to it.
_USER: Final = r"(?i)^(\s*[a-z][a-z0-9+.-]*://)[^/?#]*@"
_USER_INSIDE: Final = r"(?i)([a-z][a-z0-9+.-]*://)[^/?#\s,\"']*@"  # of one in a list or a text
# A parameter is a secret that is called so, whatever stands in front of it (x-amz-security-token, hook_secret).
_CALLED: Final = (
    "access[-_]?key(?:[-_]?id)?", "api[-_]?key", "assertion", "credentials?", "jwt", "passphrase", "passw(?:or)?d",
    "private[-_]?key", "pwd", "secret(?:[-_]?key)?", "signature", "subscription-key", "token",
)  # fmt: skip
_WHOLE: Final = (
    "auth", "authorization", "code", "key", "otp", "pass", "sas", "samlresponse", "session(?:[-_]?id)?", "sid", "sig",
)  # fmt: skip
_NAMES: Final = rf"(?:[\w.%\[\]-]*(?:{'|'.join(_CALLED)})|{'|'.join(_WHOLE)})(?:\]|%5d)?"
_IN_QUERY: Final = rf"(?i)([?&;#]{_NAMES}=)[^&;#]*"
# Where the path itself is what lets somebody in.
_IN_PATH: Final = (
    r"(?i)((?:hooks[.]slack[.]com/(?:services|workflows|triggers)|discord(?:app)?[.]com/api/webhooks"
    r"|webhook[.]office[.]com/webhookb2|api[.]telegram[.]org)/)[^?#\s,\"']+"
)
_REDACTED: Final = "${1}REDACTED"
_WITHOUT_SCHEME: Final = (
    *("http.request.header.referer", "http.target", "http.url", "mcp.resource.uri"),
    *("url.full", "url.original", "url.path"),
)
_QUERY: Final = "url.query"
_COLUMNS: Final = (
    *(f"{party}_{name}" for party in PARTIES for name in ("id", "host")),
    *("reason", "key_id", "dataset", "model_endpoint", "approval_id"),
)


def without_secrets(url: pl.Expr) -> pl.Expr:
    """The same text without user, password and secret parameters; what is no address stays as it is."""
    plain = url.str.replace(_USER, f"{_REDACTED}@").str.replace_all(_USER_INSIDE, f"{_REDACTED}@")
    return plain.str.replace_all(_IN_QUERY, _REDACTED).str.replace_all(_IN_PATH, _REDACTED)


def attributes_without_secrets(attributes: pl.DataFrame) -> pl.DataFrame:
    """Attributes (key, text, and what they are of), those that hold an address or its query without secrets."""
    is_query = attributes["key"] == _QUERY
    is_url = attributes["key"].is_in(_WITHOUT_SCHEME)
    rows = pl.Series(np.flatnonzero((is_query | is_url).to_numpy() | have_scheme(attributes["text"])))
    if not len(rows):
        return attributes
    asked = is_query.gather(rows)
    held = attributes["text"].gather(rows).to_frame("text")
    # A query comes without its question mark, which is what tells its first parameter from the end of a word.
    query = without_secrets(pl.lit("?") + pl.col("text")).str.strip_prefix("?")
    shown = held.select(pl.when(asked).then(query).otherwise(without_secrets(pl.col("text")))).to_series()
    return attributes.with_columns(attributes["text"].scatter(rows, shown))


def columns_without_secrets(events: pl.DataFrame) -> pl.DataFrame:
    """Events whose columns that hold an address are without its secrets."""
    holds = [name for name in _COLUMNS if have_scheme(events[name]).any()]
    return events.with_columns(without_secrets(pl.col(name)) for name in holds) if holds else events
