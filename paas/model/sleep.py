"""Words of sleeping: an app that nobody asks for runs nothing until somebody does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """That an app may sleep `after` so many idle seconds (0: never), and whether it does. `by_file`: its `paas.toml`
    says so, and may say something else at the next deploy; else a command did, which counts until it is unset.
    `port` is the loopback port at which requests for it are held while it sleeps (0: none was found yet). `since` is
    when it fell asleep or woke, Unix time.
    """

    app_id: str
    after: float
    asleep: bool = False
    since: float = 0.0
    port: int = 0
    by_file: bool = False
