"""A pipeline with a house's own controls, and what becomes of its findings: events, actions, standings."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import otlp_messages as otlp
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.controls.activations import FILE_NAME, Activation, written
from onshore_pipeline.findings import life
from onshore_pipeline.findings.standing import Folders, Standing, Wanted, standings
from onshore_pipeline.settings import load_settings
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from embedded_pipeline import Pipeline

CONTROL: Final = """id: ACME-01
version: {version}
title: Copies leave Freedonia
jurisdiction: AU
instrument: house rule
effective_from: 2020-01-01
confidence: policy
checked_on: 2026-01-01
kind: violation
severity: {severity}
outcomes: [success]
clock: {{start: {start}, deadline: {deadline}}}
domain: data_movement
applies: action = 'data.copy'
violated: destination_country NOT IN ('AU', 'NZ')
group_by: [tenant, dataset]
needs: a place
rationale: r
evidence: e
remediation: m
examples:
  - {{name: a, event: {{action: data.copy, destination_country: US}}, verdict: violated}}
  - {{name: b, event: {{action: data.copy, destination_country: AU}}, verdict: satisfied}}
  - {{name: c, event: {{action: data.copy}}, verdict: undetermined}}
"""


COUNTED: Final = """id: {control}
version: {version}
title: What is counted in a day
jurisdiction: AU
instrument: house rule
effective_from: 2020-01-01
confidence: policy
checked_on: 2026-01-01
kind: violation
severity: {severity}
outcomes: [success]
domain: data_movement
applies: action = 'data.export'
violated: {violated}
window: {{every: 1d, period: 1d, group_by: [tenant, dataset]}}
lateness: 1h
group_by: [tenant, dataset]
clock: {{start: detected, deadline: 72h}}
needs: exports with their size
rationale: r
evidence: e
remediation: m
examples:
  - name: a
    events:
      - {{occurred_at: 2026-11-02T09:00:00Z, action: data.export, dataset: x, bytes: {broken}}}
    verdict: violated
  - name: b
    events:
      - {{occurred_at: 2026-11-02T09:00:00Z, action: data.export, dataset: x, bytes: {kept}}}
    verdict: satisfied
  - name: c
    events:
      - {{occurred_at: 2026-11-02T09:00:00Z, action: data.export, dataset: x}}
    verdict: undetermined
"""


def text(version: int, start: str = "detected", deadline: str = "7d", severity: str = "high") -> str:
    return CONTROL.format(version=version, start=start, deadline=deadline, severity=severity)


def counted(
    version: int = 1, most: int = 100, *, control: str = "ACME-02", severity: str = "high", below: bool = False
) -> str:
    """A control of what is exported in a day: more than `most` bytes violate it, or less where `below`."""
    violated, broken = (f"sum(bytes) < {most}", most - 1) if below else (f"sum(bytes) > {most}", most + 1)
    return COUNTED.format(
        control=control, version=version, severity=severity, violated=violated, broken=broken, kept=most
    )


@dataclass
class House:
    """A pipeline with controls of its own; what is in the folder judges from the next batch on."""

    pipeline: Pipeline
    controls: Path
    control_id: str = "ACME-01"

    def work(self) -> None:
        data = self.pipeline.settings.data_dir
        told = {"data_dir": data, "geoip_dir": data / "no-geoip", "controls_dir": self.controls}
        self.pipeline.judgement = assembly.judgement(load_settings(told))
        self.pipeline.work()
        self.pipeline.sequence()

    def violate(self, tenant: str, at: datetime, **changes: str | int) -> None:
        """One event, worked through: a copy that leaves Freedonia, unless other things are said of it."""
        message = otlp.logs([otlp.movement(**changes)], at_ns=int(at.timestamp() * 1000) * 10**6)
        self.pipeline.send("otlp_logs", [message], tenant=tenant)
        self.work()

    def activate(self, version: int, at: datetime, text: str) -> None:
        """Have another text judge what occurs from a time on, as `onshore controls activate` does."""
        (self.controls / f"v{version}.yaml").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        decided = Activation(self.control_id, version, digest, at, datetime.now(UTC), "rina", "the law changes")
        (self.controls / FILE_NAME).write_text(written([decided]))

    def act(self, tenant: str, action: str, **said: str) -> None:
        about = {life.FINDING_ID: self.finding(tenant).finding_id} | said
        with closing(assembly.recorder(self.pipeline.settings)) as recorder:
            record_action(recorder, Action(action, tenant, "rina", "a reason", about))
        self.work()

    def finding(self, tenant: str) -> Standing:
        """The tenant's one finding of the house's control."""
        [found] = standings(self.reader(), Wanted(tenant=tenant, control=self.control_id), datetime.now(UTC), Folders())
        return found

    def reader(self) -> Reader:
        known = json.loads((self.pipeline.settings.data_dir / "credentials.json").read_text())["reader"]
        return Reader(self.pipeline.url, known["user"], known["password"])

    def arrived(self, tenant: str) -> list[datetime]:
        """When the brokers took the tenant's violating events."""
        sql = f"""SELECT ingested_at FROM violations_current
            WHERE tenant = '{tenant}' AND control_id = '{self.control_id}' ORDER BY ingested_at"""
        return [at.replace(tzinfo=UTC) for (at,) in self.pipeline.rows(sql)]


def new_house(pipeline: Pipeline, folder: Path) -> House:
    """A house with `CONTROL` alone."""
    controls = folder / "controls"
    controls.mkdir()
    (controls / "v1.yaml").write_text(text(1))
    return House(pipeline, controls)
