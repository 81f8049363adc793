"""Which stack: official images where their registry answers, Debian packages elsewhere."""

from __future__ import annotations

from paas.errors import ConfigError
from paas.interfaces import Builder, Stack
from paas.settings import Settings
from paas.stacks.debian import DebianStack
from paas.stacks.official import OfficialStack, library


def choose(settings: Settings, builder: Builder) -> Stack:
    """The stack that the setting `stack` names; `auto` has the Engine ask the registry once, so keep the answer."""
    if settings.stack == "official":
        return OfficialStack(settings, builder)
    if settings.stack == "debian":
        return DebianStack(settings, builder)
    if settings.stack != "auto":
        raise ConfigError(
            f"{settings.stack!r} is no stack", where="PAAS_STACK", hint="use official, debian or auto (the default)"
        )
    answers = builder.reachable(f"{library(settings)}/python")
    return OfficialStack(settings, builder) if answers else DebianStack(settings, builder)
