"""The one stream of what happens: operations emit events, the CLI prints them, the store keeps the notable ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `message` is a sentence for people; `data` holds JSON values for programs.

    Kinds: `step` (work begins), `done` (that work ended; data.seconds), `output` (a line of a build or command;
    data.stream), `note`, `warning`, `served` (the new release answers), `crash`, `release`, `audit`, and as the last
    of a stream `result` (data: the answer) or `error` (data: PaasError.as_dict()). `at` is Unix time.
    """

    kind: str
    message: str = ""
    app: str = ""
    at: float = 0.0
    data: Mapping[str, object] = field(default_factory=dict)


Emit = Callable[[Event], None]


def silent(event: Event) -> None:
    """An Emit that keeps nothing."""


def logged(log: logging.Logger) -> Emit:
    """An Emit for work that nobody waits for: its steps go to this log, without what its commands say."""

    def emit(event: Event) -> None:
        if event.kind not in ("done", "output"):
            log.info("%s", f"{event.app}: {event.message}" if event.app else event.message)

    return emit
