"""What every store does with how apps came to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.scripts import Setup
from paas.store.memory import MemoryStore
from paas.store.sql import SqlStore

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
KNOWN = Setup(app_id=SHOP.id, environment="review", done=3, cloning="0b0b0b0b")


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore() if request.param == "memory" else SqlStore.open(tmp_path)
    made.add_app(SHOP)
    yield made
    made.close()


def test_it_is_kept_and_replaced(store: Store) -> None:
    assert store.setup(SHOP.id) == Setup(app_id=SHOP.id)
    store.put_setup(KNOWN)
    assert store.setup(SHOP.id) == KNOWN
    assert store.half_clones() == (KNOWN,)
    store.put_setup(replace(KNOWN, cloning=""))
    assert store.half_clones() == ()
    assert store.setup(SHOP.id) == replace(KNOWN, cloning="")


def test_it_goes_with_the_app(store: Store) -> None:
    store.put_setup(KNOWN)
    store.delete_app(SHOP.id)
    assert store.setup(SHOP.id) == Setup(app_id=SHOP.id)


def test_there_is_none_of_an_unknown_app(store: Store) -> None:
    with pytest.raises(NotFound):
        store.put_setup(replace(KNOWN, app_id="ffffffff"))
