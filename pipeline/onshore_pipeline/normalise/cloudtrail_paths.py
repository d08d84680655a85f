"""Where the needed fields stand in a CloudTrail record."""

from __future__ import annotations

from typing import Final

from onshore_pipeline.normalise.json_fields import ITEMS

# Column → path in the record (AWS CloudTrail record contents, event version 1.11).
RECORD_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "event_version": ("eventVersion",),
    "event_time": ("eventTime",),
    "event_source": ("eventSource",),
    "event_name": ("eventName",),
    "event_id": ("eventID",),
    "region": ("awsRegion",),
    "source": ("sourceIPAddress",),
    "error_code": ("errorCode",),
    "error_message": ("errorMessage",),
    "account": ("recipientAccountId",),
    "vpc_endpoint": ("vpcEndpointId",),
    "read_only": ("readOnly",),
    "actor_type": ("userIdentity", "type"),
    "actor_arn": ("userIdentity", "arn"),
    "actor_principal": ("userIdentity", "principalId"),
    "actor_account": ("userIdentity", "accountId"),
    "actor_service": ("userIdentity", "invokedBy"),
    "bytes_in": ("additionalEventData", "bytesTransferredIn"),
    "bytes_out": ("additionalEventData", "bytesTransferredOut"),
    "login": ("responseElements", "ConsoleLogin"),
    "bucket": ("requestParameters", "bucketName"),
    "object_key": ("requestParameters", "key"),
    "table": ("requestParameters", "tableName"),
    "database_snapshot": ("requestParameters", "dBSnapshotIdentifier"),
    "database": ("requestParameters", "dBInstanceIdentifier"),
    "snapshot": ("requestParameters", "snapshotId"),
    "volume": ("requestParameters", "volumeId"),
    "secret": ("requestParameters", "secretId"),
    "key": ("requestParameters", "keyId"),
    "model": ("requestParameters", "modelId"),
    "source_region": ("requestParameters", "sourceRegion"),
    "destination_vault": ("requestParameters", "destinationBackupVaultArn"),
    "sent_to_region": ("requestParameters", "destinationRegion"),
    "copy_source": ("requestParameters", "x-amz-copy-source"),
    "permission": ("requestParameters", "attributeType"),
    "image": ("requestParameters", "imageId"),
    "kms_key": ("requestParameters", "kmsKeyId"),
    "replication_task": ("requestParameters", "replicationTaskArn"),
    "target": ("requestParameters", "target"),
    "model_endpoint_name": ("requestParameters", "endpointName"),
    "model_package": ("requestParameters", "modelPackageGroupName"),
    "model_name": ("requestParameters", "modelName"),
    "endpoint_account": ("vpcEndpointAccountId",),
    "shared_event": ("sharedEventID",),
    "category": ("eventCategory",),
    "user_agent": ("userAgent",),
    "console": ("sessionCredentialFromConsole",),
    "tls_version": ("tlsDetails", "tlsVersion"),
    "tls_cipher": ("tlsDetails", "cipherSuite"),
    "tls_host": ("tlsDetails", "clientProvidedHostHeader"),
    "issuer": ("userIdentity", "sessionContext", "sessionIssuer", "arn"),
    "mfa": ("userIdentity", "sessionContext", "attributes", "mfaAuthenticated"),
    "source_identity": ("userIdentity", "sessionContext", "sourceIdentity"),
    "s3_cipher": ("additionalEventData", "CipherSuite"),
    "sse_applied": ("additionalEventData", "SSEApplied"),
    "mfa_used": ("additionalEventData", "MFAUsed"),
    "ran_in": ("additionalEventData", "inferenceRegion"),
    "key_store": ("additionalEventData", "customKeyStoreId"),
    "sse": ("responseElements", "x-amz-server-side-encryption"),
    "sse_key": ("responseElements", "x-amz-server-side-encryption-aws-kms-key-id"),
    "key_origin": ("responseElements", "keyMetadata", "origin"),
    "resource_arns": ("resources", ITEMS, "ARN"),
    "resource_accounts": ("resources", ITEMS, "accountId"),
}
# Lists of calls that are rare: read only where a text names one of them, because lists cost more than texts.
RARE_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "replica_regions": ("requestParameters", "addReplicaRegions", ITEMS, "region"),
    "volume_users": ("requestParameters", "createVolumePermission", "add", "items", ITEMS, "userId"),
    "volume_groups": ("requestParameters", "createVolumePermission", "add", "items", ITEMS, "group"),
    "launch_users": ("requestParameters", "launchPermission", "add", "items", ITEMS, "userId"),
    "launch_groups": ("requestParameters", "launchPermission", "add", "items", ITEMS, "group"),
    "values_added": ("requestParameters", "valuesToAdd", ITEMS),
}
RARE_MARKS: Final = ("createVolumePermission", "launchPermission", "valuesToAdd", "addReplicaRegions")
RARE_REQUEST_PATHS: Final = {column: path[1:] for column, path in RARE_PATHS.items()}
# Athena and Lake exports put all names into lower case.
LOWER_PATHS: Final = {column: tuple(name.lower() for name in path) for column, path in RECORD_PATHS.items()}
# A bucket's replication rules: where they send to. One rule may stand without a list.
_RULE: Final = ("requestParameters", "ReplicationConfiguration", "Rule")
REPLICATION_PATHS: Final = {
    "rule_buckets": (*_RULE, ITEMS, "Destination", "Bucket"),
    "rule_accounts": (*_RULE, ITEMS, "Destination", "Account"),
}
ONE_RULE_PATHS: Final = {
    column: tuple(name for name in path if name != ITEMS) for column, path in REPLICATION_PATHS.items()
}
# The same fields where only the request's parameters were sent.
REQUEST_PATHS: Final = {column: path[1:] for column, path in RECORD_PATHS.items() if path[0] == "requestParameters"}
