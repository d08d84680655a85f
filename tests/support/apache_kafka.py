"""Apache Kafka 4 from Maven Central, run in KRaft mode from the files in compose/kafka/; for tests and benchmarks.

    with running_kafka(folder) as cluster:                  # one broker
        cluster.bootstrap
    with running_kafka(folder, brokers=3) as cluster:       # three, as compose/kafka/production.properties says
        cluster.brokers[1].kill()                           # -9; also pause(), resume(), stop(), start()

A broker is started again with the same data, port and number. Needs Java 17 and `mvn`; the jars are fetched once.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import kafka
from kafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHIPPED: Final = Path(__file__).parents[2] / "compose" / "kafka"
_SOURCES: Final = Path(__file__).with_name("kafka_jars")
# A small, quick JVM: a test's broker holds megabytes and lives for seconds.
_JVM: Final = ("-Xms96m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_START_WITHIN_S: Final = 180.0
_STOP_WITHIN_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.05
_PORTS: Final = range(15_000, 32_000)  # below what the system hands to outgoing connections, so that a port is kept

# Behind the shipped file, besides ports, folders and addresses: what only makes a test's broker small and patient.
_OVERLAY: Final = {
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",
    # tests of members that fall silent do not wait for Kafka's six seconds
    "group.min.session.timeout.ms": "1000",
    # a broker that died is missed sooner than after nine seconds
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # a topic's retention is looked at every second, not every five minutes
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "500",
}
_PLAIN: Final = {
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "authorizer.class.name": "",
}


class KafkaUnavailable(Exception):
    """Apache Kafka cannot be run here; the text says what is missing."""


@cache
def java_classpath() -> str:
    """The class path of the pinned Kafka, fetched into this user's cache by whoever comes first.

    Raises `KafkaUnavailable`.
    """
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        raise KafkaUnavailable(f"{' and '.join(missing)} not found: install openjdk-17-jre-headless and maven")
    pom = _SOURCES / "pom.xml"
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jars = cache_home / "onshore-tests" / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}"
    jars.parent.mkdir(parents=True, exist_ok=True)
    with jars.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _fetch(pom, jars)
    return f"{jars}/*"


def _fetch(pom: Path, jars: Path) -> None:
    with tempfile.TemporaryDirectory(dir=jars.parent) as folder:
        copy = Path(shutil.copy(pom, folder))  # Maven writes beside the file that it is given
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars", "-DincludeScope=runtime"]
        command = ["mvn", "--quiet", "--batch-mode", "--file", str(copy), *goal]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if fetched.returncode != 0:
            raise KafkaUnavailable(f"Maven cannot fetch Apache Kafka: {(fetched.stdout + fetched.stderr)[-500:]}")
        Path(folder, "jars").rename(jars)


@dataclass
class KafkaBroker:
    """One broker, which is a controller too.

    Attributes:
        number: its node id, from 1.
        folder: its data, configuration and output.
        address: where clients reach it, 'host:port'.
        process: the newest JVM, running or not.
    """

    number: int
    folder: Path
    address: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def said(self) -> str:
        """Its warnings and errors, over all starts."""
        return (self.folder / "output.txt").read_text(errors="replace")

    def format(self, cluster_id: str, *options: str) -> None:
        """Prepare the data folder, as the image does before its first start."""
        format_ = ["format", "--cluster-id", cluster_id, "--config", str(self.folder / "server.properties"), *options]
        done = subprocess.run(
            _java("kafka.tools.StorageTool", *format_), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start the JVM, on the data that is there; does not wait (see `KafkaCluster.wait_until_ready`)."""
        assert self.process is None or self.process.poll() is not None, f"broker {self.number} runs already"
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                _java("kafka.Kafka", str(self.folder / "server.properties")),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """SIGKILL, as when the machine's power goes; to one that lives."""
        assert self.process is not None
        assert self.process.poll() is None, f"broker {self.number} had ended by itself:\n{self.said[-3000:]}"
        self.process.kill()
        self.process.wait(_STOP_WITHIN_S)

    def pause(self) -> None:
        """SIGSTOP: its connections stay, nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Shut down in order; safe when it does not run."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class KafkaCluster:
    """Brokers that form one cluster."""

    folder: Path
    brokers: tuple[KafkaBroker, ...]

    @property
    def bootstrap(self) -> str:
        """All brokers' addresses, as a client takes them."""
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Start the brokers that do not run and wait until the cluster answers."""
        for broker in self.brokers:
            if broker.process is None or broker.process.poll() is not None:
                broker.start()
        self.wait_until_ready()

    def wait_until_ready(self, brokers: int | None = None, within_s: float = _START_WITHIN_S) -> None:
        """Wait until so many brokers (all, if not said) have joined and one of them is the controller."""
        wanted = len(self.brokers) if brokers is None else brokers
        deadline, pause, last = time.monotonic() + within_s, threading.Event(), "nothing answers"
        while time.monotonic() < deadline:
            for broker in self.brokers:
                assert broker.process is None or broker.process.poll() != 1, f"a broker ended itself:\n{broker.said}"
            reachable = [broker.address for broker in self.brokers if _answers(broker.address)]
            if len(reachable) < wanted:
                last = f"{len(reachable)} of {wanted} brokers answer"
            else:
                try:
                    joined = self._joined(reachable)
                except (KafkaError, OSError) as error:
                    last = repr(error)
                else:
                    if joined >= wanted:
                        return
                    last = f"{joined} of {wanted} brokers have joined"
            pause.wait(_LOOK_EVERY_S)
        raise AssertionError(f"no Kafka within {within_s:g} s ({last}):\n{self.brokers[0].said[-3000:]}")

    def stop(self) -> None:
        """Stop every broker; the data stays."""
        for broker in self.brokers:
            if len(self.brokers) > 1 and broker.process is not None and broker.process.poll() is None:
                broker.kill()  # in order, each would wait for the others to take over
            broker.stop()

    def client_options(self) -> dict[str, Any]:
        """What a client needs besides the addresses to be allowed to ask."""
        return {}

    def _joined(self, reachable: list[str]) -> int:
        options = {"bootstrap_servers": reachable} | self.client_options()
        with kafka.KafkaAdminClient(
            **options, request_timeout_ms=3000, bootstrap_timeout_ms=3000, client_id="test"
        ) as admin:
            cluster = admin.describe_cluster()
        return len(cluster["brokers"]) if cluster["controller_id"] >= 0 else 0


@contextmanager
def running_kafka(folder: Path, *, brokers: int = 1, **changes: str) -> Iterator[KafkaCluster]:
    """A fresh cluster in `folder`, ready for clients; stopped in the end, whatever state it is in.

    Args:
        folder: for everything the cluster writes.
        brokers: 1 runs compose/kafka/server.properties; 3 run compose/kafka/production.properties without its security.
        changes: further settings, `_` for `.`; they win over the shipped file.

    Raises `KafkaUnavailable` where there is no Java or Maven.
    """
    java_classpath()
    shipped = SHIPPED / ("server.properties" if brokers == 1 else "production.properties")
    ports = _free_ports(2 * brokers)
    voters = ",".join(f"{number + 1}@127.0.0.1:{ports[2 * number + 1]}" for number in range(brokers))
    made = []
    for number in range(brokers):
        client, controller = (f"127.0.0.1:{port}" for port in ports[2 * number : 2 * number + 2])
        here = {
            "node.id": str(number + 1),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{client}",
            "log.dirs": str(folder / f"broker-{number + 1}" / "data"),
        }
        broker = KafkaBroker(number + 1, folder / f"broker-{number + 1}", client)
        broker.folder.mkdir(parents=True)
        write_properties(broker.folder, shipped, _OVERLAY | _PLAIN | here | _dotted(changes))
        made.append(broker)
    with _running(KafkaCluster(folder, tuple(made))) as cluster:
        yield cluster


@contextmanager
def _running(cluster: KafkaCluster, *format_options: str) -> Iterator[KafkaCluster]:
    cluster_id = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]  # no '-': not an option
    try:
        for broker in cluster.brokers:
            broker.format(cluster_id, *format_options)
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def delete_topics(bootstrap: str) -> None:
    """Delete every topic that is not Kafka's own, and wait until they are gone."""
    with kafka.KafkaAdminClient(bootstrap_servers=bootstrap.split(",")) as admin:

        def ours() -> list[str]:
            return [name for name in admin.list_topics() if not name.startswith("__")]

        if topics := ours():
            admin.delete_topics(topics)
        deadline, pause = time.monotonic() + _STOP_WITHIN_S, threading.Event()
        while ours():
            assert time.monotonic() < deadline, f"topics are still there: {ours()}"
            pause.wait(_LOOK_EVERY_S)


def write_properties(folder: Path, shipped: Path, overlay: Mapping[str, str]) -> None:
    """`shipped` with `overlay` behind it, where the last line wins: what the image makes of a file and KAFKA_..."""
    lines = [f"{name}={value}" for name, value in overlay.items()]
    (folder / "server.properties").write_text(shipped.read_text() + "\n" + "\n".join(lines) + "\n")


def _java(main: str, *arguments: str) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={_SOURCES / 'log4j2.properties'}"
    return ["java", *_JVM, logging, "-cp", java_classpath(), main, *arguments]


def _dotted(changes: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): value for name, value in changes.items()}


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def _free_ports(count: int) -> list[int]:
    """Free loopback ports; a broker that starts again finds its port free."""
    found: list[int] = []
    for port in random.sample(_PORTS, 200 + count):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")
