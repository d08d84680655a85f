"""Apache Kafka by compose/kafka/production.properties with its security: TLS, SCRAM, permissions; one broker of it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apache_kafka import (
    _OVERLAY,
    SHIPPED,
    KafkaBroker,
    KafkaCluster,
    _free_ports,
    _running,
    java_classpath,
    write_properties,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ONE: Final = {
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
}


@dataclass
class SecuredKafka(KafkaCluster):
    """The cluster, its secrets, and where brokers talk to each other."""

    secrets: Path
    inside: str

    def password(self, user: str) -> str:
        """What make-security.sh made up for a user."""
        return (self.secrets / f"{user}.password").read_text()

    def client_options(self) -> dict[str, Any]:
        """How a broker, which may do everything, reaches it."""
        return {
            "bootstrap_servers": [self.inside],
            "security_protocol": "SSL",
            "ssl_cafile": str(self.secrets / "ca.pem"),
            "ssl_certfile": str(self.secrets / "kafka-1.crt"),
            "ssl_keyfile": str(self.secrets / "kafka-1.key"),
        }


@contextmanager
def running_secured_kafka(folder: Path, group: str = "onshore") -> Iterator[SecuredKafka]:
    """One broker with users and permissions, as the shipped scripts make them. Raises `KafkaUnavailable`."""
    java_classpath()
    secrets = folder / "secrets"
    make = [str(SHIPPED / "make-security.sh"), str(secrets), "kafka-1=localhost,127.0.0.1"]
    subprocess.run(make, check=True, timeout=60)
    clients, controller, inside = (f"127.0.0.1:{port}" for port in _free_ports(3))
    here = _ONE | {
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"CLIENTS://{clients},CONTROLLER://{controller},BROKERS://{inside}",
        "advertised.listeners": f"CLIENTS://{clients},BROKERS://{inside}",
        "log.dirs": str(folder / "broker-1" / "data"),
        "ssl.keystore.location": str(secrets / "kafka-1.pem"),
        "ssl.truststore.location": str(secrets / "ca.pem"),
    }
    broker = KafkaBroker(1, folder / "broker-1", clients)
    broker.folder.mkdir(parents=True)
    write_properties(broker.folder, SHIPPED / "production.properties", _OVERLAY | here)
    with _running(SecuredKafka(folder, (broker,), secrets, inside)) as cluster:
        assert isinstance(cluster, SecuredKafka)
        grant = [sys.executable, str(SHIPPED / "grant.py"), inside, str(secrets), group]
        subprocess.run(grant, check=True, timeout=60, capture_output=True)
        yield cluster
