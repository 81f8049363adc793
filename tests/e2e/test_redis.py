"""A Redis as an addon on the real Engine: who may do what, what survives, dumps that come back whole or not, and the
queries of signals."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from paas.errors import ConfigError, PaasError, PlatformError
from paas.model.app import Addon
from paas.model.custom_signal import CustomSignal
from paas.plan.custom_values import of_query
from paas.requests.addons import FetchBackup, ShowAddon
from paas.usecases import addon_service, addons, backups
from paas.usecases.custom_signals import CustomSignals
from paas.usecases.pipes import Pipe
from tests.e2e.addon_lab import Lab, backup, eventually, healed, healthy, restore, upload

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def lab(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("redis"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def redis(lab: Lab) -> Addon:
    """The shop's, beside a PostgreSQL; tests that use it leave it working."""
    lab.app("shop")
    lab.create(app="shop")
    return lab.create(kind="redis", app="shop")


def do(lab: Lab, redis: Addon, *command: str) -> list[str]:
    """What a command answers, by `paas db shell`."""
    pipe = Pipe()
    assert lab.shell(redis.name, pipe, "-e", "--raw", *command) == 0, (pipe.out, pipe.errors)
    return pipe.out.decode().split()


def asked(lab: Lab, redis: Addon, query: str) -> float:
    service = addon_service.observed(lab.context, redis)
    assert service is not None
    return of_query(addon_service.asked(lab.context, redis, service.healthy[0], query))


def test_the_app_gets_its_url_and_info_says_what_is_in_it(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "MSET", "a", "1", "b", "2")
    url = lab.config(lab.store.app("shop"))["REDIS_URL"]
    assert url == f"redis://:{redis.secrets['password'].reveal()}@shop-redis:6379/0"
    shown = addons.show_addon(lab.context, ShowAddon(addon=redis.name), lab.act)
    assert (shown.status, shown.tables, shown.counts) == ("running", 2, "keys")
    assert shown.server_version.startswith("8.0")
    assert redis.secrets["password"].reveal() not in shown.url


@pytest.mark.parametrize(
    "command",
    [
        ("CONFIG", "SET", "maxmemory", "0"), ("CONFIG", "SET", "dir", "/"), ("SHUTDOWN",), ("DEBUG", "SLEEP", "0"),
        ("REPLICAOF", "example.org", "6379"), ("MONITOR",), ("ACL", "SETUSER", "default", "+@all"),
        ("MODULE", "LOAD", "/x.so"), ("SAVE",),
    ],
)  # fmt: skip
def test_the_apps_user_has_nothing_to_say_about_the_server(lab: Lab, redis: Addon, command: tuple[str, ...]) -> None:
    pipe = Pipe()
    assert lab.shell(redis.name, pipe, "-e", *command) != 0
    said = " ".join((pipe.out.decode(), *pipe.errors))
    assert "NOPERM" in said or "not allowed" in said


def test_nobody_gets_in_without_the_password(lab: Lab, redis: Addon) -> None:
    code, said = lab.container(redis).exec_run(["redis-cli", "-e", "DBSIZE"])
    assert code != 0
    assert b"NOAUTH" in said


def test_what_was_written_survives_a_kill(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "SET", "kept", "yes")
    do(lab, redis, "WAITAOF", "1", "0", "5000")
    lab.container(redis).kill()
    eventually(lambda: healed(lab, redis), "its restart")
    assert do(lab, redis, "GET", "kept") == ["yes"]


def test_what_exceeds_its_memory_is_refused_and_nothing_is_thrown_away(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "SET", "kept", "yes")
    one = "local n = redis.call('INCR', 'n') return redis.call('SET', 'big' .. n, string.rep('x', 1048576))"
    pipe = Pipe()
    lab.shell(redis.name, pipe, "-r", "400", "EVAL", one, "0")
    assert "OOM" in " ".join((pipe.out.decode(), *pipe.errors))
    assert do(lab, redis, "GET", "kept") == ["yes"]
    assert 200 < int(do(lab, redis, "GET", "n")[0]) < 256, "megabytes"
    taken = backup(lab, redis)
    assert restore(lab, redis, backup=taken.id).tables == taken.tables, "a full one can be saved and brought back"
    do(lab, redis, "FLUSHALL")
    assert healthy(lab, redis)


def test_a_backup_brings_back_exactly_what_it_held(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "RPUSH", "queue", "one", "two", "three")
    do(lab, redis, "SET", "for a while", "x", "EX", "1000")
    taken = backup(lab, redis)
    assert (taken.tables, taken.counts) == (2, "keys")
    do(lab, redis, "LPOP", "queue")
    do(lab, redis, "SET", "later", "1")
    restored = restore(lab, redis, backup=taken.id)
    assert (restored.tables, restored.counts) == (2, "keys")
    assert do(lab, redis, "LRANGE", "queue", "0", "-1") == ["one", "two", "three"]
    assert 0 < int(do(lab, redis, "TTL", "for a while")[0]) <= 1000
    do(lab, redis, "SET", "after", "1")
    do(lab, redis, "WAITAOF", "1", "0", "5000")
    lab.container(redis).kill()
    eventually(lambda: healed(lab, redis), "its restart")
    assert int(do(lab, redis, "DBSIZE")[0]) == 3, "what was restored was kept"


def test_a_dump_cut_short_leaves_the_old_data(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "SET", "large", "x" * 5000)
    taken = backup(lab, redis)
    request = FetchBackup(addon=redis.name, backup=taken.id)
    whole = backups.fetch_backup(lab.context, request, lab.act).path.read_bytes()
    do(lab, redis, "SET", "kept", "yes")
    for content in (whole[: len(whole) // 2], b"REDIS0012" + b"\0" * 100, b"PGDMP", b""):
        with pytest.raises(ConfigError):
            restore(lab, redis, upload=upload(lab, content))
    assert do(lab, redis, "GET", "kept") == ["yes"]
    assert do(lab, redis, "WAITAOF", "1", "0", "5000")[0] == "1", "it still writes down what it is told"


@pytest.mark.parametrize(
    ("query", "value"), [("LLEN queue", 3), (" llen queue ; ", 3), ("GET number", 7), ("ZCARD none", 0), ("DBSIZE", 2)]
)
def test_a_query_that_reads_one_number_is_answered(lab: Lab, redis: Addon, query: str, value: float) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "RPUSH", "queue", "a", "b", "c")
    do(lab, redis, "SET", "number", "7")
    assert asked(lab, redis, query) == value


@pytest.mark.parametrize("query", ["DEL queue", "LPOP queue", "KEYS *", "PING", "CONFIG GET *", "LLEN", "BLPOP q 0"])
def test_a_query_that_writes_or_answers_something_else_is_refused_and_nothing_changes(
    lab: Lab, redis: Addon, query: str
) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "RPUSH", "queue", "a")
    with pytest.raises((PlatformError, ValueError)):
        asked(lab, redis, query)
    assert do(lab, redis, "LLEN", "queue") == ["1"]


def test_a_signal_asks_the_database_that_speaks_its_language(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "RPUSH", "queue", "a", "b")
    look = CustomSignals(lab.context, lambda *of, **more: b"")
    app = lab.store.app("shop")
    for signal, value in (
        (CustomSignal(name="waiting", query="LLEN queue"), 2.0),
        (CustomSignal(name="jobs", query="SELECT 5"), 5.0),
        (CustomSignal(name="named", query="LLEN queue", addon="REDIS"), 2.0),
    ):
        assert look._of_database(app, signal).number == value
    with pytest.raises(PlatformError, match="DATABASE answers no Redis query: it has DATABASE, REDIS"):
        look._of_database(app, CustomSignal(name="x", query="LLEN queue", addon="DATABASE"))


def test_one_killed_while_it_restores_comes_back_with_the_old_data(lab: Lab, redis: Addon) -> None:
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "EVAL", "for i = 1, 200000 do redis.call('SET', 'key' .. i, math.random()) end", "0")
    taken = backup(lab, redis)
    do(lab, redis, "FLUSHALL")
    do(lab, redis, "SET", "kept", "yes")
    do(lab, redis, "WAITAOF", "1", "0", "5000")
    container = lab.container(redis)
    with ThreadPoolExecutor(1) as thread:
        restoring = thread.submit(restore, lab, redis, backup=taken.id)
        file = ["test", "-e", "/data/restoring.rdb"]
        eventually(lambda: container.exec_run(file).exit_code == 0, "the restore's begin")
        container.kill()
        with pytest.raises(PaasError):
            restoring.result()
    eventually(lambda: healed(lab, redis), "its restart")
    assert (do(lab, redis, "GET", "kept"), do(lab, redis, "DBSIZE")) == (["yes"], ["1"])
    do(lab, redis, "SET", "later", "1")
    do(lab, redis, "WAITAOF", "1", "0", "5000")
    assert restore(lab, redis, backup=taken.id).tables == 200_000
