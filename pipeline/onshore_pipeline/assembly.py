"""The worker's and sequencer's collaborators, made from settings at the edge."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import structlog

from onshore_pipeline import context
from onshore_pipeline.assess import Judgement
from onshore_pipeline.broker import TENANT_HEADER
from onshore_pipeline.controls.load import PACKS, load_controls
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import MIB, LogLimits
from onshore_pipeline.evidence.self_check import check_compiled
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.isolate import header
from onshore_pipeline.settings import refuse_unsupported
from onshore_pipeline.stack import DataDir, StoreAddress, pipeline_identity, salt_master, store_address
from onshore_pipeline.store.connect import connect, store_errors
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert
from onshore_pipeline.wire.strict import well_formed

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import Amender, Consumer, EntryReader, Message, MessageReader, Producer
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import Control
    from onshore_pipeline.kafka_security import KafkaSettings
    from onshore_pipeline.settings import Settings

log = structlog.get_logger("assembly")

DEFAULT_TENANT: Final = "default"
_GEOIP_FILES: Final = ("geoip", "geoip6")


def judgement(settings: Settings) -> Judgement:
    """Registries, controls and secrets, read once.

    Raises:
        ContextError, ControlError, SettingsError: something cannot be used; file and line are named.
        CompiledWrongly: this machine does not compute SHA-256 as the standard library does.
    """
    check_compiled()
    well_formed("logs", b"")  # compiled now, and not when the first message waits
    geoip = [path for name in _GEOIP_FILES if (path := _geoip_folder(settings) / name).is_file()]
    databases = [settings.mmdb_file] if settings.mmdb_file is not None else []
    folders = [PACKS, settings.controls_dir] if settings.controls_dir is not None else [PACKS]
    return Judgement(
        context=context.load(settings.context_dir, geoip=geoip, databases=databases),
        controls=load_controls(*folders),
        pipeline=pipeline_identity(),
        salt_master=salt_master(settings),
        tenant_of=_tenant_rule(settings),
        trusts=_trust_rule(settings),
    )


def _geoip_folder(settings: Settings) -> Path:
    """Debian puts the two files straight into the folder or into one called geoip."""
    inner = settings.geoip_dir / "geoip"
    return inner if inner.is_dir() else settings.geoip_dir


def _trust_rule(settings: Settings) -> Callable[[Message], bool]:
    """Headers count on the local log, which only our receiver writes, and on topics that settings trust."""
    is_local, trusted = not settings.kafka_bootstrap_servers, settings.kafka_trusted_topics
    return lambda message: is_local or message.topic in trusted


def _tenant_rule(settings: Settings) -> Callable[[Message], str]:
    """The header where it counts, else what settings say about the topic."""
    trusts, by_topic = _trust_rule(settings), settings.kafka_topic_tenants

    def tenant_of(message: Message) -> str:
        named = header(message, TENANT_HEADER) if trusts(message) else None
        return named or by_topic.get(message.topic, DEFAULT_TENANT)

    return tenant_of


def store_client(settings: Settings, url: str | None = None) -> Client:
    """A writing connection; `url` names the embedded store before the stack has announced itself.

    Raises:
        SettingsError: a setting is set that nothing follows yet.
    """
    refuse_unsupported(settings)
    if url is not None:
        writer = json.loads(DataDir(settings.data_dir).credentials.read_text())["writer"]
        address = StoreAddress(url, writer["user"], writer["password"])
    else:
        address = store_address(settings, writing=True)
    return connect(address.url, address.user, address.password, ca_file=address.ca_file)


def local_log(settings: Settings) -> LocalLog:
    """The local log of the data directory."""
    limits = LogLimits(
        kept_bytes=settings.local_log_kept_mib * MIB,
        kept_messages=settings.local_log_kept_messages,
        kept_s=settings.local_log_kept_hours * 3600,
    )
    return LocalLog(DataDir(settings.data_dir).messages, now_ns=time.time_ns, limits=limits)


def consumer(
    settings: Settings,
    member: str = "",
    at: Callable[[str], None] = nowhere,
    check: Callable[[], object] = lambda: None,
) -> Consumer:
    """A member of the consumer group on the broker that settings name; `member` is its name there.

    On Kafka `check` is called when partitions come to it (see `log_ties.claim_log`).

    Raises:
        TopicsUnfit: Kafka's evidence log would lose entries or let senders stamp them; the text says what to set.
        BrokerUnavailable: try again later.
    """
    if not settings.kafka_bootstrap_servers:
        return local_log(settings).consumer(at)
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import check_topics, refuse_unfit_log

    reached = kafka(settings, member)
    complaints = check_topics(reached)
    for complaint in complaints:
        log.warning("topic", complaint=complaint)
    refuse_unfit_log(complaints)
    return KafkaConsumer(reached, at, check)


def amender(settings: Settings, at: Callable[[str], None] = nowhere) -> Amender:
    """An amender on the broker that settings name."""
    if not settings.kafka_bootstrap_servers:
        return local_log(settings).amender(at)
    from onshore_pipeline.kafka_amender import KafkaAmender

    return KafkaAmender(kafka(settings), at)


def entry_reader(settings: Settings, *, make_topics: bool = True) -> EntryReader:
    """A reader of the evidence log on the broker that settings name; who only looks makes no topics there."""
    if not settings.kafka_bootstrap_servers:
        return local_log(settings).entry_reader()
    from onshore_pipeline.kafka_entries import KafkaEntryReader

    return KafkaEntryReader(kafka(settings, make_topics=make_topics))


def producer(settings: Settings) -> Producer:
    """A producer on the broker that settings name."""
    if not settings.kafka_bootstrap_servers:
        return local_log(settings).producer()
    from onshore_pipeline.kafka_producer import KafkaProducer

    return KafkaProducer(kafka(settings))


def message_reader(settings: Settings) -> MessageReader:
    """A reader of kept messages on the broker that settings name; a topic made now would tell nothing of an old one."""
    if not settings.kafka_bootstrap_servers:
        return local_log(settings).message_reader()
    from onshore_pipeline.kafka_messages import KafkaMessageReader

    return KafkaMessageReader(kafka(settings, make_topics=False))


def kafka(settings: Settings, member: str = "", *, make_topics: bool = True) -> KafkaSettings:
    """How to reach Kafka; missing topics are made, whoever comes first."""
    from onshore_pipeline.kafka_security import kafka_settings
    from onshore_pipeline.kafka_topics import ensure_topics

    reached = kafka_settings(settings, member=member)
    if make_topics:
        ensure_topics(reached, partitions=settings.kafka_partitions)
    return reached


def publish_controls(client: Client, controls: ControlSet) -> None:
    """Put the controls' texts into the store, those that are not there yet, so that every verdict can be explained."""
    with store_errors():
        known = {bytes(row[0]) for row in client.query("SELECT digest FROM controls").result_rows}
    now = datetime.now(UTC)
    rows = [_row(control, now) for control in controls.controls if bytes.fromhex(control.digest) not in known]
    if rows:
        insert(client, "controls", pa.Table.from_pylist(rows, schema=SCHEMAS["controls"]))


def _row(control: Control, loaded_at: datetime) -> dict[str, object]:
    copied = (
        "version", "jurisdiction", "title", "instrument", "kind", "severity", "confidence", "status", "effective_from",
        "effective_to", "checked_on", "rationale", "needs", "evidence", "remediation",
    )  # fmt: skip
    return {
        "control_id": control.id,
        "digest": bytes.fromhex(control.digest),
        "domain": ",".join(control.domains),
        "text": Path(control.file).read_text(encoding="utf-8"),
        "loaded_at": loaded_at,
        **{name: getattr(control, name) for name in copied},
    }
