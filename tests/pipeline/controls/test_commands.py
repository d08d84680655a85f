from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from onshore_pipeline.commands.controls import app
from onshore_pipeline.controls.load import PACKS
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

APP8_TEXT = (PACKS / "au" / "AU-APP8-01.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONSHORE_CONTROLS_DIR", raising=False)


def _run(*arguments: str) -> Result:
    """Run a subcommand; its exit code is what it returns."""
    result = CliRunner().invoke(app, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def test_the_list_carries_what_scripts_rely_on() -> None:
    rows = json.loads(_run("list", "--json").stdout)
    by_status = Counter(row["status"] for row in rows)
    assert by_status.keys() == {"executable", "review", "clock", "catalogue", "disabled"}
    assert by_status["executable"] >= 40
    assert {"id", "version", "jurisdiction", "title", "kind", "severity", "status"} <= rows[0].keys()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_the_list_can_be_narrowed_to_a_jurisdiction() -> None:
    of_japan = [row["id"] for row in json.loads(_run("list", "--json", "--jurisdiction", "jp").stdout)]
    assert "JP-APPI28-01" in of_japan
    assert all(name.startswith("JP-") for name in of_japan)
    assert "JP-APPI28-01" in _run("list", "--jurisdiction", "JP").stdout


@pytest.mark.parametrize(
    "arguments", [("list",), ("show", "AU-APP8-01"), ("validate", str(PACKS)), ("test", str(PACKS / "au"))]
)
def test_every_subcommand_takes_a_data_directory(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert _run(*arguments, "--data-dir", str(tmp_path)).stdout == _run(*arguments).stdout


def test_a_control_is_shown_as_it_stands_in_its_file() -> None:
    shown = _run("show", "AU-APP8-01").stdout
    assert shown.startswith(APP8_TEXT.rstrip())
    assert "# status: executable" in shown


def test_a_control_is_shown_with_the_sql_made_from_it() -> None:
    shown = json.loads(_run("show", "AU-APP8-01", "--json").stdout)
    assert shown["effective_from"] == "2014-03-12"
    assert shown["sql"]["clickhouse"].startswith("CASE WHEN NOT")


def test_an_unknown_control_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(OnshoreError, match="no control has the id AU-APP8-1; did you mean AU-APP8-01"):
        _run("show", "AU-APP8-1")


def test_shipped_controls_are_valid_and_pass_their_examples() -> None:
    assert _run("validate", str(PACKS)).return_value == 0
    result = _run("test")
    assert result.return_value == 0
    assert re.search(r"\d{3} examples of \d{3} controls: 0 failed", result.stdout)


def test_a_typo_is_shown_with_its_place_and_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(APP8_TEXT.replace("violated: destination_country", "violated: destinatoin_country"))
    result = _run("validate", str(path))
    assert result.return_value == 2
    problem = "violated: there is no column destinatoin_country; did you mean destination_country?"
    assert f"{path}:17:11: {problem}" in result.stderr
    listed = json.loads(_run("validate", str(path), "--json").stdout)
    assert [(each["line"], each["column"]) for each in listed["problems"]] == [(17, 11)]


def test_an_example_that_expects_another_verdict_fails_the_test(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(APP8_TEXT.replace("transfer_basis: none}", "transfer_basis: contract}", 1))
    result = _run("test", str(path))
    assert result.return_value == 1
    assert "WRONG AU-APP8-01: customer records copied" in result.stdout
    assert "expected violated; got satisfied" in result.stdout
    assert json.loads(_run("test", str(path), "--json").stdout)[0]["passed"] is False


def test_a_path_that_does_not_exist_is_one_readable_error() -> None:
    with pytest.raises(OnshoreError, match="does not exist"):
        _run("validate", "/nowhere")


def test_controls_of_the_deployment_stand_beside_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.yaml").write_text(APP8_TEXT.replace("AU-APP8-01", "AU-OWN-01"))
    monkeypatch.setenv("ONSHORE_CONTROLS_DIR", str(folder))
    assert {"AU-OWN-01", "AU-APP8-01"} <= {row["id"] for row in json.loads(_run("list", "--json").stdout)}


def test_the_statuses_are_counted_apart() -> None:
    rows = json.loads(_run("list", "--json").stdout)
    counted = json.loads(_run("list", "--counts", "--json").stdout)
    assert counted == {status: sum(row["status"] == status for row in rows) for status in counted}
    assert counted.keys() == {"executable", "review", "clock", "catalogue", "disabled"}
    assert _run("list").stdout.splitlines()[-1] == ", ".join(f"{number} {status}" for status, number in counted.items())
    assert len(_run("list", "--counts").stdout.splitlines()) == 1


def test_the_results_can_be_written_for_continuous_integration(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(APP8_TEXT.replace("transfer_basis: none}", "transfer_basis: contract}", 1))
    (tmp_path / "unreadable.yaml").write_text("id: [")
    report = tmp_path / "report" / "junit.xml"
    assert _run("test", str(tmp_path), "--junit", str(report)).return_value == 2
    root = ET.fromstring(report.read_text(encoding="utf-8"))
    assert (root.get("failures"), root.get("errors")) == ("1", "1")
    cases = root.findall(".//testcase")
    assert root.get("tests") == str(len(cases))
    [failure] = root.findall(".//failure")
    assert failure.get("message") == "expected violated; got satisfied"


def test_what_xml_cannot_hold_is_replaced_in_the_report(tmp_path: Path) -> None:
    assert "  - name: " in APP8_TEXT
    place = APP8_TEXT.index("  - name: ") + len("  - name: ")
    rest = APP8_TEXT[APP8_TEXT.index("\n", place) :]
    (tmp_path / "odd.yaml").write_text(APP8_TEXT[:place] + r'"a\x01b\uFFFF<\"&"' + rest)
    report = tmp_path / "junit.xml"
    assert _run("test", str(tmp_path), "--junit", str(report)).return_value == 0
    names = [case.get("name") for case in ET.fromstring(report.read_bytes()).findall(".//testcase")]
    assert names[0] == 'a\ufffdb\ufffd<"&'


def test_the_test_counts_its_examples_by_verdict() -> None:
    counted = _run("test", str(PACKS / "jp")).stdout.splitlines()[-2]
    assert re.fullmatch(r"\d+ satisfied, \d+ violated, \d+ undetermined, \d+ not applicable", counted)


def test_a_report_that_cannot_be_written_is_one_readable_error(tmp_path: Path) -> None:
    with pytest.raises(OnshoreError, match="cannot be written"):
        _run("test", str(PACKS / "jp"), "--junit", str(tmp_path))
