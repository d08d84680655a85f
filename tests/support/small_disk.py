"""A small file system in memory, which a test may fill."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STEP_BYTES = 1 << 20  # small, because others take room meanwhile


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """Mounted over `folder` for as long as the block lasts; skips the test where nothing can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, left_mib: int = 0) -> Path:
    """A file that leaves so much of the disk; delete it to make room again."""
    filler, size = folder / "filler", 0
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while (free := shutil.disk_usage(folder).free - (left_mib << 20)) > 0:
            step = min(free, _STEP_BYTES)
            os.posix_fallocate(file.fileno(), size, step)
            size += step
    return filler
