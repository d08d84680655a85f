"""CloudTrail calls as actions, as data: service → call → action. What is not listed is config.read or config.change."""

from __future__ import annotations

from typing import Final

ACTIONS: Final[dict[str, dict[str, str]]] = {
    "backup": {"StartBackupJob": "backup.write", "StartCopyJob": "backup.write"},
    "bedrock": {
        "Converse": "model.invoke",
        "ConverseStream": "model.invoke",
        "InvokeModel": "model.invoke",
        "CreateModelCopyJob": "model.weights.export",
        "CreateModelInvocationJob": "model.invoke",
        "InvokeAgent": "model.invoke",
        "InvokeFlow": "model.invoke",
        "InvokeInlineAgent": "model.invoke",
        "InvokeModelWithBidirectionalStream": "model.invoke",
        "InvokeModelWithResponseStream": "model.invoke",
        "RetrieveAndGenerateStream": "model.invoke",
        "StartAsyncInvoke": "model.invoke",
        "Retrieve": "data.read",
        "RetrieveAndGenerate": "model.invoke",
    },
    "datasync": {"StartTaskExecution": "data.copy"},
    "dms": {
        "StartReplication": "data.replicate",
        "StartReplicationTask": "data.replicate",
        "StartReplicationTaskAssessment": "config.read",
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
    "ebs": {"GetSnapshotBlock": "data.read", "PutSnapshotBlock": "data.copy"},
    "ec2-instance-connect": {"SendSSHPublicKey": "admin.session", "SendSerialConsoleSSHPublicKey": "admin.session"},
    "ecs": {"ExecuteCommand": "admin.command"},
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
        "ModifyDBClusterSnapshotAttribute": "data.export",
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
    "redshift": {
        "AuthorizeSnapshotAccess": "data.export",
        "CopyClusterSnapshot": "data.copy",
        "EnableSnapshotCopy": "data.replicate",
    },
    "sagemaker": {
        "CreateEdgePackagingJob": "model.weights.export",
        "CreateModel": "model.register",
        "CreateModelPackage": "model.register",
        "InvokeEndpoint": "model.invoke",
        "InvokeEndpointAsync": "model.invoke",
        "InvokeEndpointWithResponseStream": "model.invoke",
        "PutModelPackageGroupPolicy": "model.weights.export",
    },
    "signin": {"ConsoleLogin": "admin.session", "SwitchRole": "admin.session"},
    "ssm": {
        "GetParameter": "data.read",
        "GetParameters": "data.read",
        "GetParametersByPath": "data.read",
        "SendCommand": "admin.command",
        "StartSession": "admin.session",
    },
}

# Services whose calls go through another name.
SERVICES: Final = {
    "bedrock-runtime": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "runtime.sagemaker": "sagemaker",
}

MODEL_PROVIDERS: Final = {"bedrock": "aws.bedrock", "sagemaker": "aws.sagemaker"}

# Calls that move data away from the region that they are made in: where to is not in the record.
LEAVES_REGION: Final = ("EnableSnapshotCopy", "PutBucketReplication", "ReplicateSecretToRegions", "StartCopyJob")
# Calls about data whose two ends may both be elsewhere.
UNPLACED: Final = ("StartReplication", "StartReplicationTask", "StartTaskExecution")
# Calls that give others access to a copy; without somebody they give it to they change settings.
SHARES: Final = (
    *("ModifyDBClusterSnapshotAttribute", "ModifyDBSnapshotAttribute", "ModifyImageAttribute"),
    "ModifySnapshotAttribute",
)

# What a read or written object is, by service.
OBJECTS: Final = {
    "bedrock": "index",
    "dms": "database",
    "dynamodb": "table",
    "ebs": "snapshot",
    "ec2": "snapshot",
    "rds": "snapshot",
    "redshift": "snapshot",
    "s3": "object",
    "secretsmanager": "secret",
    "ssm": "parameter",
}
