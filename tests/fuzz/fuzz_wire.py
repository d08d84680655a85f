"""Coverage-guided fuzzing of the wire decoders: `python tests/fuzz/fuzz_wire.py --seconds 60`.

On every input that either decoder accepts the fast one gives what the reference gives, and `decode` never raises. What
breaks that is written to the folder named by `--keep`; a test replays what is there.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

for module in ("strict", "ordering"):  # before: compiled code cannot be instrumented
    importlib.import_module(f"onshore_pipeline.wire.{module}")
with atheris.instrument_imports(include=["onshore_pipeline.wire", "same_frames"]):
    from onshore_pipeline.wire.decode import decode
    from same_frames import TOPICS, assert_equal_where_accepted

from fuzz_seeds import seeds  # noqa: E402 - behind what is instrumented

if TYPE_CHECKING:
    from onshore_pipeline.wire.fast import Signal

SIGNALS: tuple[Signal, ...] = ("logs", "spans", "metrics")


def check(data: bytes) -> None:
    """One input: its first byte chooses the signal, the rest is the message."""
    if not data:
        return
    signal, value = SIGNALS[data[0] % len(SIGNALS)], data[1:]
    assert_equal_where_accepted(signal, value)
    decode([(TOPICS[signal], value, None)])


def main() -> None:
    """Run for a bounded time over a corpus that grows in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of inputs, grows")
    parser.add_argument("--keep", type=Path, default=Path(__file__).parent / "found", help="where failures are written")
    chosen = parser.parse_args()
    for folder in (chosen.corpus, chosen.keep):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (chosen.corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={chosen.seconds}", "-max_len=4096", "-rss_limit_mb=4096", "-timeout=30"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={chosen.keep}/", str(chosen.corpus)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
