"""Makes tests/golden/bundles/v2-people: a bundle with keys of people and a hold.

Run once a format version and keep the result for ever: today's verifiers must give yesterday's bundles their verdicts.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]

import bundles  # noqa: E402
import exporting  # noqa: E402
import recorded  # noqa: E402
from embedded_pipeline import running_pipeline  # noqa: E402
from onshore_pipeline.evidence.keyring import Keyring, SigningKey  # noqa: E402


def main() -> None:
    folder = bundles.GOLDEN / "v2-people"
    folder.mkdir(parents=True, exist_ok=True)
    keyring = Keyring((SigningKey(bundles.NAME, bundles.KEY, datetime(2026, 11, 26, tzinfo=UTC)),))
    with tempfile.TemporaryDirectory() as temporary, running_pipeline(Path(temporary) / "data") as pipeline:
        recorded.fill(pipeline, keyring)
        exporting.export_to(pipeline, folder / "good.zip", keyring)
    (folder / "operator.vkey").write_text(bundles.KEYS)


if __name__ == "__main__":
    main()
