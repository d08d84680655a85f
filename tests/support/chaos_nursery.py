"""Parts as children of a process that has their modules loaded already: they start in a tenth of the time.

Each is a process of its own from there on, with its own memory, files and sockets; SIGKILL ends it like any other. What
is shared is only what `import` did. (`onshore up` and the commands are started the usual way.)
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from contextlib import contextmanager
from multiprocessing import forkserver
from subprocess import TimeoutExpired
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PRELOADED = "chaos_preload"


class Child:
    """A part that was started here; as much of `subprocess.Popen` as chaos needs.

    Attributes:
        pid: its process id.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, output: Path) -> None:
        """Start `python -m command`, writing to `output`."""
        _ensure_nursery()
        made = multiprocessing.get_context("forkserver").Process(
            target=_live, args=(list(command), dict(environment), str(folder), str(output)), daemon=True
        )
        with _no_main():
            made.start()
        assert made.pid is not None
        self._process, self.pid = made, made.pid

    @property
    def returncode(self) -> int | None:
        """What it ended with; minus the signal's number if one killed it; None while it lives."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Until it ended. Raises `TimeoutExpired`."""
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()


@contextmanager
def _no_main() -> Iterator[None]:
    """A child would import this process's main module once more, which is pytest."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _ensure_nursery() -> None:
    multiprocessing.set_forkserver_preload([_PRELOADED])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _live(command: list[str], environment: dict[str, str], folder: str, output: str) -> None:
    """In the child: become `python -m command`."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    sys.argv = list(command)
    sys.modules.pop(f"{command[0]}.__main__", None)  # runs as itself
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
