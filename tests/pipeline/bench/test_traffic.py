"""What the benchmarks send is what it is said to be, seen with a real location file."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from onshore_pipeline import assembly
from onshore_pipeline.assess import assess
from onshore_pipeline.bench.stages import messages_of
from onshore_pipeline.bench.traffic import Traffic, log_messages
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

_GEOIP = Path("/usr/share/tor")


@pytest.mark.skipif(not (_GEOIP / "geoip").exists(), reason="Debian's tor-geoipdb is not installed")
@pytest.mark.parametrize(("traffic", "least", "most"), [(Traffic(), 0.0, 0.1), (Traffic(scattered=True), 0.8, 1.2)])
def test_claims_agree_unless_addresses_are_scattered(
    tmp_path: Path, traffic: Traffic, least: float, most: float
) -> None:
    DataDir(tmp_path).make()
    judgement = assembly.judgement(load_settings({"data_dir": tmp_path, "geoip_dir": _GEOIP}))
    values = list(log_messages(4, traffic))
    attempt = assess(messages_of(values), judgement, UUID(int=1))
    violations = attempt.tables["violations"].num_rows
    assert least < violations / attempt.events < most
