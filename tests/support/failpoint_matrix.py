"""One deployment that is killed at one point after the other, and works off a play meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from chaos_load import Play
from onshore_pipeline.failpoints import SEQUENCER_POINTS, SIGNING_POINTS, WORKER_POINTS
from onshore_pipeline.jobs.sweep import FACT_TABLES
from running_stack import measured, wait_until

if TYPE_CHECKING:
    from chaos_load import Load
    from chaos_stack import ChaosStack

SEQUENCING_POINTS: Final = (*SEQUENCER_POINTS, *SIGNING_POINTS)
_SWEEPING = ("7.", "8.old.")
# Reached when a sequencer starts, and then once or twice a minute only.
_AT_THE_START = (*_SWEEPING, "13.")


@dataclass
class Matrix:
    """A deployment, what it is to work off, and how far it is.

    Attributes:
        stack: its store runs.
        load: a round for every point, and some for the end.
        checked: work off what each point left, and check every invariant, before the next one. Without, who comes next
            dies at its own point while it works off what its predecessor left, and the check comes in the end.
    """

    stack: ChaosStack
    load: Load
    checked: bool = True
    killed: list[str] = field(default_factory=list)
    _haunted: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Begin the play."""
        self.play = Play(self.stack.producer, self.load)

    @property
    def sent(self) -> int:
        """Messages so far."""
        return self.play.sent

    def send(self) -> None:
        """The next round of the play."""
        self.play.send()

    def kill_worker(self, point: str) -> None:
        """A worker dies at `point` of a round's attempt; the next one works it off."""
        began = time.monotonic()
        self._runs("sequencer")
        if self.checked:
            self._runs("worker", f"{point}:kill")
            self.stack.settle(self.sent, rollups=False)
            self.stack.arming("worker").touch()
            self.send()
        else:
            self.send()
            self._starts_armed("worker", point)
        self.stack.wait_dead("worker", f"at {point}")
        self._settled(point, "worker", _next(WORKER_POINTS, point), began)

    def kill_sequencer(self, point: str) -> None:
        """A sequencer dies at `point`; the next one goes on where it was."""
        began = time.monotonic()
        self._runs("worker")
        if point.startswith(_SWEEPING):
            self.haunt()
        if point.startswith(_AT_THE_START) or not self.checked:
            self._starts_armed("sequencer", point)
        else:
            self._runs("sequencer", f"{point}:kill")
            self.stack.settle(self.sent)
            self.stack.arming("sequencer").touch()
        self.send()
        self.stack.wait_dead("sequencer", f"at {point}")
        self._settled(point, "sequencer", _next(SEQUENCING_POINTS, point), began)

    def finish(self) -> str:
        """All that is left is sent and worked off; then nothing may be wrong, and the truth comes out; gives counts."""
        self._runs("sequencer")
        self._runs("worker")
        self.play.send_rest()
        self.stack.settle(self.sent)
        contents = self.stack.check()
        assert contents.count == self.sent == self.load.messages
        assert len(contents.dead_letters) == self.play.dead_letters
        self.stack.check_truth(self.load.truth)
        for attempt in self._haunted:
            self._gone(attempt)
        took = f"in {time.monotonic() - self._began:.0f} s"
        kills = f"{len(self.killed)} kills at {len(set(self.killed))} points {took}; " if self.killed else ""
        return f"{kills}{contents.count:,} messages; {self.play}"

    def haunt(self) -> None:
        """An attempt that died long ago: registered, behind the log's end, with a row of each kind in every table."""
        client, attempt = self.stack.client, str(uuid4())
        columns = "topic_ids, partitions, first_offsets, end_offsets"
        client.command(
            "INSERT INTO attempts (attempt_id, worker, registered_at, pipeline, context_digest, controls_digest,"
            f" {columns}) SELECT '{attempt}', 'dead', now64(3) - INTERVAL 5 MINUTE, '', '', '', [topic_id],"
            " [partition], [0], [1] FROM evidence_log ORDER BY log_position LIMIT 1"
        )
        for table in FACT_TABLES:
            client.command(
                f"INSERT INTO {table} SELECT * REPLACE (toUUID('{attempt}') AS attempt_id) FROM {table} LIMIT 3"
            )
            assert self.stack.one(f"SELECT count() FROM {table} WHERE attempt_id = '{attempt}'"), f"{table} is empty"
        self._haunted.append(attempt)

    def _gone(self, attempt: str) -> None:
        """The sweeper has deleted its rows; its registration is still there."""

        def rows() -> dict[str, Any]:
            asked = {table: f"SELECT count() FROM {table} WHERE attempt_id = '{attempt}'" for table in FACT_TABLES}
            return {table: count for table, query in asked.items() if (count := self.stack.one(query))}

        wait_until(lambda: not rows(), f"the rows of dead attempt {attempt} are swept", 90)
        assert self.stack.one(f"SELECT count() FROM attempts WHERE attempt_id = '{attempt}'") == 1

    def _runs(self, part: str, failpoint: str | None = None) -> None:
        """The part runs; one that waits for this very failpoint is left alone."""
        wanted = (failpoint or "").removesuffix(":kill")
        if self.stack.is_alive(part):
            if self.stack.failpoints.get(part, "") == wanted or not failpoint:
                return
            self.stack.stop(part)
        self.stack.start(part, failpoint)

    def _starts_armed(self, part: str, point: str) -> None:
        """The part starts, and dies the first time that it reaches the point, whatever its predecessor left to do."""
        if self.stack.is_alive(part):
            self.stack.stop(part)
        self.stack.start(part, f"{point}:kill", armed=True)

    def _settled(self, point: str, part: str, then: str | None, began: float) -> None:
        self.killed.append(point)
        if self.checked:
            self._runs(part, then)
            self.stack.settle(self.sent)
            self.stack.check()
        measured(f"{point}: killed{', worked off' * self.checked} in {time.monotonic() - began:.1f} s")


def _next(points: tuple[str, ...], point: str) -> str | None:
    """The failpoint behind this one, so that a part is started once for two of them."""
    behind = points[points.index(point) + 1 :]
    return f"{behind[0]}:kill" if behind and not behind[0].startswith(_AT_THE_START) else None
