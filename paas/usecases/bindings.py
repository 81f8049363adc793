"""Which config vars an app has from its attached addons. Attachments are what is true; the config vars follow.

Every release goes through `bound`, a rollback's too: an earlier release must not bring back the URL of an addon that
was detached since, nor take away one that was attached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from paas.addons import kinds, services
from paas.errors import Conflict
from paas.interfaces import Store
from paas.model.app import Addon, Attachment, Release


def key(alias: str) -> str:
    """The config var of an alias: `DATABASE` → `DATABASE_URL`."""
    return f"{alias}_URL"


def bound(store: Store, app_id: str, release: Release, *, without: str = "") -> Release:
    """`release` with the config vars of the app's present attachments and no others (`without`: this addon's).

    Raises Conflict when the app set such a config var itself.
    """
    attached = [found for found in store.attachments(app_id=app_id) if found.addon_id != without]
    config = {name: value for name, value in release.config.items() if name not in map(key, release.addons)}
    for attachment in attached:
        name = key(attachment.alias)
        if name in config:
            raise Conflict(
                f"{name} is a config var of the app already",
                hint=f"unset it first (paas config unset {name}), or choose another alias: --as NAME",
            )
        addon = store.addon(attachment.addon_id)
        config[name] = services.url(addon, kinds.kind(addon.kind))
    return replace(release, config=config, addons=tuple(sorted(found.alias for found in attached)))


def app_ids(store: Store, addon: Addon) -> tuple[str, ...]:
    """The apps the addon is attached to."""
    return _apps(store.attachments(addon_id=addon.id))


def _apps(attachments: Iterable[Attachment]) -> tuple[str, ...]:
    return tuple(sorted({attachment.app_id for attachment in attachments}))
