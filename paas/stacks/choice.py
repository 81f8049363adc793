"""Which stack: official images where their registry answers, Debian packages elsewhere."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable

from paas.errors import ConfigError
from paas.interfaces import Builder, Stack
from paas.settings import Settings
from paas.stacks.debian import DebianStack
from paas.stacks.official import OfficialStack

_TIMEOUT = 2.0
_HUB = "registry-1.docker.io"


def reachable(registry: str, *, scheme: str = "https") -> bool:
    """Whether the registry's API answers within 2 s; asking for a login is an answer."""
    host = _HUB if registry in ("docker.io", "") else registry.partition("/")[0]
    try:
        with urllib.request.urlopen(f"{scheme}://{host}/v2/", timeout=_TIMEOUT) as response:  # noqa: S310 - our own scheme
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        with error:
            return error.code in (401, 403)
    except (OSError, ValueError):
        return False


def choose(settings: Settings, builder: Builder, *, reachable: Callable[[str], bool] = reachable) -> Stack:
    """The stack that the setting `stack` names; `auto` asks the registry once, so keep the answer."""
    if settings.stack == "official":
        return OfficialStack(settings, builder)
    if settings.stack == "debian":
        return DebianStack(settings, builder)
    if settings.stack != "auto":
        raise ConfigError(
            f"{settings.stack!r} is no stack", where="PAAS_STACK", hint="use official, debian or auto (the default)"
        )
    return OfficialStack(settings, builder) if reachable(settings.registry) else DebianStack(settings, builder)
