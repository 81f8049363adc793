"""Which apps an operation is about, and what somebody may with it by that. Only reads.

A promotion and a clone are operations of the app they begin at; what they say names others too: the targets, the new
app. So they are for those alone who may see all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from paas.errors import NotFound
from paas.model.app import Operation
from paas.model.people import Access, Standing, highest, lowest
from paas.model.pipeline import next_places
from paas.requests.apps import CloneApp
from paas.requests.base import Request
from paas.requests.pipelines import PromoteApp
from paas.usecases.apps import new_id
from paas.usecases.context import Context


def others_of(context: Context, request: Request) -> tuple[str, ...]:
    """Ids of the apps that an operation touches beside its own: those it names, those it finds, the one it makes."""
    if isinstance(request, CloneApp):
        return (new_id(),)
    if not isinstance(request, PromoteApp):
        return ()
    found: list[str] = []
    for name in request.to:
        with suppress(NotFound):
            found.append(context.store.app(name).id)
    return tuple(found) if request.to else _next(context, request.app)


def standing(operation: Operation, access: Access, user_id: str, there: Callable[[str], bool]) -> Standing:
    """The lowest role on any of its apps. Who started it is judged by those that are `there`: one that it is to make
    is not yet, and one that it took away again is not any more."""
    starter = bool(user_id) and operation.user_id == user_id
    found = access.on_app(operation.app_id)
    if starter and operation.status == "running" and access.only is None and not there(operation.app_id):
        found = highest((found, "viewer"))
    counted = (other for other in operation.others if not starter or there(other))
    return lowest(found, *(access.on_app(other) for other in counted))


def _next(context: Context, name: str) -> tuple[str, ...]:
    """The apps at the next stage of the app's pipeline."""
    try:
        app_id = context.store.app(name).id
    except NotFound:
        return ()
    place = next((one for one in context.store.places() if one.app_id == app_id), None)
    if place is None:
        return ()
    return tuple(one.app_id for one in next_places(context.store.places(place.pipeline), place.stage))
