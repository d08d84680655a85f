"""The report of a chaos run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaos_report import REPORT, Report

if TYPE_CHECKING:
    from collections.abc import Generator

KEY = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = Report()


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Where a scenario says what it found."""
    return request.config.stash[KEY]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    told = yield
    if told.when == "call" or told.outcome != "passed":
        item.config.stash[KEY].ended.append((item.nodeid, told.outcome, told.duration))
    return told


def pytest_sessionfinish(session: pytest.Session) -> None:
    if path := os.environ.get(REPORT):
        session.config.stash[KEY].write(Path(path))
