"""What `onshore up` cannot do it says in one readable line, and leaves nothing running."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from running_stack import command, data_dir_in, environment, processes_about, run_onshore, up

if TYPE_CHECKING:
    from pathlib import Path

    from running_stack import RunningStack


def refused(folder: Path, *flags: str, **settings: str) -> str:
    """What it says on standard error, when it refuses as it should."""
    done = subprocess.run(
        up(data_dir_in(folder), "--ready-file", str(folder / "ready.json"), *flags),
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("onshore: ")
    assert not processes_about(data_dir_in(folder))
    assert not (folder / "ready.json").exists()
    return line


@pytest.mark.parametrize("flag", ["--otlp-http-port", "--otlp-grpc-port", "--store-port", "--dashboard-port"])
def test_a_busy_port_is_named_with_the_flag_that_moves_it(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        line = refused(tmp_path, flag, str(port))
    assert f"port {port}" in line
    assert flag in line


def test_a_data_directory_in_use_names_who_uses_it(stack: RunningStack, tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "up", "--data-dir", str(stack.data_dir), "--otlp-http-port", "0")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert f"process {stack.process.pid}" in line
    assert "--data-dir" in line
    assert stack.one("SELECT 1") == 1
    assert (stack.data_dir / "stack.json").exists()


def test_an_unknown_setting_is_named_with_what_was_meant(tmp_path: Path) -> None:
    assert "ONSHORE_TYPO" in refused(tmp_path, ONSHORE_TYPO="1")
    assert "did you mean kafka_group?" in refused(tmp_path, ONSHORE_KAFKA_GRUOP="1")


def test_a_malformed_setting_is_named(tmp_path: Path) -> None:
    assert "kafka_session_timeout_s" in refused(tmp_path, ONSHORE_KAFKA_SESSION_TIMEOUT_S="soon")
    assert "kafka_topic_tenants" in refused(tmp_path, ONSHORE_KAFKA_TOPIC_TENANTS="{broken")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"max_batch_mib = [broken", "onshore.toml"),
        (b"max_batch_mib = '\xff'", "onshore.toml"),
        (b"max_batch_mb = 3", "did you mean max_batch_mib?"),
        (b"max_batch_mib = 0", "max_batch_mib"),
    ],
)
def test_a_damaged_settings_file_is_named(tmp_path: Path, text: bytes, named: str) -> None:
    (tmp_path / "onshore.toml").write_bytes(text)
    assert named in refused(tmp_path)


def test_registries_and_controls_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "controls").mkdir()
    (tmp_path / "controls" / "mine.yaml").write_text("id: [")
    assert "mine.yaml:1" in refused(tmp_path, "--no-dashboard", ONSHORE_CONTROLS_DIR=str(tmp_path / "controls"))


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert str(tmp_path / "data") in refused(tmp_path)


def test_the_readers_password_is_in_no_output(stack: RunningStack) -> None:
    password = stack.addresses["store_password"]
    assert password not in stack.said
    for log in (stack.data_dir / "logs").iterdir():
        assert password not in log.read_text()


def test_a_flag_that_is_no_port_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        command("up", "--store-port", "70000"), cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"--store-port" in done.stderr
    assert not os.listdir(tmp_path)  # noqa: PTH208 - nothing was made
