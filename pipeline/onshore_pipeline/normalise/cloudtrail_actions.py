"""CloudTrail calls as actions, as data: service → call → action. What is not listed is config.read or config.change."""

from __future__ import annotations

from typing import Final

ACTIONS: Final[dict[str, dict[str, str]]] = {
    "backup": {"StartBackupJob": "backup.write", "StartCopyJob": "backup.write"},
    "bedrock": {
        "Converse": "model.invoke",
        "ConverseStream": "model.invoke",
        "InvokeModel": "model.invoke",
        "InvokeModelWithResponseStream": "model.invoke",
        "Retrieve": "data.read",
        "RetrieveAndGenerate": "model.invoke",
    },
    "dynamodb": {
        "BatchGetItem": "data.read",
        "CreateBackup": "backup.write",
        "DeleteTable": "data.delete",
        "ExportTableToPointInTime": "data.export",
        "GetItem": "data.read",
        "GetRecords": "data.read",
        "Query": "data.read",
        "Scan": "data.read",
    },
    "ec2": {
        "CopyImage": "data.copy",
        "CopySnapshot": "data.copy",
        "CreateImage": "backup.write",
        "CreateSnapshot": "backup.write",
        "CreateSnapshots": "backup.write",
        "DeleteSnapshot": "data.delete",
        "DeleteVolume": "data.delete",
        "ExportImage": "data.export",
        "GetPasswordData": "data.read",
        "ModifyImageAttribute": "data.export",
        "ModifySnapshotAttribute": "data.export",
        "SharedSnapshotVolumeCreated": "data.copy",
    },
    "ec2-instance-connect": {"SendSSHPublicKey": "admin.session"},
    "kms": {
        "Decrypt": "key.use",
        "Encrypt": "key.use",
        "GenerateDataKey": "key.use",
        "GenerateDataKeyPair": "key.use",
        "GenerateDataKeyWithoutPlaintext": "key.use",
        "GenerateMac": "key.use",
        "ReEncrypt": "key.use",
        "RotateKey": "key.rotate",
        "RotateKeyOnDemand": "key.rotate",
        "Sign": "key.use",
        "Verify": "key.use",
    },
    "rds": {
        "CopyDBClusterSnapshot": "data.copy",
        "CopyDBSnapshot": "data.copy",
        "CreateDBInstanceReadReplica": "data.replicate",
        "CreateDBSnapshot": "backup.write",
        "DeleteDBInstance": "data.delete",
        "DeleteDBSnapshot": "data.delete",
        "DownloadDBLogFilePortion": "data.read",
        "ModifyDBSnapshotAttribute": "data.export",
        "StartExportTask": "data.export",
    },
    "s3": {
        "CopyObject": "data.copy",
        "CreateMultipartUpload": "data.copy",
        "DeleteBucket": "data.delete",
        "DeleteObject": "data.delete",
        "DeleteObjects": "data.delete",
        "GetObject": "data.read",
        "HeadObject": "data.read",
        "PutBucketReplication": "data.replicate",
        "PutObject": "data.copy",
        "RestoreObject": "data.read",
        "SelectObjectContent": "data.read",
        "UploadPart": "data.copy",
        "UploadPartCopy": "data.copy",
    },
    "secretsmanager": {
        "BatchGetSecretValue": "data.read",
        "DeleteSecret": "data.delete",
        "GetSecretValue": "data.read",
        "ReplicateSecretToRegions": "data.replicate",
    },
    "signin": {"ConsoleLogin": "admin.session"},
    "ssm": {
        "GetParameter": "data.read",
        "GetParameters": "data.read",
        "GetParametersByPath": "data.read",
        "SendCommand": "admin.command",
        "StartSession": "admin.session",
    },
}

# Services whose calls go through another name.
SERVICES: Final = {"bedrock-runtime": "bedrock", "bedrock-agent-runtime": "bedrock"}

# Calls that move data away from the region that they are made in: where to is not in the record.
LEAVES_REGION: Final = ("PutBucketReplication", "ReplicateSecretToRegions")

# What a read or written object is, by service.
OBJECTS: Final = {
    "dynamodb": "table",
    "ec2": "snapshot",
    "rds": "snapshot",
    "s3": "object",
    "secretsmanager": "secret",
    "ssm": "parameter",
}
