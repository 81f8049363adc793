"""Domains: the hosts an app answers at beside its default one. A change is a release that restarts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from paas.errors import Conflict, NotFound, UsageError
from paas.model import names
from paas.model.app import App, Release, ReleaseKind
from paas.model.route import Certificate
from paas.plan import wanted
from paas.requests.config import ChangeDomains, ListDomains
from paas.settings import Settings
from paas.usecases.context import Act, Context
from paas.usecases.releases import Changed, change_release
from paas.usecases.switch import base_release


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLine:
    """A host of an app. `tls`: a certificate covers it, and http redirects to https."""

    host: str
    default: bool
    tls: bool
    url: str


def list_domains(context: Context, request: ListDomains, act: Act) -> tuple[DomainLine, ...]:
    """The app's hosts, the default one first."""
    app = context.store.app(request.app)
    certificates = served(context)
    default = default_host(app, context.settings)
    hosts = (default, *base_release(context.store, app).domains)
    return tuple(
        DomainLine(
            host=host,
            default=host == default,
            tls=covered(host, certificates),
            url=url_of(host, context.settings, tls=covered(host, certificates)),
        )
        for host in hosts
    )


def change_domains(context: Context, request: ChangeDomains, act: Act) -> Changed:
    """Add and remove hosts. Raises UsageError, Conflict for a host that is another app's, NotFound."""
    app = context.store.app(request.app)
    add = tuple(names.host_name(host) for host in request.add)
    remove = tuple(names.host_name(host) for host in request.remove)
    if both := set(add) & set(remove):
        raise UsageError(f"{min(both)} is to be added and removed at once", hint="name it once")
    check_free(context, app, add, act)
    base = base_release(context.store, app)
    changes = [*(f"+{host}" for host in add if host not in base.domains), *(f"-{host}" for host in remove)]
    _changed(base, add, remove)
    if not changes:
        return Changed(app=app.name, release=app.wanted, changed=False, message="the domains are these already")
    release = change_release(
        context,
        app,
        act,
        kind=ReleaseKind.DOMAINS,
        description=f"domains: {' '.join(changes)}",
        change=lambda base: _changed(base, add, remove),
    )
    runs = bool(release.image)
    return Changed(app=app.name, release=release.number, message=_tls_note(context, add), runs=runs)


def check_free(context: Context, app: App, hosts: Iterable[str], act: Act) -> None:
    """Raise Conflict when a host belongs to another app (named only to who may see it) or is one that app names lead
    to."""
    for host in hosts:
        if host == context.settings.platform_domain:
            raise Conflict(f"{host} is the platform's own", hint="choose another host for the app")
        label, _, rest = host.partition(".")
        if rest == context.settings.domain:
            own = label == app.name
            raise Conflict(
                f"{host} is the default host of {app.name}" if own else f"{host} is kept for an app named {label}",
                hint="it needs no domain of its own" if own else f"create or rename an app to {label}",
            )
        owner = context.store.domain_owner(host)
        if owner is not None and owner.id != app.id:
            if not act.may(owner.id):
                raise Conflict(f"{host} belongs to another app", hint="ask an owner of the platform whose it is")
            raise Conflict(f"{host} belongs to {owner.name}", hint=f"paas domains remove {host} --app {owner.name}")


def default_host(app: App, settings: Settings) -> str:
    """Where the app answers without any domain of its own."""
    return wanted.default_host(app.name, settings.domain)


def covered(host: str, certificates: Sequence[Certificate]) -> bool:
    """Whether one of the certificates names the host; a wildcard covers one label."""
    wildcard = f"*.{host.partition('.')[2]}"
    return any(
        name in (host, wildcard) for certificate in certificates for name in (certificate.host, *certificate.names)
    )


def url_of(host: str, settings: Settings, *, tls: bool) -> str:
    """The address for people and browsers; the port is left out where it is the scheme's own."""
    scheme, port, usual = ("https", settings.https_port, 443) if tls else ("http", settings.http_port, 80)
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def server_url(settings: Settings) -> str:
    """The platform's own https address; empty when it has none."""
    return url_of(settings.platform_domain, settings, tls=True) if settings.platform_domain else ""


def app_url(context: Context, app: App, certificates: Sequence[Certificate] | None = None) -> str:
    """The address of the app's default host. Who asks for many apps brings the certificates that are served."""
    host = default_host(app, context.settings)
    known = served(context) if certificates is None else certificates
    return url_of(host, context.settings, tls=covered(host, known))


def served(context: Context) -> tuple[Certificate, ...]:
    """The certificates hosts are served with: one's own, and those that came by themselves and have not ended."""
    now = context.clock.now()
    came = (one.certificate for one in context.router.requested())
    return (*context.store.certificates(), *(one for one in came if one is not None and one.not_after > now))


def _changed(base: Release, add: tuple[str, ...], remove: tuple[str, ...]) -> Release:
    for host in remove:
        if host not in base.domains:
            raise NotFound(f"{host} is no domain of this app", hint=f"it has: {', '.join(base.domains) or 'none'}")
    kept = tuple(host for host in base.domains if host not in remove)
    return replace(base, domains=(*kept, *(host for host in dict.fromkeys(add) if host not in kept)))


def _tls_note(context: Context, added: tuple[str, ...]) -> str:
    certificates = served(context)
    asked = {one.host for one in context.router.requested()}
    plain = [host for host in added if not covered(host, certificates) and host not in asked]
    coming = [host for host in added if not covered(host, certificates) and host in asked]
    if coming and not plain:
        return f"a certificate of {', '.join(coming)} is asked for: paas certs shows when it is there"
    return f"no certificate covers {', '.join(plain)}: it answers by http only (paas certs add)" if plain else ""
