"""kill -9 of any part at any moment, while senders send: what they were acknowledged is there, once."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from chaos_stack import chaos_stack
from random_kills import RandomKills

if TYPE_CHECKING:
    from pathlib import Path

    from chaos_report import Report

SEED, KILLS = "CHAOS_SEED", "CHAOS_KILLS"


def seed() -> int:
    """From CHAOS_SEED, or drawn; printed by the run."""
    return int(os.environ.get(SEED) or random.SystemRandom().randrange(1 << 32))


def on_the_local_log(folder: Path, kills: int, within_s: float) -> str:
    with chaos_stack(folder) as stack:
        chaos = RandomKills(stack, seed())
        try:
            chaos.run(kills, within_s)
            return f"seed {chaos.seed}: {chaos.finish()}"
        finally:
            chaos.stop()


@pytest.mark.quick
@pytest.mark.timeout(240)
def test_a_dozen_random_kills_on_the_local_log(tmp_path: Path, report: Report) -> None:
    report.add("12 random kills, local log", on_the_local_log(tmp_path, 12, 120))


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_random_kills_by_the_hundred_on_the_local_log(tmp_path: Path, report: Report) -> None:
    kills = int(os.environ.get(KILLS, "110"))  # two hundred with those on Apache Kafka
    report.add(f"{kills} random kills, local log", on_the_local_log(tmp_path, kills, 1500))
