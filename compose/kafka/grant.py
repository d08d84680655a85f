"""Make the users in Kafka and give each what it needs, and nothing else; may run again.

    python grant.py kafka-1:9094 FOLDER [GROUP]

FOLDER is what make-security.sh filled: the first broker's certificate opens the brokers' own listener, USER.password is
each user's password. GROUP is the workers' consumer group (setting kafka_group).
"""

from __future__ import annotations

import sys
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

EVENTS = ("otlp_logs", "otlp_spans", "otlp_traces", "otlp_metrics")
RAW = "raw."  # raw.FORMAT, written by whoever the operator allows
LOG, DEAD_LETTERS, STORES = "onshore_evidence_log", "onshore_dead_letters", "onshore_stores"
FINDINGS = "onshore_findings"  # for a SIEM, whose user the operator allows to read it
ACTIONS = "onshore_actions"  # what operators do: findings, waivers, controls, exports; and what the sequencer records
USERS = ("onshore-admin", "onshore-receiver", "onshore-worker", "onshore-sequencer", "onshore-operator")


def grants(group: str) -> list[list[ACL]]:
    """Who may do what: only the receiver writes events, the worker the evidence log, operators actions.

    The sequencer records once an hour which controls ran, and changes of the registries, beside what operators do.
    """
    topic, groups, transactions = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
    return [
        *(_allow("onshore-receiver", topic, name, "WRITE", "DESCRIBE") for name in EVENTS),
        *(_allow("onshore-worker", topic, name, "READ", "DESCRIBE", "DESCRIBE_CONFIGS") for name in EVENTS),
        _allow("onshore-worker", topic, ACTIONS, "READ", "DESCRIBE", "DESCRIBE_CONFIGS"),
        _allow("onshore-operator", topic, ACTIONS, "WRITE", "DESCRIBE"),
        _allow("onshore-worker", topic, RAW, "READ", "DESCRIBE", "DESCRIBE_CONFIGS", prefix=True),
        _allow("onshore-worker", topic, LOG, "READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"),
        _allow("onshore-worker", topic, DEAD_LETTERS, "READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"),
        _allow("onshore-worker", topic, STORES, "READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"),
        _allow("onshore-worker", topic, FINDINGS, "DESCRIBE", "DESCRIBE_CONFIGS"),
        _allow("onshore-worker", groups, group, "READ", "DESCRIBE"),
        _allow("onshore-worker", transactions, "onshore", "WRITE", "DESCRIBE", prefix=True),
        *(_allow("onshore-sequencer", topic, name, "DESCRIBE") for name in (*EVENTS, DEAD_LETTERS)),
        _allow("onshore-sequencer", topic, ACTIONS, "READ", "WRITE", "DESCRIBE"),
        _allow("onshore-sequencer", topic, RAW, "DESCRIBE", prefix=True),
        _allow("onshore-sequencer", topic, LOG, "READ", "DESCRIBE"),
        _allow("onshore-sequencer", topic, STORES, "READ", "DESCRIBE"),
        _allow("onshore-sequencer", topic, FINDINGS, "WRITE", "DESCRIBE"),
        _allow("onshore-sequencer", groups, f"{group}-sequencer", "READ", "DESCRIBE"),
    ]  # fmt: skip


def _allow(user: str, kind: ResourceType, name: str, *operations: str, prefix: bool = False) -> list[ACL]:
    pattern = ACLResourcePatternType.PREFIXED if prefix else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(kind, name, pattern)
    return [ACL(f"User:{user}", "*", ACLOperation[each], ACLPermissionType.ALLOW, resource) for each in operations]


def main(bootstrap: str, folder: Path, group: str) -> int:
    """Exit 1 when Kafka refuses a part of it."""
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap.split(","),
        security_protocol="SSL",
        ssl_cafile=str(folder / "ca.pem"),
        ssl_certfile=str(folder / "kafka-1.crt"),
        ssl_keyfile=str(folder / "kafka-1.key"),
    )
    passwords = {user: (folder / f"{user}.password").read_text() for user in USERS}
    made = admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, passwords[user]) for user in USERS]
    )
    granted = admin.create_acls([acl for acls in grants(group) for acl in acls])
    admin.close()
    refused = [*(f"{user}: {error}" for user, error in made.items() if error), *map(str, granted["failed"])]
    print("\n".join(refused) or f"{len(made)} users, {len(granted['succeeded'])} permissions")  # noqa: T201
    return 1 if refused else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2]), (sys.argv[3:] or ["onshore"])[0]))
