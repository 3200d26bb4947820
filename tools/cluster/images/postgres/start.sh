#!/bin/sh
# Make the server's files at the first start, then be the server. Its arguments are PostgreSQL's.
#   POSTGRES_PASSWORD: the password of the superuser postgres
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA.new"
    printf '%s\n' "${POSTGRES_PASSWORD:?set it to the password of the superuser}" |
        initdb --pgdata="$PGDATA.new" --username=postgres --pwfile=/dev/stdin --encoding=UTF8 \
            --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >>"$PGDATA.new/pg_hba.conf"
    mv "$PGDATA.new" "$PGDATA"
fi
chmod 0700 "$PGDATA" # a volume's fsGroup may have opened it, and PostgreSQL refuses that
if [ "${1:-}" = postgres ]; then shift; fi
exec postgres -c listen_addresses='*' "$@"
