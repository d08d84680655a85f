"""Findings of windows in a bundle's renderings: what a late event restated is said to be restated, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jsonschema
import pypdfium2
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

import bundles
import exporting
import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.evidence.verify import verify_bundle
from onshore_pipeline.jobs.export_renderings import DOCUMENT, OCSF, OSCAL
from onshore_pipeline.reports.ocsf import OCSF_VERSION
from onshore_pipeline.rule_texts import keep_controls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYRING = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
DAY = (datetime.now(UTC) - timedelta(days=5)).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Of a day that is over, 300 GB that somebody exported, and as much again that arrived after it was judged."""
    with running_pipeline(tmp_path_factory.mktemp("windows") / "data") as pipeline:
        for hour in (9, 17):
            at_ns = int((DAY + timedelta(hours=hour)).timestamp()) * 10**9
            event = otlp.movement(action="data.export", data_bytes=300 * 10**9)
            pipeline.send("otlp_logs", [otlp.logs([event], at_ns=at_ns)])
            pipeline.work()
            pipeline.sequence()
            pipeline.judge_windows()
        keep_controls(pipeline.client, pipeline.judgement.controls)
        exporting.sign(pipeline, KEYRING)
        yield pipeline


def test_an_export_says_when_a_late_event_restated_a_finding(restated: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(restated, tmp_path / "b.zip", KEYRING)
    assert verify_bundle(tmp_path / "b.zip", bundles.KEYS)
    files = bundles.files_of(tmp_path / "b.zip")
    at = restated.one("SELECT max(restated_at) FROM restatements WHERE control_id = 'SOV-19-01'")
    assert b"SOV-19-01" not in files["findings.ndjson"]  # of no sealed verdict
    findings = [json.loads(line) for line in files[OCSF].splitlines()]
    [found] = [each for each in findings if "onshore.restated_on" in each["unmapped"]]
    assert found["unmapped"]["onshore.restated_on"].startswith(f"{at:%Y-%m-%dT%H:%M:%S}")
    named = {2003: "compliance_finding", 2006: "data_security_finding"}[found["class_uid"]]
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(OCSF_VERSION)).get_class_schema(named)
    jsonschema.Draft202012Validator(schema).validate(found)
    assert f"{at:%Y-%m-%dT%H:%M:%S}" in files[OSCAL].decode()
    assert '"restated-on"' in files[OSCAL].decode()
    document = pypdfium2.PdfDocument(files[DOCUMENT])
    try:
        shown = "".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()
    assert f"restated on {at:%Y-%m-%d}" in " ".join(shown.split())


def test_what_was_restated_in_the_time_of_an_export_stands_in_it_however_the_store_keeps_it(
    restated: Pipeline, tmp_path: Path
) -> None:
    day_ns, hour_ns = int(DAY.timestamp()) * 10**9, 3_600 * 10**9
    asked = "SELECT count() FROM restatements WHERE toUnixTimestamp64Nano({}) > {}"
    for merge in (False, True):
        if merge:
            restated.client.command("OPTIMIZE TABLE windowed_verdicts_built FINAL")
        told = {}
        for since in (day_ns, day_ns + 24 * hour_ns):
            exporting.export_to(restated, tmp_path / "b.zip", KEYRING, since=since, with_document=False)
            lines = bundles.files_of(tmp_path / "b.zip")["restatements.ndjson"].splitlines()
            told[since] = [json.loads(line) for line in lines]
            assert len(lines) == restated.one(asked.format("until", since))
        [row] = [each for each in told[day_ns] if each["control"] == "SOV-19-01"]
        assert (row["before"], row["after"]) == ("satisfied", "violated")
        assert (row["since"], row["until"]) == (day_ns, day_ns + 24 * hour_ns)
        assert all(each["control"] != "SOV-19-01" for each in told[day_ns + 24 * hour_ns])


@pytest.mark.parametrize("profile", ["pseudonymous", "minimal"])
def test_a_finding_of_windows_is_closed_where_the_bundle_is(restated: Pipeline, tmp_path: Path, profile: str) -> None:
    exporting.export_to(restated, tmp_path / "b.zip", KEYRING, since=int(DAY.timestamp()) * 10**9, profile=profile)
    files = bundles.files_of(tmp_path / "b.zip")
    finding = restated.one("SELECT toString(any(finding_id)) FROM restatements WHERE control_id = 'SOV-19-01'")
    assert b'"restated-on"' in files[OSCAL]
    assert b'"SOV-19-01"' in files["restatements.ndjson"]
    for name in (OCSF, OSCAL, "restatements.ndjson"):
        assert finding not in files[name].decode()
        assert '"kim"' not in files[name].decode()
