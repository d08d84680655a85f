#!/bin/sh
# Passwords come from secret files; the users file reads their digests from the environment.
set -eu
digest() { printf %s "$(cat "/run/secrets/$1")" | sha256sum | cut -d' ' -f1; }
ONSHORE_WRITER_SHA256=$(digest clickhouse_writer)
ONSHORE_READER_SHA256=$(digest clickhouse_reader)
export ONSHORE_WRITER_SHA256 ONSHORE_READER_SHA256
exec /entrypoint.sh
