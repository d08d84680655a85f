"""What is no control is refused with file, line, column and reason, by a process that then ends with exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.controls.load import PACKS, check_controls

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = "AU-APP8-01"
GOOD = (PACKS / "au" / f"{CONTROL}.yaml").read_text(encoding="utf-8")
_VIOLATED = "violated: destination_country <> 'AU' AND transfer_basis = 'none'"
_LINE = GOOD[: GOOD.index("\nviolated:")].count("\n") + 2


def _condition(text: str) -> str:
    assert "\nviolated:" in GOOD
    start = GOOD.index("\nviolated:") + 1
    return GOOD[:start] + f"violated: {text}\n" + GOOD[GOOD.index("\n", start) + 1 :]


_EVENT_LINE = GOOD[: GOOD.index("\n    event: {")].count("\n") + 2


def _aliases() -> str:
    """An event, thirty thousand bytes of further examples of it, and so millions of what an event is made of."""
    written = GOOD.replace("    event: {", "    event: &e {", 1)
    verdict = "verdict: violated"
    return written + "".join(f"  - {{name: n{n}, event: *e, {verdict}}}\n" for n in range(600))


# What a condition must never reach: files, the network, another table, the server, other statements.
REACHES = [
    "file('/etc/passwd') = 'x'",
    "url('http://example.com/', 'CSV') = 'x'",
    "s3('http://example.com/x') = 'x'",
    "remote('host', 'db', 'table') = 'x'",
    "executable('id', 'CSV', 'x String') = 'x'",
    "dictGet('d', 'a', 1) = 'x'",
    "joinGet('t', 'c', 1) = 'x'",
    "read_csv('/etc/passwd') = 'x'",
    "getSetting('max_threads') = 1",
    "currentUser() = 'x'",
    "version() = 'x'",
    "hostName() = 'x'",
    "sleep(3) = 0",
    "throwIf(TRUE)",
    "(SELECT password FROM system.users) = 'x'",
    "dataset IN (SELECT dataset FROM events)",
    "dataset = (SELECT max(dataset) FROM events)",
    "EXISTS (SELECT 1 FROM system.tables)",
    "system.users = 'x'",
    "dataset IN system.users",
    "events.dataset = 'x'",
    "dataset = 'x'; DROP TABLE events",
    "dataset = 'x' UNION SELECT 1",
    "dataset = 'x' FORMAT CSV",
    "dataset = 'x' SETTINGS max_threads = 1",
    "dataset = 'x' INTO OUTFILE '/tmp/x'",
    "dataset = {name:String}",
    "dataset = $1",
    "dataset = ?",
    "arrayExists(x -> x = 'a', categories)",
    "dataset = 'x' || dataset",
    "dataset LIKE 'a\\\\'",
]

# Text of a file and where the first problem must be named; None: the file as a whole.
WRONG = {
    "an unknown column": (_condition("destination_contry <> 'AU'"), _LINE),
    "an unknown function": (_condition("soundex(dataset) = 'x'"), _LINE),
    "a wrong type": (_condition("bytes = 'x'"), _LINE),
    "a condition that is none": (_condition("bytes"), _LINE),
    "a truth made of an unknown": (_condition("transfer_basis IS NULL"), _LINE),
    "an unknown made something else": (_condition("coalesce(transfer_basis, 'none') = 'none'"), _LINE),
    "an unknown list": (_condition("destination_country NOT IN @atlantis"), _LINE),
    "a time that no event can have": (_condition("occurred_at < TIMESTAMP '2300-01-01'"), _LINE),
    "a time before every calendar": (_condition("occurred_at < TIMESTAMP '0001-01-01T00:00:00+14:00'"), _LINE),
    "a number that nobody counts to": (_condition(f"bytes > {'9' * 5_000}"), _LINE),
    "such a number among others": (_condition(f"bytes IN (1, {'9' * 5_000})"), _LINE),
    "such a number in an example": (
        GOOD.replace("    event: {", f"    event: {{bytes: {'9' * 5_000}, ", 1),
        _EVENT_LINE,
    ),
    "a missing example": (GOOD[: GOOD.index("\nexamples:") + 1], 1),
    "an end before the beginning": (GOOD.replace("confidence:", "effective_to: 1999-01-01\nconfidence:", 1), None),
    "a NO that is read as false": (GOOD.replace("version: 2", "version: NO", 1), 2),
    "a key that stands twice": (GOOD.replace("version: 2", "version: 2\nversion: 2", 1), 3),
    "an alias": (GOOD.replace("version: 2", "version: &v 2\ntitle: *v", 1), 2),
    "a billion laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)),
        1,
    ),
    "an alias of itself": ("id: &a [*a]\n", 1),
    "an anchor on a mapping": (GOOD.replace("    event: {", "    event: &e {", 1), _EVENT_LINE),
    "an anchor on the file's mapping": ("&v " + GOOD, 1),
    "a tag": (GOOD.replace("version: 2", "version: !!python/object/apply:os.system [id]", 1), 2),
    "a tag that says what goes without saying": (GOOD.replace("version: 2", "version: !!str 2", 1), 2),
    "a tag on a mapping": (GOOD.replace("    event: {", "    event: !!map {", 1), _EVENT_LINE),
    "a tag on a list": (GOOD.replace("\nexamples:\n", "\nexamples: !!seq\n", 1), _EVENT_LINE - 2),
    "thousands of aliases": (_aliases(), _EVENT_LINE),
    "a tree that is too deep": ("id: " + "[" * 100_000, 1),
    "half a character": (GOOD.replace("\ntitle: ", '\ntitle: "\\uD83D"\n#', 1), 3),
    "five megabytes": (GOOD + "#" * 5_000_000, None),
    "a list": ("- id: x\n", 1),
    "nothing": ("", 1),
    "a character that YAML does not have": (GOOD.replace("title: ", "title: \x00", 1), 3),
}


def _onshore(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONSHORE_")}
    return subprocess.run(
        [sys.executable, "-m", "onshore_pipeline", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("condition", REACHES)
def test_no_condition_reaches_beyond_the_columns_of_one_event(condition: str, tmp_path: Path) -> None:
    file = tmp_path / "control.yaml"
    file.write_text(_condition(condition), encoding="utf-8")
    found, problems, _ = check_controls(file)
    assert not found
    assert problems[0].file == file
    assert problems[0].line is not None
    assert problems[0].column is not None


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_control_is_refused_with_its_place_within_a_second_or_two(what: str, tmp_path: Path) -> None:
    text, line = WRONG[what]
    assert text != GOOD
    file = tmp_path / "control.yaml"
    file.write_text(text, encoding="utf-8")
    began = time.process_time()
    found, problems, _ = check_controls(file)
    assert time.process_time() - began < 30  # what a bomb would need is measured in hours
    assert not found
    assert problems
    if line is not None:
        assert problems[0].line == line
        assert problems[0].column is not None


def test_a_process_that_is_given_such_a_file_ends_with_2_and_one_line_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(_condition("destination_contry <> 'AU'"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "c.yaml").write_text(GOOD, encoding="utf-8")
    done = _onshore(tmp_path, "controls", "validate", ".")
    assert done.returncode == 2
    first, second = sorted(done.stderr.strip().splitlines())
    assert first.startswith(f"a.yaml:{_LINE}:")
    assert "did you mean destination_country?" in first
    assert second.startswith("c.yaml:1:1: ")
    assert f"{CONTROL} is the id of b.yaml, too" in second
    assert _onshore(tmp_path, "controls", "test", "a.yaml").returncode == 2
    assert _onshore(tmp_path, "controls", "list", "--json").returncode == 0
