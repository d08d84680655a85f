"""Runs of a file reader: everything once, whatever happens in between, and every piece accounted for."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from cloudtrail_texts import log_file, text_of
from onshore_collectors.files.cloudtrail import FORMAT, RULES
from onshore_collectors.files.json_records import read_json
from onshore_collectors.files.log_outbox import LogOutbox
from onshore_collectors.files.positions import Positions
from onshore_collectors.files.progress import show_progress
from onshore_collectors.files.reading import FileReading, Problem, ReadingReport
from onshore_collectors.files.source_files import find_files
from onshore_collectors.stack_address import ReceiverAddress
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.collectors.conftest import Inbox

REAL = Path(__file__).parents[3] / "shared" / "data" / "cloudtrail"
REAL_RECORDS = 2002
SCOPE = "onshore.collectors.cloudtrail"


# --- runs ---


class Run(Protocol):
    """Reads paths into the inbox."""

    def __call__(
        self,
        *paths: Path | str,
        again: bool = False,
        address: ReceiverAddress | None = None,
        stop_at: int | None = None,
    ) -> ReadingReport: ...


@pytest.fixture
def run(inbox: Inbox, tmp_path: Path) -> Run:
    def run(
        *paths: Path | str, again: bool = False, address: ReceiverAddress | None = None, stop_at: int | None = None
    ) -> ReadingReport:
        receiver, stop = address or inbox.address, threading.Event()

        def show(read_bytes: int, files: int, sent: int) -> None:
            del read_bytes, files
            if stop_at is not None and sent >= stop_at:
                stop.set()

        with Positions(tmp_path / "positions", "cloudtrail", receiver.name) as positions:
            outbox = LogOutbox(
                receiver,
                {"service.name": "reader"},
                scope=SCOPE,
                positions=positions,
                stop=stop,
                give_up_after_s=5,
            )
            reading = FileReading(
                partial(read_json, rules=RULES), outbox, None if again else positions, stop=stop, show=show
            )
            try:
                reading.run(find_files([str(path) for path in paths]).files)
            except BrokerUnavailable as error:
                reading.report.add_problem(Problem("receiver", None, None, str(error)))
        report = reading.report
        assert report.records == report.sent + report.skipped + report.unreadable + report.unsent
        return report

    return run


def test_records_arrive_as_they_stood_with_id_time_and_format(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(log_file(*text_of(1, 2)))
    assert run(tmp_path / "a.json").sent == 2
    (request,) = inbox.log_requests()
    (scope,) = request.resource_logs[0].scope_logs
    assert scope.scope.name == SCOPE
    assert [(each.key, each.value.string_value) for each in scope.scope.attributes] == [("encoding.format", FORMAT)]
    first, second = scope.log_records
    assert [first.body.string_value, second.body.string_value] == text_of(1, 2)
    assert first.time_unix_nano == 1_688_989_356_000_000_000
    assert inbox.attributes(first) == {"log.record.uid": "id-1", "log.file.name": "a.json"}


def test_a_second_run_sends_nothing_and_again_sends_all(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(log_file(*text_of(1, 2), "{broken"))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(log_file(*text_of(3))))
    first = run(tmp_path)
    assert (first.sent, first.unreadable, first.files_done_before) == (3, 1, 0)
    second = run(tmp_path)
    assert (second.sent, second.skipped, second.unreadable, second.files_done_before) == (0, 4, 0, 2)
    third = run(tmp_path, again=True)
    assert (third.sent, third.unreadable) == (3, 1)
    records, told = inbox.told_apart()
    assert len(records) == 6
    assert [each.body.string_value for each in told] == ["{broken]}", "{broken]}"]
    named = {
        "log.file.name": "a.json",
        "log.file.path": str(tmp_path / "a.json"),
        "onshore.unreadable.reason": first.problems[0].reason,
        "onshore.unreadable.line": 1,
        "onshore.unreadable.position": len(log_file(*text_of(1, 2))) - 1,
        "onshore.unreadable.bytes": 9,
    }
    assert [inbox.attributes(each) for each in told] == [named, named]


def test_what_went_to_one_receiver_did_not_go_to_another(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(log_file(*text_of(1)))
    assert run(tmp_path / "a.json").sent == 1
    assert run(tmp_path / "a.json", address=ReceiverAddress(inbox.endpoint, {}, "elsewhere")).sent == 1


def test_a_touched_file_is_the_same_and_a_grown_one_goes_on(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(text_of(1, 2)) + "\n")
    assert run(path).sent == 2
    os.utime(path, ns=(1, 1))
    assert run(path).sent == 0
    with path.open("a") as file:
        file.write("\n".join(text_of(3)) + "\n")
    assert run(path).sent == 1
    assert [each.body.string_value for each in inbox.log_records()] == text_of(1, 2, 3)


def test_another_file_of_the_same_name_is_read_from_its_beginning(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(log_file(*text_of(1)))
    assert run(path).sent == 1
    path.write_bytes(log_file(*text_of(2, 3)))
    assert run(path).sent == 2


def test_a_file_that_was_cut_short_and_then_completed_loses_nothing(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    path, whole = tmp_path / "a.json", log_file(*text_of(1, 2, 3))
    path.write_bytes(whole[: len(whole) // 2])
    first = run(path)
    assert (first.sent, first.unreadable) == (1, 1)
    path.write_bytes(whole)
    second = run(path)
    assert (second.skipped, second.sent) == (1, 2)
    assert [each.body.string_value for each in inbox.log_records()] == text_of(1, 2, 3)


def test_an_unreadable_file_is_told_and_the_others_are_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "gone")
    (tmp_path / "b.json").write_bytes(log_file(*text_of(1)))
    for sent in (1, 0):
        report = run(tmp_path)
        assert (report.sent, report.unreadable_files) == (sent, 1)
        assert [problem.reason for problem in report.problems] == ["No such file or directory"]


def test_digests_are_counted_and_send_nothing(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(json.dumps({"digestStartTime": "2023-07-10T11:00:00Z", "logFiles": []}))
    report = run(tmp_path)
    assert (report.digests, report.records, report.problems) == (1, 0, [])
    assert not inbox.log_requests()
    assert run(tmp_path).files_done_before == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_read_and_the_oddity_noted(inbox: Inbox, run: Run, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.json").write_bytes(("\ufeff" + log_file(*text_of(1, 2)).decode()).encode(encoding) + b"\x00")
    report = run(tmp_path)
    assert (report.sent, report.unreadable) == (2, 1)
    records, (told,) = inbox.told_apart()
    assert [each.body.string_value for each in records] == text_of(1, 2)
    assert {inbox.attributes(each)["onshore.source.encoding"] for each in [*records, told]} == {encoding}
    assert report.problems[0].reason == "the UTF-16 text ends in the middle of a character"


def test_a_rotated_file_is_known_again(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(text_of(1, 2)) + "\n")
    assert run(path).sent == 2
    path.rename(tmp_path / "a.1.jsonl")
    path.write_text("\n".join(text_of(3)) + "\n")
    assert run(tmp_path).sent == 1
    assert [each.body.string_value for each in inbox.log_records()] == text_of(1, 2, 3)


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("copies", [False, True])
def test_the_tail_of_a_file_that_logrotate_moved_is_read_and_nothing_twice(
    inbox: Inbox, run: Run, tmp_path: Path, *, packs: bool, copies: bool
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log, first, second = folder / "a.log", folder / "a.log.1", folder / "a.log.2.gz"
    log.write_text("\n".join(text_of(1, 2)) + "\n")
    assert run(folder).sent == 2
    with log.open("a") as file:
        file.write("\n".join(text_of(3)) + "\n")
    if copies:
        first.write_bytes(log.read_bytes())
        log.write_text("")
    else:
        log.rename(first)
    log.write_text("\n".join(text_of(4)) + "\n")
    if packs:
        second.write_bytes(gzip.compress(first.read_bytes()))
        first.unlink()
    assert run(folder).sent == 2
    if not packs:
        second.write_bytes(gzip.compress(first.read_bytes()))
        first.unlink()
        log.rename(first)
        log.write_text("\n".join(text_of(5)) + "\n")
        assert run(folder).sent == 1
    sent = text_of(1, 2, 3, 4) if packs else text_of(1, 2, 3, 4, 5)
    assert [each.body.string_value for each in inbox.log_records()] == sent


def test_a_run_that_is_stopped_goes_on_where_it_was(inbox: Inbox, run: Run, tmp_path: Path) -> None:
    numbers = range(6000)
    (tmp_path / "a.json").write_bytes(log_file(*text_of(*numbers)))
    first = run(tmp_path, stop_at=1000)
    assert first.stopped
    assert 1000 <= first.sent < len(numbers)
    second = run(tmp_path)
    assert second.skipped == first.sent + second.resent  # what was stored and had no answer yet is sent again as it was
    assert [each.body.string_value for each in inbox.log_records()] == text_of(*numbers)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_a_file_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal, file = Terminal(), io.StringIO()
    with show_progress(terminal, 100, 2) as show:
        show(50, 1, 1234)
    assert "50%  1 of 2 files, 1,234 records" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    with show_progress(file, 100, 2, line_every_s=0) as show:
        show(50, 1, 1234)
    assert file.getvalue() == "1 of 2 files, 1,234 records acknowledged\n"


# --- receivers in trouble ---


class Moody:
    """An OTLP receiver that first gives the answers it was told to give."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.taken: list[str] = []

    def take(self, body: bytes) -> int:
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            request = ExportLogsServiceRequest.FromString(zstandard.ZstdDecompressor().decompress(body))
            records = request.resource_logs[0].scope_logs[0].log_records
            self.taken += [each.body.string_value for each in records]
        return status


@pytest.fixture
def serve_moody() -> Iterator[Callable[[Moody], ReceiverAddress]]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def serve(moody: Moody) -> ReceiverAddress:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status = moody.take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        endpoint = f"http://127.0.0.1:{server.server_port}"
        return ReceiverAddress(endpoint, {}, endpoint)

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_busy_receiver_is_waited_for(
    run: Run, tmp_path: Path, serve_moody: Callable[[Moody], ReceiverAddress]
) -> None:
    moody = Moody(503, 429, 502, 200, 503)
    (tmp_path / "a.json").write_bytes(log_file(*text_of(*range(2000))))
    assert run(tmp_path, address=serve_moody(moody)).sent == 2000
    assert moody.taken == text_of(*range(2000))


def test_what_is_refused_is_sent_by_the_next_run(
    run: Run, tmp_path: Path, serve_moody: Callable[[Moody], ReceiverAddress]
) -> None:
    moody = Moody(200, 401, 401)
    address = serve_moody(moody)
    (tmp_path / "a.json").write_bytes(log_file(*text_of(*range(2000))))
    first = run(tmp_path, address=address)
    assert (first.sent, first.unsent > 0) == (512, True)
    assert "answered HTTP 401" in first.problems[-1].reason
    moody.statuses.clear()
    second = run(tmp_path, address=address)
    assert (second.resent > 0, 512 + second.resent + second.sent) == (True, 2000)
    assert moody.taken == text_of(*range(2000))


# --- as a process ---


def command(inbox: Inbox, folder: Path, *arguments: str) -> list[str]:
    here = [sys.executable, "-m", "onshore_collectors", "collect", "cloudtrail"]
    return [*here, "--otlp", inbox.endpoint, "--data-dir", str(folder / "data"), "--json", *arguments]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_ended_halfway_is_finished_by_the_next(
    inbox: Inbox, tmp_path: Path, number: signal.Signals
) -> None:
    total = 1400
    (tmp_path / "a.json").write_bytes(log_file(*text_of(*range(total))))
    arrived: list[str] = []
    slow = command(inbox, tmp_path, str(tmp_path / "a.json"), "--rate", "500")
    with subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while len(arrived) < 1000 and process.poll() is None:
            arrived += [each.body.string_value for each in inbox.log_records(timeout_s=0.05)]
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Traceback" not in errors
    finished = subprocess.run(
        command(inbox, tmp_path, str(tmp_path / "a.json")), capture_output=True, check=True, timeout=30
    )
    report = json.loads(finished.stdout)
    assert report["skipped"] >= 500
    assert report["skipped"] + report["sent"] == total
    arrived += [each.body.string_value for each in inbox.log_records()]
    assert set(arrived) == set(text_of(*range(total)))
    assert len(arrived) == total


def test_standard_input_is_read_and_problems_are_exit_1(inbox: Inbox, tmp_path: Path) -> None:
    content = log_file(*text_of(1), "{broken", *text_of(2))
    done = subprocess.run(command(inbox, tmp_path, "-"), input=content, capture_output=True, check=False, timeout=30)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["sent"], report["unreadable"]) == (2, 1)
    assert report["problems"][0]["file"] == "-"
    assert [each.body.string_value for each in inbox.log_records()] == text_of(1, 2)


# --- real files ---


@pytest.mark.skipif(not REAL.is_dir(), reason=f"real CloudTrail files are not at {REAL}")
def test_real_files_arrive_whole_and_are_understood(inbox: Inbox, run: Run) -> None:
    report = run(REAL)
    assert (report.files, report.sent, report.unreadable, report.problems) == (41, REAL_RECORDS, 0, [])
    messages = inbox.messages()
    normalised = normalise(decode([(each.topic, each.value, "otlp_proto") for each in messages]))
    assert normalised.failures == ()
    events = normalised.events
    assert events.height == REAL_RECORDS
    assert events["source_format"].unique().to_list() == [FORMAT]
    assert events["occurred_at"].null_count() == 0
    in_files = "".join(path.read_text() for path in sorted(REAL.glob("*.json")))
    bodies = events["body"].to_list()
    assert all(body in in_files for body in bodies)
    assert len({json.loads(body)["eventID"] for body in bodies}) == len(set(bodies))
    assert run(REAL).sent == 0
