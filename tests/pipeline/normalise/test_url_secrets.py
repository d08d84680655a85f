"""Addresses keep where they lead and lose what opens the door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from onshore_pipeline.normalise.url_secrets import attributes_without_secrets, without_secrets

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://aiko:hunter2@mcp.example.com/sse", "https://REDACTED@mcp.example.com/sse"),
        ("HTTPS://aiko:p@ss@mcp.example.com", "HTTPS://REDACTED@mcp.example.com"),
        ("postgres://app:x@db.internal:5432/notes?sslmode=require", "postgres://REDACTED@db.internal:5432/notes?sslmode=require"),
        ("https://h/x?api_key=abc&q=1&Access_Token=d#token=e", "https://h/x?api_key=REDACTED&q=1&Access_Token=REDACTED#token=REDACTED"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=aa&X-Amz-Date=1", "https://b.s3.amazonaws.com/k?X-Amz-Signature=REDACTED&X-Amz-Date=1"),
        ("https://acc.blob.core.windows.net/c/b?sv=1&sig=a%2Fb", "https://acc.blob.core.windows.net/c/b?sv=1&sig=REDACTED"),
        ("https://h/people/a@example.com?keyword=k", "https://h/people/a@example.com?keyword=k"),
        ("https://a:p@h/x,https://b:q@i?sig=s", "https://REDACTED@h/x,https://REDACTED@i?sig=REDACTED"),
        ("see https://a:p@h/x for more", "see https://REDACTED@h/x for more"),
        ("https://h/x?config[secret]=a&hook_secret=b&max_tokens=7", "https://h/x?config[secret]=REDACTED&hook_secret=REDACTED&max_tokens=7"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/REDACTED"),
        ("https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c?x=1", "https://acme.webhook.office.com/webhookb2/REDACTED?x=1"),
        ("file:///srv/notes.md", "file:///srv/notes.md"),
        ("patient-notes", "patient-notes"),
        (None, None),
    ],
)  # fmt: skip
def test_what_opens_the_door_is_redacted(url: str | None, shown: str | None) -> None:
    frame = pl.DataFrame({"url": [url]}, schema={"url": pl.String})
    assert frame.select(without_secrets(pl.col("url")))["url"].to_list() == [shown]


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [
        ("url.full", "https://a.blob.core.windows.net/c?se=1&sig=planted%3D", "https://a.blob.core.windows.net/c?se=1&sig=REDACTED"),
        ("url.query", "token=planted&watch=true", "token=REDACTED&watch=true"),
        ("url.query", "watch=true&api_key=planted", "watch=true&api_key=REDACTED"),
        ("url.query", "container=a&command=sh", "container=a&command=sh"),
        ("http.target", "/v1/models?key=planted", "/v1/models?key=REDACTED"),
        ("db.query.text", "SELECT 1 ?key=kept", "SELECT 1 ?key=kept"),
        ("github.hook.url", "https://h/x?secret=planted", "https://h/x?secret=REDACTED"),
        ("k8s.audit.webhook_urls", "https://a/x,https://u:planted@b/y", "https://a/x,https://REDACTED@b/y"),
        ("whatever", "postgres://app:planted@db/notes", "postgres://REDACTED@db/notes"),
    ],
)  # fmt: skip
def test_attributes_that_hold_addresses_lose_secrets_and_others_stay(key: str, text: str, shown: str) -> None:
    frame = pl.DataFrame({"row": [0, 0], "key": ["a", key], "text": ["x?sig=kept", text]})
    assert attributes_without_secrets(frame)["text"].to_list() == ["x?sig=kept", shown]


def test_no_attribute_of_a_normalised_record_holds_a_planted_secret(batch: Batch) -> None:
    sent = {"url.full": "https://h/x?sig=planted", "url.query": "sig=planted", "url.path": "/x"}
    batch.message().log(sent)
    found = batch.normalised().attributes
    assert dict(found.select("key", "text").iter_rows()) == {
        "url.full": "https://h/x?sig=REDACTED", "url.path": "/x", "url.query": "sig=REDACTED",
    }  # fmt: skip
