"""What every store does with apps that may sleep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.sleep import Sleep

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
IDLE = Sleep(app_id=SHOP.id, after=1800.0, asleep=True, since=5.5, port=40_000)


@pytest.fixture
def store(any_store: Store) -> Store:
    any_store.add_app(SHOP)
    return any_store


def test_it_is_kept_and_replaced(store: Store) -> None:
    assert store.sleep(SHOP.id) is None
    store.put_sleep(IDLE)
    assert store.sleep(SHOP.id) == IDLE
    store.put_sleep(replace(IDLE, asleep=False))
    assert store.sleeps() == (replace(IDLE, asleep=False),)


def test_it_is_forgotten_more_than_once(store: Store) -> None:
    store.put_sleep(IDLE)
    store.delete_sleep(SHOP.id)
    store.delete_sleep(SHOP.id)
    assert store.sleeps() == ()


def test_it_goes_with_the_app(store: Store) -> None:
    store.put_sleep(IDLE)
    store.delete_app(SHOP.id)
    assert store.sleeps() == ()


def test_an_unknown_app_cannot_sleep(store: Store) -> None:
    with pytest.raises(NotFound):
        store.put_sleep(replace(IDLE, app_id="ffffffff"))
