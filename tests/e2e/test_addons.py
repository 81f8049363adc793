"""A PostgreSQL's life on the real Engine: made, used, killed, attached, destroyed."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import ConfigError, Conflict, NotFound, PaasError, PlatformError, UsageError
from paas.model.app import Addon, App
from paas.requests.addons import (
    AttachAddon,
    CreateAddon,
    DestroyAddon,
    DetachAddon,
    ListAddons,
    ListBackups,
    ShowAddon,
    ShowCredentials,
)
from paas.usecases import addon_service, addons, backups
from paas.usecases.answers import as_json
from paas.usecases.pipes import Pipe
from tests.e2e.addon_lab import Lab, backup, eventually, healed, healthy, restore

pytestmark = pytest.mark.docker


# --- what an app gets ---------------------------------------------------------------------------------------------


def test_the_app_gets_its_url_as_a_config_release(lab: Lab, shop: App, database: Addon) -> None:
    config = lab.config(shop)
    user, password = (database.secrets[name].reveal() for name in ("user", "password"))
    assert config["DATABASE_URL"] == f"postgresql://{user}:{password}@shop-postgres:5432/" + (
        database.secrets["database"].reveal()
    )
    release = lab.store.release(shop.id, lab.store.app(shop.id).wanted)
    assert release.kind == "addon"
    assert release.addons == ("DATABASE",)


def test_a_client_in_the_apps_network_logs_in_with_the_url_and_only_with_the_password(
    lab: Lab, shop: App, database: Addon
) -> None:
    network = f"{lab.instance}-{shop.id}"
    url = lab.config(shop)["DATABASE_URL"]

    def answered(address: str) -> tuple[int, bytes]:
        client = lab.api.containers.create(
            database.image, ["psql", address, "-Atc", "SELECT 41 + 1"], network=network, entrypoint=[]
        )
        try:
            client.start()
            return client.wait()["StatusCode"], client.logs()
        finally:
            client.remove(force=True, v=True)

    assert answered(url) == (0, b"42\n")
    assert answered(f"{url}?sslmode=require") == (0, b"42\n"), "as apps ask that were written for a hosted database"
    code, said = answered(url.replace(database.secrets["password"].reveal(), "guess"))
    assert code
    assert b"password authentication failed" in said


def test_the_apps_role_owns_its_database_and_is_no_superuser(lab: Lab, database: Addon) -> None:
    assert lab.sql("shop-postgres", "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls FROM pg_roles "
                   "WHERE rolname = current_user") == ["f"]  # fmt: skip
    lab.sql("shop-postgres", "CREATE TABLE made (id int); DROP TABLE made; CREATE SCHEMA s; DROP SCHEMA s")
    lab.sql("shop-postgres", "CREATE EXTENSION pgcrypto; DROP EXTENSION pgcrypto")
    for forbidden in ("COPY (SELECT 1) TO PROGRAM 'id'", "CREATE DATABASE more", "SELECT pg_read_file('/etc/passwd')"):
        pipe = Pipe()
        assert lab.shell("shop-postgres", pipe, "-v", "ON_ERROR_STOP=1", "-c", forbidden), forbidden
        assert "denied" in "".join(pipe.errors)
    pipe = Pipe()
    assert lab.shell("shop-postgres", pipe, "-d", "postgres", "-c", "SELECT 1"), "no other database is open to it"


def test_the_shell_passes_input_arguments_and_exit_code_through(lab: Lab, database: Addon) -> None:
    pipe = Pipe()
    assert lab.shell("shop-postgres", pipe, "-v", "ON_ERROR_STOP=1", "-c", "SELECT nonsense") == 1
    assert "nonsense" in "".join(pipe.errors)


def test_a_large_parallel_query_finds_shared_memory(lab: Lab, database: Addon) -> None:
    """A container's /dev/shm has 64 MB; a parallel hash join of this size wants more."""
    settings = "SET max_parallel_workers_per_gather=2; SET work_mem='200MB'; SET min_parallel_table_scan_size=0; "
    forced = "SET parallel_setup_cost=0; SET parallel_tuple_cost=0; SET enable_mergejoin=off; SET enable_nestloop=off; "
    lab.sql("shop-postgres", "CREATE TABLE big AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 900000) g")
    answer = lab.sql(
        "shop-postgres", settings + forced + "SELECT count(*) FROM big a JOIN big b USING (id) WHERE a.t = b.t"
    )
    assert answer[-1] == "900000"
    lab.sql("shop-postgres", "DROP TABLE big")


def test_a_password_appears_in_one_answer_only(lab: Lab, shop: App, database: Addon) -> None:
    shown = [
        addons.show_addon(lab.context, ShowAddon(addon="shop-postgres"), lab.act),
        addons.list_addons(lab.context, ListAddons(app="shop"), lab.act),
        backup(lab, database),
    ]
    text = json.dumps([as_json(answer) for answer in shown]) + repr(lab.events) + repr(lab.store.events(limit=0))
    passwords = [database.secrets[name].reveal() for name in ("password", "admin_password")]
    assert not [password for password in passwords if password in text]
    credentials = addons.show_credentials(lab.context, ShowCredentials(addon="shop-postgres"), lab.act)
    assert credentials.url == lab.config(shop)["DATABASE_URL"]
    assert "admin_password" not in credentials.values
    labels = json.dumps(lab.container(database).labels)
    assert not [password for password in passwords if password in labels]
    logs = lab.container(database).logs().decode()
    assert not [password for password in passwords if password in logs]


def test_show_says_what_it_is_and_holds(lab: Lab, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE shown (id int)")
    shown = addons.show_addon(lab.context, ShowAddon(addon="shop-postgres"), lab.act)
    assert (shown.status, shown.owner, shown.version) == ("running", "shop", "17")
    assert shown.server_version.startswith("17")
    assert shown.tables >= 1
    assert shown.size > 1_000_000
    assert [(one.app, one.config_var) for one in shown.apps] == [("shop", "DATABASE_URL")]
    lab.sql("shop-postgres", "DROP TABLE shown")


# --- F21: killed --------------------------------------------------------------------------------------------------


def test_every_acknowledged_row_survives_kill_9(lab: Lab, shop: App, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE acked (id int PRIMARY KEY)")
    before = lab.config(shop)["DATABASE_URL"]
    acked: list[int] = []
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                pipe = Pipe()
                statement = f"INSERT INTO acked VALUES ({number})"
                replica = lab.container(database).id
                kind = addon_service.kinds.kind("postgres")
                call = addon_service.services.call(kind.shell, database, kind)
                argv = (*call.run, "-h", "127.0.0.1", "-v", "ON_ERROR_STOP=1", "-c", statement)
                password = {"PGPASSWORD": database.secrets["password"]}
                if lab.engine.exec(replica, argv, pipe, password) == 0:
                    acked.append(number)
            except PaasError:
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            seen = len(acked)
            eventually(lambda seen=seen: len(acked) > seen + 3, "writing")
            lab.container(database).kill(signal="SIGKILL")
            eventually(lambda: healed(lab, database), "it running again")
    finally:
        over.set()
        writer.join()
    there = {int(row) for row in lab.sql("shop-postgres", "SELECT id FROM acked")}
    assert set(acked) <= there
    assert len(acked) > 12
    assert lab.config(shop)["DATABASE_URL"] == before
    lab.sql("shop-postgres", "DROP TABLE acked")


def test_a_container_that_was_removed_comes_back_with_its_data_and_networks(lab: Lab, database: Addon) -> None:
    lab.sql("shop-postgres", "CREATE TABLE kept AS SELECT 7 AS id")
    lab.container(database).remove(force=True, v=True)
    addon_service.reconcile_addons(lab.context, lab.events.append, mend=True)
    assert lab.sql("shop-postgres", "SELECT id FROM kept; DROP TABLE kept")[0] == "7"
    networks = lab.container(database).attrs["NetworkSettings"]["Networks"]
    assert list(networks) == [f"{lab.instance}-{database.owner_app}"]


def test_reconciling_what_is_well_changes_nothing(lab: Lab, database: Addon) -> None:
    before, said = lab.container(database).id, len(lab.events)
    addon_service.reconcile_addons(lab.context, lab.events.append)
    assert lab.container(database).id == before
    assert len(lab.events) == said


def test_a_lost_volume_is_told_and_never_set_up_anew(lab: Lab) -> None:
    addon = lab.create(name="lost")
    lab.container(addon).remove(force=True, v=True)
    lab.api.volumes.get(addon.volume).remove()
    said: list[str] = []
    addon_service.reconcile_addons(lab.context, lambda event: said.append(event.kind + event.message), mend=True)
    assert any(line.startswith("warning") and f"{addon.volume} is gone" in line for line in said)
    with pytest.raises(PlatformError, match="is gone"):
        backup(lab, addon)
    assert not lab.api.volumes.list(filters={"name": addon.volume}), "an empty database would look like the old one"
    assert not lab.api.containers.list(all=True, filters={"label": f"paas.app={addon.id}"})
    with pytest.raises(Conflict, match="last backup failed"):
        addons.destroy_addon(lab.context, DestroyAddon(addon="lost", confirm="lost"), lab.act)
    addons.destroy_addon(lab.context, DestroyAddon(addon="lost", confirm="lost", backup=False), lab.act)


# --- several apps -------------------------------------------------------------------------------------------------


def test_one_database_serves_several_apps_and_leaves_one_without_a_restart(lab: Lab, database: Addon) -> None:
    blog = lab.app("blog")
    container = lab.container(database)
    started = container.attrs["State"]["StartedAt"]
    bound = addons.attach_addon(lab.context, AttachAddon(addon="shop-postgres", app="blog"), lab.act)
    assert (bound.config_var, bound.release) == ("DATABASE_URL", 1)
    assert lab.config(blog)["DATABASE_URL"].endswith(database.secrets["database"].reveal())
    container.reload()
    both = {f"{lab.instance}-{app_id}" for app_id in (blog.id, database.owner_app)}
    assert set(container.attrs["NetworkSettings"]["Networks"]) == both
    again = addons.attach_addon(lab.context, AttachAddon(addon="shop-postgres", app="blog"), lab.act)
    assert not again.changed
    with pytest.raises(Conflict, match="in use by blog"):
        addons.destroy_addon(lab.context, DestroyAddon(addon="shop-postgres", confirm="shop-postgres"), lab.act)
    addons.detach_addon(lab.context, DetachAddon(addon="shop-postgres", app="blog"), lab.act)
    assert lab.config(blog) == {}
    container.reload()
    assert list(container.attrs["NetworkSettings"]["Networks"]) == [f"{lab.instance}-{database.owner_app}"]
    assert container.attrs["State"]["StartedAt"] == started
    with pytest.raises(Conflict, match="not attached"):
        addons.detach_addon(lab.context, DetachAddon(addon="shop-postgres", app="blog"), lab.act)


def test_a_second_database_of_an_app_gets_a_name_of_its_own(lab: Lab, shop: App, database: Addon) -> None:
    second = lab.create(app="shop")
    assert second.name == "shop-postgres-2"
    config = lab.config(shop)
    assert set(config) == {"DATABASE_URL", "SHOP_POSTGRES_2_URL"}
    assert len(set(config.values())) == 2
    addons.destroy_addon(lab.context, DestroyAddon(addon=second.name, confirm=second.name, backup=False), lab.act)
    assert set(lab.config(shop)) == {"DATABASE_URL"}


# --- F22: destroyed, made again -----------------------------------------------------------------------------------


def test_destroyed_after_a_last_dump_and_made_again_it_is_empty_and_can_be_filled_from_it(lab: Lab) -> None:
    news = lab.app("news")
    first = lab.create(app="news", name="stories")
    lab.sql("stories", "CREATE TABLE told AS SELECT 5 AS id")
    with pytest.raises(UsageError):
        addons.destroy_addon(lab.context, DestroyAddon(addon="stories", confirm="news"), lab.act)
    gone = addons.destroy_addon(lab.context, DestroyAddon(addon="stories", confirm="stories"), lab.act)
    assert gone.backup is not None
    assert lab.config(news) == {}
    assert not [name for names in lab.left().values() for name in names if first.id in name or "stories" in name]
    listed = backups.list_backups(lab.context, ListBackups(addon="stories"), lab.act)
    assert [line.id for line in listed] == [gone.backup.id]
    second = lab.create(app="news", name="stories")
    assert second.volume != first.volume
    assert second.secrets["password"] != first.secrets["password"]
    assert addons.show_addon(lab.context, ShowAddon(addon="stories"), lab.act).tables == 0
    restore(lab, second, backup=gone.backup.id)
    assert lab.sql("stories", "SELECT id FROM told") == ["5"]
    addons.destroy_addon(lab.context, DestroyAddon(addon="stories", confirm="stories", backup=False), lab.act)


def test_creation_that_fails_half_way_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.app("half")
    before = lab.left()
    kind = addon_service.kinds.kind("postgres")
    script = "\\getenv password PAAS_PASSWORD\nSELECT nonsense, :'password';"
    broken = replace(kind, setup=(replace(kind.setup[0], script=script),))
    monkeypatch.setattr(addon_service.kinds, "kind", lambda name: broken)
    with pytest.raises(PlatformError) as failed:
        lab.create(app="half")
    said = " ".join(failed.value.details)
    assert "SELECT nonsense, '••••'" in said, "the statement is shown, the password in it is not"
    assert lab.left() == before
    assert not [addon for addon in lab.store.addons() if addon.name.startswith("half")]
    assert lab.store.app("half").wanted == 0
    assert lab.store.attachments(app_id=lab.store.app("half").id) == ()


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"kind": "oracle"}, NotFound),
        ({"kind": "postgres", "version": "8"}, ConfigError),
        ({"kind": "postgres", "app": "nobody"}, NotFound),
        ({"kind": "postgres", "name": 'a"; DROP'}, UsageError),
        ({"kind": "postgres", "name": "x" * 64}, UsageError),
        ({"kind": "postgres", "name": "shop-postgres"}, Conflict),
        ({"kind": "postgres", "name": "shop"}, Conflict),
        ({"kind": "postgres", "app": "shop", "alias": "no-alias"}, UsageError),
        ({"kind": "postgres", "app": "shop", "alias": "PAAS"}, UsageError),
        ({"kind": "postgres", "app": "shop", "alias": "DATABASE"}, Conflict),
        ({"kind": "postgres", "alias": "DATABASE"}, UsageError),
    ],
)
def test_wrong_requests_change_nothing(
    lab: Lab, database: Addon, asked: dict[str, str], error: type[PaasError]
) -> None:
    before = (lab.left(), lab.store.addons())
    with pytest.raises(error) as refused:
        addons.create_addon(lab.context, CreateAddon(**asked), lab.act)
    assert refused.value.hint or error is NotFound
    assert (lab.left(), lab.store.addons()) == before


def test_stopping_is_fast_although_clients_are_connected(lab: Lab, database: Addon) -> None:
    """SIGINT ends PostgreSQL at once and cleanly; SIGTERM would wait for the clients until it is killed."""
    client = threading.Thread(target=lambda: lab.shell("shop-postgres", Pipe(), "-c", "SELECT pg_sleep(600)"))
    client.start()
    look = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)'"
    eventually(lambda: lab.sql("shop-postgres", look) != ["0"], "a client")
    container = lab.container(database)
    lab.engine.restart(container.id)
    client.join(timeout=50)
    assert not client.is_alive()
    assert "received fast shutdown request" in container.logs(tail=50).decode()
    eventually(lambda: healthy(lab, database), "it running again")


def test_the_home_folder_holds_no_password(lab: Lab, database: Addon) -> None:
    passwords = [database.secrets[name].reveal().encode() for name in ("password", "admin_password")]
    files = [path for path in Path(lab.home).rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files for password in passwords if password in path.read_bytes()]
