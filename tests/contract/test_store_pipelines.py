"""What every store does with places of apps in pipelines, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.pipeline import Place, Stage

SHOP, TEST = App(id="0a0a0a0a", name="shop", created_at=1.0), App(id="0b0b0b0b", name="shop-test", created_at=1.0)
LIVE = Place(app_id=SHOP.id, pipeline="shop", stage=Stage.PRODUCTION)
TRIED = Place(app_id=TEST.id, pipeline="shop", stage=Stage.STAGING)


@pytest.fixture
def store(any_store: Store) -> Store:
    for app in (SHOP, TEST):
        any_store.add_app(app)
    return any_store


def test_places_come_back_in_the_order_of_the_stages(store: Store) -> None:
    store.put_place(LIVE)
    store.put_place(TRIED)
    assert store.places("shop") == store.places() == (TRIED, LIVE)
    assert store.places("other") == ()


def test_an_app_has_one_place_and_the_last_counts(store: Store) -> None:
    store.put_place(LIVE)
    moved = replace(LIVE, pipeline="other", stage=Stage.REVIEW)
    store.put_place(moved)
    assert store.places() == (moved,)


def test_places_are_taken_away_by_command_and_with_their_app(store: Store) -> None:
    store.put_place(LIVE)
    store.put_place(TRIED)
    store.delete_places((TEST.id,))
    store.delete_places((TEST.id, "0c0c0c0c"))
    assert store.places() == (LIVE,)
    store.delete_app(SHOP.id)
    assert store.places() == ()


def test_there_is_no_place_for_an_app_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        store.put_place(replace(LIVE, app_id="0c0c0c0c"))
