"""Every export of the demo's data that succeeds is good for the verifier, whatever is closed and whatever is asked."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

import bundles
import exporting
from embedded_pipeline import Pipeline, running_pipeline
from onshore_collectors.demo.play import requests_of
from onshore_collectors.demo.scenario import TEMPLATES
from onshore_collectors.demo.scenario.tenants import WATTLEBAY
from onshore_collectors.demo.schedule import Cell
from onshore_collectors.demo.truth import Truth
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.keyring import Keyring, SigningKey
from onshore_pipeline.evidence.redaction import REDACTABLE
from onshore_pipeline.jobs.export import ExportBlocked
from onshore_pipeline.rule_texts import keep_controls
from restoring import forget, lose, restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYRING = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
END_NS = 1_795_000_000_000_000_000
CELLS = [Cell(WATTLEBAY, template, 2) for template in TEMPLATES if template.happens_at(WATTLEBAY)]
TOPICS = {"log": "otlp_logs", "span": "otlp_spans", "metric": "otlp_metrics"}
CLOSED: dict[str, dict[str, Any]] = {
    "nothing": {"profile": "full"},
    "pseudonymous": {"profile": "pseudonymous"},
    "minimal": {"profile": "minimal"},
    "people": {"redact": ("actor_id", "attributes.user.id", "attributes.onshore.actor.id")},
    "maps": {"redact": ("attributes",)},
    "minimal but for hosts": {"redact": tuple({*REDACTABLE} - {"destination_host", "source_host"})},
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("demo") / "data") as pipeline:
        for request in requests_of(CELLS, Truth("test"), seed=1, end_ns=END_NS, stored_as=str):
            pipeline.send(TOPICS[request.signal], [request.payload], tenant=request.tenant)
        pipeline.work()
        pipeline.sequence()
        keep_controls(pipeline.client, pipeline.judgement.controls)
        exporting.sign(pipeline, KEYRING)
        yield pipeline


def scopes(demo: Pipeline) -> dict[str, dict[str, Any]]:
    """Everything, a tenant's, what a jurisdiction's controls found, one control's, one finding's."""
    by_control = Counter(dict(demo.rows("SELECT control_id, count() FROM violations_current GROUP BY 1")))
    by_control["AU-APP8-02"] += 1_000  # calls of models, whose endpoint is the destination's host
    most = [control for control, _ in by_control.most_common(2)]
    finding, control = demo.rows(
        "SELECT toString(finding_id), any(control_id) FROM violations_current WHERE domain = 'data_movement'"
        " GROUP BY 1 ORDER BY count() DESC, 1 LIMIT 1"
    )[0]
    of_australia = tuple(
        sorted(each.id for each in demo.judgement.controls.controls if each.jurisdiction == "AU" and each.violated)
    )
    return {
        "everything": {},
        "a tenant": {"tenants": (WATTLEBAY.id,)},
        "a jurisdiction": {"controls": of_australia, "jurisdictions": ("AU",)},
        **{control: {"controls": (control,)} for control in most},
        "a finding": {"controls": (control,), "findings": (finding,)},
    }


def test_every_export_that_is_made_verifies_and_every_other_says_what_to_do(demo: Pipeline, tmp_path: Path) -> None:
    made: Counter[str] = Counter()
    refused: dict[tuple[str, str], str] = {}
    for (closed, how), (asked, scope) in product(CLOSED.items(), scopes(demo).items()):
        path = tmp_path / "b.zip"
        try:
            exporting.export_to(demo, path, KEYRING, with_document=False, **how, **scope)
        except ExportBlocked:
            raise
        except OnshoreError as error:
            refused[closed, asked] = str(error)
            assert not path.exists()
            continue
        standalone.verify(str(path), standalone.parse_keys(bundles.KEYS))
        made[closed] += 1
        path.unlink()
    assert all(made[closed] >= 3 for closed in CLOSED), made
    assert made["nothing"] == made["minimal but for hosts"] == len(scopes(demo)), refused
    for said in refused.values():
        assert "may not be left out" in said
        assert "withheld and counted" in said
    assert "open: [destination_host]" in refused["minimal", "AU-APP8-02"]


def test_an_event_that_may_not_be_left_out_and_says_what_is_closed_refuses_the_export(
    demo: Pipeline, tmp_path: Path
) -> None:
    with pytest.raises(
        OnshoreError, match=r"record \d+ of otlp_spans\[0\]@\d+ says .*destination_host.* model_endpoint"
    ):
        exporting.export_to(
            demo, tmp_path / "b.zip", KEYRING, profile="minimal", controls=("AU-APP8-02",), with_document=False
        )
    assert list(tmp_path.iterdir()) == []


def test_without_a_control_in_the_scope_such_events_are_withheld_and_counted(demo: Pipeline, tmp_path: Path) -> None:
    exporting.export_to(demo, tmp_path / "b.zip", KEYRING, profile="minimal", with_document=False)
    found = standalone.verify(str(tmp_path / "b.zip"), standalone.parse_keys(bundles.KEYS))
    counts = found["manifest"]["counts"]
    assert counts["closed_events"] == counts["events_sealed"] - counts["events"] > 0
    shown = [json.loads(line) for line in bundles.files_of(tmp_path / "b.zip")[standalone.EVENTS].splitlines()]
    assert not any(event.get("model_endpoint") for event in shown)


def test_closing_people_does_not_cure_what_is_not_personal(demo: Pipeline, tmp_path: Path) -> None:
    """Data sets stay named: of controlled technology, too."""
    with pytest.raises(ExportBlocked, match="AU-DTC-01") as blocked:
        exporting.export_to(demo, tmp_path / "b.zip", KEYRING, profile="minimal", country="CN", with_document=False)
    assert "AU-APP8-01" not in str(blocked.value)
    assert "personal" not in blocked.value.event["categories"]


@pytest.mark.parametrize("tenants", [(), ("default",)])
def test_what_an_earlier_entry_calls_lost_is_told_with_a_part_of_it(tmp_path: Path, tenants: tuple[str, ...]) -> None:
    with running_pipeline(tmp_path / "data") as pipeline:
        exporting.send_messages(pipeline, END_NS)
        since, until = exporting.bounds_of_third_message(pipeline)
        lose(pipeline)
        forget(pipeline, "otlp_logs", 4)
        restore(pipeline)
        pipeline.sequence()
        exporting.sign(pipeline, KEYRING)
        exporting.export_to(pipeline, tmp_path / "b.zip", KEYRING, since=since, until=until, tenants=tenants)
    found = standalone.verify(str(tmp_path / "b.zip"), standalone.parse_keys(bundles.KEYS))
    assert found["manifest"]["counts"]["messages_without_verdicts"] == 1
