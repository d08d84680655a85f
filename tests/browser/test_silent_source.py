"""A source stops, in a running stack: the row, the finding, the command line and the dashboard say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import otlp_messages as otlp
from running_stack import run_onshore, running_stack

if TYPE_CHECKING:
    from pathlib import Path

    from watched_page import Watch

_MEASURED_WITHIN_S: Final = 180  # once a minute, after the rollups
STATE: Final = "SELECT state FROM coverage WHERE kind = 'heard' AND source = 'edge'"
FOUND: Final = """SELECT count() FROM findings
WHERE control_id = 'ONS-COV-03' AND fingerprint['source_id'] = 'edge' AND events > 0"""


def test_a_source_that_stops_is_seen_in_the_store_the_command_line_and_the_dashboard(
    tmp_path: Path, watch: Watch
) -> None:
    began = datetime.now(UTC)
    context = tmp_path / "context"
    context.mkdir()
    (context / "expected_sources.yaml").write_text(
        "- source: edge\n  collector: edge-1\n  heard_every: 5m\n  late_by: 1s\n"
        f"  since: '{(began - timedelta(minutes=30)).isoformat()}'\n  owner: ops\n  why: who reads the files\n"
    )
    with running_stack(tmp_path, ONSHORE_CONTEXT_DIR=str(context)) as stack:
        # It was heard every minute until ten minutes ago, and has said nothing since.
        times = [int((began - timedelta(minutes=ago)).timestamp()) * 10**9 for ago in range(30, 9, -1)]
        resource = {"onshore.collector.id": "edge-1"}
        stack.send_logs(otlp.logs([otlp.movement()] * len(times), resource=resource, at_ns=times))
        stack.wait_for(STATE, "silent", _MEASURED_WITHIN_S)
        stack.wait_for(FOUND, 1)
        said = run_onshore(tmp_path, "status", "--coverage", "--data-dir", str(stack.data_dir))
        assert said.returncode == 1
        assert "silent" in said.stdout
        assert "edge" in said.stdout
        watched = watch(stack.addresses["dashboard"])
        watched.open("/coverage", "silent since")
        watched.page.get_by_text("Ask the owner that the register names").wait_for()
        watched.page.get_by_text("who reads the files").first.wait_for()
        watched.close()
