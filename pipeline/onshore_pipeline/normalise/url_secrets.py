"""Addresses (URLs) without what opens the door: passwords before the host, and keys and tokens in the query.

What is taken out reads REDACTED, as OpenTelemetry's conventions for `url.full` want it.
"""

from __future__ import annotations

from typing import Final

import polars as pl

# A password may hold an @ itself: everything up to the last one before the path belongs to it.
_USER: Final = r"(?i)^([a-z][a-z0-9+.-]*://)[^/?#]*@"
_SECRETS: Final = (
    "access_?token", "api[-_]?key", "auth", "authorization", "awsaccesskeyid", "client_?secret", "code", "id_?token",
    "key", "pass(?:word|wd)?", "pwd", "refresh_?token", "secret", "session_?token", "sig", "signature",
    "subscription-key", "token", "x-(?:amz|goog)-(?:credential|signature|security-token)",
)  # fmt: skip
_IN_QUERY: Final = rf"(?i)([?&;#](?:{'|'.join(_SECRETS)})=)[^&;#]*"
_REDACTED: Final = "${1}REDACTED"
_URLS: Final = (
    "azure.storage.source.uri", "http.request.header.referer", "http.target", "http.url", "mcp.resource.uri",
    "url.full", "url.original", "url.path",
)  # fmt: skip
_QUERY: Final = "url.query"


def without_secrets(url: pl.Expr) -> pl.Expr:
    """The same text without user, password and secret parameters; what is no address stays as it is."""
    return url.str.replace(_USER, f"{_REDACTED}@").str.replace_all(_IN_QUERY, _REDACTED)


def attributes_without_secrets(attributes: pl.DataFrame) -> pl.DataFrame:
    """The attributes (row, key, text) of all sources, those that hold an address or its query without secrets."""
    is_url = attributes["key"].is_in([*_URLS, _QUERY])
    if not is_url.any():
        return attributes
    text = pl.col("text")
    # A query comes without its question mark, which is what tells its first parameter from the end of a word.
    asked = without_secrets(pl.concat_str(pl.lit("?"), pl.when(pl.col("key") == _QUERY).then(text)))
    url = without_secrets(pl.when(is_url & (attributes["key"] != _QUERY)).then(text))
    return attributes.with_columns(pl.coalesce(asked.str.strip_prefix("?"), url, text).alias("text"))
