"""How to reach a Kafka cluster: addresses, credentials, timeouts, and its errors in our words."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from onshore_pipeline.broker import EVENT_TOPICS, RAW_TOPIC_PREFIX
from onshore_pipeline.errors import BrokerUnavailable, SettingsError
from onshore_pipeline.settings import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onshore_pipeline.settings import Settings

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Compression = Literal["zstd", "lz4"]

_MIB: Final = 1 << 20

Client = TypeVar("Client")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Everything that a client of ours needs to know about a Kafka cluster.

    Attributes:
        bootstrap_servers: 'host:port' of some brokers.
        security_protocol: how connections are secured.
        sasl_mechanism: how we prove who we are; needed with SASL_PLAINTEXT and SASL_SSL.
        sasl_username: user name for it.
        sasl_password: password for it; never shown.
        ca_file: PEM file with the authorities to trust with SSL and SASL_SSL; None = the system's.
        group_id: consumer group of the workers.
        topics: event topics to read; those that do not exist yet are read as soon as they do.
        transactional_id_prefix: begins every transactional id (an ACL may allow just this prefix).
        member: name of this worker, unique within the group; a restarted worker of the same name has its partitions
            back at once and ends what its predecessor left open; one without a name ('') waits until the group has
            given up on the predecessor.
        compression: of what we send.
        max_message_bytes: largest message, headers included.
        queue_bytes: what one producer holds in memory for senders that wait; further senders wait for room.
        request_timeout_s: for one request, and for sending a message.
        commit_timeout_s: for one commit; the broker aborts a transaction that lasts longer.
        session_timeout_s: a worker that is silent for so long loses its partitions.
        max_poll_interval_s: a worker that does not poll for so long loses its partitions.
        look_for_topics_s: how often to look for event topics that are new.
    """

    bootstrap_servers: tuple[str, ...]
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    group_id: str = "onshore"
    topics: tuple[str, ...] = EVENT_TOPICS
    transactional_id_prefix: str = "onshore"
    member: str = ""
    compression: Compression = "zstd"
    max_message_bytes: int = 16 * _MIB
    queue_bytes: int = 64 * _MIB
    request_timeout_s: float = 30.0
    commit_timeout_s: float = 60.0
    session_timeout_s: float = 45.0
    max_poll_interval_s: float = 300.0
    look_for_topics_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises `SettingsError`."""
        if not self.bootstrap_servers:
            raise SettingsError("kafka_bootstrap_servers", "names no server; give host:port")
        _one_of("kafka_security_protocol", self.security_protocol, get_args(SecurityProtocol))
        _one_of("kafka_compression", self.compression, get_args(Compression))
        if self.security_protocol.startswith("SASL"):
            _one_of("kafka_sasl_mechanism", self.sasl_mechanism, get_args(SaslMechanism))
            if not self.sasl_username:
                raise SettingsError("kafka_sasl_username", f"is needed with {self.security_protocol}")
            if not self.sasl_password:
                raise SettingsError("kafka_sasl_password_file", f"is needed with {self.security_protocol}")
        elif self.sasl_mechanism or self.sasl_username or self.sasl_password:
            raise SettingsError("kafka_security_protocol", "credentials need SASL_SSL or SASL_PLAINTEXT")
        if self.ca_file is not None and not self.security_protocol.endswith("SSL"):
            raise SettingsError("kafka_ca_file", "needs the security protocol SSL or SASL_SSL")

    @property
    def servers(self) -> str:
        """The servers in one word, for messages."""
        return ",".join(self.bootstrap_servers)


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """The keyword arguments that every kafka-python client takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": "onshore",
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
        "bootstrap_timeout_ms": int(settings.request_timeout_s * 1000),
        "connections_max_idle_ms": int(settings.request_timeout_s * 1000) + 540_000,
        "reconnect_backoff_max_ms": 2000,
    }
    if settings.sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    if settings.ca_file is not None:
        options["ssl_cafile"] = str(settings.ca_file)
    return options


def kafka_settings(settings: Settings, *, member: str = "") -> KafkaSettings:
    """What the settings say about Kafka; `member` names this worker (see `KafkaSettings`)."""
    password_file = settings.kafka_sasl_password_file
    return KafkaSettings(
        bootstrap_servers=tuple(filter(None, settings.kafka_bootstrap_servers.split(","))),
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism or None,
        sasl_username=settings.kafka_sasl_username or None,
        sasl_password=read_secret(password_file, "kafka_sasl_password_file").decode() if password_file else None,
        ca_file=settings.kafka_ca_file,
        group_id=settings.kafka_group,
        topics=(*EVENT_TOPICS, *(RAW_TOPIC_PREFIX + each for each in sorted(settings.kafka_raw_formats))),
        member=member,
        session_timeout_s=settings.kafka_session_timeout_s,
        max_poll_interval_s=settings.kafka_max_poll_interval_s,
    )


@contextmanager
def kafka_errors(settings: KafkaSettings, doing: str) -> Iterator[None]:
    """Turn what the client raises into `BrokerUnavailable`, naming the cluster and what could not be done."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise BrokerUnavailable(f"Kafka at {settings.servers}: cannot {doing}: {error}") from error


def connected(settings: KafkaSettings, make: Callable[..., Client], **options: object) -> Client:
    """`make(**options)`, a kafka-python client; one that cannot connect leaves no thread or socket behind.

    Raises `BrokerUnavailable`.
    """
    networks: list[KafkaNetClient] = []

    def network(**configs: object) -> KafkaNetClient:
        networks.append(KafkaNetClient(**configs))
        return networks[-1]

    with kafka_errors(settings, "connect"):
        try:
            return make(**options, kafka_client=network)
        except BaseException:
            for each in networks:
                each.close()
            raise


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(name, f"{value!r} is none of {', '.join(allowed)}")
