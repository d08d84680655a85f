"""What a bundle says of itself: a claim that nothing bears is refused, and what is missing is said not to be proved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bundles
from bundles import Files, said_by_both
from onshore_pipeline.evidence import verify_standalone as standalone

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = bundles.files_of(bundles.GOLDEN / "v2-people" / "good.zip")
FIRST = bundles.files_of(bundles.GOLDEN / "v1" / "good.zip")
VERIFIER = Path(standalone.__file__)


def said(raw: bytes, folder: Path) -> tuple[int, str]:
    (folder / "bundle.zip").write_bytes(raw)
    return said_by_both(folder / "bundle.zip")


def not_proved(text: str) -> str:
    return text.partition("Not proved:")[2]


def with_manifest(files: Files, covers: Mapping[str, str] | None = None, **members: Any) -> Files:
    """With a manifest that says of files what covers them, before it is made again and signed."""
    told = json.loads(files[standalone.MANIFEST]) | members
    known = {each["name"]: each for each in told["files"]}
    for name, word in (covers or {}).items():
        known.setdefault(name, {"name": name})["covers"] = word
    return files | {standalone.MANIFEST: standalone.canonical(told | {"files": list(known.values())})}


@pytest.mark.parametrize("name", ["report.pdf", "events.parquet", "coverage.csv", "actions.ndjson"])
def test_a_file_that_nothing_proves_cannot_be_said_to_be_proved(name: str, tmp_path: Path) -> None:
    files = with_manifest(FILES | {name: b"%PDF forged"}, {name: "proved"})
    code, text = said(bundles.signed(files), tmp_path)
    assert (code, f"says that {name} is proved" in text) == (1, True), text


def test_a_file_that_no_step_knows_is_named_and_cannot_be_said_to_be_proved(tmp_path: Path) -> None:
    name = "evidence/sealed-events.ndjson"
    files = FILES | {name: b'{"all":"fine"}\n'}
    code, text = said(bundles.signed(with_manifest(files, {name: "signed"})), tmp_path)
    assert (code, f"Anything about files that no step knows: {name}." in not_proved(text)) == (0, True), text
    code, text = said(bundles.signed(with_manifest(files, {name: "proved"})), tmp_path)
    assert (code, f"says that {name} is proved" in text) == (2, True), text


def test_which_files_are_renderings_does_not_follow_from_the_manifest(tmp_path: Path) -> None:
    renderings = [
        each["name"] for each in json.loads(FILES[standalone.MANIFEST])["files"] if each["covers"] == "rendering"
    ]
    code, text = said(bundles.signed(with_manifest(FILES, dict.fromkeys(renderings, "signed"))), tmp_path)
    assert code == 0, text
    assert f"Anything about renderings for reading: {', '.join(renderings)}." in not_proved(text)


@pytest.mark.parametrize("name", standalone.MISSED)
def test_a_file_that_is_missing_is_said_to_be(name: str, tmp_path: Path) -> None:
    code, text = said(bundles.signed({each: raw for each, raw in FILES.items() if each != name}), tmp_path)
    assert (code, f": there is no {name}." in not_proved(text)) == (0, True), text


def test_a_control_without_its_text_is_named(tmp_path: Path) -> None:
    kept = {name: raw for name, raw in FILES.items() if not name.startswith("controls/")}
    code, text = said(bundles.signed(kept), tmp_path)
    assert code == 0, text
    assert "What the controls say whose verdicts are here and whose texts are not: AU-APP8-01-v2, " in not_proved(text)


def test_a_text_under_the_name_of_another_control_is_refused(tmp_path: Path) -> None:
    one, other, *_ = (name for name in FILES if name.startswith("controls/"))
    code, text = said(bundles.signed(FILES | {one: FILES[other], other: FILES[one]}), tmp_path)
    assert (code, "is the text of another control or version" in text) == (1, True), text


def test_sets_that_cannot_be_made_again_are_said_to_leave_texts_to_the_operator(tmp_path: Path) -> None:
    sets = json.loads(FILES[standalone.SETS]) | {"controls": {}}
    code, text = said(bundles.signed(FILES | {standalone.SETS: standalone.canonical(sets)}), tmp_path)
    assert code == 0, text
    assert "What 1 sets of registers and controls are that the sealed entries name" in not_proved(text)


def test_steps_that_are_not_run_of_an_old_format_are_said(tmp_path: Path) -> None:
    code, text = said(bundles.signed(FIRST), tmp_path)
    assert (code, "the bundle is of format 1, of which steps 11 and 12 are not run" in not_proved(text)) == (0, True)


def test_a_bundle_cannot_pass_for_one_of_an_older_format(tmp_path: Path) -> None:
    code, text = said(bundles.signed(with_manifest(FILES, format=standalone.FORMATS[0])), tmp_path)
    assert (code, "has files of format 2" in text) == (1, True), text


def test_a_head_that_is_older_than_the_end_of_the_scope_and_the_export_is_said_to_be(tmp_path: Path) -> None:
    export, scope = {"at": "2026-12-01T00:00:00+00:00"}, {"to": 1_796_100_000_000_000_000}
    code, text = said(bundles.signed(FILES, export=export, scope=scope), tmp_path)
    assert code == 0, text
    assert "from 2026-11-27T03:45:56Z on, when the head was signed, to 2026-12-01T04:40:00Z" in not_proved(text)
    assert "the head is 92 hours older than the export (2026-12-01T00:00:00Z)" in not_proved(text)


def test_a_head_that_says_no_time_is_said_to_be_of_unknown_age(tmp_path: Path) -> None:
    origin, size, root = bundles.head_rows(FILES)[:3]
    note = bundles.note(origin, int(size), root)
    files = {name: note if name.startswith("heads/") else raw for name, raw in FILES.items()}
    code, text = said(bundles.signed(files), tmp_path)
    assert (code, "How old the head is that all is proved up to" in not_proved(text)) == (0, True), text


def test_what_the_salt_key_and_the_context_allow_is_said() -> None:
    text = said_by_both(bundles.GOLDEN / "v2-people" / "good.zip")[1]
    assert "whoever has the salt key can open every commitment" in not_proved(text)
    assert "the context (the registers)" in not_proved(text)


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        (standalone.FINDINGS, "control", []),
        (standalone.FINDINGS, "control", 7),
        (standalone.DELETIONS, "id", []),
        (standalone.DELETIONS, "events", {}),
        (standalone.ACTIONS, "topic_id", []),
        (standalone.ACTIONS, "action", 7),
        (standalone.ACTIONS, "about", {}),
        (standalone.ACTIONS, "attributes", "none"),
        (standalone.WAIVERS, "expires", "never"),
        (standalone.WAIVERS, "where", []),
        (standalone.PEOPLE, "person", []),
    ],
)
def test_a_record_of_another_type_is_refused(name: str, member: str, value: object, tmp_path: Path) -> None:
    first, *others = bundles.lines(FILES, name)
    row = standalone.canonical(json.loads(first) | {member: value}) + b"\n"
    code, text = said(bundles.signed(FILES | {name: b"".join([row, *others])}), tmp_path)
    assert code == 1, text


def test_a_table_of_findings_that_says_else_than_they_do_is_refused(tmp_path: Path) -> None:
    for table in (b"finding_id\n", FILES["findings.csv"].replace(b",high,", b",info,"), b""):
        code, text = said(bundles.signed(FILES | {"findings.csv": table}), tmp_path)
        assert (code, "findings.csv does not say what findings.ndjson says" in text) == (1, True), text


def test_a_key_that_is_said_to_be_closed_is_opened_nowhere(tmp_path: Path) -> None:
    scope = {"closed_keys": {"attributes": ["onshore.actor.id"]}}
    code, text = said(bundles.signed(FILES, scope=scope), tmp_path)
    assert (code, "onshore.actor.id of attributes is said to be closed and is opened" in text) == (1, True), text


def test_more_events_than_are_withheld_cannot_be_closed(tmp_path: Path) -> None:
    assert said(bundles.signed(FILES, counts={"closed_events": 1}), tmp_path)[0] == 1


def test_what_no_step_expects_is_said_not_to_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise TypeError("unhashable type: 'list'")

    monkeypatch.setattr(standalone, "check_scope", fails)
    path = str(bundles.GOLDEN / "v2" / "good.zip")
    with pytest.raises(standalone.Uncheckable, match="TypeError: unhashable type"):
        standalone.verify_files(path, standalone.parse_keys(bundles.KEYS), None, None, None)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_names_that_a_terminal_has_no_letters_for_are_printed(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(bundles.signed(FILES, export={"recipient": "個人情報保護委員会"}))
    (tmp_path / "keys").write_bytes(b"\xef\xbb\xbf" + bundles.KEYS.encode())  # as some editors save it
    command = [sys.executable, str(VERIFIER), "b.zip", "--key", "keys"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=False)
    assert (done.returncode, b"\\u500b\\u4eba" in done.stdout) == (0, True), done.stderr


def test_a_table_that_no_spreadsheet_runs_says_what_the_findings_say(tmp_path: Path) -> None:
    first, *others = bundles.lines(FILES, standalone.FINDINGS)
    row = json.loads(first) | {"owner": "=1+1"}
    findings = json.dumps(row, separators=(",", ":")).encode() + b"\n" + b"".join(others)
    for owner in (b"'=1+1", b"=1+1", b"1+1"):
        table = FILES["findings.csv"].replace(
            b",%s,," % row["state"].encode(), b",%s,%s," % (row["state"].encode(), owner)
        )
        code, text = said(bundles.signed(FILES | {standalone.FINDINGS: findings, "findings.csv": table}), tmp_path)
        assert code == (1 if owner == b"1+1" else 0), text
