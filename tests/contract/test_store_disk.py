"""What the store on disk does beyond the contract: schema, secrets at rest, damage, upgrades."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

import paas.store.migrations
from paas.errors import Conflict, PaasError, PlatformError
from paas.model.app import Addon, App, Attachment, Release, ReleaseKind
from paas.model.events import Event
from paas.model.notification import Notification, Target, TargetKind
from paas.model.route import Certificate
from paas.model.secret import Secret
from paas.store import schema
from paas.store.sql import SqlStore
from paas.store.tables import metadata

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
HIDDEN = ("config-value-never-seen", "addon-password-never-seen", "private-key-never-seen")


def filled(home: Path) -> SqlStore:
    """A store with something of everything, three releases."""
    store = SqlStore.open(home)
    store.add_app(SHOP)
    for number in range(3):
        config = {"TOKEN": Secret(HIDDEN[0]), "N": Secret(str(number))}
        store.add_release(
            Release(
                app_id=SHOP.id, number=0, kind=ReleaseKind.CONFIG, created_at=1.0, actor="ann", description="x" * 200,
                config=config, domains=("www.example.com",),
            )
        )  # fmt: skip
    store.add_addon(
        Addon(
            id="0d0d0d0d", name="db", kind="postgres", version="17", image="i", volume="v", created_at=1.0,
            secrets={"password": Secret(HIDDEN[1])},
        )
    )  # fmt: skip
    store.attach(Attachment(addon_id="0d0d0d0d", app_id=SHOP.id, alias="DATABASE"))
    store.put_certificate(Certificate(host="www.example.com", chain="C", key=Secret(HIDDEN[2])))
    store.add_event(Event(kind="note", message="hello"), SHOP.id)
    return store


def contents(store: SqlStore) -> str:
    """Everything it holds, as text with the secrets revealed."""
    values = [value.reveal() for release in store.releases(SHOP.id) for value in release.config.values()]
    values += [addon.secrets["password"].reveal() for addon in store.addons()]
    values += [certificate.key.reveal() for certificate in store.certificates()]
    listed = (store.apps(), store.releases(SHOP.id), store.addons(), store.attachments(), store.certificates())
    return repr((values, listed, store.events(), store.domain_owner("www.example.com")))


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, str]:
    """A home with a closed, filled store, and what the store holds."""
    home = tmp_path / "home"
    store = filled(home)
    held = contents(store)
    store.close()
    SqlStore.open(home).close()
    return home, held


# --- schema -------------------------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables_of_the_code(kept: tuple[Path, str]) -> None:
    engine = create_engine(f"sqlite:///{kept[0] / 'paas.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def newer_migrations(folder: Path, upgrade: str) -> str:
    """The migrations of a later version: the present ones and one more, whose body is `upgrade`."""
    shutil.copytree(Path(paas.store.migrations.__file__).parent, folder, dirs_exist_ok=True)
    head = ScriptDirectory.from_config(schema._config(schema.MIGRATIONS)).get_current_head()
    text = f"from alembic import op\nrevision, down_revision = '9999', '{head}'\ndef upgrade():\n    {upgrade}\n"
    (folder / "versions" / "9999_later.py").write_text(text)
    return str(folder)


def test_an_older_schema_is_copied_and_then_upgraded_with_all_its_rows(kept: tuple[Path, str], tmp_path: Path) -> None:
    path = kept[0] / "paas.db"
    present = schema.revision(path)
    remade = (
        'batch = op.batch_alter_table("apps", recreate="always")\n    with batch as table: table.alter_column("name")'
    )
    schema.prepare(path, migrations=newer_migrations(tmp_path / "later", remade))
    assert schema.revision(path) == "9999"
    assert schema.revision(path.with_name("paas.db.before-9999")) == present
    with closing(sqlite3.connect(path)) as database:
        counted = database.execute("SELECT count(*) FROM releases").fetchone()[0]
    assert counted == 3, "making a table anew must not cascade into the others"


def as_of(revision: str, path: Path) -> None:
    """Turn a closed store into what it was at that revision, with all its rows, of which it knows fewer columns."""
    older = path.with_name("older.db")
    engine = create_engine(f"sqlite:///{older}")
    with engine.begin() as connection:
        config = schema._config(schema.MIGRATIONS)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    with closing(sqlite3.connect(older)) as database, database:
        database.execute("ATTACH ? AS newer", (str(path),))
        tables = database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table != "alembic_version" and not table.startswith("sqlite_"):
                columns = ", ".join(row[1] for row in database.execute(f"PRAGMA main.table_info({table})"))
                database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
    older.replace(path)


def test_targets_of_notifications_keep_their_names_and_what_waits_when_names_come_to_be_of_an_app(
    tmp_path: Path,
) -> None:
    store = filled(tmp_path)
    ops = Target(id="t1", name="ops", kind=TargetKind.SLACK, created_at=1.0, created_by="ann", topics=("crash",),
                 secrets={"url": Secret("https://chat.example/x")}, failures=2, disabled="gone")  # fmt: skip
    mine = replace(ops, id="t2", name="mine", app_id=SHOP.id)
    store.add_target(mine)
    store.add_target(ops)
    store.queue_notifications(7, [Notification(id="m1", target_id="t2", at=1.0, topic="crash", message="x")])
    store.close()
    as_of("0018", tmp_path / "paas.db")
    with closing(sqlite3.connect(tmp_path / "paas.db")) as before, pytest.raises(sqlite3.IntegrityError):
        before.execute("UPDATE notification_targets SET name = 'ops'")
    store = SqlStore.open(tmp_path)
    assert store.targets() == (mine, ops)
    assert [one.id for one in store.notifications("t2")] == ["m1"]
    store.add_target(replace(ops, id="t3", app_id=SHOP.id))
    for taken in (replace(ops, id="t4"), replace(mine, id="t4")):
        with pytest.raises(Conflict):
            store.add_target(taken)
    store.delete_app(SHOP.id)
    assert (store.targets(), store.notifications("t2")) == ((ops,), ())
    store.close()


def test_a_failing_upgrade_changes_nothing(kept: tuple[Path, str], tmp_path: Path) -> None:
    home, held = kept
    broken = 'op.execute("DELETE FROM releases"); op.execute("SELECT nonsense")'
    with pytest.raises(PlatformError):
        schema.prepare(home / "paas.db", migrations=newer_migrations(tmp_path / "later", broken))
    store = SqlStore.open(home)
    assert contents(store) == held
    store.close()


def test_a_newer_schema_is_refused_and_left_alone(kept: tuple[Path, str], tmp_path: Path) -> None:
    path = kept[0] / "paas.db"
    schema.prepare(path, migrations=newer_migrations(tmp_path / "later", "pass"))
    before = path.read_bytes()
    with pytest.raises(PlatformError, match="newer version"):
        SqlStore.open(kept[0])
    assert path.read_bytes() == before


def test_while_nothing_is_written_the_revision_stays(kept: tuple[Path, str]) -> None:
    store = SqlStore.open(kept[0])
    revision = store.revision()
    assert store.apps()
    assert store.events()
    assert store.revision() == revision
    store.close()


def test_opening_again_finds_everything(kept: tuple[Path, str]) -> None:
    home, held = kept
    store = SqlStore.open(home)
    assert contents(store) == held
    store.close()


# --- secrets ------------------------------------------------------------------------------------------------------


def test_no_file_of_the_home_folder_ever_holds_a_secret(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.backup(tmp_path / "copy.db")
    during = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert "paas.db-wal" in during, "look while the log of the writes is there"
    store.close()
    after = {f"closed {path.name}": path.read_bytes() for path in tmp_path.iterdir()}
    found = [name for name, data in (during | after).items() for secret in HIDDEN if secret.encode() in data]
    assert found == []


def test_the_files_are_for_their_owner_alone(kept: tuple[Path, str]) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in kept[0].iterdir()}
    assert modes == dict.fromkeys(("paas.db", "paas.db.good", "secret.key"), "0o600")


def test_secrets_moved_to_another_row_are_refused(kept: tuple[Path, str]) -> None:
    with closing(sqlite3.connect(kept[0] / "paas.db")) as database, database:
        database.execute("UPDATE releases SET sealed = (SELECT sealed FROM releases WHERE number = 1) WHERE number = 2")
    with pytest.raises(PlatformError, match="config 2 belong to 0a0a0a0a config 1"):
        SqlStore.open(kept[0])


def test_another_key_file_is_found_out_at_once(kept: tuple[Path, str], tmp_path: Path) -> None:
    SqlStore.open(tmp_path / "other").close()
    shutil.copy(tmp_path / "other" / "secret.key", kept[0] / "secret.key")
    with pytest.raises(PlatformError, match="cannot be decrypted"):
        SqlStore.open(kept[0])


@pytest.mark.parametrize("damage", [None, "", "not a key\n"])
def test_a_lost_or_broken_key_file_is_never_replaced_by_a_new_one(kept: tuple[Path, str], damage: str | None) -> None:
    key = kept[0] / "secret.key"
    key.unlink() if damage is None else key.write_text(damage)
    with pytest.raises(PlatformError, match="key file") as refused:
        SqlStore.open(kept[0])
    assert refused.value.hint
    assert (key.read_text() if key.exists() else None) == damage


def test_rotation_seals_everything_under_a_new_key(kept: tuple[Path, str]) -> None:
    home, held = kept
    old = (home / "secret.key").read_text()
    store = SqlStore.open(home)
    store.rotate()
    assert contents(store) == held
    store.close()
    assert len((home / "secret.key").read_text().split()) == 1
    again = SqlStore.open(home)
    assert contents(again) == held
    again.close()
    (home / "secret.key").write_text(old)
    with pytest.raises(PlatformError):
        SqlStore.open(home)


# --- damage -------------------------------------------------------------------------------------------------------


def refusal(home: Path) -> PaasError | None:
    """The error that opening and reading the store ends with; None: everything can be read."""
    try:
        store = SqlStore.open(home)
    except PaasError as error:
        return error
    try:
        contents(store)
    except PaasError as error:
        return error
    finally:
        store.close()
    return None


def test_wrong_bytes_anywhere_never_end_in_a_crash_or_reach_the_good_copy(kept: tuple[Path, str]) -> None:
    path, copied = kept[0] / "paas.db", kept[0] / "paas.db.good"
    whole, good = path.read_bytes(), copied.read_bytes()
    chance = random.Random(35)
    refused = 0
    used = [offset for offset in range(0, len(whole), 64) if any(whole[offset : offset + 64])]
    for offset in [0, 16, 100, *chance.sample(used, 37)]:
        wrong = bytes(byte ^ 0xFF for byte in whole[offset : offset + 64])
        path.write_bytes(whole[:offset] + wrong + whole[offset + 64 :])
        copied.write_bytes(good)
        error = refusal(kept[0])
        refused += error is not None
        assert error is None or error.hint, f"bytes at {offset}: {error}"
        if error is not None:
            assert copied.read_bytes() == good, f"bytes at {offset} reached the last good copy"
    assert refused > 4


def test_the_hint_of_a_damaged_store_brings_back_the_last_good_state(kept: tuple[Path, str]) -> None:
    home, held = kept
    path = home / "paas.db"
    path.write_bytes(os.urandom(5000))
    with pytest.raises(PlatformError) as refused:
        SqlStore.open(home)
    hint = refused.value.hint
    assert f"mv {path} {path}.damaged" in hint
    assert f"cp {path}.good {path}" in hint
    path.rename(home / "paas.db.damaged")
    shutil.copy(home / "paas.db.good", path)
    store = SqlStore.open(home)
    assert contents(store) == held
    store.close()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 10_000])
def test_a_truncated_store_is_refused(kept: tuple[Path, str], size: int) -> None:
    path = kept[0] / "paas.db"
    os.truncate(path, size)
    with pytest.raises(PlatformError) as refused:
        SqlStore.open(kept[0])
    assert "paas.db.good" in refused.value.hint
    assert path.stat().st_size == size


def test_a_vanished_store_is_not_replaced_by_an_empty_one(kept: tuple[Path, str]) -> None:
    (kept[0] / "paas.db").unlink()
    with pytest.raises(PlatformError, match="is gone"):
        SqlStore.open(kept[0])
    assert not (kept[0] / "paas.db").exists()


@pytest.mark.parametrize(
    "damage", ["document = '{\"source\": 1'", "kind = 'nonsense'", "document = '[]'", "sealed = 'x'"]
)
def test_a_row_of_nonsense_is_told_with_the_repair(kept: tuple[Path, str], damage: str) -> None:
    good = (kept[0] / "paas.db.good").read_bytes()
    with closing(sqlite3.connect(kept[0] / "paas.db")) as database, database:
        database.execute(f"UPDATE releases SET {damage} WHERE number = 2")
    with pytest.raises(PlatformError) as refused:
        SqlStore.open(kept[0])
    assert "paas.db.good" in refused.value.hint
    assert (kept[0] / "paas.db.good").read_bytes() == good


@pytest.mark.parametrize("home", ["/proc/paas", "/dev/null", "/proc/1/fd/paas"])
def test_a_home_that_cannot_be_written_is_told_with_the_setting(home: str) -> None:
    with pytest.raises(PlatformError) as refused:
        SqlStore.open(Path(home))
    assert "PAAS_HOME" in refused.value.hint


def test_somebody_elses_store_is_refused(kept: tuple[Path, str]) -> None:
    with pytest.raises(PlatformError, match="belongs to") as refused:
        SqlStore.open(kept[0], uid=os.geteuid() + 1)
    assert "chown" in refused.value.hint


def test_a_copy_is_whole_and_opens(kept: tuple[Path, str], tmp_path: Path) -> None:
    home, held = kept
    store = SqlStore.open(home)
    other = tmp_path / "other"
    other.mkdir()
    store.backup(other / "paas.db")
    store.close()
    shutil.copy(home / "secret.key", other)
    copied = SqlStore.open(other)
    assert contents(copied) == held
    copied.close()


def test_operations_from_before_are_for_who_may_see_the_apps_they_touched(tmp_path: Path) -> None:
    path = tmp_path / "paas.db"
    SqlStore.open(tmp_path).close()  # for its key
    for file in tmp_path.glob("paas.db*"):
        file.unlink()
    config = schema._config(schema.MIGRATIONS)
    with schema._migrating(path) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0018")
        rows = [("promoted", "PromoteApp", "succeeded"), ("failed", "PromoteApp", "failed"),
                ("cloned", "CloneApp", "succeeded"), ("deployed", "DeployApp", "succeeded")]  # fmt: skip
        for number, (name, verb, status) in enumerate(rows):
            connection.execute(
                text("INSERT INTO operations VALUES (:serial, :id, '0a', :verb, 'ann', 1.0, 2.0, :status, '')"),
                {"serial": number + 1, "id": name, "verb": verb, "status": status},
            )
        for name, app_id in (("promoted", "0b"), ("promoted", "0c"), ("promoted", "0b"), ("promoted", "0a"),
                             ("failed", "0b"), ("deployed", "0a")):  # fmt: skip
            connection.execute(
                text("INSERT INTO events (app_id, operation_id, actor, at, kind, app, message, data) "
                     "VALUES (:app, :operation, 'ann', 1.0, 'release', '', '', '{}')"),
                {"app": app_id, "operation": name},
            )  # fmt: skip
        for request in ("CloneApp", "AddDomain"):
            connection.execute(
                text("INSERT INTO events (app_id, operation_id, actor, at, kind, app, message, data) "
                     "VALUES ('0a', '', 'ann', 1.0, 'audit', '', :message, :data)"),
                {"message": f"ann: {request} app=a name=copy",
                 "data": json.dumps({"request": request, "app": "a", "name": "copy"})},
            )  # fmt: skip
    store = SqlStore.open(tmp_path)
    others = {one.id: one.others for one in store.operations()}
    assert others == {"promoted": ("0b", "0c"), "failed": ("0b", "unknown"), "cloned": ("unknown",), "deployed": ()}
    assert {one.user_id for one in store.operations()} == {""}
    audits = [(event.message, "name" in event.data) for _, event in store.events("0a") if event.kind == "audit"]
    assert audits == [("ann: CloneApp app=a", False), ("ann: AddDomain app=a name=copy", True)]
    store.close()
