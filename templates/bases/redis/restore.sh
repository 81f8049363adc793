#!/bin/sh
# Replaces all data by the dump on standard input; `--check` only reads it through. What redis-check-rdb cannot read
# changes nothing. From the moment in which the dump is loaded until it stands in a new append-only file, the file on
# the disk is the old one: a server that ends in between, as it does when something fails then, has the old data again.
# REDISCLI_AUTH is the password of `admin`.
set -eu
umask 077
dump=/data/restoring.rdb
state=untouched

ask() {
    redis-cli -e --no-auth-warning --user admin "$@" > /dev/null
}

said() {
    redis-cli --no-auth-warning --user admin INFO persistence | tr -d '\r' | sed -n "s/^$1://p"
}

undo() {
    rm -f "$dump"
    case $state in
        unwritten) ask CONFIG SET appendonly yes dbfilename dump.rdb ;;
        replaced) ask SHUTDOWN NOSAVE FORCE || true ;;
    esac
}

trap undo EXIT
cat > "$dump"
if ! redis-check-rdb "$dump" > /run/paas-redis/check 2>&1; then
    tail -n 3 /run/paas-redis/check >&2
    exit 1
fi
[ "${1:-}" != --check ] || exit 0

state=unwritten
ask CONFIG SET appendonly no dbfilename "${dump##*/}"
state=replaced
ask DEBUG RELOAD NOSAVE
ask CONFIG SET appendonly yes dbfilename dump.rdb
while [ "$(said aof_rewrite_in_progress)" = 1 ] || [ "$(said aof_rewrite_scheduled)" = 1 ]; do
    sleep 0.1
done
if [ "$(said aof_last_bgrewrite_status)" != ok ]; then
    echo "redis-restore: the new data cannot be written to the disk" >&2
    exit 1
fi
state=done
