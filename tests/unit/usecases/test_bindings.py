"""Config vars of addons follow the attachments, in every release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import Conflict
from paas.model.app import Addon, App, Attachment, Release, ReleaseKind
from paas.model.secret import Secret
from paas.store.memory import MemoryStore
from paas.usecases.bindings import app_ids, bound

SHOP = App(id="0a0a0a0a", name="shop", created_at=0.0)
RELEASE = Release(
    app_id=SHOP.id, number=1, kind=ReleaseKind.DEPLOY, created_at=0.0, actor="ann", description="",
    config={"OWN": Secret("1")},
)  # fmt: skip


def addon(id: str, name: str) -> Addon:
    secrets = {part: Secret(f"{part}-{id}") for part in ("user", "password", "database", "admin_password")}
    return Addon(
        id=id, name=name, kind="postgres", version="17", image="i", volume="v", created_at=0.0, secrets=secrets
    )


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.add_app(SHOP)
    for number, alias in ((1, "DATABASE"), (2, "OTHER")):
        made.add_addon(addon(f"{number}", f"db-{number}"))
        made.attach(Attachment(addon_id=f"{number}", app_id=SHOP.id, alias=alias))
    return made


def config(release: Release) -> dict[str, str]:
    return {key: value.reveal() for key, value in release.config.items()}


def test_a_release_gets_the_url_of_each_attachment(store: MemoryStore) -> None:
    release = bound(store, SHOP.id, RELEASE)
    assert config(release) == {
        "OWN": "1",
        "DATABASE_URL": "postgresql://user-1:password-1@db-1:5432/database-1",
        "OTHER_URL": "postgresql://user-2:password-2@db-2:5432/database-2",
    }
    assert release.addons == ("DATABASE", "OTHER")
    assert bound(store, SHOP.id, release) == release


def test_an_earlier_release_does_not_bring_back_what_was_detached(store: MemoryStore) -> None:
    earlier = bound(store, SHOP.id, RELEASE)
    store.detach(Attachment(addon_id="2", app_id=SHOP.id, alias="OTHER"))
    again = bound(store, SHOP.id, earlier)
    assert set(config(again)) == {"OWN", "DATABASE_URL"}
    assert again.addons == ("DATABASE",)


def test_an_addon_can_be_left_out_before_it_is_detached(store: MemoryStore) -> None:
    left = bound(store, SHOP.id, bound(store, SHOP.id, RELEASE), without="1")
    assert set(config(left)) == {"OWN", "OTHER_URL"}


def test_a_config_var_of_the_app_itself_is_never_overwritten(store: MemoryStore) -> None:
    own = replace(RELEASE, config={"DATABASE_URL": Secret("mine")})
    with pytest.raises(Conflict, match="DATABASE_URL"):
        bound(store, SHOP.id, own)


def test_the_apps_of_an_addon(store: MemoryStore) -> None:
    store.attach(Attachment(addon_id="1", app_id=SHOP.id, alias="AGAIN"))
    assert app_ids(store, store.addon("1")) == (SHOP.id,)
