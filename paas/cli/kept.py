"""Settings of this machine's platform: those that a command changes are kept in its server file, for its server's next
start; those that were said anew since its server started are found."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields

from paas import settings
from paas.cli.contexts import of_this_machine
from paas.errors import UsageError


def keep(**changes: str | int | None) -> bool:
    """Keep those that are not None; whether anything changed. Raises UsageError for a server elsewhere, and where the
    environment says otherwise: it would win."""
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        return False
    now = of_this_machine()
    for one in fields(settings.Settings):
        name = str(one.metadata["env"])
        if one.name in given and os.environ.get(name, "") not in ("", str(given[one.name])):
            raise UsageError(f"{name} is set to something else in the environment", hint=f"unset {name} first")
    return settings.keep(now.home, **given)


@dataclass(frozen=True, slots=True)
class Said:
    """A setting that the running server does not have: its variable, the server's value, the value here."""

    name: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.name} {self.before or 'unset'} → {self.now or 'unset'}"


def said_anew(now: settings.Settings) -> tuple[Said, ...]:
    """How the settings here differ from those that the running server of this home began with: what it would be given
    when it started now. Nothing when all that differs is that this shell does not say what the server was told."""
    try:
        began = json.loads((now.home / "server.settings").read_text())
    except (OSError, ValueError):
        return ()  # of a version that does not tell
    here, usual = settings.told(now), settings.told(settings.Settings())
    found = tuple(Said(name, began[name], here[name]) for name in here if began.get(name, here[name]) != here[name])
    return found if any(os.environ.get(one.name) or one.now != usual[one.name] for one in found) else ()
