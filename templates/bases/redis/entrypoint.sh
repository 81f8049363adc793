#!/bin/sh
# Becomes Redis with two users. `default` is the app's, with REDIS_PASSWORD: all data, nothing of the server's own
# business. `admin`, with REDIS_ADMIN_PASSWORD, is the platform's. REDIS_MEMORY is what the data may take; what comes
# beyond is refused to who writes it, so the kernel never has to end the server.
set -eu

fail() {
    echo "redis-entrypoint: $1" >&2
    exit 1
}

digest() {
    printf '%s' "$1" | sha256sum | cut -d ' ' -f 1
}

[ "${1:-redis-server}" = redis-server ] || exec "$@"
[ $# -eq 0 ] || shift
[ -n "${REDIS_PASSWORD:-}" ] || fail "REDIS_PASSWORD is not set"
[ -n "${REDIS_ADMIN_PASSWORD:-}" ] || fail "REDIS_ADMIN_PASSWORD is not set"

umask 077
rm -f /data/restoring.rdb # of a restore that was cut short
# Everything is in the append-only file: at most a second of it is lost with the machine.
cat > /run/paas-redis/redis.conf << END
bind * -::*
port 6379
dir /data
appendonly yes
appendfsync everysec
save ""
maxmemory ${REDIS_MEMORY:-0}
maxmemory-policy noeviction
repl-diskless-sync no
enable-debug-command local
enable-protected-configs local
user default reset on #$(digest "$REDIS_PASSWORD") ~* &* +@all -@admin +config|get +client +slowlog
user admin reset on #$(digest "$REDIS_ADMIN_PASSWORD") ~* &* +@all
END
unset REDIS_PASSWORD REDIS_ADMIN_PASSWORD
exec redis-server /run/paas-redis/redis.conf "$@"
