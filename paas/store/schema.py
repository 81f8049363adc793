"""Opens the database file: checks it, migrates it, keeps copies of its last good state.

A new file is made under another name and moved into place when it is complete, so a file without a schema is always
a damaged one, never a half-made one. An existing file is copied before it is migrated.
"""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from paas.errors import PlatformError

MIGRATIONS = "paas.store:migrations"
BUSY = 30.0
"""Seconds a transaction waits for another one."""


KEPT_OPEN = 16
"""Connections that stay open when nobody needs them. Each more is opened and closed for one look: a burst of requests
that needs many would be slowed by what is to serve it."""


def connect(path: Path, serializer: Callable[[Any], str]) -> Engine:
    """The engine for a database that `prepare` found good. Write transactions begin IMMEDIATE (option `immediate`)."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY},
        json_serializer=serializer,
        pool_size=KEPT_OPEN,
        max_overflow=100,
    )
    _listen(engine, foreign_keys=True)
    return engine


def prepare(path: Path, *, migrations: str = MIGRATIONS) -> None:
    """Have a whole database of the present schema at `path`. Raises PlatformError with how to repair it."""
    if not path.exists():
        _create(path, migrations)
        return
    _check_head(path)
    with damage_told(path), _migrating(path) as connection:
        _check(connection, path)
        current = MigrationContext.configure(connection).get_current_revision()
        scripts = ScriptDirectory.from_config(_config(migrations))
        head = scripts.get_current_head()
        if current == head:
            return
        _known_revision(scripts, current, path)
        copy(path, path.with_name(f"{path.name}.before-{head}"))
        _upgrade(connection, migrations)


def copy(path: Path, to: Path) -> None:
    """A consistent copy of the database, checked before it takes the place of an older one. Raises PlatformError."""
    with damage_told(path):
        temporary = _temporary(to)
        try:
            with closing(sqlite3.connect(path, timeout=BUSY)) as source, closing(sqlite3.connect(temporary)) as target:
                source.backup(target)
                # A copy is one file: without this it would want a -wal file beside it wherever it is opened.
                target.execute("PRAGMA journal_mode=DELETE")
                _whole(target.execute("PRAGMA quick_check").fetchone()[0])
            temporary.replace(to)
        finally:
            temporary.unlink(missing_ok=True)


def good_copy(path: Path) -> Path:
    """Where the last good copy of the database is kept."""
    return path.with_name(f"{path.name}.good")


def check_folder(home: Path, names: tuple[str, ...], uid: int | None = None) -> None:
    """Make the home folder (0700) if needed; raise PlatformError when it or these files are not ours to write.

    Another owner's files are refused even where we could write them (root): what we add would lock the owner out.
    """
    me = os.geteuid() if uid is None else uid
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
        owners = {name: (home / name).stat().st_uid for name in names if (home / name).exists()}
    except OSError as error:
        raise PlatformError(
            f"cannot write to {home}: {error.strerror}",
            hint=f"make it a folder that user {_user(me)} can write, or set PAAS_HOME to one",
        ) from error
    for name, owner in owners.items():
        if owner != me:
            raise PlatformError(
                f"{home / name} belongs to user {_user(owner)}, this is user {_user(me)}",
                hint=f"run it as {_user(owner)}, or give the files away: chown -R {_user(me)} {home}",
            )


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what SQLite says into a PlatformError with the way out."""
    try:
        yield
    except DBAPIError as error:
        raise told(path, error.orig or error) from error
    except (sqlite3.Error, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise told(path, error) from error


def told(path: Path, error: BaseException) -> PlatformError:
    """What SQLite's error means, and what to do."""
    words = str(error)
    if "locked" in words or "busy" in words:
        return PlatformError(f"the store {path} is in use by another process", hint="is a second server running?")
    if "full" in words:
        return PlatformError(f"the disk of {path} is full", hint=f"free some space: df -h {path.parent}")
    if "readonly" in words or "unable to open" in words:
        return PlatformError(f"the store {path} cannot be written: {words}", hint=f"look at: ls -la {path.parent}")
    return PlatformError(f"the store {path} is damaged: {words}", hint=repair(path))


def repair(path: Path) -> str:
    """How to get back a damaged or lost database."""
    good = good_copy(path)
    if good.exists():
        # -wal and -shm belong to the damaged file and must not be applied to the copy.
        return f"run `paas down`, then: mv {path} {path}.damaged; rm -f {path}-wal {path}-shm; cp {good} {path}"
    return f"run `paas down` and put back your own copy of {path}, or move it away to start with nothing"


def revision(path: Path) -> str:
    """The schema revision the database has; empty: none. Raises PlatformError."""
    with damage_told(path), _migrating(path) as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def _create(path: Path, migrations: str) -> None:
    if good_copy(path).exists():
        raise PlatformError(
            f"the store {path} is gone, but its last good copy is there",
            hint=f"cp {good_copy(path)} {path} — or remove {good_copy(path)} to start with nothing",
        )
    temporary = _temporary(path)
    try:
        with damage_told(temporary), _migrating(temporary) as connection:
            _upgrade(connection, migrations)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _migrating(path: Path) -> Iterator[Connection]:
    """One write transaction without foreign keys: a table that is made anew must not cascade into the others."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY}, poolclass=NullPool)
    _listen(engine, foreign_keys=False)
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        yield connection


def _listen(engine: Engine, *, foreign_keys: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, record: object) -> None:
        # sqlite3's own transaction handling begins too late; ours begins at `begin`, with the lock we ask for.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", f"foreign_keys={'ON' if foreign_keys else 'OFF'}", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def beginning(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("immediate"):
            connection.exec_driver_sql("BEGIN")
            return
        # FULL: a committed release survives a power cut. Events may lose their last second, and cost no fsync.
        connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if options.get('fleeting') else 'FULL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check_head(path: Path) -> None:
    """SQLite would take a file of nothing, or of one byte, for a new database and write into it."""
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise PlatformError(f"{path} is not a store of paas, or was cut off", hint=repair(path))


def _check(connection: Connection, path: Path) -> None:
    # One row that says ok, or one for each of many damages.
    _whole(connection.execute(text("PRAGMA quick_check")).scalars().first() or "no answer")
    tables = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    if "alembic_version" not in tables:
        raise PlatformError(f"{path} is not a store of paas, or was cut off", hint=repair(path))


def _whole(answer: str) -> None:
    if answer != "ok":
        raise sqlite3.DatabaseError(answer.splitlines()[0])


def _known_revision(scripts: ScriptDirectory, current: str | None, path: Path) -> None:
    if current not in {script.revision for script in scripts.walk_revisions()}:
        raise PlatformError(
            f"the store {path} was made by a newer version of paas (schema {current})",
            hint="install that version again; the copies it kept are beside the store",
        )


def _upgrade(connection: Connection, migrations: str) -> None:
    config = _config(migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise sqlite3.IntegrityError(f"the upgrade left a row of {broken[0]} without its parent")


def _config(migrations: str) -> Config:
    config = Config()
    config.set_main_option("script_location", migrations)
    config.set_main_option("path_separator", "os")
    return config


def _temporary(path: Path) -> Path:
    """A new, empty file beside `path` that only we can read."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    return Path(name)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
