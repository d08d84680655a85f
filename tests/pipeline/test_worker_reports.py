"""Several workers of one data directory, read as one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from onshore_pipeline.broker import PartitionLag
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.jobs.windowed_time import watermark
from onshore_pipeline.worker_reports import FRESH_S, NEVER, Report, last_report, report, together
from onshore_pipeline.worker_status import Progress, StatusFile, catches_up, is_behind, say_stopped

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import Consumer

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def said(ago_s: float, *waiting: tuple[int, int], **more: Any) -> Report:
    """A report made so many seconds ago, of partitions and how many messages wait in each."""
    lag = [{"topic": "otlp_logs", "partition": each, "next_offset": 5, "end_offset": 5 + n} for each, n in waiting]
    return {"at": (NOW - timedelta(seconds=ago_s)).isoformat(), "lag": lag, "state": "working"} | more


def waiting(merged: Report) -> dict[int, int]:
    return {part["partition"]: part["end_offset"] - part["next_offset"] for part in merged["lag"]}


def test_what_waits_for_any_of_them_waits() -> None:
    merged = together({"a": said(0.2, (0, 3)), "b": said(0.1)}, NOW)
    assert waiting(merged) == {0: 3}
    assert merged["at"] == (NOW - timedelta(seconds=0.2)).isoformat()
    assert merged["workers"] == ["a", "b"]


def test_of_a_partition_that_changed_hands_the_later_report_counts() -> None:
    merged = together({"a": said(0.9, (0, 3), (1, 7)), "b": said(0.1, (1, 2))}, NOW)
    assert waiting(merged) == {0: 3, 1: 2}


@pytest.mark.parametrize("others_have_it", [True, False])
def test_a_silent_worker_is_gone_once_others_have_what_it_had(*, others_have_it: bool) -> None:
    fresh = said(0.1, (0, 1), (1, 0)) if others_have_it else said(0.1, (1, 0))
    merged = together({"gone": said(FRESH_S + 5, (0, 9)), "here": fresh}, NOW)
    assert waiting(merged)[0] == (1 if others_have_it else 9)
    assert merged["workers"] == (["here"] if others_have_it else ["gone", "here"])
    assert datetime.fromisoformat(merged["at"]) == NOW - timedelta(seconds=0.1 if others_have_it else FRESH_S + 5)


def test_counts_add_up_and_the_worst_state_is_told() -> None:
    merged = together(
        {
            "a": said(1, progress={"messages": 2, "stage_us": {"judge": 5}}, rules_trouble="a.yaml, line 3"),
            "b": said(1, progress={"messages": 3, "stage_us": {"judge": 1, "seal": 4}}, rules_trouble=""),
            "c": said(1, state="waiting", waits_for="store", waits_because="refused"),
        },
        NOW,
    )
    assert merged["progress"] == {"messages": 5, "stage_us": {"judge": 6, "seal": 4}}
    assert (merged["state"], merged["waits_for"], merged["rules_trouble"]) == ("waiting", "store", "a.yaml, line 3")


def test_one_that_stays_down_is_told_of_beside_one_that_works(tmp_path: Path) -> None:
    path, now = tmp_path / "worker.json", datetime.now(UTC)
    report(path, "a", said(0, (0, 4)) | {"at": now.isoformat()})
    say_stopped(path, "a", "its name was taken")
    report(path, "b", said(0, (1, 0)) | {"at": now.isoformat()})
    merged = json.loads(path.read_text())
    assert (merged["state"], merged["stopped_because"]) == ("stopped", "its name was taken")
    assert waiting(merged) == {0: 4, 1: 0}
    assert last_report(path, "a")["state"] == "stopped"
    assert is_behind(path)


@pytest.mark.parametrize("others_have_it", [True, False])
def test_one_that_stopped_is_told_of_until_others_have_what_it_had(*, others_have_it: bool) -> None:
    stopped = said(FRESH_S + 5, (0, 0), state="stopped", stopped_because="too many dead letters")
    merged = together({"stopped": stopped, "here": said(0.1, (0 if others_have_it else 1, 0))}, NOW)
    assert merged["state"] == ("working" if others_have_it else "stopped")
    assert (NOW - datetime.fromisoformat(merged["at"])).total_seconds() == (0.1 if others_have_it else FRESH_S + 5)


def test_one_alone_that_stopped_is_told_of_however_long_ago() -> None:
    stopped = said(3_600, state="stopped", stopped_because="too many dead letters")
    assert together({"stopped": stopped, "before": said(7_200)}, NOW)["stopped_because"] == "too many dead letters"


def test_a_report_that_is_none_or_of_long_ago_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    report(path, "old", said(0, (0, 4)) | {"at": (datetime.now(UTC) - timedelta(days=2)).isoformat()})
    for name, text in (("cut", '{"at": "2026'), ("other", "[]"), ("named", '{"at": "2026-11-28T12:00:00+00:00"}')):
        (tmp_path / "worker" / f"{name}.json").write_text(text)
    report(path, "new", said(0, (1, 1)) | {"at": datetime.now(UTC).isoformat()})
    assert waiting(json.loads(path.read_text())) == {1: 1}
    assert [each.name for each in (tmp_path / "worker").iterdir()] == ["new.json"]


def test_a_report_that_cannot_be_written_does_not_hide_why_a_worker_stops(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    say_stopped(tmp_path / "file" / "worker.json", "a", "too many dead letters")
    assert (tmp_path / "file").read_bytes() == b""


def test_what_was_known_later_counts_not_what_was_said_later() -> None:
    cut_off = said(0, (0, 0), lag_at=(NOW - timedelta(seconds=30)).isoformat())
    merged = together({"cut off": cut_off, "has it": said(0.5, (0, 10_000))}, NOW)
    assert waiting(merged) == {0: 10_000}
    assert merged["at"] == (NOW - timedelta(seconds=0.5)).isoformat()
    assert merged["lag_at"] == (NOW - timedelta(seconds=0.5)).isoformat()  # the one that is cut off has nothing to add
    alone = together({"cut off": cut_off}, NOW)
    assert (alone["at"], alone["lag_at"]) == (NOW.isoformat(), (NOW - timedelta(seconds=30)).isoformat())


@pytest.mark.parametrize(("ago_s", "is_told"), [(5, True), (91, False)])
def test_a_partition_that_nobody_speaks_of_stays_for_a_while(ago_s: float, *, is_told: bool) -> None:
    before = together({"a": said(ago_s, (0, 7), (1, 0))}, NOW - timedelta(seconds=ago_s))
    merged = together({"a": said(0, (1, 0))}, NOW, before)
    assert waiting(merged) == ({0: 7, 1: 0} if is_told else {1: 0})
    assert merged["lag_at"] == (NOW - timedelta(seconds=ago_s if is_told else 0)).isoformat()
    again = together({"a": said(0, (0, 2), (1, 0))}, NOW, merged)
    assert waiting(again) == {0: 2, 1: 0}


@pytest.mark.parametrize("progress", [None, "many", {"messages": "many"}, {"stage_us": {"judge": None}}])
def test_a_report_whose_counts_are_none_ends_no_worker(tmp_path: Path, progress: object) -> None:
    path, now = tmp_path / "worker.json", datetime.now(UTC).isoformat()
    report(path, "a", said(0, progress={"messages": 2}, at=now))
    (path.with_suffix("") / "b.json").write_text(json.dumps(said(0, (1, 3), progress=progress, at=now)))
    report(path, "a", said(0, progress={"messages": 3}, at=now))
    assert json.loads(path.read_text())["progress"] == {"messages": 3}


def test_what_a_version_of_before_wrote_is_read(tmp_path: Path) -> None:
    path, now = tmp_path / "worker.json", datetime.now(UTC)
    path.write_text(json.dumps(said(0, (0, 7)) | {"at": now.isoformat()}))  # its parts have no time
    report(path, "a", said(0, (1, 2)) | {"at": now.isoformat()})
    assert waiting(json.loads(path.read_text())) == {0: 7, 1: 2}


class CutOff:
    """A member that is cut off from its broker."""

    def lag(self) -> tuple[PartitionLag, ...]:
        raise BrokerUnavailable("nobody answers")


class Reads:
    """A member of which seven messages wait."""

    def lag(self) -> tuple[PartitionLag, ...]:
        return (PartitionLag("otlp_logs", 0, 5, 12),)


def test_who_is_cut_off_reports_what_it_knew_and_when(tmp_path: Path) -> None:
    path, log = tmp_path / "worker.json", cast("Client", None)
    never = cast("Consumer", CutOff())
    StatusFile(path, "a").publish(never, Progress(), {})
    assert json.loads(path.read_text())["lag_at"] == NEVER
    far_ns = 10**18
    assert watermark(log, path, caught_up=True, before_ns=1, now_ns=far_ns) == 1  # nothing is known to be read
    StatusFile(path, "a").publish(cast("Consumer", Reads()), Progress(), {})
    known = json.loads(path.read_text())["lag_at"]
    StatusFile(path, "a").publish(never, Progress(), {})  # its successor, under its name
    again = json.loads(path.read_text())
    assert (again["lag_at"], waiting(again)) == (known, {0: 7})
    assert again["at"] > known


def test_what_is_known_from_long_ago_holds_time_back(tmp_path: Path) -> None:
    path, now = tmp_path / "worker.json", datetime.now(UTC)
    long_ago = now - timedelta(seconds=60)
    path.write_text(json.dumps(said(0, (0, 0), lag_at=long_ago.isoformat(), at=now.isoformat())))
    now_ns = int(now.timestamp() * 1e9)
    reached = watermark(cast("Client", None), path, caught_up=True, before_ns=0, now_ns=now_ns)
    assert reached == int(long_ago.timestamp() * 1e9) - 15 * 10**9
    assert is_behind(path)
    assert not catches_up(path, 0)
