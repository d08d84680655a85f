"""A member of the group stays one, whatever the others do; on a real Apache Kafka."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import kafka as library
import pytest
from kafka import TopicPartition
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from onshore_pipeline.broker import Outgoing
from onshore_pipeline.errors import BrokerUnavailable
from onshore_pipeline.kafka_broker import KafkaConsumer
from onshore_pipeline.kafka_entries import reading_options
from onshore_pipeline.kafka_membership import Assignor, Rebalances, go_on_joining, member_options
from onshore_pipeline.kafka_producer import KafkaProducer
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_topics import ensure_topics
from running_stack import wait_until

if TYPE_CHECKING:
    from onshore_pipeline.broker import Message


def settings(bootstrap: str, *topics: str, group: str) -> KafkaSettings:
    return KafkaSettings(
        (bootstrap,),
        topics=topics,
        group_id=group,
        transactional_id_prefix=group,
        request_timeout_s=10.0,
        session_timeout_s=6.0,
        look_for_topics_s=0.1,
    )


def test_joining_anew_for_longer_than_one_poll_ends_well(fresh_kafka: str) -> None:
    group = uuid4().hex[:8]
    ours = settings(fresh_kafka, "otlp_logs", "otlp_spans", group=group)
    ensure_topics(settings(fresh_kafka, "otlp_logs", group=group), partitions=2)
    options = reading_options(ours) | member_options(ours, Assignor()) | {"auto_offset_reset": "latest"}
    other = library.KafkaConsumer(**options)
    other.subscribe(["otlp_logs"])
    is_over = threading.Event()

    def poll_other() -> None:
        go_on_joining(other)  # else the client forgets that it joins, here too, and claims for ever what it had
        other.poll(timeout_ms=100)

    def polls() -> None:
        while not is_over.is_set():
            poll_other()

    with closing(KafkaConsumer(ours)) as consumer, closing(KafkaProducer(ours)) as producer:
        came: list[Message] = []

        def poll() -> bool:
            came.extend(consumer.poll(max_messages=10, max_bytes=1 << 20, timeout_s=0.2).messages)
            return bool(came)

        def both_are_members() -> bool:
            poll()
            poll_other()
            return len(other.assignment()) == 1

        wait_until(both_are_members, "the partitions are shared")
        ensure_topics(ours)
        producer.send("otlp_spans", [Outgoing(b"of the new topic")])
        for _ in range(10):
            poll()  # joins anew, for the new topic, and waits for the other, which is silent
        assert not came
        goes_on = threading.Thread(target=polls)
        goes_on.start()
        try:
            wait_until(poll, "the new topic is read", 20)
        finally:
            is_over.set()
            goes_on.join(20)
            other.close(autocommit=False)
    assert [message.value for message in came] == [b"of the new topic"]


def test_a_partition_whose_owner_died_while_it_was_handed_over_is_worked_on_again(fresh_kafka: str) -> None:
    group = uuid4().hex[:8]
    first, second = (replace(settings(fresh_kafka, "otlp_logs", group=group), member=each) for each in ("a", "b"))
    ensure_topics(first, partitions=2)
    with closing(KafkaConsumer(second)) as other, closing(KafkaProducer(first)) as producer:
        with closing(KafkaConsumer(first)) as dies:  # a member with a name does not say good-bye: it is as if killed

            def owned() -> int:
                dies.poll(max_messages=1, max_bytes=1, timeout_s=0.0)
                return len(dies._consumer.assignment())  # nothing else tells what it gave away

            wait_until(lambda: owned() == 2, "it has both partitions", every_s=0.01)

            def gave_one_away() -> bool:
                other.poll(max_messages=1, max_bytes=1, timeout_s=0.0)
                return owned() == 1

            wait_until(gave_one_away, "it gave one away, which waits for a second round", every_s=0.01)
        sent = {str(number).encode() for number in range(8)}
        for key in sorted(sent):  # for both partitions
            producer.send("otlp_logs", [Outgoing(key, key=key)])
        came: set[bytes] = set()
        with closing(KafkaConsumer(first)) as again:

            def all_came() -> bool:
                for each in (again, other):
                    polled = each.poll(max_messages=10, max_bytes=1 << 20, timeout_s=0.1)
                    came.update(message.value for message in polled.messages)
                return len(came) == len(sent)

            wait_until(all_came, "both partitions are read", 30)
            assert came == sent


def test_who_lost_its_membership_claims_nothing_when_it_joins_anew() -> None:
    assignor, owned = Assignor(), TopicPartition("otlp_logs", 0)
    rebalances = Rebalances(assignor)
    assignor.on_assignment(ConsumerProtocolAssignment(1, [("otlp_logs", [0])], b""), 3)
    claimed = ConsumerProtocolSubscription.decode(assignor.metadata({"otlp_logs"}).encode())
    assert [(each.topic, each.partitions) for each in claimed.owned_partitions] == [("otlp_logs", [0])]
    rebalances.on_partitions_lost({owned})
    assert not ConsumerProtocolSubscription.decode(assignor.metadata({"otlp_logs"}).encode()).owned_partitions
    assert rebalances.took(owned)


def test_who_asks_for_a_rebalance_joins_with_other_words_than_before() -> None:
    assignor = Assignor()
    before = assignor.metadata({"otlp_logs"}).encode()
    assert assignor.metadata({"otlp_logs"}).encode() == before
    assignor.ask()
    assert assignor.metadata({"otlp_logs"}).encode() != before


def test_what_waits_is_not_known_while_it_is_not_settled_whose_it_is(fresh_kafka: str) -> None:
    ours = settings(fresh_kafka, "otlp_logs", group=uuid4().hex[:8])
    ensure_topics(ours, partitions=1)
    with closing(KafkaConsumer(ours)) as consumer:

        def is_known() -> bool:
            try:
                return len(consumer.lag()) == 1
            except BrokerUnavailable:
                consumer.poll(max_messages=1, max_bytes=1, timeout_s=0.05)
                return False

        with pytest.raises(BrokerUnavailable, match="changing hands"):
            consumer.lag()  # nobody's member yet
        wait_until(is_known, "it has the partition")
        consumer.rewind()
        with pytest.raises(BrokerUnavailable, match="changing hands"):
            consumer.lag()
        wait_until(is_known, "it has looked where it stands")


def test_a_coordinator_that_moved_is_found_anew(fresh_kafka: str) -> None:
    group = uuid4().hex[:8]
    ours = replace(settings(fresh_kafka, "otlp_logs", group=group), member="a")
    ensure_topics(ours, partitions=1)
    with closing(KafkaConsumer(ours)) as consumer:
        known = consumer._admin._manager.cluster._coordinators

        def has_looked() -> bool:
            consumer.poll(max_messages=1, max_bytes=1, timeout_s=0.05)
            return bool(known)

        wait_until(has_looked, "it has looked at its group")
        [(of_group, right)] = known.items()
        known[of_group] = 99  # as if another broker had led then
        wait_until(lambda: has_looked() and known.get(of_group) == right, "it asked who leads now", 20)
