"""Bundles kept for ever, and every attack on one: both verifiers answer alike, never well of a bad one."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bundles
from bundles import said_by_both
from onshore_pipeline.evidence import signed_note
from onshore_pipeline.evidence import verify_standalone as standalone

FOLDER = bundles.GOLDEN / "v1"
GOOD = FOLDER / "good.zip"
FILES = bundles.files_of(GOOD)
VERIFIER = Path(standalone.__file__)


def test_the_golden_bundle_is_good() -> None:
    code, text = said_by_both(GOOD)
    assert code == 0, text
    assert text.startswith("NOT WITNESSED")
    assert "Nothing that was sealed there is left out: 3 events" in text


def test_a_regulator_needs_one_file_a_key_and_an_empty_directory(tmp_path: Path) -> None:
    shutil.copy(VERIFIER, tmp_path / "verify.py")
    shutil.copy(GOOD, tmp_path / "bundle.zip")
    (tmp_path / "key").write_text(bundles.KEYS)
    command = [sys.executable, "-I", "verify.py", "bundle.zip", "--key", "key"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("NOT WITNESSED")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bundle.zip", "key", "verify.py"]


def test_the_verifier_imports_the_standard_library_only() -> None:
    loaded = (
        "import sys; before = set(sys.modules); import runpy;"
        f"runpy.run_path({str(VERIFIER)!r}); print(*{{name.partition('.')[0] for name in set(sys.modules) - before}})"
    )
    names = subprocess.run(
        [sys.executable, "-I", "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(names) - {"__mp_main__"} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", bundles.ATTACKS)
def test_a_bundle_that_was_attacked_is_refused(name: str) -> None:
    code, text = said_by_both(FOLDER / f"{name}.zip")
    assert code == bundles.ATTACKS[name][0], text


@pytest.mark.parametrize("name", bundles.ATTACKS)
def test_the_same_attack_on_the_golden_bundle_of_today_is_refused(name: str, tmp_path: Path) -> None:
    expected, attack = bundles.ATTACKS[name]
    (tmp_path / "bad.zip").write_bytes(attack(FILES))
    assert said_by_both(tmp_path / "bad.zip")[0] == expected


def test_the_golden_bundle_of_format_2_is_good_and_says_what_was_deleted() -> None:
    code, text = said_by_both(bundles.GOLDEN / "v2" / "good.zip")
    assert code == 0, text
    assert "1 events of these messages were deleted: their leaves stand for them." in text


@pytest.mark.parametrize("name", bundles.ATTACKS_2)
def test_an_attacked_bundle_of_format_2_is_refused(name: str) -> None:
    code, text = said_by_both(bundles.GOLDEN / "v2" / f"{name}.zip")
    assert code == bundles.ATTACKS_2[name][0], text


def test_a_golden_bundle_of_before_keys_of_people_says_that_no_signature_was_checked() -> None:
    code, text = said_by_both(bundles.GOLDEN / "v2" / "good.zip")
    assert (code, "2 NOT CHECKED: the bundle does not bring people's keys" in text) == (0, True)


def test_the_golden_bundle_with_keys_of_people_is_good() -> None:
    code, text = said_by_both(bundles.GOLDEN / "v2-people" / "good.zip")
    assert code == 0, text
    assert "2 signatures of people under them are good" in text
    assert "1 holds stand as the actions about them say" in text


@pytest.mark.parametrize("name", bundles.ATTACKS_ON_PEOPLE)
def test_an_attack_on_what_people_signed_is_refused(name: str, tmp_path: Path) -> None:
    expected, attack = bundles.ATTACKS_ON_PEOPLE[name]
    (tmp_path / "bad.zip").write_bytes(attack(bundles.files_of(bundles.GOLDEN / "v2-people" / "good.zip")))
    code, text = said_by_both(tmp_path / "bad.zip")
    assert code == expected, text


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flipped") / "flipped.zip"


KEPT = [bundles.GOLDEN / version / "good.zip" for version in ("v1", "v2", "v2-people")]
BYTES = {each.parent.name: each.read_bytes() for each in KEPT}


def refused(flipped: Path, version: str, place: int, bit: int) -> None:
    """A bundle with one bit changed is no good one; its key is the one that checks it whole."""
    raw = bytearray(BYTES[version])
    raw[place] ^= 1 << bit
    flipped.write_bytes(raw)
    with pytest.raises(standalone.Problem):
        standalone.verify(str(flipped), standalone.parse_keys(KEYS[version]))


KEYS = {each.parent.name: (each.parent / "operator.vkey").read_text() for each in KEPT}


@pytest.mark.parametrize("version", BYTES)
def test_no_single_bit_can_be_flipped(flipped: Path, version: str) -> None:
    @settings(max_examples=int(os.environ.get("ONSHORE_FLIPS", "100")), deadline=None)
    @given(st.integers(0, len(BYTES[version]) - 1), st.integers(0, 7))
    def flip(place: int, bit: int) -> None:
        refused(flipped, version, place, bit)

    flip()


@pytest.mark.parametrize("version", BYTES)
def test_no_bit_of_the_container_and_the_signature_can_be_flipped(flipped: Path, version: str) -> None:
    """Every byte of the first headers, the envelope and the directory's beginning and end, one bit each."""
    whole = BYTES[version]
    with_name = whole.index(b"manifest.dsse.json")
    for place in [*range(64), *range(with_name - 30, with_name + 900, 7), *range(len(whole) - 120, len(whole))]:
        refused(flipped, version, place, place % 8)


@pytest.mark.parametrize(
    "program", [[str(VERIFIER)], ["-m", "onshore_pipeline", "verify"]], ids=["verify.py", "onshore"]
)
def test_of_a_bundle_that_is_refused_the_steps_before_that_are_told(program: list[str]) -> None:
    asked = [sys.executable, *program, str(FOLDER / "swapped-events.zip"), "--key", str(FOLDER / "operator.vkey")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    first, *steps = done.stdout.splitlines()
    assert (done.returncode, first) == (1, "What was found before that, which proves nothing of the whole:")
    assert [int(step.partition(".")[0]) for step in steps] == [1, 2, 3, 4, 5, 6]
    assert "NOT WITNESSED" in steps[4]
    assert done.stderr.startswith("ALTERED: step 7 (events): ")
    told = json.loads(subprocess.run([*asked, "--json"], capture_output=True, text=True, check=False).stdout)
    assert (told["result"], told["step"], [number for number, _ in told["steps"]]) == ("ALTERED", 7, [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("version", BYTES)
def test_a_flipped_bit_ends_the_command_with_1_or_2(tmp_path: Path, version: str) -> None:
    raw = bytearray(BYTES[version])
    raw[len(raw) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(raw)
    assert said_by_both(tmp_path / "bad.zip")[0] in {1, 2}


PYTHONS = [sys.executable, *(f"python3.{minor}" for minor in range(9, 16))]


def runs(python: str) -> bool:
    try:
        return subprocess.run([python, "-I", "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("python", [each for each in PYTHONS if runs(each)])
@pytest.mark.parametrize("bundle", KEPT, ids=BYTES)
def test_every_python_of_this_machine_says_the_same(python: str, bundle: Path) -> None:
    asked = [str(VERIFIER), str(bundle), "--key", str(bundle.parent / "operator.vkey")]
    told = [
        subprocess.run([each, "-I", *asked], capture_output=True, text=True, check=False)
        for each in (sys.executable, python)
    ]
    assert (told[1].returncode, told[1].stdout, told[1].stderr) == (0, told[0].stdout, "")


def test_the_verifier_is_written_for_python_3_9() -> None:
    """What the language had then; and times are read alike since: `fromisoformat` takes more from 3.11 on."""
    ast.parse(VERIFIER.read_text(), feature_version=(3, 9))
    for good in ("2026-11-26T08:00:00Z", "2026-11-26T08:00:00.125+00:00", "2026-11-26T18:00:00.000001+10:00"):
        assert standalone._nanoseconds(good) // 10**18 == 1
    for other in (
        "2026-11-26",
        "20261126T080000Z",
        "2026-11-26T08:00:00",
        "2026-11-26T08:00:00.5Z",
        "2026-W48-4T08:00:00Z",
    ):
        with pytest.raises(ValueError, match="no time"):
            standalone._nanoseconds(other)


def cosigned(note: bytes, at: int = 1_800_000_000) -> bytes:
    text = note.decode().rpartition("\n\n")[0] + "\n"
    return note + f"{signed_note.cosign(text, 'witness.example', bundles.WITNESS_KEY, at)}\n".encode()


def test_a_checkpoint_that_a_witness_signed_is_named_first() -> None:
    checkpoint = cosigned(FILES[standalone.HEAD])
    code, text = said_by_both(GOOD, bundles.KEYS + bundles.WITNESS, checkpoint)
    assert code == 0
    assert text.startswith("Witnessed up to entry 5 of 5 by the checkpoint that you brought, witness.example+")
    assert "2027-01-15" in text.splitlines()[0]


def test_a_cosignature_in_the_bundle_counts_only_with_the_witness_key(tmp_path: Path) -> None:
    files = FILES | {standalone.HEAD: cosigned(FILES[standalone.HEAD])}
    (tmp_path / "b.zip").write_bytes(bundles.signed(files))
    assert said_by_both(tmp_path / "b.zip")[1].startswith("NOT WITNESSED")
    code, text = said_by_both(tmp_path / "b.zip", bundles.KEYS + bundles.WITNESS)
    assert (code, text.startswith("Witnessed up to entry 5 of 5 by witness.example")) == (0, True)


def test_the_operators_own_cosignature_is_no_witness() -> None:
    assert "by the operator's clock" in said_by_both(GOOD)[1]
    assert said_by_both(GOOD)[1].startswith("NOT WITNESSED")


@pytest.mark.parametrize(
    ("size", "root", "code"),
    [(5, "A" * 43 + "=", 1), (4, "A" * 43 + "=", 2), (9, "A" * 43 + "=", 2)],
    ids=["another log of this size", "not connected", "behind the bundle"],
)
def test_a_checkpoint_of_another_log_is_noticed(size: int, root: str, code: int) -> None:
    origin = bundles.head_rows(FILES)[0]
    assert said_by_both(GOOD, checkpoint=bundles.note(origin, size, root))[0] == code


def test_without_a_key_that_signed_it_nothing_is_said_to_be_good(tmp_path: Path) -> None:
    assert said_by_both(GOOD, f"{bundles.verifier(bundles.OTHER_KEY)}\n")[0] == 2
    assert said_by_both(tmp_path / "missing.zip")[0] == 2


def test_a_message_with_an_event_left_out_is_good_and_said_to_be_partial(tmp_path: Path) -> None:
    """An operator may withhold; it shows, and it cannot be passed off as everything."""
    code, text = said_by_both(_one_withheld(tmp_path))
    assert code == 0, text
    assert "Nothing that was sealed there is left out" not in text
    assert "2 events are shown; 1 are withheld: what they are is not proved." in text
    assert "Sealed verdicts say that withheld events violate: AU-APP8-01 (1)." in text


def _one_withheld(folder: Path) -> Path:
    some, others = bundles.lines(FILES, standalone.EVENTS), bundles.lines(FILES, standalone.OPENINGS)
    rows: list[Any] = [json.loads(line) for line in bundles.lines(FILES, standalone.MESSAGES)]
    row = next(row for row in rows if row[0] == 3)
    row[0], row[2], row[3] = 2, row[2] - len(some[2]), row[3] - len(others[2])
    row += [[0, 1], [hashlib.sha256(b"\x00" + some[2].rstrip(b"\n")).hexdigest()]]
    opened = json.loads(FILES[standalone.MANIFEST])["counts"]["opened"]
    for name, value in json.loads(others[2]).items():
        opened[name] -= sum(len(each) == 3 for each in value) if name in standalone.MAPS else 1
    changed = FILES | {
        standalone.EVENTS: b"".join(some[:2]),
        standalone.OPENINGS: b"".join(others[:2]),
        standalone.MESSAGES: b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in rows),
    }
    path = folder / "partial.zip"
    path.write_bytes(bundles.signed(changed, counts={"events": 2, "opened": opened}))
    return path
