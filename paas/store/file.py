"""The database file as transactions: what `sql.py` and the parts it is made of stand on."""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Select

from paas.errors import PaasError
from paas.store import schema
from paas.store.crypto import Vault

logger = logging.getLogger(__name__)

COPY_EVERY = 600.0
"""Seconds between two copies of the last good state, made by whoever writes next."""


class SqlFile:
    """The database in `path`, its secrets sealed by `vault`. Usable from any thread. Close it when done."""

    def __init__(self, path: Path, vault: Vault) -> None:
        """Use `open`: it makes sure that there is a whole database."""
        self.path = path
        self._vault = vault
        # str: what is no JSON value is kept as its text, a Secret masked
        self._engine = schema.connect(path, functools.partial(json.dumps, default=str))
        self._writing = threading.RLock()
        self._copied = time.monotonic()
        self._state = 0
        """Another number for each state of the database that may be read: moved before and after each write."""
        self._finalizer = weakref.finalize(self, self._engine.dispose)

    def revision(self) -> int:
        """See `interfaces.Store`."""
        return self._state

    def close(self) -> None:
        """Give back files and threads. Idempotent."""
        self._finalizer()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with schema.damage_told(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _write(self, *, fleeting: bool = False) -> Iterator[Connection]:
        # Our own lock first: a thread that waits for SQLite's polls, with sleeps in between.
        with self._writing, schema.damage_told(self.path):
            self._state += 1
            try:
                with self._engine.connect() as connection:
                    options = connection.execution_options(immediate=True, fleeting=fleeting)
                    with options.begin():
                        yield options
            finally:
                self._state += 1
            self._keep_copy()

    def _keep_copy(self, *, now: bool = False) -> None:
        """Refresh the copy of the last good state when it is old. A database that is damaged never replaces it."""
        if now or time.monotonic() - self._copied > COPY_EVERY:
            self._copied = time.monotonic()
            try:
                schema.copy(self.path, schema.good_copy(self.path))
            except PaasError as error:
                # What was asked for is committed: a copy that fails must not make it look undone.
                logger.warning("no copy of the store was made: %s", error.message)


def rows_of(db: Connection, query: Select[Any]) -> Iterable[RowMapping]:
    """The rows of a query."""
    return db.execute(query).mappings().all()


def first(db: Connection, query: Select[Any]) -> RowMapping | None:
    """Its first row, None when there is none."""
    return db.execute(query).mappings().first()
