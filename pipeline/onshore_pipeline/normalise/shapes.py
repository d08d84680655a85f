"""The source formats that are read on their own terms, and which record is of which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise import (
    aws_bedrock,
    aws_cloudtrail_digest,
    aws_networkfirewall,
    aws_s3access,
    aws_vpcflow,
    azure_activity,
    azure_datafactory,
    azure_entra,
    azure_lockbox,
    azure_storage,
    backup_job,
    cloudtrail,
    databricks_audit,
    dns_query,
    gateway_envoy,
    gateway_litellm,
    gateway_vllm,
    gcp_access,
    gcp_audit,
    gcp_dns,
    gcp_firewall,
    gcp_vpcflow,
    github_audit,
    google_workspace,
    kubernetes_audit,
    kubernetes_event,
    mcp_call,
    model_registry,
    okta_system,
    postgres_pgaudit,
    redfish_event,
    replication_job,
    vendor_ticket,
    vpn_session,
)

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records
    from onshore_pipeline.normalise.shape import Shape

SHAPES: Final[tuple[Shape, ...]] = (
    aws_bedrock.SHAPE,
    aws_cloudtrail_digest.SHAPE,
    aws_networkfirewall.SHAPE,
    aws_s3access.SHAPE,
    aws_vpcflow.SHAPE,
    azure_activity.SHAPE,
    azure_datafactory.SHAPE,
    azure_entra.SHAPE,
    azure_lockbox.SHAPE,
    azure_storage.SHAPE,
    backup_job.SHAPE,
    cloudtrail.SHAPE,
    databricks_audit.SHAPE,
    dns_query.SHAPE,
    gateway_envoy.SHAPE,
    gateway_litellm.SHAPE,
    gateway_vllm.SHAPE,
    gcp_access.APPROVAL_SHAPE,
    gcp_access.TRANSPARENCY_SHAPE,
    gcp_audit.SHAPE,
    gcp_dns.SHAPE,
    gcp_firewall.SHAPE,
    gcp_vpcflow.SHAPE,
    github_audit.SHAPE,
    google_workspace.SHAPE,
    kubernetes_audit.SHAPE,
    kubernetes_event.SHAPE,
    mcp_call.SHAPE,
    model_registry.SHAPE,
    okta_system.SHAPE,
    postgres_pgaudit.SHAPE,
    redfish_event.SHAPE,
    replication_job.SHAPE,
    vendor_ticket.SHAPE,
    vpn_session.SHAPE,
)

FORMAT_KEY: Final = "log.record.format"
KEYS: Final = (FORMAT_KEY, *(key for shape in SHAPES for key in shape.keys))
RESOURCE_KEYS: Final = (FORMAT_KEY, *(key for shape in SHAPES for key in shape.resource_keys))

_FORMATS: Final = pl.Series([shape.format for shape in SHAPES])


def formats_of(records: Records) -> pl.Series:
    """The format each record is written in, of those that are listed here; null for all others.

    What the record says counts before what it looks like.
    """
    said = pl.coalesce("encoding_format", records.text(FORMAT_KEY), records.resource(FORMAT_KEY))
    looks = [
        pl.when(shape.recognised(records)).then(pl.lit(shape.format))
        for shape in SHAPES
        if shape.recognised is not None
    ]
    return records.select(
        pl.coalesce(pl.when(said.is_in(_FORMATS.implode())).then(said), *looks).alias("format")
    ).to_series()


def describe(records: Records, formats: pl.Series) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """Columns and attributes to add of the records that have a format, one pair a format that occurs."""
    present = set(formats.unique().to_list())
    return [
        shape.describe(records.filtered((formats == shape.format).fill_null(False)))
        for shape in SHAPES
        if shape.format in present
    ]
