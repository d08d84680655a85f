"""The report of a chaos run."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaos_report import BOOK, Book, Ended, Report

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

KEY = pytest.StashKey[Book]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = Book()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Where a scenario says what it found."""
    return Report(request.config.stash[KEY], request.node.nodeid)


@pytest.fixture(autouse=True)
def _refused_connections(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """kafka-python leaves the sockets of refused connections to the garbage collector; its log keeps them alive."""
    caplog.set_level(logging.CRITICAL, logger="kafka")
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    told = yield
    if told.when == "call" or told.outcome != "passed":
        why = told.longreprtext.strip().splitlines() or [""]
        said = [line[2:].strip() for line in why if line.startswith("E ")] or why[-1:]
        item.config.stash[KEY].ended[item.nodeid] = Ended(told.outcome, told.duration, said[0])
    return told


def pytest_sessionfinish(session: pytest.Session) -> None:
    if path := os.environ.get(BOOK):
        session.config.stash[KEY].save(Path(path))
