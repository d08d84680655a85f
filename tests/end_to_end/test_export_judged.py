"""`onshore export` beside a running stack: judged before anything is written, and cut to what was asked for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import otlp_messages as otlp
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.evidence.verify import verify_bundle
from running_stack import run_onshore

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from running_stack import RunningStack

CONTROL = "AU-APP8-01"


@dataclass(frozen=True)
class Exporter:
    """Exports of what one tenant sent until now."""

    stack: RunningStack
    tenant: str
    until: datetime
    folder: Path
    keys: str

    def export(self, name: str, country: str, *more: str) -> subprocess.CompletedProcess[str]:
        asked = ("--from", "2020-01-01", "--to", self.until.isoformat(), "--tenant", self.tenant, "--no-pdf")
        named = ("--recipient", "OAIC", "--as", "Kim Lee", "--reason", "Request 17", "--recipient-country", country)
        out = ("--out", str(self.folder / name), "--json", "--data-dir", str(self.stack.data_dir))
        return run_onshore(self.folder, "export", *asked, *named, *out, *more)

    def manifest(self, name: str, country: str, *more: str) -> dict[str, Any]:
        """Of a bundle that was made and is good."""
        made = self.export(name, country, *more)
        assert made.returncode == 0, made.stderr
        manifest: dict[str, Any] = verify_bundle(self.folder / name, self.keys)["manifest"]
        return manifest

    def query(self, sql: str) -> Any:
        return self.stack.reader.query(sql, parameters={"tenant": self.tenant}).result_rows


@pytest.fixture(scope="module")
def exports(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Exporter:
    """Two movements abroad by two people, and one that stays."""
    folder, tenant = tmp_path_factory.mktemp("exports"), f"test-{uuid.uuid4().hex[:12]}"
    records = [otlp.movement(actor_id="ana"), otlp.movement(actor_id="bo")]
    records.append(otlp.movement(actor_id="bo", destination_country="AU"))
    producer = LocalLog(stack.data_dir / "log", now_ns=lambda: int(datetime.now(UTC).timestamp() * 1e9)).producer()
    producer.send("otlp_logs", [Outgoing(otlp.logs(records), ((TENANT_HEADER, tenant.encode()),))])
    producer.close()
    findings = f"SELECT count() FROM findings WHERE tenant = {{tenant:String}} AND control_id = '{CONTROL}'"
    stack.wait_for(findings, 2, tenant=tenant)
    keys = run_onshore(folder, "keys", "show", "--data-dir", str(stack.data_dir)).stdout
    return Exporter(stack, tenant, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1), folder, keys)


def test_a_violation_stops_it_and_redaction_cures_it_but_no_basis_that_nobody_registered(exports: Exporter) -> None:
    refused = exports.export("refused.zip", "US")
    assert (refused.returncode, CONTROL in refused.stderr) == (1, True)
    invented = exports.export("refused-too.zip", "NZ", "--basis", "because I like it")
    assert invented.returncode == 1
    assert "--basis because I like it: there is no register of transfer bases" in invented.stderr
    assert not [each for each in exports.folder.iterdir() if "refused" in each.name]
    assert exports.manifest("redacted.zip", "US", "--profile", "minimal")["counts"]["events"] == 3
    sealed = "SELECT count() FROM events_current WHERE tenant = {tenant:String} AND action = 'evidence.export.refused'"
    exports.stack.wait_for(sealed, 2, tenant=exports.tenant)


def test_a_jurisdiction_and_a_finding_cut_it(exports: Exporter) -> None:
    assert exports.manifest("au.zip", "AU", "--jurisdiction", "AU")["counts"]["events"] == 2
    sql = f"SELECT toString(finding_id) FROM findings WHERE tenant = {{tenant:String}} AND control_id = '{CONTROL}'"
    finding = str(exports.query(f"{sql} LIMIT 1")[0][0])
    one = exports.manifest("finding.zip", "AU", "--finding", finding)
    assert one["scope"]["findings"] == [finding]
