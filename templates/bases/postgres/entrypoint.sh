#!/bin/sh
# Makes the database on the first start, then becomes PostgreSQL. Reads POSTGRES_USER, POSTGRES_PASSWORD and
# POSTGRES_DB, with the defaults of the official image. A first start that is cut short leaves nothing half made:
# the folder gets its name when it is complete.
set -eu

fail() {
    echo "postgres-entrypoint: $1" >&2
    exit 1
}

quoted() {
    printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')"
}

make_database() {
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    new=$PGDATA.new
    [ -n "${POSTGRES_PASSWORD:-}" ] || fail "POSTGRES_PASSWORD is not set"
    case "$user" in *[!A-Za-z0-9_-]*) fail "POSTGRES_USER may have letters, digits, _ and - only" ;; esac
    mkdir -p "$(dirname "$PGDATA")"
    rm -rf "$new"

    # The builtin locale sorts the same under every C library, so indexes survive a change of the base image.
    umask 077
    password=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" > "$password"
    initdb --pgdata "$new" --username "$user" --pwfile "$password" --auth-local trust --auth-host scram-sha-256 \
        --encoding UTF8 --no-instructions --locale C.UTF-8 --locale-provider builtin --builtin-locale C.UTF-8 --data-checksums
    rm -f "$password"
    echo "host all all all scram-sha-256" >> "$new/pg_hba.conf"
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE $(quoted "$database") OWNER $(quoted "$user");" \
            | postgres --single -D "$new" -c exit_on_error=true postgres > /dev/null
    fi
    sync
    mv "$new" "$PGDATA"
}

# Clients that insist on TLS (`sslmode=require`, as hosted databases want it) get it, with a certificate that says
# nothing about who answers: made here, by this database alone. One that is incomplete is made anew.
make_certificate() {
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 \
        -subj "/CN=postgres" -keyout "$1.key.new" -out "$1.crt" 2> /dev/null && mv "$1.key.new" "$1.key") \
        || fail "no certificate could be made"
}

[ "${1:-postgres}" = postgres ] || exec "$@"
[ $# -eq 0 ] || shift

[ -s "$PGDATA/PG_VERSION" ] || make_database
found=$(cat "$PGDATA/PG_VERSION")
[ "$found" = "$PG_MAJOR" ] || fail "$PGDATA was made by PostgreSQL $found, this is $PG_MAJOR: dump it there, restore it here"

tls=$PGDATA/paas
[ -s "$tls.key" ] || make_certificate "$tls"

# The password is in the database now; nothing that runs in this container needs it.
unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*' -c ssl=on -c ssl_cert_file="$tls.crt" -c ssl_key_file="$tls.key" "$@"
