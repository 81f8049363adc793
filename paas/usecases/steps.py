"""Says that a step of the work begins and that it ended, with the seconds it took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from paas.model.events import Emit, Event
from paas.usecases.context import Context


@contextmanager
def step(context: Context, emit: Emit, message: str, *, stage: str = "") -> Iterator[None]:
    """A `step` event now (data.stage when given) and, unless it fails, a `done` event with data.seconds at its end."""
    begun = context.clock.monotonic()
    emit(Event(kind="step", message=message, data={"stage": stage} if stage else {}))
    yield
    emit(Event(kind="done", message=message, data={"seconds": round(context.clock.monotonic() - begun, 3)}))
