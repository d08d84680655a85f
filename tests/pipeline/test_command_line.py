"""What the `onshore` command passes on, and which settings it refuses to serve with."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from dashboard_stack import running_store
from onshore_pipeline import assembly
from onshore_pipeline.commands.elsewhere import whole
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import load_settings
from running_stack import run_onshore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        (["collect", "cloudtrail", "--", "-x"], ["collect", "--", "cloudtrail", "--", "-x"]),
        (["status", "--json"], ["status", "--json"]),
        ([], []),
    ],
)
def test_a_command_of_another_part_is_left_as_it_was_typed(typed: list[str], parsed: list[str]) -> None:
    assert whole(typed, debug=False) == parsed


def test_a_path_after_two_dashes_arrives_at_the_collector(tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "collect", "cloudtrail", "--otlp", "http://127.0.0.1:9", "--", "--no-such-path")
    assert "--no-such-path" in done.stderr
    assert "No such option" not in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("place", [0, 3])
def test_a_collectors_traceback_is_shown_when_asked_for(tmp_path: Path, place: int) -> None:
    arguments = ["collect", "host", "--once", "--data-dir", "nowhere"]
    assert "Traceback" not in run_onshore(tmp_path, *arguments).stderr
    arguments.insert(place, "--debug")
    assert "Traceback" in run_onshore(tmp_path, *arguments).stderr


def test_what_a_command_logs_is_no_part_of_its_report() -> None:
    program = (
        "import atexit, structlog, sys\n"
        "from onshore_pipeline.__main__ import main\n"
        "atexit.register(lambda: structlog.get_logger().warning('said on the way'))\n"
        "sys.argv = ['onshore', '--version']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{metadata.version('onshore')}\n"
    assert "said on the way" in done.stderr


def test_the_command_line_loads_no_heavy_library_before_a_command_needs_it() -> None:
    heavy = {"clickhouse_connect", "kafka", "numba", "numpy", "polars", "pyarrow", "sqlglot", "streamlit", "typst"}
    program = f"import sys, onshore_pipeline.__main__; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_what_would_be_migrated_can_be_read_by_a_program(tmp_path: Path) -> None:
    with running_store(tmp_path) as running:
        writer = json.loads(running.credentials.read_text())["writer"]
        (tmp_path / "password").write_text(writer["password"])
        (tmp_path / "onshore.toml").write_text(
            f'clickhouse_url = "{running.url}"\nclickhouse_user = "{writer["user"]}"\n'
            f'clickhouse_password_file = "{tmp_path / "password"}"\n'
        )
        admin = running.admin()
        admin.command("TRUNCATE TABLE schema_migrations")
        admin.close()
        done = run_onshore(tmp_path, "migrate", "--plan", "--json")
    planned = json.loads(done.stdout)
    assert [each["version"] for each in planned] == list(range(1, len(planned) + 1))
    assert planned[0] == {"version": 1, "name": "first_tables", "applied": False}
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["clickhouse_cluster"])
def test_a_setting_that_nothing_follows_yet_is_refused(tmp_path: Path, name: str) -> None:
    settings = load_settings({"data_dir": tmp_path, name: "x"})
    with pytest.raises(SettingsError, match=f"{name}: is not supported yet"):
        assembly.store_client(settings)
    (tmp_path / "onshore.toml").write_text(f'{name} = "x"\n')
    for command in (("up", "--data-dir", "d"), ("migrate", "--data-dir", "d")):
        done = run_onshore(tmp_path, *command)
        assert done.stderr == f"onshore: setting {name}: is not supported yet; leave it out\n"
        assert done.returncode == 2
