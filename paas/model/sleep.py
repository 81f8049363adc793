"""Words of sleeping: an app that nobody asks for runs nothing until somebody does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """That an app may sleep `after` so many idle seconds, and whether it does. `port` is the loopback port at which
    requests for it are held while it does (0: none was found yet). `since` is when it fell asleep or woke, Unix time.
    """

    app_id: str
    after: float
    asleep: bool = False
    since: float = 0.0
    port: int = 0
