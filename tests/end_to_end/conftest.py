"""One stack that most of these tests share, and one message of theirs to send to it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from running_stack import RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`onshore up` with everything, on free ports; tests share it and must not stop any of it."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def mark() -> str:
    """A word of this test's own, to find its events by."""
    return f"test-{uuid.uuid4().hex[:12]}"
