from __future__ import annotations

import json
import subprocess
import sys

import pytest

from onshore_collectors.bench.read import bench_read
from onshore_collectors.bench.trails import log_file, number_of, packed_files, record


def test_reading_stands_beside_the_plain_program() -> None:
    told = bench_read(4_500, alone=False, rounds=1)
    assert told["records"] == 4_500
    assert told["bytes_a_record"] > 500
    assert set(told["cpu_us_a_record_by_step"]) == {"unpack", "parse", "request"}
    assert told["records_a_cpu_second"] == pytest.approx(1e6 / told["cpu_us_a_record"], rel=0.02)
    ratio = told["baseline"]["cpu_us_a_record"] / told["cpu_us_a_record"]
    assert ratio > 1
    assert told["ratio"]["cpu"] == pytest.approx(ratio, rel=0.02)


def test_the_records_are_json_told_apart_by_their_numbers() -> None:
    texts = [record(number) for number in range(500)]
    ids = [json.loads(text)["eventID"] for text in texts]
    assert [number_of(each) for each in ids] == list(range(500))
    assert len(json.loads(log_file(texts))["Records"]) == 500
    assert len(packed_files(500, 200)) == 3


def test_the_onshore_command_hands_over() -> None:
    command = [sys.executable, "-m", "onshore_pipeline", "bench", "read", "--events", "50", "--rounds", "1", "--alone"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    told = json.loads(done.stdout)
    assert (told["bench"], told["records"], told["baseline"]) == ("read", 50, None)
