"""Pure: compares what Traefik's API says with the route it should carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from paas.model.route import Route
from paas.routers.traefik import render

Ask = Callable[[str], Mapping[str, Any] | None]
"""The live router or service of a name, or None."""


def difference(route: Route, facts: render.Facts, router: Ask, service: Ask) -> str:
    """What of the route is not live yet, in words; empty when all of it is."""
    for name, wanted in render.services_of(route).items():
        servers = [server["url"] for server in wanted["loadBalancer"]["servers"]]
        found = service(name)
        if found is None or servers_of(found) != servers:
            return f"the servers of {route.app_name} are not {', '.join(servers)} yet"
    for name, asked in render.routers_of(route, facts).items():
        if said := _router_difference(asked, router(name)):
            return f"{said} ({route.app_name}: {asked['rule']})"
    return ""


def servers_of(service: Mapping[str, Any]) -> list[str]:
    """The URLs of a live service, sorted."""
    balancer = service.get("loadBalancer") or {}
    return sorted(str(server.get("url", "")) for server in balancer.get("servers") or ())


def seen(route: Route, facts: render.Facts, everything: Mapping[str, Any]) -> Route | None:
    """The route with the servers it really has; None when its routers are not what they should be."""
    routers, services = everything.get("routers") or {}, everything.get("services") or {}
    service = services.get(f"{render.name(route)}@file")
    servers = tuple(url.removeprefix("http://") for url in servers_of(service)) if service else ()
    now = replace(route, servers=servers)
    for name, asked in render.routers_of(now, facts).items():
        if _router_difference(asked, routers.get(f"{name}@file")):
            return None
    return route if render.urls(route) == render.urls(now) else now


def _router_difference(asked: render.Router, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "a rule is not there yet"
    if found.get("status") != "enabled":
        return f"Traefik refuses a rule: {'; '.join(map(str, found.get('error') or ['no reason given']))}"
    same = (
        found.get("rule") == asked["rule"]
        and _plain(found.get("service")) == _plain(asked["service"])
        and [_plain(item) for item in found.get("middlewares") or ()] == asked["middlewares"]
        and list(found.get("entryPoints") or ()) == asked["entryPoints"]
        and ("tls" in found) == ("tls" in asked)
    )
    return "" if same else "a rule is not the new one yet"


def _plain(name: object) -> str:
    return str(name).removesuffix("@file")
