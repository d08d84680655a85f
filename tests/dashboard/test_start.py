"""Starting the dashboard: what it is told, and what it refuses."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from onshore_dashboard.__main__ import main
from onshore_dashboard.server import content_security_policy
from onshore_dashboard.settings import Settings, read_credentials
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "a-password-nobody-may-see"


@pytest.mark.parametrize(
    "shape",
    [{"user": "u", "password": PASSWORD}, {"writer": {"user": "w"}, "reader": {"user": "u", "password": PASSWORD}}],
)
def test_credentials_come_from_a_file(tmp_path: Path, shape: object) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(shape))
    assert read_credentials(file, {}) == ("u", PASSWORD)


@pytest.mark.parametrize("text", [PASSWORD, "[]", json.dumps({"writer": {"user": "w", "password": PASSWORD}})])
def test_a_credentials_file_of_another_shape_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_credentials(file, {})
    assert str(file) in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_credentials_come_from_the_environment_when_there_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    environment = {"ONSHORE_CLICKHOUSE_USER": "u", "ONSHORE_CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "password")}
    assert read_credentials(None, environment) == ("u", PASSWORD)
    with pytest.raises(SettingsError, match="ONSHORE_CLICKHOUSE_PASSWORD_FILE"):
        read_credentials(None, {"ONSHORE_CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "missing")})


def test_a_password_is_in_no_text_form_of_the_settings() -> None:
    settings = Settings("http://127.0.0.1:8123", "u", PASSWORD)
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in str(settings)
    assert Settings.from_secrets(settings.as_secrets()) == settings


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "0"], "ONSHORE_CLICKHOUSE_URL"),
        (["--store-url", "ftp://127.0.0.1"], "--store-url"),
        (["--store-url", f"http://u:{PASSWORD}@127.0.0.1:8123"], "--store-url"),
        (["--store-url", f"http://127.0.0.1:8123/?password={PASSWORD}"], "--store-url"),
        (["--store-url", "http://127.0.0.1:8123", "--credentials", "/nowhere/c.json"], "--credentials"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    arguments: list[str], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ONSHORE_CLICKHOUSE_URL", raising=False)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1
    assert PASSWORD not in said


def test_a_busy_port_is_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--store-url", "http://127.0.0.1:8123", "--port", str(port)]) == 2
    assert "--port" in capsys.readouterr().err


def test_the_policy_lets_only_known_inline_scripts_run() -> None:
    policy = content_security_policy("<script>let a = 1</script><script src='x.js'></script>")
    assert policy.count("'sha256-") == 1
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert "http" not in policy
