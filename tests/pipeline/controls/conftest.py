from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clickhouse_engine import ClickHouse, running_clickhouse
from onshore_pipeline.controls.load import ControlSet, load_controls

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as engine:
        yield engine


@pytest.fixture(scope="session")
def packs() -> ControlSet:
    return load_controls()
