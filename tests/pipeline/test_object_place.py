"""One spelling for where an object lies."""

from __future__ import annotations

import pytest

from onshore_pipeline.domain.object_place import object_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://b/a/k", "s3://b/a/k"),
        ("S3A://b/a/", "s3://b/a"),
        ("s3n://B/a b", "s3://B/a b"),
        ("arn:aws:s3:::b/a/k", "s3://b/a/k"),
        ("arn:aws-cn:s3:::b", "s3://b"),
        ("gs://b/k", "gs://b/k"),
        ("gcs://b/k", "gs://b/k"),
        ("https://Acme.blob.core.windows.net/c/P?sv=1&sig=x", "azure://acme/c/P"),
        ("https://acme.dfs.core.chinacloudapi.cn/c", "azure://acme/c"),
        ("abfss://c@acme.dfs.core.windows.net/p/q/", "azure://acme/c/p/q"),
        ("wasbs://c@acme.blob.core.windows.net", "azure://acme/c"),
        ("azure://acme/c/p", "azure://acme/c/p"),
        ("file:///srv/models/", "file:///srv/models"),
        ("b/k", None),
        ("s3://user:secret@b/k", None),
        ("abfss://c:secret@acme.dfs.core.windows.net/p", None),
        ("https://acme.blob.core.windows.net/c/p#sig=x", "azure://acme/c/p"),
        ("s3://", None),
        ("s3:///k", None),
        ("file://srv/models", None),
        ("https://models.example/c", None),
        ("https://c@acme.blob.core.windows.net/p", None),
        ("abfss://acme.dfs.core.windows.net/c", None),
        ("arn:aws:s3:ap-southeast-2:1:accesspoint/x", None),
        ("postgresql://db/x", None),
        ("", None),
    ],
)
def test_a_place_of_objects_has_one_spelling(text: str, place: str | None) -> None:
    assert object_place(text) == place
    assert place is None or object_place(place) == place
