"""Waiting for what happens elsewhere: in a thread, a process, a container."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 15.0) -> T:
    """The first true answer. Fails at the deadline, and says what was seen last."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s; last seen: {seen!r}"
        time.sleep(0.02)
    return seen
