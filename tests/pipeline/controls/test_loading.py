from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.controls import load
from onshore_pipeline.controls.examples import run_examples
from onshore_pipeline.controls.load import PACKS, check_controls, load_controls
from onshore_pipeline.controls.yaml_source import Source
from onshore_pipeline.domain.control import Clock
from onshore_pipeline.domain.verdict import Verdict
from onshore_pipeline.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = """\
id: NO-TEST-01
version: 2
title: Norway is a country
jurisdiction: NO
instrument: A test
effective_from: 2024-01-01
effective_to: null
confidence: policy
checked_on: 2026-11-21
kind: review
severity: low
outcomes: [success]
clock: {start: aware, deadline: 20bd, zone: Europe/Oslo, holidays: no}
domain: data_movement
applies: array_contains(home_jurisdictions, 'NO')
violated: >-
  destination_country <> 'NO'
  AND transfer_basis = 'none'
group_by: [tenant, dataset]
needs: something
rationale: something
evidence: something
remediation: something
maps_to: []
examples:
  - name: it leaves
    event: {home_jurisdictions: [NO], destination_country: SE, transfer_basis: none, bytes: 010, dataset: 12:30}
    verdict: violated
  - name: it stays
    event: {home_jurisdictions: [NO], destination_country: NO}
    verdict: satisfied
  - name: nobody knows
    event: {home_jurisdictions: [NO]}
    verdict: undetermined
    missing: destination_country
"""


def _write(folder: Path, text: str, name: str = "control.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _problems(folder: Path, text: str) -> list[str]:
    """Each problem as LINE:COLUMN: why."""
    path = _write(folder, text)
    controls, problems, _ = check_controls(path)
    assert not controls
    return [str(problem).removeprefix(f"{path}:") for problem in problems]


def test_norway_noon_and_leading_zeros_are_texts_until_the_schema_says_otherwise(tmp_path: Path) -> None:
    [control] = load_controls(_write(tmp_path, GOOD)).controls
    assert control.jurisdiction == "NO"
    assert control.effective_to is None
    assert control.clock == Clock("aware", "20bd", "Europe/Oslo", "no")
    event = control.examples[0].event
    assert event["home_jurisdictions"] == ("NO",)
    assert event["bytes"] == 10
    assert event["dataset"] == "12:30"


WRONG = [
    ("jurisdiction: NO", "jurisdiction: Norway", "4:15: jurisdiction must be an alpha-2 code"),
    ("severity: low", "severity: lowest", "11:11: severity is one of info, low"),
    ("severity: low", "severty: low", "11:1: a control has no field severty; did you mean severity?"),
    ("title: Norway is a country\n", "", "1:1: the field title is missing"),
    ("version: 2", "version: two", "2:10: version must be a positive integer"),
    ("2024-01-01", "01/01/2024", "6:17: effective_from must be a date"),
    ("effective_to: null", "effective_to: 2023-01-01", "7:15: effective_to lies before effective_from"),
    ("2024-01-01", "2262-04-12", "6:17: effective_from 2262-04-12: no event can lie then"),
    ("2024-01-01\neffective_to: null", "0001-01-01\neffective_to: 1677-09-20", "7:15: effective_to 1677-09-20: no"),
    ("2026-11-21", "9999-12-31", "9:13: checked_on 9999-12-31 is no day on which a control was checked"),
    ("deadline: 20bd", "deadline: soon", "13:33: deadline is written 72h, 30d, 20bd or 1mo"),
    ("Europe/Oslo", "Europe/Olso", "13:45: zone: no time zone is named 'Europe/Olso'; did you mean Europe/Oslo?"),
    ("Europe/Oslo", "null", "13:45: zone: no time zone is named 'null'"),
    ("Europe/Oslo", "../../etc/passwd", "13:45: zone: no time zone is named '../../etc/passwd'"),
    ("holidays: no", "holidays: ../../etc/passwd", "13:68: holidays names a list in letters, digits, _ and -"),
    (", holidays: no", "", "13:33: business days need a zone and a list of holidays"),
    ("outcomes: [success]", "outcomes: [unknown]", "12:12: outcomes is one of success, failure, denied"),
    ("domain: data_movement", "domain: data", "14:9: domain is one of"),
    ("(home_jurisdictions, 'NO')", "(home, 'NO')", "15:25: applies: there is no column home"),
    ("<> 'NO'", "<> 'no'", "17:26: violated: destination_country holds upper-case"),
    ("AND transfer_basis =", "AND transfer_base =", "18:7: violated: there is no column transfer_base"),
    ("group_by: [tenant, dataset]", "group_by: [dataset]", "19:11: group_by must hold tenant"),
    ("group_by: [tenant, dataset]", "group_by: [tenant, datset]", "19:20: group_by: there is no column datset"),
    ("group_by: [tenant, dataset]", "group_by: [tenant, categories]", "19:20: categories cannot group findings"),
    ("needs: something", "needs: ''", "20:8: needs is empty"),
    ("needs: something", "needs: &n something", "20:8: anchors and aliases"),
    ("needs: something", "needs: !!python/name:os.system x", "20:8: tags have no place"),
    ("needs: something", "needs: a\nneeds: b", "21:1: needs stands here twice"),
    ("destination_country: SE", "destination_country: Sweden", "27:60: destination_country holds upper-case"),
    ("bytes: 010", "bytes: -1", "27:93: bytes must be an integer from 0"),
    ("{home_jurisdictions: [NO]}", "{occurred_at: 2300-01-01T00:00:00Z}", "33:26: occurred_at 2300-01-01"),
    ("{home_jurisdictions: [NO]}", "{occurred_at: 0001-01-01T00:00+14:00}", "33:26: occurred_at 0001-01-01"),
    ("verdict: satisfied", "verdict: fine", "31:14: verdict is one of"),
    ("verdict: satisfied", "verdict: violated", "26:3: the examples show no event that is satisfied"),
    ("{home_jurisdictions: [NO]}", "{home_jurisdiction: [NO]}", "33:13: the event of an example has no field"),
    ("needs: something", "needs: [", "22:9: not YAML"),
    ("id: NO-TEST-01", "id: test", "1:5: id must be an id in capitals"),
]


@pytest.mark.parametrize(("good", "wrong", "expected"), WRONG, ids=[expected for *_, expected in WRONG])
def test_a_mistake_is_named_with_line_and_column(tmp_path: Path, good: str, wrong: str, expected: str) -> None:
    assert good in GOOD
    problems = _problems(tmp_path, GOOD.replace(good, wrong, 1))
    assert any(problem.startswith(expected) for problem in problems), problems


def test_every_problem_of_a_file_is_shown_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("severity: low", "severity: lowest").replace("basis = 'none'", "basis IS NULL")
    assert [problem.split(":")[0] for problem in _problems(tmp_path, text)] == ["11", "18"]


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ("violated: 'dataset <> ''x'' AND bites > 1'", 16, 33),
        ("violated: \"dataset <> 'x' AND\\n bites > 1\"", 16, 33),
        ("violated: |\n  dataset <> 'x'\n    AND bites > 1", 18, 9),
        ("violated: dataset <> 'x'\n  AND bites > 1", 17, 7),
    ],
)
def test_a_typo_is_found_however_the_condition_is_quoted(tmp_path: Path, written: str, line: int, column: int) -> None:
    text = re.sub(r"violated: >-\n.*\n.*\n", written.replace("\\", "\\\\") + "\n", GOOD)
    assert _problems(tmp_path, text)[0].startswith(f"{line}:{column}: violated: there is no column bites; did you mean")


def test_a_control_nobody_checked_is_disabled_and_still_has_to_be_right(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD.replace("confidence: policy", "confidence: check"))
    controls = load_controls(path)
    assert [control.status for control in controls.controls] == ["disabled"]
    assert controls.executable == ()


def test_a_control_that_people_carry_out_needs_no_condition(tmp_path: Path) -> None:
    kept = [
        line
        for line in GOOD.split("examples:", maxsplit=1)[0].splitlines()
        if not line.startswith(("domain", "applies", "violated", "  ", "group_by", "needs"))
    ]
    controls = load_controls(_write(tmp_path, "\n".join([*kept, "status: review"])))
    assert [control.status for control in controls.controls] == ["review"]
    assert controls.executable == ()


def test_one_id_in_two_files_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path, GOOD, "a.yaml")
    _write(tmp_path, GOOD, "b.yaml")
    with pytest.raises(ControlError, match=r"b\.yaml:1:1: NO-TEST-01 is the id of .*a\.yaml, too"):
        load_controls(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"- a", b"\xff", b"a: [", b"\x00", b"{" * 1_000, b"a" * 2_000_000, b"a: *b"])
def test_a_file_that_is_no_control_is_one_readable_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "control.yaml"
    path.write_bytes(raw)
    with pytest.raises(ControlError) as caught:
        load_controls(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_an_error_and_not_a_clean_bill(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="holds no control"):
        load_controls(tmp_path)


def test_the_digest_changes_with_every_byte_of_a_control_or_list(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD)
    digests = {load_controls(path).digest}
    _write(tmp_path, GOOD + "# a remark\n")
    digests.add(load_controls(path).digest)
    _write(tmp_path, "member,valid_from,valid_to,source\nSE,,,\n", "lists/nordic.csv")
    digests.add(load_controls(tmp_path).digest)
    assert len(digests) == 3


def test_a_deployment_adds_controls_and_lists_to_those_that_ship(tmp_path: Path) -> None:
    _write(tmp_path, GOOD.replace("<> 'NO'", "NOT IN ('NO', @nordic, @eea)").replace("country: SE,", "country: US,"))
    _write(tmp_path, "member,valid_from,valid_to,source\nSE,2024-01-01,,\n", "lists/nordic.csv")
    controls = load_controls(PACKS, tmp_path)
    assert controls.control("NO-TEST-01") in controls.controls
    assert len(controls.executable) == len(load_controls().executable) + 1


def test_a_control_is_read_again_once_it_or_a_list_changed_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    class Seen(Source):
        def __init__(self, path: Path, raw: bytes) -> None:
            read.append(path.name)
            super().__init__(path, raw)

    monkeypatch.setattr(load, "Source", Seen)
    one = _write(tmp_path, GOOD, "one.yaml")
    _write(tmp_path, GOOD.replace("NO-TEST-01", "NO-TEST-02"), "two.yaml")

    def loaded() -> list[str]:
        read.clear()
        load_controls(tmp_path)
        return sorted(read)

    assert loaded() == ["one.yaml", "two.yaml"]
    assert loaded() == []
    before = load_controls(tmp_path)
    one.write_text(GOOD.replace("<> 'NO'", "<> 'SE'"))
    assert loaded() == ["one.yaml"]
    assert load_controls(tmp_path).digest != before.digest
    one.write_text(GOOD.replace("<> 'NO'", "<> 'NO"))
    with pytest.raises(ControlError):
        load_controls(tmp_path)
    one.write_text(GOOD)
    assert loaded() == ["one.yaml"]
    assert load_controls(tmp_path).digest == before.digest
    _write(tmp_path, "member,valid_from,valid_to,source\nSE,,,\n", "lists/nordic.csv")
    assert loaded() == ["one.yaml", "two.yaml"]


def test_the_packs_judge_six_jurisdictions_and_sovereignty_with_citations() -> None:
    controls = load_controls().controls
    executable = [control for control in controls if control.status == "executable"]
    assert len(executable) >= 40
    assert {control.jurisdiction for control in executable} == {"AU", "JP", "MY", "SG", "US", "EU", "*"}
    for control in controls:
        assert Path(control.file).stem == control.id
        assert control.group_by[0] == "tenant" if control.group_by else control.status != "executable"
    for control in executable:
        assert {example.verdict for example in control.examples} == set(Verdict), control.id
        assert control.maps_to, control.id
        if control.jurisdiction != "*":
            assert control.confidence in {"sure", "likely"}, control.id


def test_what_is_not_sure_enough_ships_without_a_verdict() -> None:
    unsure = [control for control in load_controls().controls if control.confidence == "check"]
    assert {control.status for control in unsure} == {"disabled", "catalogue"}


def test_what_telemetry_cannot_decide_says_what_it_would_take() -> None:
    for control in load_controls().controls:
        if control.status in {"catalogue", "clock"}:
            assert len(control.needs) > 40, control.id
            assert (control.applies, control.violated) == ("", "")
        if control.status == "clock":
            assert control.clock is not None


def test_every_clock_is_started_by_the_findings_of_a_control_that_is_judged() -> None:
    controls = load_controls().controls
    started = {name for control in controls if control.status == "executable" for name in control.clocks}
    assert {control.id for control in controls if control.status == "clock"} - started == set()


def test_a_finding_starts_only_clocks_that_exist(tmp_path: Path) -> None:
    good = GOOD.replace("kind: review", "kind: review\nclocks: [EU-GDPR33-72H]")
    [control] = load_controls(_write(tmp_path, good)).controls
    assert control.clocks == ("EU-GDPR33-72H",)
    for name, why in (("EU-GDPR33-72", "no control is named"), ("EU-CSF", "is no clock, its status is review")):
        path = _write(tmp_path, good.replace("EU-GDPR33-72H", name))
        with pytest.raises(ControlError, match=why) as caught:
            load_controls(tmp_path)
        line = good.splitlines().index("clocks: [EU-GDPR33-72H]") + 1
        assert str(caught.value).startswith(f"{path}:{line}:10: clocks:")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("country,from,to,source\n", "1: the first line must be member,valid_from,valid_to,source"),
        ("member,valid_from,valid_to,source\nSE,2024,,\n", "2: '2024' is not a date"),
        ("member,valid_from,valid_to,source\nSE,,\n", "2: expected 4 fields"),
        ("member,valid_from,valid_to,source\nSE,2024-02-01,2024-01-01,\n", "2: SE ends"),
        ("member,valid_from,valid_to,source\n,,,\n", "2: the member is empty"),
        ("member,valid_from,valid_to,source\nSE,2262-04-12,,\n", "2: no event can lie in the time of SE"),
        ("member,valid_from,valid_to,source\nSE,,1677-09-20,\n", "2: no event can lie in the time of SE"),
    ],
)
def test_a_mistake_in_a_list_is_named_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    _write(tmp_path, GOOD)
    path = _write(tmp_path, text, "lists/nordic.csv")
    with pytest.raises(ControlError) as caught:
        load_controls(tmp_path)
    assert str(caught.value).startswith(f"{path}:{why}")


def test_a_member_that_a_column_never_holds_is_named_with_its_list_and_line(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD.replace("  destination_country <> 'NO'", "  source_country NOT IN ('AU', @mine)"))
    mine = _write(tmp_path, "member,valid_from,valid_to,source\nNO,,,\n\nchina,2024-01-01,,\n", "lists/mine.csv")
    [problem] = check_controls(path)[1]
    assert str(problem).startswith(f"{path}:17:32: ")
    why = "source_country holds upper-case ISO 3166 alpha-2 codes, never 'china'"
    assert problem.why == f"violated: {mine}:4: {why}"


def test_every_bad_list_is_reported_and_the_good_ones_are_read(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    for name in ("bad", "worse"):
        _write(tmp_path, "member\n", f"lists/{name}.csv")
    _write(tmp_path, "member,valid_from,valid_to,source\nNO,,,\n", "lists/good.csv")
    _, problems, lists = check_controls(tmp_path)
    assert [Path(each.file).name for each in problems] == ["bad.csv", "worse.csv"]
    assert "good" in lists


@pytest.mark.parametrize("name", ["lists/nordic.csv", "other.yaml"])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.mkdir(), "cannot be read: Is a directory; take it away"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory; take it away"),
        (os.mkfifo, "is a pipe or a device, not a file: take it away"),
        (lambda path: path.symlink_to("/dev/zero"), "is a pipe or a device, not a file: take it away"),
        (lambda path: path.write_bytes(b"#" * 1_000_001), "larger than 1000000 bytes: neither a control nor a list"),
    ],
    ids=["folder", "dangling link", "pipe", "device", "large"],
)
def test_what_is_no_readable_file_is_one_readable_error(
    tmp_path: Path, name: str, make: Callable[[Path], object], why: str
) -> None:
    _write(tmp_path, GOOD)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    _, problems, _ = check_controls(tmp_path)
    [problem] = problems
    assert str(problem).startswith(f"{path}: {why}")


def test_a_list_of_the_deployment_takes_the_place_of_one_that_ships(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    _write(tmp_path, "member,valid_from,valid_to,source\nXX,2025-04-08,,ours\n", "lists/us_dsp_coc.csv")
    controls = load_controls(PACKS, tmp_path)
    [compiled] = [each for each in controls.executable if each.control.id == "US-DSP401-01"]
    assert "destination_country IN ('XX')" in compiled.polars.violated


def test_the_control_in_the_documentation_is_valid_and_passes_its_examples(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "controls.md").read_text(encoding="utf-8")
    block = page[page.index("    id: AU-APP8-01") :].split("\n\n", 1)[0]
    [compiled] = load_controls(_write(tmp_path, textwrap.dedent(block))).executable
    assert [result.example.name for result in run_examples(compiled) if not result.passed] == []


def test_the_documentation_names_every_list_that_ships() -> None:
    page = (Path(__file__).parents[3] / "docs" / "controls.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `@(\w+)`", page, re.MULTILINE)) == set(load_controls().lists)
