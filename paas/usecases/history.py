"""What happened: the events of an app and the operations of the platform. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paas.requests.platform import ListOperations
from paas.requests.processes import ListEvents
from paas.usecases.concerned import standing
from paas.usecases.context import Act, Context

LISTED = 50
"""Operations in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One event. `serial` counts up and is what `after` takes; `at` Unix time; kinds as in `model/events.py`."""

    serial: int
    kind: str
    at: float
    message: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLine:
    """An operation in a list. Times are Unix seconds; `ended_at` 0: it runs."""

    id: str
    app: str
    verb: str
    actor: str
    status: str
    started_at: float
    ended_at: float
    error: str


def list_operations(context: Context, request: ListOperations, act: Act) -> tuple[OperationLine, ...]:
    """The newest first; of one app when given, else of those one may see."""
    app_id = context.store.app(request.app).id if request.app else ""
    names = {app.id: app.name for app in context.store.apps()}
    limit = LISTED if act.may("") else 0
    found = context.store.operations(app_id=app_id, status=request.status, limit=limit)
    user_id = act.who.user_id if act.who else ""
    seen = [operation for operation in found if standing(operation, act.access, user_id, names.__contains__)]
    return tuple(
        OperationLine(
            id=operation.id,
            app=names.get(operation.app_id, ""),
            verb=operation.verb,
            actor=operation.actor,
            status=operation.status,
            started_at=operation.started_at,
            ended_at=operation.ended_at,
            error=operation.error,
        )
        for operation in seen[:LISTED]
    )


def list_events(context: Context, request: ListEvents, act: Act) -> tuple[EventLine, ...]:
    """Oldest first, the last `limit` of them."""
    app = context.store.app(request.app)
    return tuple(
        EventLine(serial=serial, kind=event.kind, at=event.at, message=event.message, data=event.data)
        for serial, event in context.store.events(app.id, limit=request.limit, after=request.after)
    )
