"""Pure: routes and certificates → the text of Traefik's dynamic file, and back.

One file for all apps. Every string in it is built from checked parts, so no host, name or path can add a rule, a key
or a template action (Traefik runs the file through Go templates before it reads the YAML). Touches nothing.

Names in Traefik: `app-<app id>` is an app's service and the prefix of its routers, `<instance>-unknown-host…` catches
what no app claims, `paas-…` are middlewares and the transport that all apps share.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict
from urllib.parse import quote

import yaml

from paas.errors import RouterError, UsageError
from paas.model import names
from paas.model.route import Route
from paas.model.secret import Secret
from paas.routers import vouch
from paas.routers.traefik.acme import Automatic

APP_ID = re.compile(r"[a-z0-9]{1,40}")
INSTANCE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")

WEB, WEBSECURE = "web", "websecure"
NOBODY = "paas-nobody"
"""A service without servers. Traefik's own `noop@internal` would keep its requests out of log and metrics."""
REQUEST, RETRY, UNAVAILABLE, UNKNOWN, TO_HTTPS = (
    "paas-request-id", "paas-retry", "paas-unavailable", "paas-unknown-host", "paas-to-https",
)  # fmt: skip
TRANSPORT = "paas-replicas"
HSTS, ATTEMPT = "paas-hsts", "paas-attempt"
WORD, CROWD, TO_SERVER = "paas-router-word", "paas-server-crowd", "paas-server"
"""What is set on requests to the platform's own server, how many of one address there may be, and how it is reached."""
OF_ONE_ADDRESS = 200
"""Requests of one address to the server at the same time; an IPv6 network counts as one. An office may be behind it."""

EXACT, WILDCARD, LAST = 1000, 100, 1
"""Priorities. Traefik's own, the length of the rule, would let a long wildcard win over another app's exact host."""

DIAL_TIMEOUT = "250ms"
"""Replicas are on this machine: one that does not accept within this is gone, and the retry takes another."""

IDLE_TIMEOUT = "1s"
"""Idle connections to replicas end so soon that what is still open to an unrouted replica is a request in flight."""

HEAD = "# Written by paas at every change of a route; what is edited here is lost.\n"
_ROUTE, _CERTIFICATE, _COUNT = "#: ", "#~ ", "# entries: "


class _Plain(yaml.CSafeDumper):
    """YAML for eyes: what occurs twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class Server(TypedDict, total=False):
    """One server of a service. Its weight is 1 when none is given; with 0 it gets no requests."""

    url: str
    weight: int


class Balancer(TypedDict, total=False):
    """Traefik's `loadBalancer`."""

    servers: list[Server]
    passHostHeader: bool
    serversTransport: str
    responseForwarding: dict[str, str]
    healthCheck: dict[str, str]


class Service(TypedDict):
    """Traefik's `service`."""

    loadBalancer: Balancer


class Router(TypedDict, total=False):
    """Traefik's `router`."""

    entryPoints: list[str]
    rule: str
    priority: int
    service: str
    middlewares: list[str]
    tls: dict[str, Any]


class CertificateFiles(TypedDict):
    """Where Traefik reads one certificate from."""

    certFile: str
    keyFile: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What routes are rendered with: the platform's name and the port that redirects name; where the platform itself
    answers (`host` empty: nowhere), the loopback port of its server and the router's word; which certificates come by
    themselves, which names have one of their own, for how many seconds browsers are to come by https only, and which
    servers (`ip:port`) get no new requests for now."""

    instance: str
    https_port: int = 443
    host: str = ""
    port: int = 0
    word: Secret = field(default_factory=lambda: Secret(""))
    automatic: Automatic | None = None
    covered: frozenset[str] = frozenset()
    hsts: int = 0
    resting: frozenset[str] = frozenset()
    proxies: tuple[str, ...] = ()


def document(routes: Iterable[Route], certificates: Sequence[CertificateFiles], facts: Facts) -> dict[str, Any]:
    """The whole dynamic configuration as data. Raises RouterError for a part that is not what it should be."""
    _require(INSTANCE.fullmatch(facts.instance), f"{facts.instance!r} cannot name a platform")
    routers: dict[str, Router] = _unknown_host(facts)
    services: dict[str, Service] = {NOBODY: {"loadBalancer": {"servers": []}}}
    for route in sorted(routes, key=_app_id):
        routers |= routers_of(route, facts)
        services |= services_of(route, facts.resting)
    http: dict[str, Any] = {
        "routers": routers,
        "services": services,
        "middlewares": _middlewares(facts),
        "serversTransports": {
            TRANSPORT: {"forwardingTimeouts": {"dialTimeout": DIAL_TIMEOUT, "idleConnTimeout": IDLE_TIMEOUT}}
        },
    }
    if facts.host:
        for kind, parts in server(facts).items():
            http[kind] |= parts
    # Traefik refuses an empty list here.
    return {"http": http} | ({"tls": {"certificates": list(certificates)}} if certificates else {})


def server(facts: Facts) -> dict[str, dict[str, Any]]:
    """The platform's own server: by https only, before any app, with the word that says it comes from here. Answers
    may last for ever, and no part of a request is held back."""
    key, where = f"{facts.instance}-server", rule((facts.host,))
    common = {"rule": where, "priority": EXACT + 1}
    middlewares = [*([HSTS] if facts.hsts > 0 else []), CROWD, WORD]
    return {
        "routers": {
            key: {
                **common,
                "entryPoints": [WEBSECURE],
                "service": key,
                "middlewares": middlewares,
                "tls": _server_tls(facts),
            },
            f"{key}-redirect": {**common, "entryPoints": [WEB], "service": NOBODY, "middlewares": [TO_HTTPS]},
        },
        "services": {
            key: {
                "loadBalancer": {
                    "servers": [{"url": f"http://127.0.0.1:{facts.port}"}],
                    "passHostHeader": True,
                    "serversTransport": TO_SERVER,
                    "responseForwarding": {"flushInterval": "10ms"},
                }
            }
        },
        "middlewares": {
            CROWD: {"inFlightReq": {"amount": OF_ONE_ADDRESS, "sourceCriterion": {"ipStrategy": _address_of(facts)}}},
            WORD: {"headers": {"customRequestHeaders": {vouch.HEADER: facts.word.reveal()}}},
        },
        # The server itself ends idle connections after five seconds: one that ends as a request comes would fail it.
        "serversTransports": {TO_SERVER: {"forwardingTimeouts": {"dialTimeout": "5s", "idleConnTimeout": "3s"}}},
    }


def _address_of(facts: Facts) -> dict[str, Any]:
    """Whose a request is: the connection's address, or the last one that no proxy of ours has."""
    return {"ipv6Subnet": 64, **({"excludedIPs": list(facts.proxies)} if facts.proxies else {})}


def asked(routes: Iterable[Route], facts: Facts) -> tuple[str, ...]:
    """The hosts whose certificates come by themselves, sorted."""
    auto = facts.automatic
    hosts = {host for route in routes for host in route.hosts if host not in route.tls_hosts}
    if facts.host and not _brought(facts):
        hosts.add(facts.host)
    return tuple(sorted(host for host in hosts if auto and auto.wants(host)))


def _brought(facts: Facts) -> bool:
    """Whether there is a certificate of one's own for the platform's host."""
    return facts.host in facts.covered or f"*.{facts.host.partition('.')[2]}" in facts.covered


def _server_tls(facts: Facts) -> dict[str, Any]:
    auto = facts.automatic
    return auto.tls((facts.host,)) if auto and not _brought(facts) and auto.wants(facts.host) else {}


def routers_of(route: Route, facts: Facts) -> dict[str, Router]:
    """The routers of one app by name: http, https and the redirect, exact hosts and wildcards apart.

    A host whose certificate comes by itself answers by http until it is there: nobody is sent to a warning.
    """
    own = set(route.tls_hosts)
    _require(own <= set(route.hosts), f"{route.app_name} has a certificate for a host it does not have")
    auto = facts.automatic
    asked = [host for host in route.hosts if auto and host not in own and auto.wants(host)]
    secured = own | {host for host in asked if auto and auto.has(host)}
    found: dict[str, Router] = {}
    for suffix, hosts, priority in _groups([host for host in route.hosts if host not in secured]):
        found[f"{name(route)}{suffix}"] = _serving(route, hosts, priority, WEB, facts)
    for suffix, hosts, priority in _groups(route.tls_hosts):
        found[f"{name(route)}-tls{suffix}"] = {**_serving(route, hosts, priority, WEBSECURE, facts), "tls": {}}
    for suffix, hosts, priority in _groups(asked):
        serving = _serving(route, hosts, priority, WEBSECURE, facts)
        found[f"{name(route)}-auto{suffix}"] = {**serving, "tls": auto.tls(hosts) if auto else {}}
    for suffix, hosts, priority in _groups([host for host in route.hosts if host in secured]):
        found[f"{name(route)}-redirect{suffix}"] = {
            "entryPoints": [WEB], "rule": rule(hosts), "priority": priority,
            "service": NOBODY, "middlewares": [REQUEST, TO_HTTPS],
        }  # fmt: skip
    return found


def services_of(route: Route, resting: Collection[str] = ()) -> dict[str, Service]:
    """The service of one app by name; none without servers, its routers answer 503 then. Those that rest have the
    weight 0; where all would, none does."""
    if not leads_to(route):
        return {}
    balancer: Balancer = {
        "servers": _servers(urls(route), {f"http://{server}" for server in resting}),
        "passHostHeader": True,
        "serversTransport": TRANSPORT,
        # Small pieces leave at once: server-sent events and progress output are not held back.
        "responseForwarding": {"flushInterval": "10ms"},
    }
    # Of one server alone a check that fails could only make errors of answers that are late.
    if route.health_path and len(set(route.servers)) > 1:
        balancer["healthCheck"] = {
            "path": quote(route.health_path, safe="/?&=%:@!$'()*+,;~.-_"),
            "interval": f"{route.health_interval:g}s",
            "timeout": f"{route.health_timeout:g}s",
        }
    return {name(route): {"loadBalancer": balancer}}


def _servers(found: Sequence[str], resting: Collection[str]) -> list[Server]:
    if all(url in resting for url in found):
        return [{"url": url} for url in found]
    return [{"url": url, "weight": 0} if url in resting else {"url": url} for url in found]


def name(route: Route | str) -> str:
    """The name of an app's service in Traefik. Raises RouterError for an id that is none."""
    app_id = route if isinstance(route, str) else route.app_id
    _require(APP_ID.fullmatch(app_id), f"{app_id!r} is no app id")
    return f"app-{app_id}"


def app_of(traefik_name: str) -> str:
    """The app id in the name of a router or service (`app-1a2b3c4d-tls@file`); empty when it is no app's."""
    prefix, _, rest = traefik_name.partition("-")
    return re.split("[-@]", rest, maxsplit=1)[0] if prefix == "app" else ""


def leads_to(route: Route) -> tuple[str, ...]:
    """The servers; while the app sleeps its waker."""
    return route.servers or ((route.waker,) if route.waker else ())


def urls(route: Route) -> list[str]:
    """The servers as URLs, sorted and without doubles. Raises RouterError for one that is not `ip:port`."""
    return [f"http://{_address(server)}" for server in sorted(set(leads_to(route)))]


def rule(hosts: Sequence[str]) -> str:
    """The rule that matches exactly these hosts; `*.` in front stands for one label. Raises RouterError."""
    return " || ".join(_matcher(host) for host in hosts)


def text(routes: Collection[Route], certificates: Sequence[CertificateFiles], facts: Facts) -> str:
    """The file: what it is made from as comments, for `read` to read back, then the YAML, checked by reading it.

    Raises RouterError for a part that is not what it should be.
    """
    whole = document(routes, certificates, facts)
    entries = [_ROUTE + _entry(_fields(route)) for route in sorted(routes, key=_app_id)]
    entries += [_CERTIFICATE + _entry(files) for files in certificates]
    body = yaml.dump(whole, Dumper=_Plain, sort_keys=True, default_flow_style=False, width=1000)
    _require(yaml.load(body, Loader=yaml.CSafeLoader) == whole, "the file would not say what it should")
    found = "\n".join([f"{HEAD}{_COUNT}{len(entries)}", *entries, body])
    _require("{{" not in found, "a template action is not allowed in a route")
    return found


def read(found: str) -> tuple[tuple[Route, ...], tuple[CertificateFiles, ...]]:
    """What `text` made the file from. Raises ValueError for a file that is damaged or not from here."""
    lines = found.removeprefix(HEAD).splitlines()
    routes = [json.loads(line.removeprefix(_ROUTE)) for line in lines if line.startswith(_ROUTE)]
    files = [json.loads(line.removeprefix(_CERTIFICATE)) for line in lines if line.startswith(_CERTIFICATE)]
    if not found.startswith(HEAD) or lines[:1] != [f"{_COUNT}{len(routes) + len(files)}"]:
        raise ValueError("the file is not as it was written")
    try:
        return (
            tuple(_route(fields) for fields in routes),
            tuple(CertificateFiles(certFile=f["certFile"], keyFile=f["keyFile"]) for f in files),
        )
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"the file is not as it was written: {error}") from error


def _entry(value: object) -> str:
    """JSON on one line in which no template action can begin, not even in a comment."""
    return json.dumps(value, sort_keys=True).replace("{{", "{\\u007b")


def _fields(route: Route) -> dict[str, Any]:
    return {key: value for key, value in asdict(route).items() if key != "waker" or value}


def _route(fields: dict[str, Any]) -> Route:
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
    return Route(**values)


def _groups(hosts: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Router name suffix, hosts and priority: exact hosts together; wildcards by depth, the more special one first."""
    exact = tuple(host for host in hosts if not host.startswith("*."))
    if exact:
        yield "", exact, EXACT
    for depth in sorted({host.count(".") for host in hosts if host.startswith("*.")}):
        found = tuple(host for host in hosts if host.startswith("*.") and host.count(".") == depth)
        yield f"-any{depth}", found, WILDCARD + depth


def _serving(route: Route, hosts: Sequence[str], priority: int, entry_point: str, facts: Facts) -> Router:
    middlewares, service = ([REQUEST, RETRY], name(route)) if leads_to(route) else ([UNAVAILABLE], NOBODY)
    if facts.hsts > 0 and entry_point == WEBSECURE:
        middlewares = [HSTS, *middlewares]
    return {
        "entryPoints": [entry_point], "rule": rule(hosts), "priority": priority,
        "service": service, "middlewares": middlewares,
    }  # fmt: skip


def _unknown_host(facts: Facts) -> dict[str, Router]:
    """What no app claims is answered with 404 and never by another app."""
    plain: Router = {
        "entryPoints": [WEB], "rule": "PathPrefix(`/`)", "priority": LAST, "service": NOBODY, "middlewares": [UNKNOWN],
    }  # fmt: skip
    secure: Router = {**plain, "entryPoints": [WEBSECURE], "tls": {}}
    key = unknown_host(facts.instance)
    return {key: plain, f"{key}-tls": secure}


def unknown_host(instance: str) -> str:
    """The router that every file of this platform has: by it one knows its Traefik from another's."""
    return f"{instance}-unknown-host"


def _middlewares(facts: Facts) -> dict[str, Any]:
    redirect: dict[str, Any] = {"scheme": "https"}
    if facts.https_port != 443:
        redirect["port"] = str(facts.https_port)
    found: dict[str, Any] = {}
    if facts.hsts > 0:
        found[HSTS] = {"headers": {"stsSeconds": facts.hsts}}
    if facts.automatic and facts.automatic.attempt:
        # Nobody uses it: another number is another configuration, and with that Traefik asks for what it lacks.
        found[ATTEMPT] = {"headers": {"customResponseHeaders": {"Attempt": str(facts.automatic.attempt)}}}
    return {
        **found,
        REQUEST: {"plugin": {"request": {"status": 0}}},
        UNAVAILABLE: _page(503, "This app is not running at the moment."),
        UNKNOWN: _page(404, "No app answers at this address."),
        # Only what never reached a replica is tried again, so a request is never carried out twice.
        RETRY: {"retry": {"attempts": 4, "initialInterval": "20ms"}},
        # Not permanent: browsers would remember it after the certificate is gone.
        TO_HTTPS: {"redirectScheme": redirect},
    }


def _page(status: int, message: str) -> dict[str, Any]:
    return {"plugin": {"request": {"status": status, "message": message}}}


def _matcher(host: str) -> str:
    try:
        checked = names.host_name(host)
    except UsageError as error:
        raise RouterError(error.message, hint=error.hint) from error
    _require(checked == host, f"{host!r} is not the way its name is written: {checked}")
    if host.startswith("*."):
        return f"HostRegexp(`^[^.]+\\.{re.escape(host[2:])}$`)"
    return f"Host(`{host}`)"


def _address(server: str) -> str:
    host, _, port = server.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        good = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    except ValueError:
        good = False
    _require(good, f"{server!r} is no address of a server", hint="expected ip:port")
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"


def _app_id(route: Route) -> str:
    return route.app_id


def _require(good: object, message: str, hint: str = "") -> None:
    if not good:
        raise RouterError(message, hint=hint)
