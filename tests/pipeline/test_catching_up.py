"""Whether a worker is far behind, as what runs beside it reads in its status."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.worker_status import catches_up

if TYPE_CHECKING:
    from pathlib import Path


def said(path: Path, waiting: int, messages: int, records: int, silent_s: float = 0.0) -> Path:
    file = path / "worker.json"
    at = datetime.now(UTC) - timedelta(seconds=silent_s)
    lag = [{"topic": "otlp_logs", "partition": 0, "next_offset": 10, "end_offset": 10 + waiting}]
    progress = {"messages": messages, "records": records}
    file.write_text(json.dumps({"at": at.isoformat(), "lag": lag, "progress": progress}))
    return file


@pytest.mark.parametrize(
    ("waiting", "messages", "records", "is_so"),
    [
        (300, 10, 5_000, True),  # 150,000 records in few messages
        (300, 10, 10, False),  # as many messages of one record
        (50_000, 10, 10, True),
        (80, 10, 5_000, False),  # 40,000 records are one attempt
        (1, 0, 0, True),  # it has read none yet: nobody knows how much that is
        (0, 0, 0, False),
    ],
)
def test_a_worker_is_far_behind_by_records_and_not_by_messages(
    tmp_path: Path, waiting: int, messages: int, records: int, *, is_so: bool
) -> None:
    assert catches_up(said(tmp_path, waiting, messages, records), 40_000) is is_so


def test_a_worker_that_fell_silent_or_never_reported_catches_up_on_nothing(tmp_path: Path) -> None:
    assert not catches_up(tmp_path / "none", 40_000)
    assert not catches_up(said(tmp_path, 10_000, 10, 5_000, silent_s=60), 40_000)
