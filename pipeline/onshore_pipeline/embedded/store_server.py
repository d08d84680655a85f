"""The embedded store: `python -m onshore_pipeline.embedded.store_server`, ClickHouse's engine on one machine.

Serves ClickHouse's HTTP interface on 127.0.0.1. One process owns a data directory; SIGTERM and SIGINT end it within a
few seconds, and what an INSERT was answered for is on the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import uvicorn

from onshore_pipeline.embedded.clickhouse_http import build_app
from onshore_pipeline.embedded.credentials import Credentials, Role, load_or_create
from onshore_pipeline.embedded.engine import Engine
from onshore_pipeline.embedded.engine_session import EngineError
from onshore_pipeline.embedded.full_disk import Disk, refuse_full
from onshore_pipeline.embedded.parent import follow_parent
from onshore_pipeline.embedded.session_pool import SessionPool
from onshore_pipeline.errors import OnshoreError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 128
_SESSIONS: Final = {Role.WRITER: 6, Role.READER: 6}
_MAX_REQUESTS: Final = 256
# Longer than the pause between two batches, so that writers need not open a connection for each.
_KEEP_ALIVE_S: Final = 300
_LAST_REQUESTS_S: Final = 2
_LAST_QUERIES_S: Final = 1.5
_LAST_CHECK_S: Final = 1.0
# It takes its options behind the path, as in a web address.
_NO_PATH_FOR_THE_ENGINE: Final = frozenset("?&#%")
_EXIT_COULD_NOT: Final = 2


class _NoBrokenAnswers(logging.Filter):
    """Drops tracebacks for answers that broke off because the engine failed: the client was told why."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write this record."""
        return record.exc_info is None or not isinstance(record.exc_info[1], EngineError)


class _Server(uvicorn.Server):
    """Says when it is up, and leaves signals to `_serve`, which closes the engine as well."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until asked to stop; returns the exit code (2: it could not start, one line on stderr says why)."""
    options = _parser().parse_args(arguments)
    data_dir: Path = options.data_dir.absolute()
    os.environ["TZ"] = "UTC"
    if options.with_parent:
        follow_parent()
    try:
        with _own(data_dir), _listen(options.port) as listener:
            credentials = load_or_create(options.credentials)
            refuse_full(data_dir)
            engine = Engine(data_dir / "engine")
            asyncio.run(_serve(engine, credentials, listener, data_dir / "spool", options.ready_file))
    except (OnshoreError, EngineError) as error:
        sys.stderr.write(f"onshore store: {' '.join(str(error).split())}\n")
        return _EXIT_COULD_NOT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="store_server", description="The embedded store.")
    parser.add_argument("--data-dir", type=Path, required=True, help="where the data lies; made when absent")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--credentials", type=Path, required=True, help="users and passwords; made when absent")
    parser.add_argument("--ready-file", type=Path, help='gets {"url": ..., "pid": ...} once requests are answered')
    parser.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    return parser


@contextmanager
def _own(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for this process alone."""
    if odd := _NO_PATH_FOR_THE_ENGINE & set(str(data_dir)):
        raise SettingsError(
            "--data-dir", f"{data_dir}: the engine cannot open a path with {' '.join(sorted(odd))} in it"
        )
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise SettingsError("--data-dir", f"{data_dir} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError("--data-dir", f"another onshore uses {data_dir}{_owner(lock)}; stop it first") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _owner(lock: IO[str]) -> str:
    lock.seek(0)
    pid = lock.read().strip()
    return f" (pid {pid})" if pid.isdecimal() else ""


@contextmanager
def _listen(port: int) -> Iterator[socket.socket]:
    # asyncio switches Nagle's delay (40 ms an answer) off only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise SettingsError("--port", f"{_HOST}:{port} cannot be used ({why}); choose another, or 0") from error
        yield listener


async def _serve(
    engine: Engine, credentials: Credentials, listener: socket.socket, spool: Path, ready_file: Path | None
) -> None:
    """Answer requests until a signal comes, then let those under way finish and close the engine."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logging.getLogger("uvicorn.error").addFilter(_NoBrokenAnswers())
    _empty(spool)
    port = int(listener.getsockname()[1])
    disk = Disk(spool, engine.part_checks())
    disk.start()
    pools = {role: SessionPool(engine, role, size) for role, size in _SESSIONS.items()}
    server = _Server(
        uvicorn.Config(
            build_app(pools, credentials, spool, disk, port),
            http="httptools",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_REQUESTS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_LAST_REQUESTS_S,
        )
    )
    serving = asyncio.create_task(server.serve([listener]))
    await server.up.wait()
    if ready_file is not None:
        _write_ready(ready_file, {"url": f"http://{_HOST}:{port}", "pid": os.getpid()})
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    stopping.cancel()
    disk.stop()
    engine.cancel_queries()
    closed = [await pool.close(_LAST_QUERIES_S) for pool in pools.values()]
    if all(closed) and disk.is_done(_LAST_CHECK_S):
        engine.close()
    else:
        # A statement does not let go, and the interpreter would wait for its thread. Parts are whole on the disk.
        os._exit(0)


def _empty(spool: Path) -> None:
    """Remove what a killed process left of request bodies."""
    spool.mkdir(exist_ok=True)
    for file in spool.iterdir():
        with suppress(OSError):
            file.unlink()


def _write_ready(file: Path, content: dict[str, object]) -> None:
    """Write atomically: whoever sees the file sees all of it."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.chmod(0o600)
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main())
