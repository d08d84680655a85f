"""Bundles of a real store: what is in them, what is closed in them, and what stops one."""

from __future__ import annotations

import ipaddress
import json
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import bundles
import exporting
import otlp_messages as otlp
import store_lines
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.errors import EvidenceAltered, OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.evidence.redaction import PROFILES, parse_redaction
from onshore_pipeline.evidence.verify import verify_bundle
from onshore_pipeline.jobs import export_batches
from onshore_pipeline.jobs.export import ExportBlocked
from onshore_pipeline.jobs.export_recorded import record_export
from onshore_pipeline.jobs.log_proofs import head_as_of, newest_head
from onshore_pipeline.rule_texts import keep_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.jobs.export import Exported

KEYRING = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
REGISTERED = exporting.registers(
    transfer_bases="basis,source,destination,valid_to\nconsent,AU,NZ,\ncontract,AU,NZ,2026-11-25\n",
    approvals="approval,approved_by,valid_to\nA-1,the board,\n",
)
DEFAULT: dict[str, Any] = {"country": "NZ", "registered": REGISTERED}
NOW_NS = 1_790_000_000_000_000_000


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("export") / "data") as pipeline:
        exporting.send_messages(pipeline, NOW_NS)
        pipeline.send("otlp_logs", [b"\xffno batch"], tenant="other")
        pipeline.work()
        pipeline.sequence()
        exporting.sign(pipeline, KEYRING)
        yield pipeline


def good(path: Path) -> dict[str, Any]:
    """What both verifiers say of a good bundle."""
    alone = standalone.verify(str(path), standalone.parse_keys(bundles.KEYS))
    assert verify_bundle(path, bundles.KEYS) == alone
    return alone


def test_a_bundle_of_everything_is_good_and_says_so(sealed: Pipeline, tmp_path: Path) -> None:
    exported = exporting.export_to(sealed, tmp_path / "b.zip", KEYRING)
    found = good(tmp_path / "b.zip")
    assert exported.events == 8
    assert "Nothing that was sealed there is left out: 8 events, 1 dead letters." in found["proved"]
    assert found["manifest"]["judged"]["as"]["destination_country"] == "AU"


def test_the_lines_are_those_that_a_plain_program_makes_of_the_store(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING)
    lines = bundles.files_of(tmp_path / "b.zip")[standalone.EVENTS].splitlines()
    master = sealed.judgement.salt_master
    assert sorted(lines) == sorted(store_lines.line_of(row, master) for row in store_lines.stored_events(sealed.client))


def test_the_same_request_gives_the_same_bytes(sealed: Pipeline, tmp_path: Path) -> None:
    for name in ("one", "two"):
        exporting.export_to(
            sealed,
            tmp_path / name,
            KEYRING,
            profile="pseudonymous",
            country="NZ",
            basis="consent",
            registered=REGISTERED,
        )
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_while_a_key_is_rotated_either_is_enough_and_afterwards_only_the_new_one(
    sealed: Pipeline, tmp_path: Path
) -> None:
    old = KEYRING.keys[0]
    retires = exporting.NOON + timedelta(days=1)
    both = Keyring((SigningKey(bundles.NAME, bundles.OTHER_KEY, exporting.NOON), replace(old, retires=retires)))
    target = tmp_path / "b.zip"
    exporting.export_to(sealed, target, both)
    assert good(target)
    exporting.export_to(sealed, target, both, at=retires)
    with pytest.raises(standalone.Uncheckable, match="no key of yours"):
        good(target)


def test_a_portion_that_ends_within_an_attempt_gives_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory follows the portion, not how much a worker took at one go."""
    messages = [otlp.logs([otlp.movement(data_set=f"set {n}"), otlp.movement()], at_ns=[NOW_NS] * 2) for n in range(4)]
    with running_pipeline(tmp_path / "data") as pipeline:
        pipeline.send("otlp_logs", messages[:3])
        pipeline.send("otlp_logs", messages[3:], tenant="other")
        pipeline.work()
        pipeline.sequence()
        keep_controls(pipeline.client, pipeline.judgement.controls)
        exporting.sign(pipeline, KEYRING)
        assert pipeline.rows("SELECT uniqExact(attempt_id), count() FROM events") == [(1, 8)]
        exporting.export_to(pipeline, tmp_path / "one.zip", KEYRING, with_document=False)
        monkeypatch.setattr(export_batches, "_EVENTS_AT_ONCE", 1)
        exporting.export_to(pipeline, tmp_path / "many.zip", KEYRING, with_document=False)
    good(tmp_path / "many.zip")
    one, many = (bundles.files_of(tmp_path / name) for name in ("one.zip", "many.zip"))
    # What is made of others' digests, and a file of row groups.
    others = {"events.parquet", standalone.MANIFEST, standalone.ENVELOPE, "oscal/assessment-results.json"}
    assert {name for name in one if one[name] != many[name]} <= others


CLOSED_PEOPLE: dict[str, dict[str, Any]] = {
    "pseudonymous": {"profile": "pseudonymous"},
    "minimal": {"profile": "minimal"},
    "a map": {"redact": ("attributes",)},
    "keys of a map": {"redact": ("attributes.onshore.actor.id", "attributes.source.address")},
}


@pytest.mark.parametrize("closed", CLOSED_PEOPLE)
def test_no_file_of_a_redacted_bundle_has_a_redacted_value(sealed: Pipeline, tmp_path: Path, closed: str) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, **CLOSED_PEOPLE[closed])
    good(tmp_path / "b.zip")
    address = ipaddress.IPv6Address(f"::ffff:{exporting.ADDRESS}")
    for name, text in bundles.texts_of(tmp_path / "b.zip").items():
        for value in (*exporting.NAMES, exporting.ADDRESS, address.packed.hex(), "copied for", "alice.sample"):
            assert value not in text, (name, value)


def test_an_open_bundle_has_all_of_them(sealed: Pipeline, tmp_path: Path) -> None:
    """So that the test above can fail."""
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING)
    said = bundles.texts_of(tmp_path / "b.zip")
    assert {name for name, text in said.items() if "alice.sample" in text} >= {
        "openings.ndjson", "findings.ndjson", "findings.csv", "events.parquet", "ocsf/findings.ndjson", "report.pdf",
    }  # fmt: skip


def test_what_repeats_a_closed_key_is_closed_and_pseudonymous_in_findings(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, redact=("attributes.onshore.actor.id",))
    files = bundles.files_of(tmp_path / "b.zip")
    people = [json.loads(line)["fingerprint"].get("actor_id") for line in files["findings.ndjson"].splitlines()]
    assert all(person is None or person.startswith("p-") for person in people)
    assert any(people)
    assert b"nothing about anybody" in files[standalone.OPENINGS]


def test_what_a_line_says_in_plain_text_is_not_closed_by_a_map_that_says_it_too(
    sealed: Pipeline, tmp_path: Path
) -> None:
    """Nearly every attribute is what a column was read from: of a closed map nothing could be shown at all."""
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, redact=("attributes",))
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["counts"]["closed_events"] == 1  # the reason that names somebody
    assert b'"dataset":"patients"' in bundles.files_of(tmp_path / "b.zip")[standalone.EVENTS]


def test_an_event_whose_plain_text_repeats_a_redacted_value_is_withheld(sealed: Pipeline, tmp_path: Path) -> None:
    """The reason of the second person's event names that person, and a reason stands in the line."""
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, redact=("actor_id",))
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["counts"]["closed_events"] == 1
    assert "7 events are shown; 1 are withheld: what they are is not proved." in found["proved"]
    files = bundles.files_of(tmp_path / "b.zip")
    for name, content in files.items():
        assert b"alice.sample" not in content, name
        assert b"bob.sample" not in content, name
    assert b"nothing about anybody" in files[standalone.OPENINGS]


def test_a_pseudonym_is_the_same_within_a_bundle_and_another_in_the_next(sealed: Pipeline, tmp_path: Path) -> None:
    seen = []
    for number in (1, 2):
        path = tmp_path / f"{number}.zip"
        exporting.export_to(sealed, path, KEYRING, profile="pseudonymous", export_id=UUID(int=number))
        openings = [json.loads(line) for line in bundles.files_of(path)[standalone.OPENINGS].splitlines()]
        words = [dict(each.get("pseudonyms", [])).get("actor_id") for each in openings]
        alice = [word for word in words if word and words.count(word) == 2]
        assert len(set(alice)) == 1
        seen.append(alice[0])
    assert seen[0] != seen[1]


def test_the_smallest_profile_has_nothing_that_tells_people_apart(sealed: Pipeline, tmp_path: Path) -> None:
    """Its judgement says that nothing personal moves, and a pseudonym is personal."""
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, profile="minimal")
    good(tmp_path / "b.zip")
    files = bundles.files_of(tmp_path / "b.zip")
    assert b"pseudonyms" not in files[standalone.OPENINGS]
    assert b'"p-' not in files[standalone.OPENINGS] + files[standalone.FINDINGS]
    assert b"redacted" in files[standalone.FINDINGS]


def test_a_key_of_a_map_can_be_closed_by_itself(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, redact=("attributes.plain",))
    good(tmp_path / "b.zip")
    openings = bundles.files_of(tmp_path / "b.zip")[standalone.OPENINGS]
    assert b"nothing about anybody" not in openings
    assert b"onshore.actor.id" in openings


def test_what_is_not_redactable_is_named() -> None:
    with pytest.raises(OnshoreError, match="actor_id"):
        parse_redaction("full", ["actor_ids"])
    with pytest.raises(OnshoreError, match="stands in the sealed line"):
        parse_redaction("full", ["reason"])
    assert parse_redaction("minimal", [])[0] == frozenset(PROFILES["minimal"])


def test_a_range_of_time_shows_its_neighbours_and_no_more(sealed: Pipeline, tmp_path: Path) -> None:
    since, until = exporting.bounds_of_third_message(sealed)
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, since=since, until=until)
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["scope"]["range"] == [2, 3]
    assert len(bundles.files_of(tmp_path / "b.zip")[standalone.ENTRIES].splitlines()) == 3
    assert any(line.startswith("The entry behind them is of ") for line in found["proved"])


def test_a_time_in_which_nothing_came_is_proved_to_be_empty(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, since=1, until=2)
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["counts"]["events"] == 0


def test_entries_of_other_tenants_are_withheld_and_counted(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, tenants=("other",))
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["counts"]["events"] == 0
    assert b'"tenant":"default"' not in bundles.files_of(tmp_path / "b.zip")[standalone.ENTRIES]
    exporting.export_to(sealed, tmp_path / "c.zip", KEYRING, tenants=("default",))
    assert good(tmp_path / "c.zip")["manifest"]["counts"]["events"] == 8


def test_of_a_control_every_violating_event_is_shown_and_no_other(sealed: Pipeline, tmp_path: Path) -> None:
    control, number = sealed.rows(
        "SELECT control_id, count() AS n FROM violations_current GROUP BY control_id ORDER BY n DESC, control_id LIMIT 1"  # noqa: E501
    )[0]
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, controls=(control,))
    found = good(tmp_path / "b.zip")
    assert found["manifest"]["counts"]["events"] == number
    assert "Every event that was sealed as violating one of these controls is here." in found["proved"]
    rows = [json.loads(line) for line in bundles.files_of(tmp_path / "b.zip")["findings.ndjson"].splitlines()]
    assert {row["control"] for row in rows} == {control}
    assert sum(row["events"] for row in rows) == number


def test_a_finding_asked_for_has_another_id_where_its_own_is_a_hash_of_what_is_closed(
    sealed: Pipeline, tmp_path: Path
) -> None:
    control = "AU-APP8-01"
    of_control = f"FROM violations_current WHERE control_id = '{control}' GROUP BY 1"
    finding = sealed.one(f"SELECT toString(finding_id) {of_control} ORDER BY count() DESC, 1 LIMIT 1")
    until, _ = exporting.bounds_of_third_message(sealed)
    for profile, is_said in (("full", True), ("pseudonymous", False)):
        exporting.export_to(
            sealed, tmp_path / "b.zip", KEYRING, profile=profile, until=until, controls=(control,), findings=(finding,)
        )
        (named,) = good(tmp_path / "b.zip")["manifest"]["scope"]["findings"]
        files = bundles.files_of(tmp_path / "b.zip")
        assert {json.loads(line)["finding_id"] for line in files["findings.ndjson"].splitlines()} == {named}
        assert (finding.encode() in files[standalone.MANIFEST]) is is_said


def test_an_export_that_a_control_forbids_is_not_written(sealed: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(ExportBlocked, match="AU-APP8-01") as blocked:
        exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, country="US")
    assert str(blocked.value).endswith(
        "Nothing was written. Leave out what is personal (--profile minimal), or choose one tenant (--tenant),"
        " or name what allows it (--basis, --approval)"
    )
    assert blocked.value.event["destination_country"] == "US"
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_recorded_before_it_is_complete_and_none_is_left_without_record(
    sealed: Pipeline, tmp_path: Path
) -> None:
    target, seen = tmp_path / "b.zip", []

    def record(made: Exported) -> None:
        [part] = [each for each in tmp_path.iterdir() if each.is_file()]
        seen.append((made.manifest_sha256, zipfile.is_zipfile(part), target.exists()))
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exporting.export_to(sealed, target, KEYRING, with_document=False, record=record)
    assert list(tmp_path.iterdir()) == []
    made = exporting.export_to(sealed, target, KEYRING, with_document=False, record=record)
    assert seen == [(made.manifest_sha256, False, False)] * 2
    good(target)


def test_what_leaves_is_recorded_of_every_tenant_whose_it_is(tmp_path: Path) -> None:
    with running_pipeline(tmp_path / "data") as pipeline:
        for tenant in ("zeta", "acme"):
            pipeline.send("otlp_logs", [otlp.logs([otlp.movement()], at_ns=[NOW_NS])], tenant=tenant)
        # A deed of the deployment's own moves nobody's data.
        with closing(assembly.recorder(pipeline.settings)) as recorder:
            record_action(recorder, Action("control.seal", "default", "onshore", "an hour is over", {}))
        pipeline.work()
        pipeline.sequence()
        keep_controls(pipeline.client, pipeline.judgement.controls)
        exporting.sign(pipeline, KEYRING)
        with closing(assembly.recorder(pipeline.settings)) as recorder:
            made = exporting.export_to(
                pipeline, tmp_path / "b.zip", KEYRING, with_document=False,
                record=lambda told: record_export(recorder, told.event, told.tenants, exporting.FIRST, digest="ab"),
            )  # fmt: skip
        assert made.tenants == ("acme", "zeta")
        pipeline.work()
        pipeline.sequence()
        told = "SELECT tenant FROM events WHERE action = 'evidence.export' ORDER BY tenant"
        assert pipeline.rows(told) == [("acme",), ("zeta",)]


def test_what_another_export_would_have_moved_is_not_in_its_record(tmp_path: Path) -> None:
    told = {"categories": ["jp_controlled_technology"], "home_jurisdictions": ["JP"], "destination_country": "US"}
    who = {"tenant": "default", "actor_id": "Kim Lee", "reason": "Request 17", "destination_id": "Somebody"}
    with running_pipeline(tmp_path / "data") as pipeline:
        pipeline.send("otlp_logs", [otlp.logs([otlp.movement()], at_ns=[NOW_NS])])
        with closing(assembly.recorder(pipeline.settings)) as recorder:
            record_export(recorder, told | who, [who["tenant"]], exporting.FIRST, digest=None)
        pipeline.work()
        pipeline.sequence()
        keep_controls(pipeline.client, pipeline.judgement.controls)
        exporting.sign(pipeline, KEYRING)
        assert pipeline.rows("SELECT count() FROM events WHERE has(home_jurisdictions, 'JP')") == [(1,)]
        exported = exporting.export_to(pipeline, tmp_path / "b.zip", KEYRING, with_document=False)
    assert (exported.events, exported.event["home_jurisdictions"]) == (2, ["AU"])
    good(tmp_path / "b.zip")


def test_redaction_of_all_that_is_personal_cures_it_and_pseudonyms_do_not(sealed: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, country="US", profile="minimal")
    good(tmp_path / "b.zip")
    with pytest.raises(ExportBlocked):
        exporting.export_to(sealed, tmp_path / "c.zip", KEYRING, country="US", profile="pseudonymous")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"basis": "because I like it"}, "has no row of it that is in force on 2026-11-26"),
        ({"basis": "contract"}, "has no row of it that is in force on 2026-11-26"),
        ({"basis": "consent", "country": "US"}, "surely covers this transfer of tenant default to US"),
        ({"basis": "consent", "registered": exporting.registers()}, "there is no register of transfer bases"),
        ({"approval": "nobody-1"}, "has none of this id"),
        ({"approval": "nobody-1", "registered": exporting.registers()}, "there is no register of approvals"),
    ],
)
def test_a_basis_or_an_approval_that_no_register_has_cures_nothing(
    sealed: Pipeline, tmp_path: Path, how: dict[str, Any], why: str
) -> None:
    with pytest.raises(ExportBlocked, match=why):
        exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, **DEFAULT | how)
    assert list(tmp_path.iterdir()) == []


def test_a_basis_that_the_register_has_for_the_recipients_country_cures_it(sealed: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(ExportBlocked, match="AU-APP8-01"):
        exporting.export_to(sealed, tmp_path / "b.zip", KEYRING, country="NZ", registered=REGISTERED)
    made = exporting.export_to(
        sealed, tmp_path / "b.zip", KEYRING, country="NZ", basis="Consent", approval="a-1", registered=REGISTERED
    )
    assert made.event["approval_by"] == "the board"
    good(tmp_path / "b.zip")


def test_a_row_that_was_altered_stops_the_export_and_is_named(sealed: Pipeline, tmp_path: Path) -> None:
    """Put back at the end, so that the other tests have the store as it was."""
    change = "ALTER TABLE events UPDATE destination_country = '{}' WHERE kafka_offset = 2 AND record_index = 0"
    before = sealed.one("SELECT destination_country FROM events WHERE kafka_offset = 2 AND record_index = 0")
    sealed.client.command(change.format("AU"), settings={"mutations_sync": 1})
    try:
        with pytest.raises(EvidenceAltered, match=r"otlp_logs\[0\]@2"):
            exporting.export_to(sealed, tmp_path / "b.zip", KEYRING)
        assert list(tmp_path.iterdir()) == []
    finally:
        sealed.client.command(change.format(before), settings={"mutations_sync": 1})


def test_an_export_is_proved_up_to_the_head_of_its_time(sealed: Pipeline) -> None:
    """Asked for again as of that time, it is proved up to the same head though later ones were signed since."""
    reader = exporting.reader_of(sealed)
    first = newest_head(reader)
    noted = sealed.rows("SELECT * FROM checkpoints")
    size = first.head.size
    try:
        for seconds in (60, 120):
            sealed.client.command(
                "INSERT INTO checkpoints SELECT * REPLACE(signed_at + toIntervalSecond({s:UInt32}) AS signed_at) FROM"
                " (SELECT * FROM checkpoints WHERE kind = 'deployment' AND toUnixTimestamp(signed_at) = {at:Int64})",
                parameters={"s": seconds, "at": first.signed_at},
            )
        signed = [
            head_as_of(reader, first.log_id, first.signed_at + after, size) for after in (-5, 0, 1, 60, 61, 120, 500)
        ]
        times = [each.signed_at - first.signed_at for each in signed if each is not None]
        assert times == [0, 0, 0, 0, 60, 60, 120]
        assert head_as_of(reader, first.log_id, first.signed_at + 500, size + 1) is None
    finally:
        reader.close()
        sealed.client.command(
            "DELETE FROM checkpoints WHERE toUnixTimestamp(signed_at) > {at:Int64}",
            parameters={"at": first.signed_at},
        )
    assert len(sealed.rows("SELECT * FROM checkpoints")) == len(noted)
