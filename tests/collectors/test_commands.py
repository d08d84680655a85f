"""The command line: what it prints, where it finds the receiver, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from onshore_collectors import gpu
from onshore_collectors.__main__ import main
from onshore_collectors.files.positions import Positions
from onshore_collectors.receiver.tenants import TenantRegistry
from onshore_collectors.stack_address import find_receiver
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collectors.conftest import Inbox

RECORD = '{"eventVersion":"1.08","eventName":"GetObject","eventID":"id-1"}'


@pytest.fixture
def stack(inbox: Inbox, tmp_path: Path) -> Path:
    """A data directory in which `onshore up` left the receiver's address."""
    (tmp_path / "stack.json").write_text(json.dumps({"otlp_http": inbox.endpoint}))
    return tmp_path


def test_the_running_stack_is_found_in_the_data_directory(
    inbox: Inbox, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", "host", "--once", "--data-dir", str(stack), "--json", "--collector-id", "h-1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rounds"], report["sent"], report["dropped"]) == (1, 1, 0)
    assert isinstance(report["accelerators"], list)
    (request,) = inbox.metric_requests()
    resource = {each.key: each.value.string_value for each in request.resource_metrics[0].resource.attributes}
    assert resource["onshore.collector.id"] == "h-1"
    assert resource["host.name"] == socket.gethostname()


def test_a_machine_without_accelerators_has_none_to_send(
    stack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "find_accelerators", lambda: gpu.Accelerators((), "none found (no NVIDIA driver)"))
    assert main(["collect", "gpu", "--once", "--data-dir", str(stack)]) == 2
    said = capsys.readouterr().err
    assert "accelerators: none found (no NVIDIA driver)" in said
    assert "`onshore collect host` measures the rest" in said


def test_sockets_are_collected_without_our_own(inbox: Inbox, stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        arguments = ["collect", "sockets", "--once", "--loopback", "--data-dir", str(stack)]
        collected = subprocess.run(
            [sys.executable, "-m", "onshore_collectors", *arguments], capture_output=True, check=True, timeout=30
        )
        opened, port = server.getsockname(), client.getsockname()[1]
    assert b" looks, " in collected.stdout
    flows = [inbox.attributes(record) for record in inbox.log_records()]
    ours = [flow for flow in flows if flow["source.port"] == port]
    assert [(flow["destination.port"], flow["network.io.direction"]) for flow in ours] == [(opened[1], "transmit")]
    assert ours[0]["process.pid"] == os.getpid()
    receiver_port = int(inbox.endpoint.rpartition(":")[2])
    live = [flow for flow in flows if flow.get("network.connection.state") == "established"]
    assert receiver_port not in {flow[end] for flow in live for end in ("source.port", "destination.port")}
    assert (stack / "collectors" / "sockets.json").stat().st_mode & 0o777 == 0o600
    del capsys


def test_cloudtrail_says_what_became_of_every_record(
    inbox: Inbox, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stack / "logs").mkdir()
    (stack / "logs" / "a.json").write_text(f'{{"Records":[{RECORD},nonsense,{RECORD}]}}')
    (stack / "logs" / "notes.txt").touch()
    arguments = ["collect", "cloudtrail", str(stack / "logs"), "--data-dir", str(stack)]
    assert main(arguments) == 1
    out, errors = capsys.readouterr()
    assert "1 looked at, 0 done before, 0 digests, 0 unreadable, 1 other files left aside" in out
    assert "2 sent, 0 done before, 1 unreadable" in out
    (problem,) = errors.splitlines()
    assert problem.startswith(
        f"UNREADABLE {stack / 'logs' / 'a.json'}: line 1, byte 77: is not JSON: Expecting value; "
    )
    assert main(arguments) == 0
    assert "0 sent, 3 done before, 0 unreadable" in capsys.readouterr().out
    assert len(inbox.log_records()) == 2


def test_a_folder_without_a_log_of_that_kind_is_no_success(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stack / "logs").mkdir()
    (stack / "logs" / "postgresql.log").touch()
    assert main(["collect", "pgaudit", str(stack / "logs"), "--data-dir", str(stack)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{stack / 'logs'}: none of 1 files there ends with .csv, .json, .jsonl, .ndjson; name files or" in said
    (stack / "logs" / "postgresql.csv").write_text("2025-01-01 00:00:00.000 UTC,u\n")
    assert main(["collect", "pgaudit", str(stack / "logs"), "--data-dir", str(stack)]) == 0


@pytest.mark.parametrize("what", ["host", "sockets", "cloudtrail"])
def test_every_collector_says_that_it_is_alive(inbox: Inbox, stack: Path, what: str) -> None:
    (stack / "a.json").write_text(f'{{"Records":[{RECORD}]}}')
    more = [str(stack / "a.json")] if what == "cloudtrail" else ["--once"]
    assert main(["collect", what, *more, "--data-dir", str(stack), "--collector-id", "c-1"]) == 0
    events = normalise(decode([(each.topic, each.value, "otlp_proto") for each in inbox.messages()])).events
    beats = events.filter(action="telemetry.heartbeat")
    assert beats["collector_id"].to_list() == ["c-1"]
    assert beats["collector_sequence"].to_list() == [0]
    assert beats["domain"].to_list() == ["infrastructure"]
    assert not list((stack / "collectors").glob("*.gaps"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["collect", "host", "--data-dir", "DIR/none"], "no stack was started in DIR/none; run `onshore up`"),
        (["collect", "host", "--otlp", "localhost:4318"], "'localhost:4318' is not an address like http://127.0.0.1"),
        (["collect", "host", "--otlp", "http://[::1"], "'http://[::1' is no address"),
        (["collect", "host", "--otlp", "http://127.0.0.1:1"], "nothing takes telemetry at http://127.0.0.1:1"),
        (["collect", "host", "--otlp", "http://a", "--token-file", "DIR/none"], "DIR/none: No such file or directory"),
        (["collect", "host", "--otlp", "http://a", "--token-file", "DIR/empty"], "does not hold a token"),
        (["collect", "cloudtrail", "DIR/none"], "DIR/none: there is no such file or folder"),
        (["collect", "cloudtrail"], "Missing argument 'PATH'. (`onshore collect cloudtrail --help`"),
        (["collect", "host", "--intervall", "5"], "No such option: --intervall"),
        (["collect", "host", "--interval", "0"], "Invalid value for '--interval'"),
        (["collect", "weather"], "No such command 'weather'"),
        (["tenants", "add", "Not a name", "--data-dir", "DIR"], "'Not a name' is not a name"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    (tmp_path / "empty").touch()
    assert main([each.replace("DIR", str(tmp_path)) for each in arguments]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    (only,) = errors.splitlines()
    assert only.startswith("onshore: ")
    assert line.replace("DIR", str(tmp_path)) in only


def test_two_readers_do_not_work_on_the_same_positions(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stack / "a.json").write_text(f'{{"Records":[{RECORD}]}}')
    with Positions(stack / "collectors", "cloudtrail", "stack"):
        assert main(["collect", "cloudtrail", str(stack / "a.json"), "--data-dir", str(stack)]) == 2
    assert "another `onshore collect cloudtrail` is at work" in capsys.readouterr().err


def test_damaged_positions_are_an_error_that_says_what_to_do(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stack / "a.json").write_text(f'{{"Records":[{RECORD}]}}')
    (stack / "collectors").mkdir()
    (stack / "collectors" / "cloudtrail.sqlite").write_bytes(b"nonsense" * 1000)
    assert main(["collect", "cloudtrail", str(stack / "a.json"), "--data-dir", str(stack)]) == 2
    assert "remove it to read every file again" in capsys.readouterr().err


def test_a_token_goes_with_every_request_and_is_never_shown(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("s3cret-token\n")
    receiver = find_receiver(inbox.endpoint, tmp_path / "token", None)
    assert receiver.headers == {"authorization": "Bearer s3cret-token"}
    assert "s3cret" not in repr(receiver)
    arguments = ["collect", "host", "--once", "--otlp", inbox.endpoint, "--token-file", str(tmp_path / "token")]
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert "answered HTTP 401" in errors
    assert "s3cret" not in errors


def test_a_malformed_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONSHORE_DATADIR", "x")
    with pytest.raises(SettingsError, match="ONSHORE_DATADIR: no such setting; did you mean data_dir"):
        find_receiver(None, None, None)


def test_tenants_are_added_listed_and_known_to_the_receiver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--data-dir", str(tmp_path)]
    assert main(["tenants", "list", *here, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["tenants", "add", "sydney", *here]) == 0
    token = capsys.readouterr().out.strip()
    assert main(["tenants", "add", "sydney", *here, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "sydney"
    assert main(["tenants", "add", "kuala-lumpur", *here]) == 0
    capsys.readouterr()
    assert main(["tenants", "list", *here, "--json"]) == 0
    listed = capsys.readouterr().out
    assert json.loads(listed) == [{"name": "kuala-lumpur", "tokens": 1}, {"name": "sydney", "tokens": 2}]
    assert token not in listed + (tmp_path / "tenants.json").read_text()
    assert TenantRegistry(tmp_path / "tenants.json").tenant_of(f"Bearer {token}") == "sydney"
    assert main(["tenants", "list", *here]) == 0
    assert capsys.readouterr().out.split() == ["kuala-lumpur", "1", "token", "sydney", "2", "tokens"]


def test_a_malformed_registry_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tenants.json").write_text("nonsense")
    assert main(["tenants", "list", "--data-dir", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (["collect", "--help"], "onshore collect [OPTIONS] COMMAND"),
        (["collect", "cloudtrail", "--help"], "onshore collect cloudtrail [OPTIONS] {PATH}..."),
        (["tenants", "add", "--help"], "onshore tenants add [OPTIONS] {name}"),
    ],
)
def test_help_speaks_of_the_onshore_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], usage: str
) -> None:
    assert main(arguments) == 0
    assert usage in " ".join(capsys.readouterr().out.split())


def test_the_onshore_command_hands_over() -> None:
    command = [sys.executable, "-m", "onshore_pipeline", "collect", "sockets", "--help"]
    handed = subprocess.run(command, capture_output=True, check=True, timeout=30, text=True)
    assert "onshore collect sockets [OPTIONS]" in handed.stdout


def test_a_running_collector_ends_cleanly_on_sigterm(inbox: Inbox, tmp_path: Path) -> None:
    arguments = ["collect", "host", "--otlp", inbox.endpoint, "--data-dir", str(tmp_path), "--json", "--interval", "60"]
    with subprocess.Popen(
        [sys.executable, "-m", "onshore_collectors", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not inbox.messages(timeout_s=0.05) and process.poll() is None:
            pass
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert json.loads(out)["sent"] == 1
    assert errors.decode().splitlines() == [f"sending metrics to {inbox.endpoint} every 60 s; Ctrl-C ends it"]
