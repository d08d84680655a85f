"""Azure operations as actions, as data: the operation in lower case, without its provider's 'microsoft.' → action."""

from __future__ import annotations

from typing import Final

_DELETE, _READ = "data.delete", "data.read"
_COMMAND, _SESSION = "admin.command", "admin.session"

OPERATIONS: Final[dict[str, str]] = {
    "automation/automationaccounts/jobs/write": _COMMAND,
    "cognitiveservices/accounts/listkeys/action": _READ,
    "compute/disks/begingetaccess/action": "data.export",
    "compute/disks/delete": _DELETE,
    "compute/restorepointcollections/delete": _DELETE,
    "compute/restorepointcollections/restorepoints/write": "backup.write",
    "compute/snapshots/begingetaccess/action": "data.export",
    "compute/snapshots/delete": _DELETE,
    "compute/snapshots/write": "backup.write",
    "compute/virtualmachines/login/action": _SESSION,
    "compute/virtualmachines/loginasadmin/action": _SESSION,
    "compute/virtualmachines/runcommand/action": _COMMAND,
    "compute/virtualmachines/runcommands/write": _COMMAND,
    "compute/virtualmachinescalesets/virtualmachines/runcommand/action": _COMMAND,
    "containerservice/managedclusters/listclusteradmincredential/action": _READ,
    "containerservice/managedclusters/listclusterusercredential/action": _READ,
    "containerservice/managedclusters/runcommand/action": _COMMAND,
    "insights/diagnosticsettings/write": "telemetry.export",
    "keyvault/vaults/keys/decrypt/action": "key.use",
    "keyvault/vaults/keys/encrypt/action": "key.use",
    "keyvault/vaults/keys/rotate/action": "key.rotate",
    "keyvault/vaults/keys/sign/action": "key.use",
    "keyvault/vaults/keys/unwrap/action": "key.use",
    "keyvault/vaults/keys/verify/action": "key.use",
    "keyvault/vaults/keys/wrap/action": "key.use",
    "keyvault/vaults/secrets/getsecret/action": _READ,
    "machinelearningservices/workspaces/onlineendpoints/score/action": "model.invoke",
    "recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems/backup/action": "backup.write",
    "recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems/delete": _DELETE,
    "serialconsole/serialports/connect/action": _SESSION,
    "sql/servers/databases/delete": _DELETE,
    "sql/servers/databases/export/action": "data.export",
    "sql/servers/databases/import/action": "data.copy",
    "sql/servers/databases/replicationlinks/write": "data.replicate",
    "storage/storageaccounts/blobservices/containers/delete": _DELETE,
    "storage/storageaccounts/delete": _DELETE,
    "storage/storageaccounts/fileservices/shares/delete": _DELETE,
    "storage/storageaccounts/listkeys/action": _READ,
    "storage/storageaccounts/objectreplicationpolicies/write": "data.replicate",
    "storage/storageaccounts/regeneratekey/action": "key.rotate",
}
# Categories of the activity log whose records are no calls.
CATEGORIES: Final = {
    "alert": "monitor.alert",
    "policy": "policy.evaluate",
    "recommendation": "service.advice",
    "resourcehealth": "service.health",
    "security": "security.alert",
    "servicehealth": "service.health",
}
# What sends data away from where it is called: where to, a record does not say.
LEAVES: Final = ("data.export", "data.replicate", "telemetry.export")
# What is read, by the provider and type.
OBJECTS: Final = {
    "cognitiveservices/accounts": "secret",
    "compute/disks": "disk",
    "compute/restorepointcollections": "snapshot",
    "compute/snapshots": "snapshot",
    "containerservice/managedclusters": "secret",
    "keyvault/vaults": "secret",
    "sql/servers": "database",
}
READING: Final = r"/read$|/read/action$|/(?:list|get|check|validate|export)[a-z]*/action$"

# Storage operations that are about the data itself; the others are config.read and config.change.
STORAGE_READS: Final = (
    *("getblob", "queryblobcontents", "readfile", "getfile", "getfilerange", "pathread"),
    *("queryentities", "queryentity", "getentity", "getmessages", "getmessage", "peekmessages", "peekmessage"),
)
STORAGE_WRITES: Final = (
    *("putblob", "putblock", "putblocklist", "putpage", "appendblock", "putblobfromurl", "putblockfromurl"),
    *("copyblob", "copyblobdestination", "copyblobfromurl", "appendfile", "flushfile", "createfile", "createpathfile"),
    *("putrange", "putrangefromurl", "copyfile", "insertentity", "updateentity", "mergeentity", "putmessage"),
    *("copyblobsource", "renamepathfile", "renamefile"),
)
STORAGE_OBJECTS: Final = {"blob": "object", "file": "file", "table": "table", "queue": "message"}
