"""The worker's and sequencer's collaborators, made from settings at the edge.

What judges takes seconds to load: only the functions that need it import it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import structlog

from onshore_pipeline.broker import ACTIONS_TOPIC, TENANT_HEADER
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import MIB, LogLimits
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.settings import refuse_unsupported
from onshore_pipeline.stack import DataDir, StoreAddress, pipeline_identity, salt_master, store_address
from onshore_pipeline.store.connect import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.broker import Amender, Consumer, EntryReader, Message, MessageReader, Producer, Recorder
    from onshore_pipeline.context.registered import Registered
    from onshore_pipeline.context.world import Context, Geography
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.head_keeper import HeadKeeper
    from onshore_pipeline.kafka_security import KafkaSettings
    from onshore_pipeline.rules import ChangingRules
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

log = structlog.get_logger("assembly")

DEFAULT_TENANT: Final = "default"
_GEOIP_FILES: Final = ("geoip", "geoip6")


def judgement(settings: Settings) -> Judgement:
    """Registries, controls and secrets, read once.

    Raises:
        ContextError, ControlError, SettingsError: something cannot be used; file and line are named.
        CompiledWrongly: this machine does not compute SHA-256 as the standard library does.
    """
    _compile()
    return _judgement(settings, _geography(settings))


def registered(settings: Settings) -> Registered:
    """What the registries say about data, people and permissions. No geography is read. Raises `ContextError`."""
    from onshore_pipeline.context.loading import read_registered
    from onshore_pipeline.context.own import files_in

    return read_registered(files_in(settings.context_dir))


def rules(settings: Settings) -> ChangingRules:
    """What `judgement` gives, read again whenever files of the folders of registries and controls change.

    Raises:
        ContextError, ControlError, SettingsError, CompiledWrongly: as `judgement`.
    """
    from onshore_pipeline.context.loading import assemble
    from onshore_pipeline.context.own import files_in
    from onshore_pipeline.rules import ChangingRules

    geography, read = _geography(settings), settings.context_dir
    _compile()
    return ChangingRules(
        _judgement(settings, geography),
        context=(read, lambda: assemble(files_in(read), geography)),
        controls=(settings.controls_dir, lambda: controls(settings)),
    )


def _compile() -> None:
    """Now, and not when the first message waits."""
    import polars as pl

    from onshore_pipeline.evidence.self_check import check_compiled
    from onshore_pipeline.views import have_scheme, numbered
    from onshore_pipeline.wire.strict import well_formed

    check_compiled()
    well_formed("logs", b"")
    text = pl.Series(["a"])
    numbered(text)
    have_scheme(text)


def read_context(settings: Settings, known_at: datetime | None = None) -> Context:
    """The registries in force, or as they were known then. Raises `ContextError`."""
    from onshore_pipeline.context.loading import assemble
    from onshore_pipeline.context.own import files_in

    return assemble(files_in(settings.context_dir), _geography(settings), known_at)


def registries_learned(settings: Settings) -> tuple[datetime, ...]:
    """When rows of the registries became known, in order. Raises `ContextError`."""
    from onshore_pipeline.context.loading import learned
    from onshore_pipeline.context.own import files_in

    return learned(files_in(settings.context_dir))


def _judgement(settings: Settings, geography: Geography) -> Judgement:
    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.context.loading import assemble
    from onshore_pipeline.context.own import files_in

    return Judgement(
        context=assemble(files_in(settings.context_dir), geography),
        controls=controls(settings),
        pipeline=pipeline_identity(),
        salt_master=salt_master(settings),
        tenant_of=_tenant_rule(settings),
        trusts=_trust_rule(settings),
    )


def _geography(settings: Settings) -> Geography:
    from onshore_pipeline.context.loading import read_geography

    geoip = [path for name in _GEOIP_FILES if (path := _geoip_folder(settings) / name).is_file()]
    return read_geography(geoip, [settings.mmdb_file] if settings.mmdb_file is not None else [])


def controls_in_force(settings: Settings) -> Callable[[], ControlSet]:
    """What gives the controls in force; files that cannot be used leave the last good ones in force.

    Raises:
        ControlError: they cannot be used now.
    """
    from onshore_pipeline.rules import Folder

    in_force = controls(settings)
    folder = Folder(settings.controls_dir, lambda: controls(settings))

    def now() -> ControlSet:
        nonlocal in_force
        in_force = folder.renewed() or in_force
        return in_force

    return now


def controls(settings: Settings) -> ControlSet:
    """The controls in force: those that ship, and the operator's own. Raises `ControlError`."""
    from onshore_pipeline.controls.load import PACKS, load_controls

    return load_controls(*([PACKS] if settings.controls_dir is None else [PACKS, settings.controls_dir]))


def _geoip_folder(settings: Settings) -> Path:
    """Debian puts the two files straight into the folder or into one called geoip."""
    inner = settings.geoip_dir / "geoip"
    return inner if inner.is_dir() else settings.geoip_dir


def _trust_rule(settings: Settings) -> Callable[[Message], bool]:
    """Headers count on the local log, which only our own parts write, on the actions' topic, and where settings say."""
    is_local, trusted = not settings.kafka_bootstrap_servers, settings.kafka_trusted_topics | {ACTIONS_TOPIC}
    return lambda message: is_local or message.topic in trusted


def _tenant_rule(settings: Settings) -> Callable[[Message], str]:
    """The header where it counts, else what settings say about the topic."""
    from onshore_pipeline.isolate import header

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
    address = _writer(settings, url)
    return connect(address.url, address.user, address.password, ca_file=address.ca_file)


def _writer(settings: Settings, url: str | None) -> StoreAddress:
    if url is None:
        return store_address(settings, writing=True)
    writer = json.loads(DataDir(settings.data_dir).credentials.read_text())["writer"]
    return StoreAddress(url, writer["user"], writer["password"])


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


def head_keeper(settings: Settings, client: Client, log_id: UUID, at: Callable[[str], None] = nowhere) -> HeadKeeper:
    """What signs heads of an evidence log; a deployment on one machine that has no key makes one."""
    from onshore_pipeline.head_journal import HeadJournal
    from onshore_pipeline.head_keeper import HeadKeeper, heads_path
    from onshore_pipeline.head_signer import HeadSigner
    from onshore_pipeline.signing_key import KeySource, journal_path

    journal = HeadJournal(journal_path(settings))
    return HeadKeeper(HeadSigner(client, log_id, KeySource(settings), journal, at), heads_path(settings))


def store_reader(settings: Settings, url: str | None = None) -> Reader:
    """The same, for frames."""
    from onshore_pipeline.store.reader import Reader

    address = _writer(settings, url)
    return Reader(address.url, address.user, address.password, ca_file=address.ca_file)


def producer(settings: Settings) -> Producer:
    """A producer on the broker that settings name."""
    if not settings.kafka_bootstrap_servers:
        return local_log(settings).producer()
    from onshore_pipeline.kafka_producer import KafkaProducer

    return KafkaProducer(kafka(settings))


def recorder(settings: Settings) -> Recorder:
    """Where what people do is recorded; on one machine the running stack's own log, or the one it left.

    Raises `SettingsError` where no stack was ever started: an action in a log that nobody reads would be none.
    """
    if not settings.kafka_bootstrap_servers:
        data = DataDir(settings.data_dir)
        if not (data.messages.is_dir() or data.store.is_dir()):
            why = (
                f"no stack was started in {settings.data_dir}; run `onshore up`, or name the data directory with"
                " --data-dir"
            )
            raise SettingsError("data_dir", why)
        return local_log(settings).producer()
    from onshore_pipeline.kafka_producer import KafkaProducer

    return KafkaProducer(kafka(settings, make_topics=False))


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
