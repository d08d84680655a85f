"""What one analyst gets of known records is exactly what somebody read: no finding more, none less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import golden_findings
from embedded_pipeline import running_pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from golden_findings import Sent

RENEW = "read what changed; where it was meant to, run `python tests/golden/make_findings.py`"


def differences(folder: Path, name: str, sent: list[Sent]) -> list[str]:
    """Findings that came and nobody read (+), and those that were read and did not come (-)."""
    with running_pipeline(folder / "data") as pipeline:
        came, read = set(golden_findings.findings(pipeline, sent)), set(golden_findings.read(name))
    return [*(f"+ {line}" for line in sorted(came - read)), *(f"- {line}" for line in sorted(read - came))]


def test_the_demo_gives_the_findings_that_were_read(tmp_path: Path) -> None:
    assert differences(tmp_path, "demo", list(golden_findings.demo())) == [], RENEW


@pytest.mark.skipif(not golden_findings.SHARED.is_dir(), reason=f"shared/data is not at {golden_findings.SHARED}")
def test_real_records_give_the_findings_that_were_read(tmp_path: Path) -> None:
    assert golden_findings.shared_count() == 3200
    assert differences(tmp_path, "shared-data", list(golden_findings.shared_data())) == [], RENEW
