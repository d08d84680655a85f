"""Makes tests/golden/findings: every finding that comes of the demo, and of the data beside the repository.

Run it where findings were meant to change, and read the difference before it is committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]

import golden_findings  # noqa: E402
from embedded_pipeline import running_pipeline  # noqa: E402


def main() -> None:
    for name, sent in (("demo", golden_findings.demo), ("shared-data", golden_findings.shared_data)):
        with tempfile.TemporaryDirectory() as temporary, running_pipeline(Path(temporary) / "data") as pipeline:
            lines = golden_findings.findings(pipeline, sent())
        golden_findings.write(name, lines)
        sys.stdout.write(f"{name}: {len(lines)} findings\n")


if __name__ == "__main__":
    main()
