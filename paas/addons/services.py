"""What an addon needs made, as values: its secrets, its service, its URL, its commands. Pure but for randomness."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field

from paas.addons.kinds import QUERY, AddonKind, Command, filled
from paas.model.app import Addon
from paas.model.secret import Secret
from paas.model.service import Mount, ServiceSpec

PASSWORD_BYTES = 24
ADDON = "addon"
"""Process name and kind of every addon's service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A command with the addon's own values in it, ready for the engine's `exec`."""

    run: tuple[str, ...]
    env: dict[str, Secret] = field(default_factory=dict)
    script: str = ""
    dump: bool = False


def new_secrets(kind: AddonKind) -> dict[str, Secret]:
    """Fresh values: URL-safe, and fit to be an identifier where the kind says `name`."""
    return {name: Secret(_name() if how == "name" else _password()) for name, how in kind.secrets.items()}


def volume_name(instance: str, addon_id: str) -> str:
    """Keyed by the id: an addon of the same name later never finds it."""
    return f"{instance}-addon-{addon_id}"


def service(addon: Addon, kind: AddonKind, *, instance: str, app_ids: Iterable[str]) -> ServiceSpec:
    """The service of an addon that is attached to these apps."""
    return ServiceSpec(
        app_id=addon.id,
        app_name=addon.name,
        process=ADDON,
        release=1,
        kind=ADDON,
        image=addon.image,
        command=kind.command,
        env={key: Secret(filled(value, _values(addon, kind))) for key, value in kind.env.items()},
        port=kind.port,
        limits=kind.limits,
        health=kind.health,
        stop_grace=kind.stop_grace,
        stop_signal=kind.stop_signal,
        networks=tuple(f"{instance}-{app_id}" for app_id in sorted(set(app_ids))),
        alias=addon.name,
        mounts=(Mount(addon.volume, kind.volume),),
    )


def url(addon: Addon, kind: AddonKind) -> Secret:
    """Where the addon's apps reach it, password included."""
    return Secret(filled(kind.url, _values(addon, kind)))


def call(command: Command, addon: Addon, kind: AddonKind, query: str = "") -> Call:
    """The command with this addon's values, and the query it is to ask."""
    values = {**_values(addon, kind), QUERY: query}
    return Call(
        run=tuple(filled(part, values) for part in command.run),
        env={key: Secret(filled(value, values)) for key, value in command.env.items()},
        script=command.script,
        dump=command.dump,
    )


def free_alias(kind: AddonKind, addon_name: str, taken: Iterable[str]) -> str:
    """The alias of a new attachment: the kind's own for the first, then the addon's name, then that with a number."""
    used = set(taken)
    own = addon_name.upper().replace("-", "_")
    candidates = [kind.alias, own, *(f"{own}_{number}" for number in range(2, len(used) + 3))]
    return next(candidate for candidate in candidates if candidate not in used)


def _values(addon: Addon, kind: AddonKind) -> dict[str, object]:
    return {
        **{name: value.reveal() for name, value in addon.secrets.items()},
        "host": addon.name,
        "port": kind.port,
    }


def _name() -> str:
    """A letter and 15 letters or digits: an identifier everywhere, never a reserved word."""
    return secrets.choice(string.ascii_lowercase) + secrets.token_hex(8)[:15]


def _password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)
