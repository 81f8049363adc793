"""An addon whose volume is gone: on another machine, or after somebody removed it. Only a restore brings it back.

It gets a volume of another name, which the store learns of when the data is in it. So whatever happens before, the
addon is seen to be broken, and never comes back empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from paas.addons import kinds
from paas.errors import PaasError
from paas.model.app import Addon
from paas.model.build import Runtime
from paas.usecases import addon_service as at
from paas.usecases.context import Act, Context
from paas.usecases.steps import step


def is_lost(context: Context, addon: Addon) -> bool:
    """Whether its volume is gone."""
    return addon.volume not in context.engine.volumes()


@contextmanager
def remade(context: Context, addon: Addon, act: Act) -> Iterator[Addon]:
    """It, running and set up with an empty volume, which the block fills. Kept when the block ends well; when it does
    not, nothing is left of it. The caller holds the addon's lock. Raises PlatformError, ConfigError."""
    base = context.stack.answer(Runtime(kinds.kind(addon.kind).runtime, addon.version))
    anew = replace(addon, image=at.prepared(context, addon, base, act), volume=next_volume(addon.volume))
    _take_away(context, anew)
    try:
        with step(context, act.emit, f"start {addon.kind} {addon.version} as {addon.name}, whose volume is gone"):
            at.run_all(
                context, anew, at.start(context, at.spec_of(context, anew), act.emit), kinds.kind(addon.kind).setup
            )
        yield anew
    except BaseException:
        with suppress(PaasError):
            _take_away(context, anew)
        raise
    context.store.save_addon(anew)


def next_volume(name: str) -> str:
    """`x` → `x-r2` → `x-r3`."""
    found = re.fullmatch(r"(.*)-r([0-9]+)", name)
    return f"{found[1]}-r{int(found[2]) + 1}" if found else f"{name}-r2"


def _take_away(context: Context, anew: Addon) -> None:
    """Its container and that volume, also those that a killed server left."""
    context.engine.remove(at.spec_of(context, anew).key)
    context.engine.remove_volume(anew.volume)
