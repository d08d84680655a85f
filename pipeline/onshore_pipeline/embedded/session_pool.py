"""A bounded number of engine sessions for one role, each with a thread to block in."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.embedded.credentials import Role
    from onshore_pipeline.embedded.engine import Engine
    from onshore_pipeline.embedded.engine_session import Session

P = ParamSpec("P")
T = TypeVar("T")


class SessionPool:
    """Sessions of one role; whoever comes while all are in use waits, so one role cannot starve the other."""

    def __init__(self, engine: Engine, role: Role, size: int) -> None:
        """Allow `size` statements at once; sessions are opened when they are needed."""
        self._engine = engine
        self._role = role
        self._free = asyncio.Semaphore(size)
        self._idle: list[Session] = []
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=f"store-{role.value}")

    async def lease(self) -> Lease:
        """Wait for a session; the caller must give it back."""
        await self._free.acquire()
        try:
            if self._idle:
                session = self._idle.pop()
            else:
                session = await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.open, self._role)
        except BaseException:
            self._free.release()
            raise
        return Lease(self, session)

    def submit(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Start a blocking function in a thread of this pool."""
        return self._threads.submit(function, *arguments, **named)

    def take_back(self, session: Session, *, usable: bool) -> None:
        """Keep a session for the next one who asks, or close it when its state is in doubt."""
        if usable and not session.spent:
            self._idle.append(session)
        else:
            with suppress(RuntimeError):  # the pool is closing, and the process with it
                self._threads.submit(session.close)
        self._free.release()

    async def close(self, timeout_s: float) -> bool:
        """Take no more work and close the sessions; returns whether every thread came back in time."""
        for session in self._idle:
            session.close()
        self._idle.clear()
        ended = asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        done, _ = await asyncio.wait({ended}, timeout=timeout_s)
        return bool(done)


class Lease:
    """One session, for one request."""

    def __init__(self, pool: SessionPool, session: Session) -> None:
        """Take a session out of `pool`."""
        self._pool = pool
        self.session = session
        self._running: Future[Any] | None = None
        self._given_back = False

    async def call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a blocking function with the session in a thread."""
        self._running = running = self._pool.submit(function, *arguments, **named)
        return await asyncio.wrap_future(running)

    def give_back(self, *, usable: bool) -> None:
        """End the lease; once is enough. A session that still works (its client left) is given back when it is done."""
        if self._given_back:
            return
        self._given_back = True
        running = self._running
        if running is None or running.done():
            self._pool.take_back(self.session, usable=usable)
            return
        loop = asyncio.get_running_loop()

        def later(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is gone, and the process with it
                loop.call_soon_threadsafe(lambda: self._pool.take_back(self.session, usable=False))

        running.add_done_callback(later)
