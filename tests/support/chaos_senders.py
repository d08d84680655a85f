"""Senders that go on through everything, and what the store must then hold of what they sent."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from otlp_messages import logs, movement
from running_stack import PROTOBUF

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

RECORDS = 2
_ANSWER_WITHIN_S = 10.0
_PAUSE_S = 0.1


@dataclass
class Sender:
    """Sends one small message after the other and each again until it is acknowledged, as collectors do.

    Attributes:
        name: leads the uid of its records.
        address: the receiver's.
        acknowledged: numbers of the messages that were acknowledged.
        unanswered: how often a message was sent without an answer that settles it: no answer, or "try again later".
    """

    name: str
    address: str
    seed: int
    acknowledged: list[int] = field(default_factory=list)
    unanswered: Counter[int] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more; a message that is not acknowledged yet stays so."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(3 * _ANSWER_WITHIN_S)
            assert not self._thread.is_alive(), f"{self.name} still waits for an answer"

    def _run(self) -> None:
        pace = random.Random(self.seed)
        number = 0
        with httpx.Client(base_url=self.address, headers=PROTOBUF, timeout=_ANSWER_WITHIN_S) as client:
            while not self._stop.wait(pace.uniform(0, 2 * _PAUSE_S)):
                number += 1
                body = logs([movement() | {"log.record.uid": self.uid(number, index)} for index in range(RECORDS)])
                while not self._send(client, number, body):
                    if self._stop.wait(2 * _PAUSE_S):
                        return

    def _send(self, client: httpx.Client, number: int, body: bytes) -> bool:
        try:
            answer = client.post("/v1/logs", content=body)
        except httpx.HTTPError:
            self.unanswered[number] += 1
            return False
        if answer.status_code in {429, 502, 503, 504}:
            self.unanswered[number] += 1
            return False
        if answer.is_success:
            self.acknowledged.append(number)
        else:
            self.refused.append(f"{number}: {answer.status_code} {answer.text[:200]}")
        return True

    def uid(self, number: int, index: int) -> str:
        return f"{self.name}/{number}/{index}"


def compare(client: Client, senders: list[Sender]) -> str:
    """Every acknowledged record is there; fails with the first ones that are not as they must be.

    Exactly once where every request with it was answered. A request that got no answer may have arrived: the sender's
    own retry is then another message with the same uid, which the pipeline seals too (nothing there is a duplicate of
    Onshore's making: event ids and offsets differ). Such a record may be there once for each unanswered request more.
    What was never acknowledged may be there as often as it was sent.
    """
    rows = client.query(
        "SELECT attributes['log.record.uid'] AS uid, count() FROM events_current GROUP BY uid"
    ).result_rows
    ours = tuple(f"{sender.name}/" for sender in senders)
    found = {str(uid): int(count) for uid, count in rows if str(uid).startswith(ours)}
    wrong: list[str] = []
    once = more = 0
    for sender in senders:
        assert not sender.refused, sender.refused[:5]
        acknowledged = set(sender.acknowledged)
        assert len(acknowledged) == len(sender.acknowledged)
        for number in acknowledged | set(sender.unanswered):
            least = int(number in acknowledged)
            most = least + sender.unanswered[number]
            for index in range(RECORDS):
                times = found.pop(sender.uid(number, index), 0)
                once, more = once + (times == 1), more + (times > 1)
                if not least <= times <= most:
                    wrong.append(f"{sender.uid(number, index)} is there {times} times, not {least} to {most}")
    wrong += [f"{uid} is there and was never sent" for uid in found]
    assert not wrong, "\n".join(wrong[:10])
    return f"{once + more:,} records, {more:,} of them also by a sender's own retry"
