"""How much of the server one person may have at a time, so that nobody has all of it.

Counts what each has open, from the moment it is known who asks until the answer ends: streams, sessions, and bodies
on their way in. Who nobody is known to be is not counted: their connections give way to others (`listen.py`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from paas.errors import TooMany
from paas.model.people import Actor
from paas.server.auth import local_user

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OF_ONE = 100
"""Requests of one person at the same time that may last: streams, sessions, uploads, whatever has a body."""
PLACE = "paas.place"
"""Where the place of a request is in its scope."""


@dataclass(slots=True)
class Place:
    """What a request takes of what its person has; `whose` is empty while nobody knows who asks."""

    here: Counter[str]
    guard: threading.Lock
    whose: str = ""
    counted: bool = False

    def take(self, whose: str, *, counted: bool = True) -> None:
        """Once it is known who asks. Raises TooMany."""
        if self.whose:
            return
        with self.guard:
            if counted and self.here[whose] >= OF_ONE:
                raise TooMany(
                    f"you have {OF_ONE} requests open at this server", hint="end some: logs, terminals, uploads"
                )
            self.here[whose] += counted
            self.whose, self.counted = whose, counted

    def leave(self) -> None:
        """The answer has ended."""
        with self.guard:
            if self.counted:
                self.here[self.whose] -= 1
                if not self.here[self.whose]:
                    del self.here[self.whose]


@dataclass(slots=True)
class Crowd:
    """ASGI middleware, the outermost: gives each request its place."""

    app: App
    _here: Counter[str] = field(default_factory=Counter)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; its place is free again when it has been answered."""
        place = scope[PLACE] = Place(self._here, self._guard)
        try:
            await self.app(scope, receive, send)
        finally:
            place.leave()


def known(scope: Scope, actor: Actor) -> Actor:
    """The actor, whose request has its place now. Raises TooMany.

    What comes over the machine's own socket is never refused, so that hooks of pushes and the operator get in; but
    sessions there are those of people who came by SSH, and count.
    """
    counted = not local_user(scope) or (scope["type"] == "websocket" and actor.via != "socket")
    scope[PLACE].take(actor.user_id or actor.token_id or actor.name, counted=counted)
    return actor


def of_hook(scope: Scope, hook_id: str) -> None:
    """The same for who delivers to a deploy hook. Raises TooMany."""
    scope[PLACE].take(f"hook {hook_id}", counted=not local_user(scope))
