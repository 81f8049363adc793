"""Certificates: own ones, for the hosts they name. The store keeps them, the router serves them, routes redirect.
Those that come by themselves are the router's; here they are only shown, and asked for once more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from paas.errors import Conflict, NotFound, PaasError
from paas.model import names
from paas.model.events import Event
from paas.model.route import Certificate, Requested, Route
from paas.requests.config import DeleteCertificate, ListCertificates, PutCertificate, RequestCertificates
from paas.routers import pem
from paas.usecases.context import Act, Context
from paas.usecases.domains import covered, served

SOON = 30
"""Days before its end a certificate is called expiring."""

_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateLine:
    """A certificate, without its key. `host` names it; `not_after` is Unix time, `days` what is left of it (negative:
    expired); `status` is valid, expiring, expired, or of one that is not there yet: requested, failed (`message` says
    why); `apps` are those it serves; `source` is own or automatic."""

    host: str
    names: tuple[str, ...]
    issuer: str
    not_after: float
    days: int
    status: str
    apps: tuple[str, ...] = ()
    message: str = ""
    source: str = "own"


def list_certificates(context: Context, request: ListCertificates, act: Act) -> tuple[CertificateLine, ...]:
    """All, by host: one's own first, then those that come by themselves."""
    routes = context.router.observe()
    own = tuple(_line(context, one, routes) for one in context.store.certificates())
    return (*own, *(_asked_line(context, one, routes) for one in context.router.requested()))


def request_certificates(context: Context, request: RequestCertificates, act: Act) -> tuple[CertificateLine, ...]:
    """Ask again for those that could not be had; all of them as they stand now. Raises Conflict when none comes by
    itself."""
    if context.settings.acme in ("", "off"):
        raise Conflict("no certificate comes by itself here", hint="paas certs auto on --email YOU@EXAMPLE.COM")
    context.router.request_again()
    routes = context.router.observe()
    return tuple(_asked_line(context, one, routes) for one in context.router.requested())


def put_certificate(context: Context, request: PutCertificate, act: Act) -> CertificateLine:
    """Check, keep and serve a certificate; apps with its hosts answer by https from now on.

    It replaces those whose hosts it covers. Raises UsageError with the reason it is refused, RouterError when it
    cannot be served; nothing changed then.
    """
    new = pem.certificate(request.chain, request.key, context.clock.now())
    before = context.store.certificates()
    replaced = [old for old in before if old.host == new.host or set(old.names) <= set(new.names)]
    act.emit(Event(kind="step", message=f"serving a certificate for {', '.join(new.names)}"))
    _keep(context, put=[new], delete=replaced)
    try:
        context.router.certificates(context.store.certificates())
        _route_again(context, new.names)
    except PaasError:
        _keep(context, put=replaced, delete=[new] if new.host not in {old.host for old in replaced} else [])
        _serve_again(context, new.names)
        raise
    act.emit(Event(kind="done", message=f"certificate of {new.host} is served"))
    return _line(context, new, context.router.observe())


def delete_certificate(context: Context, request: DeleteCertificate, act: Act) -> CertificateLine:
    """Stop serving a certificate: its hosts answer by http only. Raises NotFound naming those that exist."""
    host = names.host_name(request.host)
    old = next((one for one in context.store.certificates() if one.host == host), None)
    if old is None:
        known = ", ".join(one.host for one in context.store.certificates()) or "none"
        raise NotFound(f"there is no certificate of {host}", hint=f"certificates: {known}")
    line = _line(context, old, context.router.observe())
    context.store.delete_certificate(host)
    # Routes first: a redirect to a host without a certificate would shut people out.
    _route_again(context, old.names)
    context.router.certificates(context.store.certificates())
    return replace(line, message=f"{', '.join(old.names)}: http only, unless another certificate covers it")


def server_note(context: Context) -> str:
    """What the platform's own host lacks to be reached by https; empty when nothing."""
    host = context.settings.platform_domain
    if not host or covered(host, served(context)):
        return ""
    if any(one.host == host for one in context.router.requested()):
        return f"a certificate of {host} is asked for: paas certs shows when it is there"
    return f"no certificate covers {host}: paas certs add CHAIN KEY, or paas certs auto on"


def _keep(context: Context, *, put: Iterable[Certificate], delete: Iterable[Certificate]) -> None:
    for one in delete:
        context.store.delete_certificate(one.host)
    for one in put:
        context.store.put_certificate(one)


def _serve_again(context: Context, hosts: Iterable[str]) -> None:
    """Back to what the store says; whatever is wrong with the router was told already."""
    try:
        _route_again(context, hosts)
        context.router.certificates(context.store.certificates())
    except PaasError:
        return


def _route_again(context: Context, hosts: Iterable[str]) -> None:
    """Apply the routes that have one of these hosts (a wildcard stands for all below it) with their https anew."""
    patterns = tuple(hosts)
    for seen in context.router.observe():
        if not any(_matches(host, patterns) for host in seen.hosts):
            continue
        with context.locks.hold(seen.app_id, "certificates", lambda event: None):
            # What it leads to may have changed while we waited for the lock.
            route = next((one for one in context.router.observe() if one.app_id == seen.app_id), None)
            if route and (tls := _tls_hosts(context, route)) != route.tls_hosts:
                context.router.apply(replace(route, tls_hosts=tls))


def _tls_hosts(context: Context, route: Route) -> tuple[str, ...]:
    certificates = context.store.certificates()
    return tuple(host for host in route.hosts if covered(host, certificates))


def _matches(host: str, patterns: tuple[str, ...]) -> bool:
    return host in patterns or f"*.{host.partition('.')[2]}" in patterns


def _of_platform(context: Context, names: tuple[str, ...]) -> bool:
    """Whether the platform itself answers at one of them, or every app does by itself."""
    settings = context.settings
    own = settings.platform_domain
    return bool(own and _matches(own, names)) or f"*.{settings.domain}" in names


def _asked_line(context: Context, asked: Requested, routes: tuple[Route, ...]) -> CertificateLine:
    """How it stands with one that comes by itself."""
    apps = tuple(route.app_name for route in routes if asked.host in route.hosts)
    if asked.certificate is None:
        status = "failed" if asked.why else "requested"
        return CertificateLine(
            host=asked.host, names=(asked.host,), issuer="", not_after=0.0, days=0, status=status, apps=apps,
            message=asked.why, source="automatic",
        )  # fmt: skip
    line = _line(context, asked.certificate, routes)
    return replace(line, host=asked.host, apps=apps, message=asked.why, source="automatic")


def _line(context: Context, one: Certificate, routes: tuple[Route, ...]) -> CertificateLine:
    days = int((one.not_after - context.clock.now()) // _DAY)
    apps = tuple(route.app_name for route in routes if any(_matches(host, one.names) for host in route.hosts))
    status = "expired" if days < 0 else "expiring" if days < SOON else "valid"
    notes = [] if apps or _of_platform(context, one.names) else ["no app answers at these hosts yet: paas domains add"]
    notes += [f"ends in {days} days: put a new one"] if status == "expiring" else []
    notes += ["expired: browsers refuse it; put a new one"] if status == "expired" else []
    return CertificateLine(
        host=one.host,
        names=one.names,
        issuer=one.issuer,
        not_after=one.not_after,
        days=days,
        status=status,
        apps=apps,
        message="; ".join(notes),
    )
