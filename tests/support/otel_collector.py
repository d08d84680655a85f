"""The OpenTelemetry Collector, built from its Go modules with the parts that stand before Onshore.

    with running_collector(folder, config) as collector:    # config: what its YAML says
        collector.said

Needs Go; the program is built once into this user's cache (minutes) and again when its list of parts changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SOURCES: Final = Path(__file__).with_name("otelcol")
_BUILD_WITHIN_S: Final = 1_500.0
_STOP_WITHIN_S: Final = 20.0


class CollectorUnavailable(Exception):
    """The Collector cannot be built here; the text says what is missing."""


@cache
def collector_program() -> Path:
    """The Collector, built by whoever comes first.

    Raises `CollectorUnavailable`.
    """
    if shutil.which("go") is None:
        raise CollectorUnavailable("go not found: install Go 1.26 or newer")
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.iterdir()):
        digest.update(source.read_bytes())
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache_home / "onshore-tests" / f"otelcol-{digest.hexdigest()[:16]}"
    program.parent.mkdir(parents=True, exist_ok=True)
    with program.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    made = program.with_suffix(".new")
    command = ["go", "build", "-trimpath", "-mod=readonly", "-ldflags=-s -w", "-o", str(made), "."]
    built = subprocess.run(command, cwd=_SOURCES, capture_output=True, text=True, timeout=_BUILD_WITHIN_S, check=False)
    if built.returncode != 0:
        raise CollectorUnavailable(f"Go cannot build the Collector: {built.stderr[-500:]}")
    made.rename(program)


@dataclass
class Collector:
    """A running Collector.

    Attributes:
        process: its process.
        folder: its configuration and output.
    """

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def said(self) -> str:
        """What it logged."""
        return (self.folder / "collector.txt").read_text(errors="replace")


def validate(config: Path) -> str:
    """What the Collector has to say against a configuration; '' for one that it takes."""
    checked = subprocess.run(
        [str(collector_program()), "validate", f"--config=file:{config}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return (checked.stderr or "refused") if checked.returncode else ""


@contextmanager
def running_collector(folder: Path, config: Mapping[str, Any]) -> Iterator[Collector]:
    """The Collector with this configuration (JSON is YAML), until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "collector.json"
    file.write_text(json.dumps(config))
    with (folder / "collector.txt").open("wb") as output:
        process = subprocess.Popen(
            [str(collector_program()), f"--config=file:{file}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Collector(process, folder)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
