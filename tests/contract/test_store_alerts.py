"""What every store does with alerts that fire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import NotFound
from paas.interfaces import Store
from paas.model.alert import Firing
from paas.model.app import App

SHOP, BLOG = (App(id=id, name=name, created_at=1.0) for id, name in (("0a0a0a0a", "shop"), ("0b0b0b0b", "blog")))
SLOW = Firing(app_id=SHOP.id, name="slow", since=5.5)


@pytest.fixture
def store(any_store: Store) -> Store:
    any_store.add_app(SHOP)
    any_store.add_app(BLOG)
    return any_store


def test_they_are_kept_by_app_and_name_and_replaced(store: Store) -> None:
    other, failing = replace(SLOW, app_id=BLOG.id), replace(SLOW, name="failing", since=7.0)
    for one in (other, replace(SLOW, since=1.0), SLOW, failing):
        store.put_firing(one)
    assert store.firings() == (failing, SLOW, other)
    assert store.firings(BLOG.id) == (other,)


def test_they_are_forgotten_more_than_once(store: Store) -> None:
    store.put_firing(SLOW)
    store.delete_firing(SHOP.id, "slow")
    store.delete_firing(SHOP.id, "slow")
    assert store.firings() == ()


def test_they_go_with_the_app(store: Store) -> None:
    store.put_firing(SLOW)
    store.delete_app(SHOP.id)
    assert store.firings() == ()


def test_an_unknown_app_has_none(store: Store) -> None:
    with pytest.raises(NotFound):
        store.put_firing(replace(SLOW, app_id="ffffffff"))
