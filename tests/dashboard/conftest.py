"""A store with a short history in it, shared by the tests of one run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import dashboard_history
from dashboard_stack import RunningStore, running_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.store.reader import Reader


@pytest.fixture(scope="session")
def now() -> datetime:
    """The moment at which the history ends."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[RunningStore]:
    """A store that holds `dashboard_history`."""
    with running_store(tmp_path_factory.mktemp("filled")) as store:
        admin = store.admin()
        dashboard_history.fill(admin, now)
        admin.close()
        yield store


@pytest.fixture(scope="session")
def store(filled: RunningStore) -> Iterator[Reader]:
    """The filled store, read as the dashboard reads it."""
    reader = filled.reader()
    yield reader
    reader.close()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    """A store with tables and nothing in them."""
    with running_store(tmp_path_factory.mktemp("empty")) as store:
        yield store
