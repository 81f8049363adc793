"""Config vars: several changes are one release and one rolling restart, all checked before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from paas.errors import Conflict, UsageError
from paas.model import names
from paas.model.app import Release, ReleaseKind
from paas.model.secret import Secret
from paas.requests.config import ChangeConfig, ShowConfig
from paas.usecases.bindings import key
from paas.usecases.context import Act, Context
from paas.usecases.releases import Changed, change_release
from paas.usecases.switch import base_release


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigShown:
    """An app's config vars, values revealed: whoever asks for this asks for the values."""

    app: str
    config: Mapping[str, str]


def show_config(context: Context, request: ShowConfig, act: Act) -> ConfigShown:
    """The config of the wanted release, by key."""
    app = context.store.app(request.app)
    config = base_release(context.store, app).config
    return ConfigShown(app=app.name, config={name: config[name].reveal() for name in sorted(config)})


def change_config(context: Context, request: ChangeConfig, act: Act) -> Changed:
    """Set and unset together: one release, or none when nothing would change. Raises UsageError, Conflict."""
    app = context.store.app(request.app)
    given = checked(request.set, request.unset)
    base = base_release(context.store, app)
    changes = changed_keys(base, given, request.unset)
    if not changes:
        return Changed(app=app.name, release=app.wanted, changed=False, message="the config is that already")
    changed(base, given, request.unset)
    release = change_release(
        context,
        app,
        act,
        kind=ReleaseKind.CONFIG,
        description=f"config: {', '.join(changes)}",
        change=lambda base: changed(base, given, request.unset),
    )
    return Changed(app=app.name, release=release.number, runs=bool(release.image))


def checked(given: Mapping[str, str], unset: tuple[str, ...]) -> dict[str, Secret]:
    """The values as secrets, once every key and value holds the rules. Raises UsageError naming the key only."""
    for name in unset:
        names.config_key(name)
        if name in given:
            raise UsageError(f"{name} is to be set and unset at once", hint="name it once")
    return {names.config_key(name): Secret(names.config_value(name, value)) for name, value in given.items()}


def changed_keys(base: Release, given: Mapping[str, Secret], unset: tuple[str, ...]) -> tuple[str, ...]:
    """What would change, for people: `set A`, `unset B`."""
    return (
        *(f"set {name}" for name in sorted(given) if base.config.get(name) != given[name]),
        *(f"unset {name}" for name in sorted(set(unset)) if name in base.config),
    )


def changed(base: Release, given: Mapping[str, Secret], unset: tuple[str, ...] = ()) -> Release:
    """`base` with this config. Raises Conflict for a key that an addon binds, UsageError when it gets too large."""
    for alias in base.addons:
        name = key(alias)
        if name in given or name in unset:
            raise Conflict(f"{name} is bound by an attached addon", hint="detach it first: paas addons detach")
    config = {name: value for name, value in base.config.items() if name not in unset} | dict(given)
    check_size(config)
    return replace(base, config=config)


def check_size(config: Mapping[str, Secret]) -> None:
    """Raise UsageError when the config is larger than the kernel takes as an environment."""
    size = sum(len(name) + len(value.reveal().encode("utf-8", "surrogateescape")) + 2 for name, value in config.items())
    if size > names.MAX_CONFIG:
        raise UsageError(
            f"the config would have {size} bytes together; the limit is {names.MAX_CONFIG}",
            hint="keep large data in a file of the app or in a database",
        )
