"""Makes sure, at the edge, that Kafka's evidence log is this store's, group's and salt key's (see `kafka_ties`).

The local log needs none of it: it lies in the data directory, beside its store and its key, for one process.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from onshore_pipeline.assembly import kafka
from onshore_pipeline.evidence.salts import master_id
from onshore_pipeline.stack import salt_master
from onshore_pipeline.store.identity import store_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.kafka_ties import Tie
    from onshore_pipeline.settings import Settings


def claim_log(settings: Settings, client: Client) -> Callable[[], object]:
    """Tie the log to this store if nobody has tied it yet; gives the check to make again later.

    Raises:
        LogOfAnother: it is another's; the text says whose, and what to do.
        StoreUnavailable, BrokerUnavailable: try again later.
    """
    if not settings.kafka_bootstrap_servers:
        return lambda: None
    from onshore_pipeline.kafka_ties import claim, refuse_another

    reached, wanted = kafka(settings), _wanted(settings, client, sealing=True)
    claim(reached, wanted, who())
    return lambda: refuse_another(reached, wanted)


def refuse_log_of_another(settings: Settings, client: Client, *, sealing: bool) -> bool:
    """Stop where the log is another's; whether it is tied at all. Raises as `claim_log`.

    Args:
        settings: as read.
        client: the store.
        sealing: whether rows or entries are to be made, so that the salt key must be the one of before.
    """
    if not settings.kafka_bootstrap_servers:
        return True
    from onshore_pipeline.kafka_ties import refuse_another

    return refuse_another(kafka(settings, make_topics=False), _wanted(settings, client, sealing=sealing))


def move_log(settings: Settings, client: Client, *, another_salt_key: bool) -> tuple[Tie | None, Tie]:
    """Tie the log to this store, whosever it was; gives what counted before and what counts now.

    Raises:
        LogOfAnother: it has another salt key and that is not said to be meant; or somebody is still at work on it.
        StoreUnavailable, BrokerUnavailable: try again later.
    """
    from onshore_pipeline.kafka_ties import move, refuse_another_salt_key

    reached, wanted = kafka(settings), _wanted(settings, client, sealing=True)
    if not another_salt_key:
        refuse_another_salt_key(reached, wanted)
    return move(reached, wanted, who())


def who() -> str:
    """This process, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _wanted(settings: Settings, client: Client, *, sealing: bool) -> Tie:
    from onshore_pipeline.kafka_ties import Tie

    key = master_id(salt_master(settings)) if sealing else None
    return Tie(store_id(client), settings.kafka_group, key)
