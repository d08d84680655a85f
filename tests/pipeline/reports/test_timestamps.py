"""Timestamps by an authority of our own."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.reports.timestamps import TimestampError, ask_for_timestamp, verify_timestamp
from stamping_authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    yield authority
    authority.close()


@pytest.fixture
def authority(own: Authority) -> Iterator[Authority]:
    yield own
    own.broken = None


def test_the_authority_says_when_and_anybody_can_check_it_later(authority: Authority) -> None:
    stamp = ask_for_timestamp(b"a head", authority.address, authority.roots)
    assert abs(stamp.at - datetime.now(UTC)) < timedelta(minutes=5)
    assert verify_timestamp(stamp.response, b"a head", authority.roots) == stamp


def test_a_stamp_is_of_these_bytes_only(authority: Authority) -> None:
    stamp = ask_for_timestamp(b"a head", authority.address, authority.roots)
    with pytest.raises(TimestampError, match="does not verify"):
        verify_timestamp(stamp.response, b"another head", authority.roots)


def test_an_old_answer_to_a_new_question_is_refused(authority: Authority) -> None:
    authority.broken = ask_for_timestamp(b"a head", authority.address, authority.roots).response
    with pytest.raises(TimestampError, match="does not verify"):
        ask_for_timestamp(b"a head", authority.address, authority.roots)


def test_an_authority_that_nobody_trusts_is_refused(authority: Authority, tmp_path: Path) -> None:
    stamp = ask_for_timestamp(b"a head", authority.address, authority.roots)
    stranger = Authority(tmp_path)
    try:
        with pytest.raises(TimestampError, match="does not verify"):
            verify_timestamp(stamp.response, b"a head", stranger.roots)
    finally:
        stranger.close()


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\x30\x03\x02\x01\x02"], ids=["nothing", "a page", "a refusal"])
def test_what_is_no_stamp_is_refused(authority: Authority, answer: bytes) -> None:
    authority.broken = answer
    with pytest.raises(TimestampError):
        ask_for_timestamp(b"a head", authority.address, authority.roots)


def test_an_authority_that_is_not_there_is_named(authority: Authority) -> None:
    with pytest.raises(TimestampError, match=r"http://127\.0\.0\.1:9"):
        ask_for_timestamp(b"a head", "http://127.0.0.1:9", authority.roots)
    with pytest.raises(TimestampError, match="no http or https address"):
        ask_for_timestamp(b"a head", "file:///etc/passwd", authority.roots)
