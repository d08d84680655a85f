#!/bin/sh
# Random secrets for this deployment, once; existing ones stay.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in clickhouse_writer clickhouse_reader salt_key; do
    [ -s "secrets/$name" ] || head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "secrets/$name"
done
chmod 0444 secrets/*
