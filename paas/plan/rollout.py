"""How replicas are brought to the wanted version: each policy is a generator of steps. Pure.

Start-first: nothing old ends before what replaces it is healthy and routed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from paas.model.plan import Apply, Drain, RemoveReplicas, SetRoutes, Step, WaitHealthy
from paas.model.route import Route
from paas.model.service import Replica, State
from paas.plan.compared import Compared, servers

IN_FLIGHT = "requests in flight may end"


def tidy(one: Compared) -> Iterator[Step]:
    """Dead replicas that nobody needs go first: they serve nothing, and would be counted and started again."""
    if one.remains:
        yield RemoveReplicas(one.key, tuple(replica.id for replica in one.remains), "dead and not wanted any more")


def leave_the_dead(web: Compared, route: Route, live: Route | None) -> Iterator[Step]:
    """Before a replica is waited for: requests go only to those of this version that are well, if it serves already;
    and to nobody when all that the route leads to has gone. Who gets an address anew is not what the route meant, and
    the router may still take it for down."""
    if web.waits and live is not None and live.servers and not _are_there(web, live):
        yield SetRoutes(route, None, "what it leads to is gone: an honest 503")
        return
    healthy = servers(replica for replica in web.kept if replica.state is State.HEALTHY)
    if not web.waits or live is None or not healthy or _led_elsewhere(web, live):
        return
    if any(server not in healthy for server in live.servers):
        yield SetRoutes(route, web.key, "a replica it leads to is not well", _ids(web.surplus))


def start(one: Compared) -> Iterator[Step]:
    """Have as many as are wanted."""
    if one.missing and not one.stale:
        have = one.count - one.missing
        why = f"{one.count} wanted, {have or 'none'} there"
        yield Apply(one.wanted.spec, one.count, why)


def wait(one: Compared, timeout: float) -> Iterator[Step]:
    """Only healthy replicas get traffic, and nothing old ends before."""
    if one.waits and not one.stale:
        why = (
            "nothing old ends before"
            if one.replaces
            else "it gets traffic then"
            if one.wanted.spec.port
            else "it starts"
        )
        # One that was alone too long may fail its checks because of the very load that the new ones come for.
        passed = () if one.replaces else _ids(one.settled)
        yield WaitHealthy(one.wanted.spec, one.count, timeout, why, passed)


def in_place(one: Compared, route: Route | None, *, timeout: float, drain: float) -> Iterator[Step]:
    """One replica after the other is replaced under its own key, out of the traffic meanwhile.

    A release never leads here. It mends replicas that were made from another spec under the same key: by an older
    paas, by somebody's hand, or from a store that was put back. A single replica cannot be replaced without a gap.
    """
    if not one.stale:
        return
    why = "made from another spec than the wanted one"
    for count in range(1, one.count + 1):
        old = one.kept[count - 1] if count <= len(one.kept) else None
        others = any(replica.state is State.HEALTHY for replica in one.replicas if replica is not old)
        if old and route and (others or count > 1):
            yield SetRoutes(route, one.key, why, (old.id,))
            yield Drain(one.key, drain, IN_FLIGHT, (old.id,))
        yield Apply(one.wanted.spec, count, why)
        yield WaitHealthy(one.wanted.spec, count, timeout, "one after the other")


def lead(web: Compared, route: Route, live: Route | None) -> Iterator[Step]:
    """Lead the hosts to the replicas that are well now, or will be once they were waited for."""
    known = not web.missing and not web.stale
    expected = _addresses(web) if web.waits else servers(web.kept)
    key = web.key if web.waits or expected else None
    if live is None:
        yield SetRoutes(route, key, "the app has no route yet", _ids(web.surplus))
    elif replace(live, servers=()) != replace(route, servers=()):
        yield SetRoutes(route, key, _changed(route, live), _ids(web.surplus))
    elif not known or tuple(sorted(live.servers)) != expected:
        yield SetRoutes(route, key, _why(web, live), _ids(web.surplus))


def shrink(one: Compared, drain: float) -> Iterator[Step]:
    """End what is too many, after the routes have left it."""
    if one.surplus:
        if one.wanted.spec.port:
            yield Drain(one.key, drain, IN_FLIGHT, _ids(one.surplus))
        why = f"{one.count} wanted, {one.count + len(one.surplus)} there"
        yield RemoveReplicas(one.key, _ids(one.surplus), why)


def _changed(route: Route, live: Route) -> str:
    if route.waker and not live.waker:
        return "the app falls asleep: the next request wakes it"
    return "the app is awake" if live.waker and not route.waker else "its hosts, certificates or checks changed"


def _why(web: Compared, live: Route) -> str:
    if live.waker:
        return "the app sleeps: the first request wakes it"
    if not web.count:
        return "no replica is wanted: an honest 503"
    if not web.waits and not servers(web.kept):
        return "no replica runs: an honest 503"
    if _led_elsewhere(web, live):
        return "the new version takes the traffic"
    if web.missing or web.stale or len(live.servers) < web.count:
        return "more replicas take traffic"
    return "it leads to replicas that end" if web.surplus else "it leads to replicas that are not well"


def _are_there(web: Compared, live: Route) -> bool:
    """Whether a replica of the app, of any version, has an address that requests go to."""
    return any(replica.address in live.servers for service in web.services for replica in service.replicas)


def _led_elsewhere(web: Compared, live: Route) -> bool:
    """Whether requests go to a replica of another version that is well."""
    others = (service for service in web.services if service.key != web.key)
    return bool({replica.address for service in others for replica in service.healthy} & set(live.servers))


def _addresses(web: Compared) -> tuple[str, ...]:
    return tuple(sorted(replica.address for replica in web.kept if replica.address))


def _ids(replicas: tuple[Replica, ...]) -> tuple[str, ...]:
    return tuple(replica.id for replica in replicas)
