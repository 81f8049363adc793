"""Replicas that ask to be spared by scale-ins. Who asks is known by where it asks from: the replica's own address on
its app's own network. So a replica speaks for itself, and for nobody else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from paas.errors import Conflict, Denied, UsageError
from paas.model.autoscaling import Protection
from paas.model.service import Replica
from paas.usecases.context import Context
from paas.usecases.processes import replica_name

STANDARD, LONGEST = 60.0, 2880.0
"""Minutes: when none are said, and the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """A replica, and until when it is spared (Unix seconds; 0: it is not)."""

    replica: str
    until: float


def protect(context: Context, app_id: str, address: str, minutes: object = STANDARD) -> Protected:
    """Spare who asks from this address of the app's network, from now on, so long. Raises Denied, UsageError, and
    Conflict where it is on its way out already."""
    length = _minutes(minutes)
    replica, name = _who(context, app_id, address)
    until = context.clock.now() + length * 60
    context.store.put_protection(Protection(app_id=app_id, replica=replica.id, until=until))
    if replica.ending or context.leaving.is_ending(replica.id):
        context.store.delete_protection(app_id, replica.id)
        raise Conflict(f"{name} is ending already", hint="finish, or hand on what it works on")
    return Protected(replica=name, until=until)


def release(context: Context, app_id: str, address: str) -> Protected:
    """Spare it no more. Idempotent. Raises Denied."""
    replica, name = _who(context, app_id, address)
    context.store.delete_protection(app_id, replica.id)
    return Protected(replica=name, until=0.0)


def shown(context: Context, app_id: str, address: str) -> Protected:
    """Whether who asks is spared. Raises Denied."""
    replica, name = _who(context, app_id, address)
    now = context.clock.now()
    found = (one.until for one in context.store.protections(app_id) if one.replica == replica.id and one.until > now)
    return Protected(replica=name, until=next(found, 0.0))


def _who(context: Context, app_id: str, address: str) -> tuple[Replica, str]:
    """The app's replica with this address, and its name."""
    for service in context.engine.observe(app_id):
        for replica in service.replicas:
            if service.kind == "replica" and address and replica.address.partition(":")[0] == address:
                return replica, replica_name(service.key.process, replica)
    raise Denied("only a replica of the app that this network belongs to may ask, for itself")


def _minutes(value: object) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not 0 < found <= LONGEST:
        raise UsageError(f"minutes: expected a number above 0 and up to {LONGEST:g}")
    return found
