"""Words of an app's own scripts, and of how an app came to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from paas.errors import UsageError

ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,39}")
BASE = ""
"""The environment of what a file says for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """Shell lines that run once in a container of their own; empty: none. `postdeploy` after the first deploy that
    serves, `predestroy` before the app is taken away."""

    postdeploy: str = ""
    predestroy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How an app came to be. `environment` is the one of its files that was chosen for it (empty: its stage's).

    `done` is the release after which `postdeploy` had its end (0: it is still to run). `cloning` is the id of the app
    that this one is a clone of, while that is being made.
    """

    app_id: str
    environment: str = ""
    done: int = 0
    cloning: str = ""


def environment_name(value: str) -> str:
    """`value` if it can name an environment. Raises UsageError."""
    if not ENVIRONMENT.fullmatch(value):
        raise UsageError(
            f"{value[:80]!a} cannot name an environment",
            hint="use 1 to 40 lower-case letters, digits and dashes; start with a letter",
        )
    return value


def chosen(scripts: Mapping[str, Scripts], environment: str) -> Scripts:
    """The scripts that count in an environment: its own, script by script, over those for all."""
    base, own = scripts.get(BASE, Scripts()), scripts.get(environment, Scripts())
    return Scripts(postdeploy=own.postdeploy or base.postdeploy, predestroy=own.predestroy or base.predestroy)
