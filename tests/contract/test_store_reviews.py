"""What every store does with review apps and their policies, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import Conflict, NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.people import Grant, User
from paas.model.reviews import Cap, Review, ReviewPolicy, ReviewStatus
from paas.model.secret import Secret
from paas.store.sql import SqlStore

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
POLICY = ReviewPolicy(
    app_id=SHOP.id, created_at=1.0, created_by="ann", ttl=3600.0, most=3, cap=Cap(memory=1 << 28, cpus=0.5, replicas=2),
    inherit=("A", "B"), config={"KEY": Secret("s3cret")}, source=Secret("https://me:pw@x/y.git"), seed="latest",
    addons=False,
)  # fmt: skip
REVIEW = Review(
    app_id="0b0b0b0b", parent_id=SHOP.id, name="shop-pr-7", key="pr/7", opened_at=2.0, opened_by="webhook github",
    expires_at=9.0, branch="better", number=7, commit="1" * 40, fork=True, cap=Cap(memory=1 << 27), seeded=True,
    status=ReviewStatus.FAILED, failure="no web", warned=True, served=True,
)  # fmt: skip


@pytest.fixture
def store(any_store: Store) -> Store:
    any_store.add_app(SHOP)
    return any_store


def test_a_policy_comes_back_whole_and_goes_with_its_app(store: Store) -> None:
    assert store.review_policy(SHOP.id) is None
    store.put_review_policy(replace(POLICY, most=1))
    store.put_review_policy(POLICY)
    assert store.review_policy(SHOP.id) == POLICY
    store.delete_review_policy(SHOP.id)
    store.delete_review_policy(SHOP.id)
    assert store.review_policy(SHOP.id) is None
    store.put_review_policy(POLICY)
    store.delete_app(SHOP.id)
    assert store.review_policy(SHOP.id) is None
    with pytest.raises(NotFound):
        store.put_review_policy(POLICY)


def test_what_is_secret_in_a_policy_is_not_readable_on_disk(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path)
    store.add_app(SHOP)
    store.put_review_policy(POLICY)
    store.close()
    found = b"".join(path.read_bytes() for path in tmp_path.glob("paas.db*"))
    assert b"s3cret" not in found
    assert b"me:pw" not in found


def test_a_review_comes_back_whole_before_its_app_is_there_and_after_its_parent_is_gone(store: Store) -> None:
    assert store.review(REVIEW.app_id) is None
    store.put_review(REVIEW)
    assert store.review(REVIEW.app_id) == REVIEW
    later = replace(REVIEW, status=ReviewStatus.CLOSING, expires_at=10.0)
    store.put_review(later)
    other = replace(REVIEW, app_id="0c0c0c0c", name="shop-better", key="branch/better", number=0)
    store.put_review(other)
    assert store.reviews(SHOP.id) == (other, later)
    assert store.reviews("0d0d0d0d") == ()
    store.delete_app(SHOP.id)
    assert store.reviews() == (other, later)
    store.delete_review(other.app_id)
    store.delete_review(other.app_id)
    assert store.reviews() == (later,)


def test_a_parent_has_one_review_of_a_key(store: Store) -> None:
    store.put_review(REVIEW)
    with pytest.raises(Conflict, match="shop-pr-7"):
        store.put_review(replace(REVIEW, app_id="0c0c0c0c", name="other"))
    store.put_review(replace(REVIEW, app_id="0c0c0c0c", name="other", parent_id="0d0d0d0d"))


def test_roles_on_a_parent_are_roles_on_its_review_apps_as_long_as_they_last(store: Store) -> None:
    store.add_user(User(id="0bob", name="bob", created_at=1.0))
    store.put_grant(Grant(app_id=SHOP.id, role="deployer", user_id="0bob"))
    before = store.people_changes()
    store.put_review(REVIEW)
    assert store.people_changes() != before
    assert store.roles("0bob") == {SHOP.id: "deployer", REVIEW.app_id: "deployer"}
    store.put_grant(Grant(app_id=SHOP.id, role="viewer", user_id="0bob"))
    assert store.roles("0bob")[REVIEW.app_id] == "viewer"
    store.delete_grant(SHOP.id, user_id="0bob")
    assert store.roles("0bob") == {}
    store.put_grant(Grant(app_id=SHOP.id, role="viewer", user_id="0bob"))
    store.delete_review(REVIEW.app_id)
    assert store.roles("0bob") == {SHOP.id: "viewer"}
