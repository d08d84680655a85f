from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from onshore_collectors.demo.command import run
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--events", "10"], r"--events: 10 is not between \d+ \(everything happens once\)"),
        (["--events", "many"], "Invalid value for '--events'"),
        (["--now", "yesterday"], "--now: 'yesterday' is not a time like"),
        (["--now", "2026-11-21T09:00:00"], "needs a zone: write 2026-11-21T09:00:00Z"),
        (["--now", "2024-01-01T00:00:00Z"], "too early: not every control is in force"),
        (["--run", "two words"], "--run: 'two words' is not a name"),
        (["--truth", "/nowhere/t.json"], "there is no folder /nowhere"),
        (["--otlp", "localhost"], "'localhost' is not an address like http://127.0.0.1:4318"),
        (["--sed", "3"], "No such option"),
    ],
)
def test_unusable_arguments_are_named_before_anything_is_sent(arguments: list[str], why: str) -> None:
    with pytest.raises(OnshoreError, match=why):
        run(arguments)


def test_a_receiver_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(BrokerUnavailable, match=f"nothing takes telemetry at http://127.0.0.1:{port}"):
        run(["--otlp", f"http://127.0.0.1:{port}", "--data-dir", str(tmp_path)])
