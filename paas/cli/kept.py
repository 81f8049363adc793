"""Settings of this machine's platform that a command changes: kept in its server file, for its server's next start."""

from __future__ import annotations

import os
from dataclasses import fields

from paas import settings
from paas.errors import UsageError


def keep(**changes: str | int | None) -> bool:
    """Keep those that are not None; whether anything changed. Raises UsageError for a server elsewhere, and where the
    environment says otherwise: it would win."""
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        return False
    now = settings.load()
    if now.server:
        raise UsageError(
            "the settings of a server are kept on its own machine",
            hint=f"log in there and run this again, or unset PAAS_HOST ({now.server})",
        )
    for one in fields(settings.Settings):
        name = str(one.metadata["env"])
        if one.name in given and os.environ.get(name, "") not in ("", str(given[one.name])):
            raise UsageError(f"{name} is set to something else in the environment", hint=f"unset {name} first")
    return settings.keep(now.home, **given)
