"""Canonical lines, commitments, Merkle trees, log entries."""
