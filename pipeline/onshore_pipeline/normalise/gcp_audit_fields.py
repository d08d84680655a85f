"""Where the needed fields stand in a Google Cloud audit log entry, and in what the Collector's decoder makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise.source_fields import source_fields

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

DECODED: Final = "gcp.auditlog"
LOSSES: Final = (
    "authorizationInfo.resourceAttributes,metadata,request,resourceOriginalState,response,"
    "serviceAccountDelegationInfo,serviceData,status.details,thirdPartyPrincipal"
)
_JOB: Final = "metadata jobChange job"
_PAYLOAD: Final = {
    "service": "serviceName",
    "method": "methodName",
    "resource_name": "resourceName",
    "current": "resourceLocation currentLocations []",
    "original": "resourceLocation originalLocations []",
    "status": "status code",
    "status_message": "status message",
    "email": "authenticationInfo principalEmail",
    "subject": "authenticationInfo principalSubject",
    "key_name": "authenticationInfo serviceAccountKeyName",
    "delegates": "authenticationInfo serviceAccountDelegationInfo [] principalSubject",
    "first_parties": "authenticationInfo serviceAccountDelegationInfo [] firstPartyPrincipal principalEmail",
    "granted": "authorizationInfo [] granted",
    "caller": "requestMetadata callerIp",
    "caller_capital": "requestMetadata callerIP",
    "network": "requestMetadata callerNetwork",
    "request_reason": "requestMetadata requestAttributes reason",
    "items": "numResponseItems",
    "violation": "metadata violationReason",
    "job_type": f"{_JOB} jobConfig type",
    "statement": f"{_JOB} jobConfig queryConfig statementType",
    "deletion": "metadata tableDeletion reason",
    "query_destination": f"{_JOB} jobConfig queryConfig destinationTable",
    "load_destination": f"{_JOB} jobConfig loadConfig destinationTable",
    "copy_destination": f"{_JOB} jobConfig tableCopyConfig destinationTable",
    "copy_sources": f"{_JOB} jobConfig tableCopyConfig sourceTables []",
    "extract_source": f"{_JOB} jobConfig extractConfig sourceTable",
    "extract_destinations": f"{_JOB} jobConfig extractConfig destinationUris []",
    "query_tables": f"{_JOB} jobStats queryStats referencedTables []",
    "query_bytes": f"{_JOB} jobStats queryStats totalProcessedBytes",
}
# Some exporters put names into lower case.
_SPELLED: Final = {name: f"protoPayload {path} | protopayload {path}" for name, path in _PAYLOAD.items()} | {
    "insert_id": "insertId | insertid",
    "log": "logName | logname",
    "time": "timestamp",
    "received": "receiveTimestamp | receivetimestamp",
    "bucket": "resource labels bucket_name",
    "project": "resource labels project_id",
    "location": "resource labels location | resource labels zone | resource labels region",
}
# Field → the attribute that the Collector's decoder writes, and that a raw record's field becomes.
_NAMED: Final = {
    "service": "gcp.audit.service.name",
    "method": "gcp.audit.method.name",
    "resource_name": "gcp.audit.resource.name",
    "current": "gcp.audit.resource.location.current",
    "original": "gcp.audit.resource.location.original",
    "insert_id": "log.record.uid",
    "key_name": "gcp.audit.authentication.service_account.key.name",
    "request_reason": "gcp.audit.request.reason",
}
_OURS: Final = {
    "delegation": "gcp.audit.authentication.delegation",
    "job_destination": "gcp.audit.bigquery.destination",
    "query_tables": "gcp.audit.bigquery.tables",
    "violation": "gcp.audit.violation.reason",
}
ATTRIBUTES: Final = _NAMED | _OURS
_DECODER_ONLY: Final = {
    "email": "user.email",
    "subject": "user.id",
    "caller": "client.address",
    "network": "gcp.audit.request.caller.network",
    "items": "gcp.audit.response.items",
    "status": "rpc.jsonrpc.error_code",
    "status_message": "rpc.jsonrpc.error_message",
}
_ON_RESOURCE: Final = {"log": "cloud.resource_id", "bucket": "gcp.label.bucket_name", "project": "gcp.project"}
_PLACES: Final = ("gcp.label.location", "gcp.label.zone", "gcp.label.region")
KEYS: Final = (*_NAMED.values(), *_DECODER_ONLY.values())
RESOURCE_KEYS: Final = (*_ON_RESOURCE.values(), *_PLACES)


def fields_of(records: Records) -> pl.DataFrame:
    """`source_fields` of audit log entries."""
    sent = {name: records.text(key) for name, key in (_NAMED | _DECODER_ONLY).items()}
    sent |= {name: records.resource(key) for name, key in _ON_RESOURCE.items()}
    sent["location"] = pl.coalesce([records.resource(key) for key in _PLACES])
    return source_fields(records, _SPELLED, sent)
