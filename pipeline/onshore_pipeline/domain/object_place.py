"""Where an object lies: one spelling for what stores, senders and registries call it.

    s3://BUCKET/KEY              also s3a:// and s3n://, and arn:aws:s3:::BUCKET/KEY
    gs://BUCKET/OBJECT           also gcs://
    azure://ACCOUNT/CONTAINER/PATH    from https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH (dfs and file, too),
                                 abfss:// and wasbs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH
    file:///PATH                 of any machine

Names are case-sensitive, as the stores' are. A slash at the end says nothing.
"""

from __future__ import annotations

import re
from typing import Final

# What `object_type` says of a model's weights; what of anything that is stored; how actions about data begin.
WEIGHTS: Final = "weights"
STORED: Final = ("object", "file", "dataset", "bucket")
ABOUT_DATA: Final = "data."

_PLAIN: Final = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "azure": "azure", "file": "file"}
_ARN: Final = re.compile(r"arn:aws[a-z-]*:s3:::(.+)", re.DOTALL)
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9]*)://(.*)", re.DOTALL)
_CONTAINER: Final = re.compile(r"[$a-z0-9-]+")
_BEHIND_PATH: Final = re.compile(r"[?#]")
_ACCOUNT_HOST: Final = re.compile(r"([a-z0-9]+)\.(?:blob|dfs|file)\.core\.[a-z.]+(?::\d+)?", re.IGNORECASE)


def object_place(text: str) -> str | None:
    """The one spelling of an object's or a folder's place; None for what is no place of objects."""
    arn = _ARN.fullmatch(text)
    if arn:
        return f"s3://{arn.group(1).rstrip('/')}"
    uri = _URI.fullmatch(text)
    if uri is None:
        return None
    scheme, rest = uri.group(1).lower(), uri.group(2)
    if scheme in ("https", "http", "abfs", "abfss", "wasb", "wasbs"):
        rest = _of_azure(_BEHIND_PATH.split(rest, maxsplit=1)[0], in_front=scheme[0] in "aw")
        scheme = "azure"
    rest = rest.rstrip("/")
    # A file's place begins with a slash, every other with its bucket or account, which holds no user and no password.
    if scheme not in _PLAIN or not rest or rest.startswith("/") != (scheme == "file") or "@" in rest.partition("/")[0]:
        return None
    return f"{_PLAIN[scheme]}://{rest}"


def _of_azure(rest: str, *, in_front: bool) -> str:
    """ACCOUNT/CONTAINER/PATH; '' where the host is no storage account's. The container may stand before an @."""
    host, _, path = rest.partition("/")
    container, _, host = host.rpartition("@") if in_front else ("", "", host)
    account = _ACCOUNT_HOST.fullmatch(host)
    if account is None or bool(container) != in_front or (in_front and not _CONTAINER.fullmatch(container)):
        return ""
    return "/".join(part for part in (account.group(1).lower(), container, path) if part)
