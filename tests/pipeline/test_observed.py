"""Observed from the header to the event: where it counts, and that nothing else makes it so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import COLLECTOR_HEADER, SENSOR_HEADER, TENANT_HEADER, Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "SELECT ifNull(toString(source_country), ''), toString(source_country_basis) FROM events_current"
METRICS = otlp.gauges({"system.cpu.utilization": 0.5}, {"host.name": "gpu-8", "onshore.collector.id": "syd-1/host"})


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("observed")
    (folder / "context").mkdir()
    (folder / "context" / "collectors.yaml").write_text("- {collector: syd-1/host, host: gpu-8, country: AU}\n")
    with running_pipeline(folder / "data") as running:
        running.settings = running.settings.model_copy(update={"context_dir": folder / "context"})
        running.judgement = assembly.judgement(running.settings)
        yield running


def sent(pipeline: Pipeline, tenant: str, *headers: tuple[str, bytes], trusted: bool = True) -> tuple[str, str]:
    """Country and basis of the machine in a round of metrics that came with these headers."""
    producer = assembly.local_log(pipeline.settings).producer()
    producer.send("otlp_metrics", [Outgoing(METRICS, ((TENANT_HEADER, tenant.encode()), *headers))])
    producer.close()
    judged = pipeline.judgement if trusted else replace(pipeline.judgement, trusts=lambda _: False)
    replace(pipeline, judgement=judged).work()
    pipeline.sequence()
    ((country, basis),) = pipeline.rows(f"{PLACE} WHERE tenant = '{tenant}'")
    return country, basis


def test_a_machine_is_observed_where_its_collector_sits(pipeline: Pipeline) -> None:
    assert sent(pipeline, "ours", (SENSOR_HEADER, b"syd-1/host")) == ("AU", "observed")


def test_attributes_and_other_headers_make_nothing_observed(pipeline: Pipeline) -> None:
    assert sent(pipeline, "forged", (COLLECTOR_HEADER, b"syd-1/host")) == ("", "unknown")
    assert sent(pipeline, "another", (SENSOR_HEADER, b"mel-1/host")) == ("", "unknown")


def test_a_header_that_anybody_may_have_written_counts_for_nothing(pipeline: Pipeline) -> None:
    assert sent(pipeline, "open", (SENSOR_HEADER, b"syd-1/host"), trusted=False) == ("", "unknown")
