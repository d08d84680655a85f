"""Amending on Kafka: entries about messages that have entries already, by one transactional id that fences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import kafka
from kafka import TopicPartition

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC, LoggedEntry, names_dead_letter
from onshore_pipeline.errors import CommitFenced
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.kafka_entries import KafkaEntryReader, reading_options
from onshore_pipeline.kafka_security import KafkaSettings, connected, kafka_errors
from onshore_pipeline.kafka_transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onshore_pipeline.broker import Outgoing

_MEMBER: Final = "amend"  # no worker's name: theirs hold a host and a number


class KafkaAmender:
    """The `Amender` for Kafka; for one thread.

    Whoever opens transactions under the id last is in power: the broker has ended what was open under it, and refuses
    what an earlier holder still sends.
    """

    def __init__(self, settings: KafkaSettings, at: Callable[[str], None] = nowhere) -> None:
        """Nothing is connected yet."""
        self._settings = settings
        self._transactions = Transactions(replace(settings, member=_MEMBER), at)
        self._begun = False

    def begin(self, after: dict[int, int]) -> tuple[LoggedEntry, ...]:
        """Take over, then read to where the log ended at that time, workers' open transactions included."""
        self._begun = False
        self._transactions.reopen()
        ends = self._ends()
        position, found = dict(after), list[LoggedEntry]()
        reader = KafkaEntryReader(self._settings)
        try:
            for entries in reader.read_all(position, ends):
                found += (entry for entry in entries if names_dead_letter(entry.value))
        finally:
            reader.close()
        self._begun = True
        return tuple(found)

    def commit(self, entries: Sequence[bytes], dead_letters: Sequence[Outgoing] = ()) -> None:
        """Append in one transaction of the producer that `begin` opened. Raises as the protocol says."""
        if not self._begun:
            raise CommitFenced(f"Kafka at {self._settings.servers}: not begun, or another replay or discard took over")
        self._begun = False
        self._transactions.commit(entries, dead_letters, {}, None)
        self._begun = True

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        self._transactions.close()

    def _ends(self) -> dict[int, int]:
        """Where the log's partitions end, what is not committed yet included.

        The end of what is committed would not do: a worker's open transaction holds it back, and what an earlier
        amender committed behind that would not be seen.
        """
        options = reading_options(self._settings) | {"isolation_level": "read_uncommitted"}
        consumer = connected(self._settings, kafka.KafkaConsumer, **options)
        with kafka_errors(self._settings, "look for the evidence log's end"):
            try:
                partitions = [
                    TopicPartition(EVIDENCE_LOG_TOPIC, each)
                    for each in sorted(consumer.partitions_for_topic(EVIDENCE_LOG_TOPIC) or ())
                ]
                ends = consumer.end_offsets(partitions, timeout_ms=int(self._settings.request_timeout_s * 1000))
            finally:
                consumer.close()
        return {each.partition: end for each, end in ends.items()}
