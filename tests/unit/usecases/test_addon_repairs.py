"""Who repairs addons, and who makes and destroys them, at the same moment."""

from __future__ import annotations

import pytest

from paas.errors import DeployFailed
from paas.model.service import ServiceKey
from paas.requests.addons import CreateAddon
from paas.usecases.addon_service import reconcile_addons
from paas.usecases.addons import create_addon
from tests.unit.usecases.parts import BAD, GOOD, Parts


def test_an_addon_whose_app_does_not_start_with_it_is_gone_although_its_end_wakes_the_repair(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = platform.app("shop", "0a0a0a0a", web=1)
    platform.release(app, GOOD, "web")
    platform.engine.behaviours[GOOD] = platform.engine.behaviours[BAD]
    remove = platform.engine.remove

    def removed(key: ServiceKey) -> None:
        remove(key)
        reconcile_addons(platform.context, platform.act.emit)

    monkeypatch.setattr(platform.engine, "remove", removed)
    with pytest.raises(DeployFailed):
        create_addon(platform.context, CreateAddon(kind="postgres", app="shop"), platform.act)
    assert platform.store.addons() == ()
    assert platform.engine.volumes() == frozenset()
    assert {service.key.app_id for service in platform.engine.observe()} <= {app.id}


def test_an_addon_that_was_destroyed_while_the_repair_looked_is_not_started_again(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_addon(platform.context, CreateAddon(kind="postgres", name="stories"), platform.act)
    (addon,) = platform.store.addons()
    platform.engine.remove(platform.engine.observe(addon.id)[0].key)
    listed = platform.store.addons

    def addons() -> tuple[object, ...]:
        monkeypatch.setattr(platform.store, "addons", listed)
        platform.store.delete_addon(addon.id)
        return (addon,)

    monkeypatch.setattr(platform.store, "addons", addons)
    reconcile_addons(platform.context, platform.act.emit)
    assert platform.engine.observe() == ()
