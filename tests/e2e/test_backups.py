"""Backups of a PostgreSQL on the real Engine: one moment, complete, refused when damaged; restored whole or not."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from paas.errors import ConfigError, NotFound, PaasError, PlatformError, UsageError
from paas.model.app import Addon
from paas.requests.addons import FetchBackup, RestoreAddon
from paas.usecases import addon_service, backups
from paas.usecases.addon_loss import next_volume
from paas.usecases.pipes import Pipe
from tests.e2e.addon_lab import Lab, backup, eventually, healthy, restore, upload

pytestmark = pytest.mark.docker


def test_a_backup_brings_back_exactly_what_it_held(lab: Lab, database: Addon) -> None:
    lab.sql(
        "shop-postgres", "CREATE TABLE entries AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 5000) g"
    )
    digest = "SELECT count(*), md5(string_agg(t, '' ORDER BY id)) FROM entries"
    before = lab.sql("shop-postgres", digest)
    taken = backup(lab, database)
    assert taken.tables == 1
    assert taken.server_version.startswith("17")
    lab.sql("shop-postgres", "DELETE FROM entries WHERE id % 2 = 0; ALTER TABLE entries ADD PRIMARY KEY (id)")
    lab.sql("shop-postgres", "CREATE TABLE later (id int REFERENCES entries)")
    restored = restore(lab, database, backup=taken.id)
    assert lab.sql("shop-postgres", digest) == before
    assert restored.tables == 1, "a table that came later is gone: a restore replaces"
    assert lab.sql("shop-postgres", "SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'entries'") == [
        "t"
    ]
    lab.sql("shop-postgres", "DROP TABLE entries")


def lose(lab: Lab, addon: Addon) -> None:
    """What another machine, or somebody with a broom, leaves of it: the store's row and the backups."""
    lab.container(addon).remove(force=True, v=True)
    lab.api.volumes.get(lab.context.store.addon(addon.id).volume).remove()


def test_a_restore_brings_back_a_database_whose_volume_is_gone_under_the_same_url(lab: Lab) -> None:
    app = lab.app("moved")
    addon = lab.create(app="moved")
    url = lab.config(app)["DATABASE_URL"]
    lab.sql(addon.name, "CREATE TABLE kept AS SELECT 7 AS id")
    taken = backup(lab, addon)
    for volume in (f"{addon.volume}-r2", f"{addon.volume}-r3"):
        lose(lab, addon)
        restored = restore(lab, addon, backup=taken.id)
        assert (restored.tables, lab.sql(addon.name, "SELECT id FROM kept")) == (1, ["7"])
        assert lab.context.store.addon(addon.id).volume == volume
    assert lab.config(app)["DATABASE_URL"] == url
    said = len(lab.events)
    addon_service.reconcile_addons(lab.context, lab.events.append)
    assert len(lab.events) == said, [event.message for event in lab.events[said:]]


def test_a_lost_database_stays_lost_when_no_data_comes_back(lab: Lab) -> None:
    addon = lab.create(name="lost")
    lose(lab, addon)
    with pytest.raises(ConfigError, match="no postgres dump"):
        restore(lab, addon, upload=upload(lab, b"PGDMP but nothing more"))
    assert lab.context.store.addon(addon.id) == addon
    assert not lab.api.volumes.list(filters={"name": addon.volume}), "an empty database would look like the old one"


def test_what_a_killed_restore_left_is_not_taken_for_the_database(lab: Lab) -> None:
    addon = lab.create(name="halfway")
    lab.sql("halfway", "CREATE TABLE kept AS SELECT 7 AS id")
    taken = backup(lab, addon)
    lose(lab, addon)
    half = replace(addon, volume=next_volume(addon.volume))
    addon_service.start(lab.context, addon_service.spec_of(lab.context, half), lab.events.append)
    said: list[str] = []
    addon_service.reconcile_addons(lab.context, lambda event: said.append(event.message), mend=True)
    assert any(f"{addon.volume} is gone" in line for line in said), said
    assert not lab.api.volumes.list(filters={"name": f"^{addon.volume}$"})
    restore(lab, addon, backup=taken.id)
    assert lab.sql("halfway", "SELECT id FROM kept") == ["7"]


def test_backup_files_are_for_their_owner_alone_and_nothing_else_is_left(lab: Lab, database: Addon) -> None:
    taken = backup(lab, database)
    fetched = backups.fetch_backup(lab.context, FetchBackup(addon="shop-postgres", backup=taken.id), lab.act)
    assert fetched.path.read_bytes()[:5] == b"PGDMP"
    assert fetched.size == taken.size
    folder = fetched.path.parent
    assert folder == lab.home / "backups" / f"shop-postgres-{database.id}"
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    assert not list(folder.glob(".*"))


def test_a_backup_under_writes_is_one_moment(lab: Lab, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE a (id int); CREATE TABLE b (id int)")
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            lab.sql("shop-postgres", f"BEGIN; INSERT INTO a VALUES ({number}); INSERT INTO b VALUES ({number}); COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = backup(lab, database)
    finally:
        over.set()
        writer.join()
    restore(lab, database, backup=taken.id)
    assert lab.sql("shop-postgres", "SELECT count(*) FROM a FULL JOIN b USING (id) WHERE a IS NULL OR b IS NULL") == [
        "0"
    ]
    lab.sql("shop-postgres", "DROP TABLE a, b")


@pytest.mark.parametrize("content", [b"", b"DROP TABLE old;", b"\\! touch /tmp/x\n", b"PGDMP", b"PGDMP" + bytes(5000)])
def test_what_is_no_dump_is_refused_before_anything_changes(lab: Lab, database: Addon, content: bytes) -> None:
    lab.sql("shop-postgres", "CREATE TABLE old AS SELECT 1 AS id")
    with pytest.raises(ConfigError, match="dump"):
        restore(lab, database, upload=upload(lab, content))
    assert lab.sql("shop-postgres", "SELECT id FROM old; DROP TABLE old")[0] == "1"


def test_a_dump_cut_short_leaves_the_old_data(lab: Lab, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE cut AS SELECT g AS id, md5(g::text) FROM generate_series(1, 50000) g")
    taken = backup(lab, database)
    whole = backups.fetch_backup(lab.context, FetchBackup(addon="shop-postgres", backup=taken.id), lab.act).path
    lab.sql("shop-postgres", "DELETE FROM cut WHERE id > 10")
    content = whole.read_bytes()
    with pytest.raises(PaasError):
        restore(lab, database, upload=upload(lab, content[: len(content) // 2]))
    assert lab.sql("shop-postgres", "SELECT count(*) FROM cut") == ["10"]
    assert only_database(lab, database)
    lab.sql("shop-postgres", "DROP TABLE cut")


def only_database(lab: Lab, database: Addon) -> bool:
    """Whether nothing of a restore is left beside the database."""
    names = lab.sql(
        "shop-postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
    )
    return names == [database.secrets["database"].reveal()]


def test_a_dump_that_wants_more_than_its_role_may_is_refused_and_leaves_the_old_data(lab: Lab, database: Addon) -> None:
    """B37: a dump may hold any SQL. It runs as the app's role, in a database of its own, so it fails harmlessly."""
    container, name = lab.container(database), database.secrets["database"].reveal()

    def as_admin(*argv: str) -> bytes:
        code, said = container.exec_run([*argv, "-U", "postgres", "-d", name])
        assert code == 0, said
        return bytes(said)

    as_admin("psql", "-c", "CREATE FUNCTION boom() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'")
    as_admin("psql", "-c", "CREATE EVENT TRIGGER boom ON ddl_command_end EXECUTE FUNCTION boom()")
    dump = as_admin("pg_dump", "-Fc")
    as_admin("psql", "-c", "DROP FUNCTION boom CASCADE")
    lab.sql("shop-postgres", "CREATE TABLE old AS SELECT 1 AS id")
    with pytest.raises(PlatformError) as refused:
        restore(lab, database, upload=upload(lab, dump))
    assert "permission denied" in " ".join(refused.value.details)
    assert lab.sql("shop-postgres", "SELECT id FROM old; DROP TABLE old")[0] == "1"
    assert only_database(lab, database)


def test_a_database_killed_while_it_restores_comes_back_with_the_old_data(lab: Lab, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE big AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 400000) g; "
            "CREATE INDEX ON big (t)")  # fmt: skip
    taken = backup(lab, database)
    lab.sql("shop-postgres", "DELETE FROM big WHERE id > 10")
    killed: list[str] = []

    def kill() -> None:
        look = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_restore' AND state = 'active'"
        eventually(lambda: lab.sql("shop-postgres", look) != ["0"], "restoring")
        container = lab.container(database)
        killed.append(container.id)
        container.kill(signal="SIGKILL")

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(PaasError):
            restore(lab, database, backup=taken.id)
    finally:
        killer.join()
    assert killed
    eventually(lambda: healthy(lab, database), "it running again")
    assert lab.sql("shop-postgres", "SELECT count(*) FROM big") == ["10"]
    assert only_database(lab, database)
    restore(lab, database, backup=taken.id)
    assert lab.sql("shop-postgres", "SELECT count(*) FROM big; DROP TABLE big")[0] == "400000"


def test_a_server_killed_between_lock_out_and_swap_is_mended_when_it_starts(lab: Lab, database: Addon) -> None:
    role = database.secrets["user"].reveal()
    lab.container(database).exec_run(["psql", "-U", "postgres", "-c", f'ALTER ROLE "{role}" NOLOGIN'])
    pipe = Pipe()
    assert lab.shell("shop-postgres", pipe, "-c", "SELECT 1"), "locked out"
    addon_service.reconcile_addons(lab.context, lab.events.append, mend=True)
    assert lab.sql("shop-postgres", "SELECT 1") == ["1"]


def test_a_restore_under_clients_that_come_back_at_once_takes_place(lab: Lab, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE r AS SELECT 1 AS id")
    taken = backup(lab, database)
    lab.sql("shop-postgres", "UPDATE r SET id = 2")
    over = threading.Event()

    def reconnect() -> None:
        while not over.is_set():
            lab.shell("shop-postgres", Pipe(), "-c", "SELECT pg_sleep(0.5)")

    clients = [threading.Thread(target=reconnect) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        restore(lab, database, backup=taken.id)
    finally:
        over.set()
        for client in clients:
            client.join()
    assert lab.sql("shop-postgres", "SELECT id FROM r; DROP TABLE r")[0] == "1"


def test_a_backup_that_changed_on_disk_is_refused(lab: Lab, database: Addon) -> None:
    taken = backup(lab, database)
    path = backups.fetch_backup(lab.context, FetchBackup(addon="shop-postgres", backup=taken.id), lab.act).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PlatformError, match="checksum"):
        restore(lab, database, backup=taken.id)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "x.sql; id", "20260101T000000Z", "../shop-postgres-x/1"])
def test_names_of_backups_make_no_paths(lab: Lab, database: Addon, name: str) -> None:
    for addon in ("shop-postgres", name):
        with pytest.raises(NotFound):
            backups.fetch_backup(lab.context, FetchBackup(addon=addon, backup=name), lab.act)
    with pytest.raises(NotFound):
        restore(lab, database, backup=name)
    with pytest.raises(NotFound):
        restore(lab, database, upload=name)


def test_a_restore_needs_the_name_and_one_source(lab: Lab, database: Addon) -> None:
    for request in (
        RestoreAddon(addon="shop-postgres", confirm="shop", backup="x"),
        RestoreAddon(addon="shop-postgres", confirm="shop-postgres"),
        RestoreAddon(addon="shop-postgres", confirm="shop-postgres", backup="x", upload="y"),
    ):
        with pytest.raises(UsageError):
            backups.restore_addon(lab.context, request, lab.act)
