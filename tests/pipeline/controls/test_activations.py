"""Two texts of one control side by side: each judges the events of its own time, and decisions stand in a file."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from onshore_pipeline.commands.activate import activate_control, withdraw_control
from onshore_pipeline.controls.activating import Planned, plan_activation, plan_retirement, plan_withdrawal
from onshore_pipeline.controls.activations import FILE_NAME, WITHDRAWN, read_activations, standing
from onshore_pipeline.controls.compiled import Span
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.controls.examples import example_events, run_examples
from onshore_pipeline.controls.load import PACKS, ControlSet, check_controls, load_controls
from onshore_pipeline.controls.windowed_verdicts import begins_within
from onshore_pipeline.errors import ControlError, OnshoreError
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = "AU-APP8-01"
SHIPPED = (PACKS / "au" / f"{CONTROL}.yaml").read_text(encoding="utf-8")
FIRST = 2  # the version that ships
NEXT = SHIPPED.replace(f"version: {FIRST}\n", "version: 8\n", 1)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
AT = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the deployment, beside a folder with one control that ships."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / f"{CONTROL}.yaml").write_text(SHIPPED, encoding="utf-8")
    folder = tmp_path / "controls"
    folder.mkdir()
    own = SHIPPED.replace(f"id: {CONTROL}\n", "id: OWN-01\n", 1).replace("clocks: [", "#clocks: [")
    (folder / "OWN-01.yaml").write_text(own, encoding="utf-8")
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "next.yaml"
    file.write_text(NEXT, encoding="utf-8")
    return file


def _activate(text: Path, folder: Path, at: datetime = AT, now: datetime = NOW) -> Planned:
    planned = plan_activation(
        text, folder, "ada", "the regulator changed its mind", at, now, shipped=folder.parent / "shipped"
    )
    planned.carry_out()
    return planned


def _loaded(folder: Path) -> ControlSet:
    return load_controls(folder.parent / "shipped", folder)


def _versions(controls: ControlSet, *times: datetime) -> list[list[int]]:
    """The versions of the control that judged an event of each of these times, if any did."""
    control = next(each.control for each in controls.executable if each.control.id == CONTROL)
    event = example_events(control)[:1]
    found = []
    for time in times:
        at = event.with_columns(pl.lit(time).dt.cast_time_unit("ns").alias("occurred_at"))
        counts = judge(at, controls).counts.filter(pl.col("control_id") == CONTROL)
        found.append(counts["control_version"].to_list())
    return found


def test_each_text_judges_the_events_of_its_own_time(folder: Path, text: Path) -> None:
    _activate(text, folder)
    controls = _loaded(folder)
    before, after = AT - timedelta(microseconds=1), AT
    assert _versions(controls, before, after, AT + timedelta(days=3000)) == [[FIRST], [8], [8]]
    assert controls.digest != load_controls(folder.parent / "shipped").digest
    newest = controls.control(CONTROL)
    assert newest is not None
    assert newest.version == 8


def test_a_control_that_is_taken_out_of_force_judges_no_later_event(folder: Path) -> None:
    plan_retirement(CONTROL, folder, "ada", "repealed", AT, NOW, shipped=folder.parent / "shipped").carry_out()
    assert _versions(_loaded(folder), AT - timedelta(days=1), AT) == [[FIRST], []]


def test_decisions_follow_one_another_and_none_is_forgotten(folder: Path, text: Path) -> None:
    _activate(text, folder)
    text.write_text(NEXT.replace("version: 8", "version: 9", 1), encoding="utf-8")
    later = AT + timedelta(days=30)
    _activate(text, folder, later)
    plan_retirement(
        CONTROL, folder, "grace", "repealed", later + timedelta(days=1), NOW, shipped=folder.parent / "shipped"
    ).carry_out()
    times = (AT - timedelta(days=1), AT, later, later + timedelta(days=1))
    assert _versions(_loaded(folder), *times) == [[FIRST], [8], [9], []]
    lines = read_activations(folder / FILE_NAME)
    assert [(line.version, line.who) for line in lines] == [(8, "ada"), (9, "ada"), (0, "grace")]
    assert lines[0].effective_at == AT
    assert lines[0].reason == "the regulator changed its mind"


def test_a_text_from_anywhere_is_read_with_the_lists_and_clocks_of_the_deployment(folder: Path, text: Path) -> None:
    for where, name, member in (
        (folder, "nordic", "NO"),
        (folder, "apec_cbpr", "JP"),
        (text.parent, "apec_cbpr", "US"),
    ):
        (where / "lists").mkdir(exist_ok=True)
        (where / "lists" / f"{name}.csv").write_text(f"member,valid_from,valid_to,source\n{member},,,\n")
    clock = (PACKS / "au" / "AU-CPS230-24H.yaml").read_text(encoding="utf-8")
    (folder / "OWN-24H.yaml").write_text(clock.replace("AU-CPS230-24H", "OWN-24H", 1), encoding="utf-8")
    # US is on the list that ships and on the one beside the text, and the text's example says that it violates.
    listed = NEXT.replace("('AU', @au_app8_prescribed)", "('AU', @nordic, @apec_cbpr)")
    assert listed != NEXT
    text.write_text(re.sub(r"\nclocks: .*", "\nclocks: [OWN-24H]", listed), encoding="utf-8")
    _activate(text, folder)
    assert _versions(_loaded(folder), AT) == [[8]]


def test_the_examples_of_a_text_run_whatever_its_time_is(folder: Path, text: Path) -> None:
    _activate(text, folder, NOW + timedelta(days=3650))
    found, problems, _ = check_controls(folder.parent / "shipped", folder)
    assert not problems
    for compiled in (each for each in found if each.control.id == CONTROL):
        assert all(result.passed for result in run_examples(compiled))


def test_a_text_that_was_changed_after_it_was_activated_is_refused(folder: Path, text: Path) -> None:
    planned = _activate(text, folder)
    file = folder / planned.file_name
    file.write_text(file.read_text(encoding="utf-8") + "# nobody will notice\n", encoding="utf-8")
    _, problems, _ = check_controls(folder.parent / "shipped", folder)
    assert any("no file holds the text that was activated" in str(problem) for problem in problems)
    with pytest.raises(ControlError):
        _loaded(folder)


def test_two_texts_of_which_nobody_decided_are_refused(folder: Path, text: Path) -> None:
    (folder / "mine.yaml").write_bytes(text.read_bytes())
    with pytest.raises(ControlError, match=f"{CONTROL} is the id of .*{CONTROL}.yaml, too"):
        _loaded(folder)


@pytest.mark.parametrize(
    ("written", "at", "why"),
    [
        (SHIPPED, AT, "this very text is in"),
        (SHIPPED + "# a remark\n", AT, f"version {FIRST} is that of"),
        (NEXT, NOW, "must lie at least 10 s ahead"),
        (NEXT, NOW - timedelta(days=1), "must lie at least 10 s ahead"),
        (NEXT, datetime(2300, 1, 1, tzinfo=UTC), "is no time of a decision: they lie between 1970 and 2262-04-11"),
        (NEXT.replace("transfer_basis = 'none'", "transfer_basis = 'consent'"), AT, "the example "),
        (NEXT.replace("violated: ", "violated: no_column = 'x' AND ", 1), AT, "there is no column no_column"),
        (NEXT.replace("confidence: sure", "confidence: check"), AT, "only what is executable"),
    ],
)
def test_what_cannot_be_put_into_force_changes_nothing(
    folder: Path, text: Path, written: str, at: datetime, why: str
) -> None:
    text.write_text(written, encoding="utf-8")
    with pytest.raises(OnshoreError, match=why):
        _activate(text, folder, at)
    assert [file.name for file in folder.iterdir()] == ["OWN-01.yaml"]


def test_a_text_that_looks_at_more_than_one_event_judges_what_begins_in_its_time(folder: Path, text: Path) -> None:
    shipped = (PACKS / "sovereignty" / "SOV-19-01.yaml").read_text(encoding="utf-8")
    (folder.parent / "shipped" / "SOV-19-01.yaml").write_text(shipped, encoding="utf-8")
    text.write_text(shipped.replace("version: 1\n", "version: 2\n", 1), encoding="utf-8")
    before = _loaded(folder)
    _activate(text, folder)
    plan_retirement(
        "SOV-19-01", folder, "grace", "over", AT + timedelta(days=9), NOW, shipped=folder.parent / "shipped"
    ).carry_out()
    controls = _loaded(folder)
    assert controls.digest != before.digest
    texts = [each for each in controls.windowed if each.control.id == "SOV-19-01"]
    at_ns, end_ns = (int(moment.timestamp()) * 10**9 for moment in (AT, AT + timedelta(days=9)))
    assert [(each.control.version, each.span) for each in texts] == [(1, Span(None, at_ns)), (2, Span(at_ns, end_ns))]
    begins = pl.DataFrame({"since": [at_ns - 1, at_ns, end_ns - 1, end_ns]})
    judged = [begins.select(begins_within(each)).to_series().to_list() for each in texts]
    assert judged == [[True, False, False, False], [False, True, True, False]]


def test_a_text_for_single_events_does_not_follow_one_for_windows(folder: Path, text: Path) -> None:
    windowed = (PACKS / "sovereignty" / "SOV-19-01.yaml").read_text(encoding="utf-8")
    (folder.parent / "shipped" / "SOV-19-01.yaml").write_text(windowed, encoding="utf-8")
    text.write_text(NEXT.replace(f"id: {CONTROL}\n", "id: SOV-19-01\n", 1), encoding="utf-8")
    with pytest.raises(OnshoreError, match="looks at single events and another at more than one"):
        _activate(text, folder)


def test_an_earlier_time_than_the_last_decisions_is_refused(folder: Path, text: Path) -> None:
    _activate(text, folder)
    text.write_text(NEXT.replace("version: 8", "version: 9", 1), encoding="utf-8")
    with pytest.raises(ControlError, match="effective_at must lie behind"):
        _activate(text, folder, AT)
    assert len(read_activations(folder / FILE_NAME)) == 1


def _withdraw(folder: Path, now: datetime = NOW) -> Planned:
    planned = plan_withdrawal(CONTROL, folder, "omar", "the wrong day", now, shipped=folder.parent / "shipped")
    planned.carry_out()
    return planned


def test_a_decision_that_is_not_in_force_yet_is_withdrawn_and_an_earlier_one_possible(folder: Path, text: Path) -> None:
    digest = _loaded(folder).digest
    _activate(text, folder, AT + timedelta(days=180))
    planned = _withdraw(folder, NOW + timedelta(days=1))
    assert (planned.before, planned.withdrawn and planned.withdrawn.version) == (FIRST, 8)
    assert _versions(_loaded(folder), AT, AT + timedelta(days=365)) == [[FIRST], [FIRST]]
    assert _loaded(folder).digest == digest
    _activate(text, folder, AT)  # the very text whose copy lies there
    assert _versions(_loaded(folder), AT - timedelta(days=1), AT) == [[FIRST], [8]]
    lines = read_activations(folder / FILE_NAME)
    assert [(each.digest == WITHDRAWN, each.who, each.version) for each in lines] == [
        (False, "ada", 8), (True, "omar", 8), (False, "ada", 8),
    ]  # fmt: skip
    assert standing(lines) == [lines[2]]
    assert (lines[1].reason, lines[1].recorded_at) == ("the wrong day", NOW + timedelta(days=1))


def test_decisions_are_withdrawn_from_the_last_one_on(folder: Path, text: Path) -> None:
    _activate(text, folder)
    end = AT + timedelta(days=1)
    plan_retirement(CONTROL, folder, "ada", "repealed", end, NOW, shipped=folder.parent / "shipped").carry_out()
    assert _versions(_loaded(folder), AT, end) == [[8], []]
    assert _withdraw(folder).before == 8
    assert _versions(_loaded(folder), AT, end) == [[8], [8]]
    assert _withdraw(folder).before == FIRST
    assert _versions(_loaded(folder), AT, end) == [[FIRST], [FIRST]]
    with pytest.raises(OnshoreError, match=f"{CONTROL}: no decision about it stands in .*{FILE_NAME}"):
        _withdraw(folder)


def test_behind_a_retirement_nothing_judges_when_what_should_have_followed_is_withdrawn(
    folder: Path, text: Path
) -> None:
    plan_retirement(CONTROL, folder, "ada", "repealed", AT, NOW, shipped=folder.parent / "shipped").carry_out()
    _activate(text, folder, AT + timedelta(days=9))
    assert _withdraw(folder).before is None
    assert _versions(_loaded(folder), AT - timedelta(days=1), AT + timedelta(days=9)) == [[FIRST], []]


@pytest.mark.parametrize("now", [AT - timedelta(seconds=9), AT + timedelta(days=1)])
def test_what_is_in_force_or_will_be_before_every_worker_knows_is_not_withdrawn(
    folder: Path, text: Path, now: datetime
) -> None:
    _activate(text, folder)
    with pytest.raises(OnshoreError, match=r"in force from 2026-12-01T00:00:00Z on, .*: activate another text"):
        _withdraw(folder, now)
    assert len(read_activations(folder / FILE_NAME)) == 1


def test_another_text_may_not_take_the_version_of_one_that_was_withdrawn(folder: Path, text: Path) -> None:
    _activate(text, folder)
    _withdraw(folder)
    text.write_text(NEXT + "# corrected\n", encoding="utf-8")
    with pytest.raises(OnshoreError, match="version 8 was that of a text that was withdrawn: raise it"):
        _activate(text, folder)


def test_a_withdrawn_text_that_ships_later_judges_as_any_that_ships(folder: Path, text: Path) -> None:
    _activate(text, folder)
    _withdraw(folder)
    (folder.parent / "shipped" / f"{CONTROL}.yaml").write_text(NEXT, encoding="utf-8")
    assert _versions(_loaded(folder), AT) == [[8]]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (f",{WITHDRAWN},2026-12-01", f",{WITHDRAWN},2026-12-02", "3: .* only the last decision that stands"),
        (f",8,{WITHDRAWN}", f",9,{WITHDRAWN}", "3: .* only the last decision that stands"),
        ("2026-11-26T12:00:00.000000Z,omar", "2026-12-01T00:00:00.000000Z,omar", "3: .* it was in force before"),
    ],
)
def test_a_line_that_withdraws_what_cannot_be_withdrawn_is_refused(
    folder: Path, text: Path, old: str, new: str, why: str
) -> None:
    _activate(text, folder)
    _withdraw(folder)
    file = folder / FILE_NAME
    assert old in file.read_text(encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ControlError, match=f"{FILE_NAME}:{why}"):
        _loaded(folder)


def test_the_command_records_the_withdrawal_before_it_writes_it(
    folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONSHORE_CONTROLS_DIR", str(folder))
    text.write_text(NEXT.replace("version: 8", "version: 99", 1), encoding="utf-8")
    data = DataDir(tmp_path / "data")
    data.messages.mkdir(parents=True)  # as a stack leaves it
    activate_control(text, "ada", "it is time", "2199-06-01", data_dir=data.path)
    withdraw_control(CONTROL, " omar ", "the wrong day", as_json=True, data_dir=data.path)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["who"], told["version"], told["digest"]) == ("omar", 99, WITHDRAWN)
    recorded = b"".join(file.read_bytes() for file in data.messages.rglob("*") if file.is_file())
    assert b"control.withdraw" in recorded
    with pytest.raises(OnshoreError, match="--reason is empty"):
        withdraw_control(CONTROL, "omar", " ", data_dir=data.path)
    with pytest.raises(OnshoreError, match="--at 9999-12-31T23:00-05:00: no time"):
        activate_control(text, "ada", "it is time", "9999-12-31T23:00-05:00", data_dir=data.path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("control_id,version", "control,version", "1: the first line must be"),
        (",8,", ",eight,", "2: version must be a number"),
        (",8,", f",{'8' * 5_000},", r"2: version must be a number up to 999999999, found '8{40}\.\.\. \(5,000 char"),
        (",ada,", ",,", "2: control_id, who and reason must be filled in"),
        ("2026-12-01T", "2026-13-01T", "2: '2026-13-01T.*' is not a time"),
        ("2026-12-01T", "2300-12-01T", "2: '2300-12-01T.*' is no time of a decision"),
        ("2026-12-01T00:00:00.000000Z", "9999-12-31T23:59:59-05:00", "2: '9999-12-31T.*' is no time of a decision"),
        ("00:00:00.000000Z", "00:00:00.000000", "2: .* needs a zone"),
        (",the", ",x,the", "2: expected 7 fields"),
    ],
)
def test_a_decision_that_cannot_be_read_is_named_with_its_line(
    folder: Path, text: Path, old: str, new: str, why: str
) -> None:
    _activate(text, folder)
    file = folder / FILE_NAME
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ControlError, match=f"{FILE_NAME}:{why}"):
        _loaded(folder)
