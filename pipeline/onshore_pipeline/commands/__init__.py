"""The `onshore` command, one file a group."""
