"""Every request there is. The server imports them all; a command of the CLI only its own."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import paas.requests
from paas.requests.base import Request

for _module in sorted(module.name for module in pkgutil.iter_modules(paas.requests.__path__)):
    if _module != "all":
        import_module(f"paas.requests.{_module}")


def all_requests() -> tuple[type[Request], ...]:
    """Every request that has a path, noun by noun."""
    found: list[type[Request]] = []
    pending = list(Request.__subclasses__())
    while pending:
        kind = pending.pop(0)
        if "path" in vars(kind):
            found.append(kind)
        pending.extend(kind.__subclasses__())
    return tuple(found)
