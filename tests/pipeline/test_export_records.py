"""What people did and what was deleted, in bundles: proved where the log shows it, and missed where it is left out."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import bundles
import exporting
import recorded
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.controls.activating import plan_activation
from onshore_pipeline.controls.load import PACKS, load_controls
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.evidence.verify import verify_bundle
from onshore_pipeline.jobs.export_rules import RulesInForce
from onshore_pipeline.rule_texts import keep_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYRING = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("records") / "data") as pipeline:
        recorded.fill(pipeline, KEYRING)
        yield pipeline


@pytest.fixture
def bundle(filled: Pipeline, tmp_path: Path) -> Path:
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING)
    return tmp_path / "b.zip"


def alone(path: Path) -> dict[str, Any]:
    return standalone.verify(str(path), standalone.parse_keys(bundles.KEYS))


def verify_bundle_of(path: Path) -> dict[str, Any]:
    return verify_bundle(path, bundles.KEYS)


def good(path: Path) -> dict[str, Any]:
    said = alone(path)
    assert verify_bundle_of(path) == said
    return said


def rows(path: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bundles.files_of(path)[name].splitlines()]


def test_a_deleted_event_is_a_leaf_with_its_deletion_and_everything_else_is_proved(bundle: Path) -> None:
    found = good(bundle)
    assert found["manifest"]["counts"]["deleted"] == 1
    assert "1 events of these messages were deleted: their leaves stand for them." in found["proved"]
    assert not any("withheld: what they are" in line for line in found["proved"])
    (deletion,) = rows(bundle, standalone.DELETIONS)
    assert (deletion["events"], recorded.RULE in deletion["rule"]) == (1, True)
    gone = [row[7] for row in rows(bundle, standalone.MESSAGES) if len(row) == 8]  # type: ignore[index]
    assert [(each[0][0], each[0][3]) for each in gone] == [(1, deletion["id"])]


@pytest.mark.parametrize("scope", [{}, {"controls": ("AU-APP8-01",)}, {"tenants": ("default",)}])
def test_a_tombstone_is_shown_from_behind_the_range(filled: Pipeline, tmp_path: Path, scope: dict[str, Any]) -> None:
    """Whoever says of a deletion what it took is compared with what was sealed, wherever in the log that stands."""
    logged = filled.rows("SELECT DISTINCT entry FROM evidence_log WHERE kind = 'message'")
    told = [json.loads(entry) for (entry,) in logged]
    first_deed = min(each["timestamp"] for each in told if each["topic"] == standalone.ACTIONS_TOPIC)
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING, until=first_deed, **scope)
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["counts"]["deleted"] == 1
    deeds = [row["action"] for row in rows(tmp_path / "b.zip", standalone.EVENTS) if row["action"].startswith("ev")]
    assert deeds == ["evidence.delete"]
    assert "no tombstone of theirs" not in standalone.report(found)


def test_a_tombstone_is_shown_among_the_events_of_a_control(filled: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING, controls=("AU-APP8-01",), profile="pseudonymous")
    good(tmp_path / "b.zip")
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING, controls=("AU-APP8-01",))
    assert "no tombstone of theirs" not in standalone.report(good(tmp_path / "b.zip"))


def test_a_violation_of_a_deleted_event_stays_among_the_verdicts(filled: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING, controls=("AU-APP8-01",))
    assert good(tmp_path / "b.zip")["manifest"]["counts"]["events"] == 3 + 1  # and the tombstone
    lines = rows(tmp_path / "b.zip", standalone.VERDICTS)
    assert sum("record_index" in line and line["control"] == "AU-APP8-01" for line in lines) == 4


def test_waiver_state_and_actions_are_told(bundle: Path) -> None:
    (waiver,) = rows(bundle, standalone.WAIVERS)
    assert (waiver["id"], waiver["state"], waiver["proposed_by"], waiver["approved_by"]) == (
        "w-1", "approved", recorded.RINA, recorded.OMAR,
    )  # fmt: skip
    (finding,) = [row for row in rows(bundle, standalone.FINDINGS) if row["control"] == "AU-APP8-01"]
    assert (finding["state"], finding["waiver"]) == ("waived", "w-1")
    said = [row["action"] for row in rows(bundle, standalone.ACTIONS)]
    assert said == ["waiver.propose", "waiver.approve", "hold.place", "hold.confirm", "evidence.delete"]
    text = dict(good(bundle)["steps"])[12]
    assert "5 of 5 actions of people stand among the shown events" in text


def test_both_signatures_under_a_waiver_are_checked_and_whose_keys_they_are_is_said(bundle: Path) -> None:
    text = dict(good(bundle)["steps"])[12]
    keys = [
        f"{name} {hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]}"
        for name, key in sorted(recorded.PEOPLE.items())
    ]
    assert f"1 waivers, 2 signatures of people under them are good (keys: {', '.join(keys)})" in text
    assert "NOT CHECKED" not in text


def test_a_hold_stands_in_the_bundle_as_the_actions_about_it_say(bundle: Path) -> None:
    (hold,) = rows(bundle, standalone.HOLDS)
    said = {name: hold[name] for name in ("id", "state", "dataset", "tenant", "placed_by", "confirmed_by", "review")}
    assert said == {
        "id": "h-1", "state": "confirmed", "dataset": "of a case", "tenant": None, "placed_by": recorded.RINA,
        "confirmed_by": recorded.OMAR, "review": "2099-01-31",
    }  # fmt: skip
    assert "1 holds stand as the actions about them say" in dict(good(bundle)["steps"])[12]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A hold that two people looked at, one after the other."""
    with running_pipeline(tmp_path_factory.mktemp("reviewed") / "data") as pipeline:
        keep_controls(pipeline.client, pipeline.judgement.controls)
        recorded.hold(pipeline)
        for who, day in ((recorded.OMAR, "2027-01-31"), (recorded.RINA, "2027-06-30")):
            recorded.review(pipeline, who, day)
        pipeline.work()
        pipeline.sequence()
        exporting.sign(pipeline, KEYRING)
        yield pipeline


def test_a_review_of_a_hold_stands_in_the_bundle_and_is_checked_with_what_was_sealed(
    reviewed: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "b.zip"
    exporting.export_to(reviewed, path, KEYRING, with_document=False)
    good(path)
    (hold,) = rows(path, standalone.HOLDS)
    assert (hold["review"], hold["next_review"], hold["reviewed_by"]) == ("2099-01-31", "2027-06-30", recorded.RINA)
    files = bundles.files_of(path)
    for change in ({"next_review": "2027-01-31"}, {"reviewed_by": recorded.OMAR}, {"reviewed_at": 0}):
        altered = standalone.canonical(hold | change) + b"\n"
        (tmp_path / "bad.zip").write_bytes(bundles.signed(files | {standalone.HOLDS: altered}))
        for check in (alone, verify_bundle_of):
            with pytest.raises(standalone.Altered, match="than the actions about it say"):
                check(tmp_path / "bad.zip")


@pytest.mark.parametrize("closed", ["attributes", "attributes.onshore.hold.review", "actor_id"])
def test_a_review_that_is_closed_in_a_bundle_is_not_told_there(reviewed: Pipeline, tmp_path: Path, closed: str) -> None:
    path = tmp_path / "b.zip"
    exporting.export_to(reviewed, path, KEYRING, with_document=False, redact=(closed,))
    good(path)
    (hold,) = rows(path, standalone.HOLDS)
    assert hold.get("next_review") == ("2027-06-30" if closed == "actor_id" else None)
    assert ("reviewed_by" in hold) == (closed == "actor_id")
    assert closed != "actor_id" or recorded.RINA not in json.dumps(hold)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"profile": "pseudonymous"}, "who signed, or what, is closed"),
        ({"profile": "minimal"}, "who signed, or what, is closed"),
        ({"redact": ("actor_id",)}, "who signed, or what, is closed"),
        ({"redact": ("destination_id",)}, ""),
    ],
)
def test_signatures_that_cannot_be_checked_are_said_to_be_so(
    filled: Pipeline, tmp_path: Path, how: dict[str, Any], why: str
) -> None:
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING, **how)
    text = dict(good(tmp_path / "b.zip")["steps"])[12]
    assert (f"2 NOT CHECKED: {why}" if why else "2 signatures of people under them are good") in text


def test_a_bundle_without_keys_of_people_says_that_it_does_not_bring_them(bundle: Path) -> None:
    files = bundles.files_of(bundle)
    del files[standalone.PEOPLE]
    bundle.write_bytes(bundles.signed(files))
    text = dict(good(bundle)["steps"])[12]
    assert "2 NOT CHECKED: the bundle does not bring people's keys" in text


def test_every_text_is_one_that_sealed_entries_name(bundle: Path) -> None:
    text = dict(good(bundle)["steps"])[11]
    assert "operator's word" not in text
    names = bundles.files_of(bundle)
    assert any(name.startswith("context/") and name.endswith("country_codes.csv") for name in names)
    assert any(name.startswith("controls/AU-APP8-01-v") for name in names)


@pytest.mark.parametrize("profile", ["pseudonymous", "minimal"])
def test_who_acted_is_closed_where_actors_are(filled: Pipeline, tmp_path: Path, profile: str) -> None:
    exporting.export_to(filled, tmp_path / "b.zip", KEYRING, profile=profile)
    good(tmp_path / "b.zip")
    for name, content in bundles.files_of(tmp_path / "b.zip").items():
        for person in recorded.PEOPLE:
            assert person.encode() not in content or name == "verify.py", name


@pytest.mark.parametrize("name", [*bundles.ATTACKS_2, *bundles.ATTACKS_ON_PEOPLE])
def test_what_is_left_out_or_altered_is_missed(bundle: Path, name: str) -> None:
    expected, attack = (bundles.ATTACKS_2 | bundles.ATTACKS_ON_PEOPLE)[name]
    bad = bundle.with_name("bad.zip")
    bad.write_bytes(attack(bundles.files_of(bundle)))
    codes = []
    for run in (alone, verify_bundle_of):
        try:
            run(bad)
            codes.append(0)
        except standalone.Problem as problem:
            codes.append(problem.exit_code)
    assert codes == [expected, expected]


def test_a_set_whose_controls_change_at_a_set_time_is_told_whole(filled: Pipeline, tmp_path: Path) -> None:
    shipped = (PACKS / "au" / "AU-APP8-01.yaml").read_text(encoding="utf-8")
    (tmp_path / "OWN-01.yaml").write_text(shipped.replace("id: AU-APP8-01\n", "id: OWN-01\n"), encoding="utf-8")
    changed = shipped.replace("id: AU-APP8-01\n", "id: OWN-01\n").replace("version: 2\n", "version: 3\n")
    (tmp_path / "next.yml").write_text(changed, encoding="utf-8")
    at = datetime(2026, 12, 1, tzinfo=UTC)
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    (tmp_path / "controls").mkdir()
    (tmp_path / "OWN-01.yaml").rename(tmp_path / "controls" / "OWN-01.yaml")
    plan_activation(tmp_path / "next.yml", tmp_path / "controls", "ada", "the law changed", at, now).carry_out()
    controls = load_controls(tmp_path / "controls")
    keep_controls(filled.client, controls)
    rules = RulesInForce(exporting.reader_of(filled), {"controls": {controls.digest}, "context": set()})
    said = rules.sets["controls"][controls.digest]
    assert hashlib.sha256(said.encode()).hexdigest() == controls.digest
    assert [span[2:] for span in json.loads(said)["spans"]] == [
        [None, 1_796_083_200 * 10**9],
        [1_796_083_200 * 10**9, None],
    ]
