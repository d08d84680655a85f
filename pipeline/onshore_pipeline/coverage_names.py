"""Names that senders, facts and the register of expected sources share."""

from __future__ import annotations

from typing import Final

GAP_ACTION: Final = "telemetry.gap"
HEARTBEAT_ACTION: Final = "telemetry.heartbeat"
# What says something about coverage itself: what senders lost, and what a chain of digests proves.
STATEMENT_ACTIONS: Final = (
    GAP_ACTION, "telemetry.verified", "telemetry.altered", "telemetry.skipped", "telemetry.unverified",
)  # fmt: skip
LOSSES: Final = "onshore.source.losses"
RUN: Final = "onshore.collector.run"
# Resource attributes that name a sender and are the same for all of its processes; registers recognise by these.
NAMING_KEYS: Final = (
    "cloud.account.id", "cloud.provider", "cloud.region", "deployment.environment.name", "host.id", "host.name",
    "k8s.cluster.name", "k8s.namespace.name", "onshore.source.facility", "service.name", "service.namespace",
)  # fmt: skip
