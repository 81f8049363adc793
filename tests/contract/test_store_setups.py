"""What every store does with how apps came to be."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from paas.errors import Conflict, NotFound
from paas.interfaces import Store
from paas.model.app import App, Release, ReleaseKind, ReleaseStatus
from paas.model.scripts import Setup
from paas.store.sql import SqlStore

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
KNOWN = Setup(app_id=SHOP.id, environment="review", done=3, cloning="0b0b0b0b")


@pytest.fixture
def store(any_store: Store) -> Store:
    any_store.add_app(SHOP)
    return any_store


def test_it_is_kept_and_replaced(store: Store) -> None:
    assert store.setup(SHOP.id) == Setup(app_id=SHOP.id)
    store.put_setup(KNOWN)
    assert store.setup(SHOP.id) == KNOWN
    assert store.half_clones() == (KNOWN,)
    store.put_setup(replace(KNOWN, cloning=""))
    assert store.half_clones() == ()
    assert store.setup(SHOP.id) == replace(KNOWN, cloning="")


def test_an_app_comes_with_it_or_not_at_all(store: Store) -> None:
    copy = App(id="0b0b0b0b", name="copy", created_at=2.0)
    known = Setup(app_id=copy.id, cloning=SHOP.id)
    with pytest.raises(Conflict):
        store.add_app(replace(copy, name="shop"), known)
    assert store.half_clones() == ()
    store.add_app(copy, known)
    assert store.half_clones() == (known,)


def test_it_goes_with_the_app(store: Store) -> None:
    store.put_setup(KNOWN)
    store.delete_app(SHOP.id)
    assert store.setup(SHOP.id) == Setup(app_id=SHOP.id)


def test_there_is_none_of_an_unknown_app(store: Store) -> None:
    with pytest.raises(NotFound):
        store.put_setup(replace(KNOWN, app_id="ffffffff"))


def test_what_was_deployed_before_there_were_setups_has_its_postdeploy_behind_it(tmp_path: Path) -> None:
    """By the migration itself, on a store without its table."""
    store = SqlStore.open(tmp_path)
    for app in (SHOP, App(id="0b0b0b0b", name="empty", created_at=1.0)):
        store.add_app(app)
        past = [("", "succeeded"), ("sha256:bad", "failed"), ("sha256:1", "succeeded"), ("sha256:2", "pending")]
        for image, status in past if app is SHOP else past[:2]:
            made = store.add_release(
                Release(
                    app_id=app.id, number=0, kind=ReleaseKind.DEPLOY, created_at=1.0, actor="ann", description="x",
                    image=image,
                )
            )  # fmt: skip
            store.save_release(replace(made, status=ReleaseStatus(status)))
    store.close()
    migration = import_module("paas.store.migrations.versions.0014_setups")
    engine = create_engine(f"sqlite:///{tmp_path / 'paas.db'}")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        connection.execute(text("DROP TABLE setups"))
        migration.upgrade()
    engine.dispose()
    store = SqlStore.open(tmp_path)
    assert (store.setup(SHOP.id).done, store.setup("0b0b0b0b").done) == (3, 0)
    store.close()
