#!/bin/sh
# An authority of this deployment, a certificate for each broker and a password for each user, once; existing ones stay.
#
#   ./make-security.sh FOLDER [NAME=HOST[,ADDRESS]...]       default: kafka-1=kafka-1 kafka-2=kafka-2 kafka-3=kafka-3
#
# Brokers know each other by their certificates (CN=onshore-kafka, which is a super user); everybody else by a password.
set -eu
umask 077
folder=$1
shift
[ $# -gt 0 ] || set -- kafka-1=kafka-1 kafka-2=kafka-2 kafka-3=kafka-3
mkdir -p "$folder"
cd "$folder"
[ -s ca.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=Onshore Kafka authority" -keyout ca.key -out ca.pem 2>/dev/null
for broker in "$@"; do
    name=${broker%%=*}
    [ -s "$name.pem" ] && continue
    alternatives=
    for host in $(echo "${broker#*=}" | tr , ' '); do
        case $host in
            *[!0-9.]*) alternatives="$alternatives,DNS:$host" ;;
            *) alternatives="$alternatives,IP:$host" ;;
        esac
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=onshore-kafka" \
        -keyout "$name.key" -out "$name.csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${alternatives#,}" > "$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile "$name.ext" \
        -out "$name.crt" 2>/dev/null
    cat "$name.key" "$name.crt" ca.pem > "$name.pem"
    rm "$name.csr" "$name.ext"
done
for user in onshore-admin onshore-receiver onshore-worker onshore-sequencer onshore-operator; do
    [ -s "$user.password" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$user.password"
done
# The folder is its owner's alone; containers, whose users have other numbers, read the files that are mounted into them.
chmod 0444 ./*.pem ./*.password
