"""TraefikRouter: writes what is wanted, and waits until Traefik's own API says that it is so.

State is the dynamic file: a new process reads it back. Threads may call at the same time; their changes share a write.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from paas.errors import PaasError, RouterError
from paas.images import DockerBuilder
from paas.interfaces import Builder, LogQuery
from paas.model.events import Emit, Event
from paas.model.route import Certificate, Requested, Route, Traffic
from paas.model.service import LogLine
from paas.routers import vouch
from paas.routers.traefik import (
    access_log,
    acme,
    connections,
    easing,
    live,
    metrics,
    ports,
    refusals,
    render,
    static,
    trust,
)
from paas.routers.traefik.api import Api, Silent
from paas.routers.traefik.container import Container
from paas.routers.traefik.folder import Folder
from paas.routers.traefik.served import fingerprint, served
from paas.settings import Settings

CONFIRM = 10.0
"""Seconds Traefik may take to show a change; measured: 0.1 s, 1 s with 5,000 apps."""

START = 20.0
"""Seconds Traefik may take to answer after its start."""

MANY_SERIES = 500
"""Pairs of status and method of one app that are worth a warning; usual are some ten."""

log = logging.getLogger("paas.traefik")


class TraefikRouter:
    """`interfaces.Router` with Traefik in a container on the host's network."""

    def __init__(self, settings: Settings, builder: Builder | None = None) -> None:
        self._settings = settings
        self._folder = Folder(settings.home / "traefik")
        self._container = Container(settings, builder or DockerBuilder(settings), self._folder.path)
        self._api = Api(settings.traefik_port)
        self._facts = _facts(settings)
        self._guard = threading.Lock()
        self._writer = threading.Lock()
        self._one_up = threading.Lock()
        self._one_set = threading.Lock()
        self._routes: dict[str, Route] | None = None
        self._certificates: tuple[render.CertificateFiles, ...] = ()
        self._version = self._written = 0
        self._easing = easing.Easing()
        self._refusals = refusals.Refusals()
        self._warned: set[str] = set()

    # --- running ---------------------------------------------------------------------------------------------

    def up(self, emit: Emit) -> None:
        """See `interfaces.Router.up`."""
        with self._one_up:
            digest = self._prepare()
            self._change(lambda routes: None)
            wanted = self._container.wanted(self._container.image(emit), digest)
            fits = self._container.fits(wanted)
            if fits and self._container.running() and self.alive():
                return
            if not fits:
                self._container.remove()
            self._ports_free()
            emit(Event(kind="step", message="starting Traefik"))
            if not fits:
                self._container.create(wanted)
            self._container.start()
            self._wait_up()

    def _prepare(self) -> str:
        settings = self._settings
        if self._facts.automatic is None:
            return self._folder.prepare(static.text(settings))
        self._folder.prepare_issued(static.issued_file(settings), trust.dns_secrets(settings))
        return self._folder.prepare(static.text(settings), trust.roots(settings))

    def down(self) -> None:
        """See `interfaces.Router.down`."""
        self._container.remove()

    def alive(self) -> bool:
        """See `interfaces.Router.alive`. Only this platform's Traefik has a router of that name."""
        try:
            return self._api.router(render.unknown_host(self._settings.instance)) is not None
        except Silent:
            return False

    def _ports_free(self) -> None:
        settings = self._settings
        if self._container.running():
            return
        for setting, port, address in (
            ("PAAS_HTTP_PORT", settings.http_port, settings.bind),
            ("PAAS_HTTPS_PORT", settings.https_port, settings.bind),
            ("PAAS_TRAEFIK_PORT", settings.traefik_port, "127.0.0.1"),
        ):
            if taken := ports.listener(port, address):
                raise RouterError(
                    f"port {port} is taken by {taken.owner or 'another process'}",
                    hint=f"stop it, or set {setting} to another port; then paas up",
                )

    def _wait_up(self) -> None:
        deadline = time.monotonic() + START
        before = self._container.restarts()
        while not self.alive():
            died = not self._container.running() or self._container.restarts() > before
            if died or time.monotonic() > deadline:
                raise RouterError(
                    "Traefik does not stay up" if died else f"Traefik does not answer within {START:g} s",
                    hint="its last lines are below; `paas doctor` checks the rest",
                    details=self._container.last_lines(),
                )
            time.sleep(0.05)

    # --- routes ----------------------------------------------------------------------------------------------

    def observe(self) -> tuple[Route, ...]:
        """See `interfaces.Router.observe`. While Traefik does not answer: the routes it will have when it does."""
        with self._guard:
            routes = sorted(self._known().values(), key=lambda route: route.app_id)
        try:
            everything = self._api.everything()
        except Silent:
            return tuple(routes)
        return tuple(found for route in routes if (found := live.seen(route, self._facts, everything)))

    def apply(self, route: Route) -> None:
        """See `interfaces.Router.apply`."""
        render.document([route], (), self._facts)
        before: list[Route | None] = []

        def put(routes: dict[str, Route]) -> None:
            _hosts_free(route, routes)
            before.append(routes.get(route.app_id))
            self._easing.applied(before[0], route, time.monotonic())
            routes[route.app_id] = route

        try:
            self._change(put)
            self._confirm(
                f"the routes of {route.app_name}",
                lambda: live.difference(route, self._facts, self._api.router, self._api.service),
            )
        except RouterError:
            if before:
                self._put_back(route, before[0])
            raise

    def remove(self, app_id: str) -> None:
        """See `interfaces.Router.remove`."""
        gone: list[Route] = []

        def take(routes: dict[str, Route]) -> None:
            if app_id in routes:
                gone.append(routes.pop(app_id))

        self._change(take)
        names = [name for route in gone for name in render.routers_of(route, self._facts)]

        def still() -> str:
            return next((f"{name} is still there" for name in names if self._api.router(name)), "")

        # Nothing is routed by a Traefik that does not run; it starts without this route.
        if names and self._container.running():
            self._confirm("the end of a route", still)

    def ease(self) -> None:
        """See `interfaces.Router.ease`. A Traefik, or a server, that starts anew leads to all of them."""
        with self._guard:
            now, before, routes = time.monotonic(), self._facts.resting, self._known()
            apps = [routes[app_id].servers for app_id in self._easing.apps(now) if app_id in routes]
        if not apps and not before:
            return
        try:
            flying = self.in_flight([server for servers in apps for server in servers])
        except RouterError:
            self._rest(frozenset())
            raise
        self._rest(self._easing.look([{server: flying[server] for server in servers} for servers in apps], now))

    def _rest(self, resting: frozenset[str]) -> None:
        with self._guard:
            before, self._facts = self._facts.resting, replace(self._facts, resting=resting)
        if resting != before:
            self._change(lambda routes: None)

    def _put_back(self, failed: Route, before: Route | None) -> None:
        def undo(routes: dict[str, Route]) -> None:
            # Someone else may have set it anew since: that stays.
            if routes.get(failed.app_id) is failed:
                routes.pop(failed.app_id)
                if before:
                    routes[failed.app_id] = before

        with suppress(RouterError):
            self._change(undo)

    def _known(self) -> dict[str, Route]:
        """The routes by app id, read from the file once. The guard is held."""
        if self._routes is None:
            routes, self._certificates = self._folder.read()
            self._routes = {route.app_id: route for route in routes}
            self._facts = replace(self._with_issued(), covered=self._folder.covered())
        return self._routes

    def _change(self, change: Callable[[dict[str, Route]], None]) -> None:
        """Change the routes and have them in the file when this returns.

        Whoever comes while another writes finds its change written together with all others that waited.
        """
        with self._guard:
            routes = dict(self._known())
            change(routes)
            self._routes = routes
            self._version += 1
            mine = self._version
        with self._writer:
            if self._written >= mine:
                return
            with self._guard:
                wanted, files, version = self._known(), self._certificates, self._version
            self._folder.write(tuple(wanted.values()), files, self._facts)
            self._written = version

    def _confirm(self, what: str, missing: Callable[[], str]) -> None:
        """Poll until nothing is missing. Raises RouterError saying what was, at once when Traefik does not run."""
        deadline = time.monotonic() + CONFIRM
        pause, quiet = 0.005, 0
        while True:
            try:
                said, quiet = missing(), 0
                if not said:
                    return
            except Silent as error:
                said, quiet = str(error), quiet + 1
                # The Engine starts it again within a second or two, unless somebody stopped it.
                if quiet % 20 == 10 and not self._container.running():
                    raise RouterError(f"Traefik does not run: {what} cannot be set", hint="paas up") from error
            if time.monotonic() > deadline:
                raise RouterError(f"Traefik did not take over {what} within {CONFIRM:g} s: {said}", hint="paas doctor")
            time.sleep(pause)
            pause = min(pause * 1.3, 0.05)

    # --- certificates ----------------------------------------------------------------------------------------

    def certificates(self, certificates: Sequence[Certificate]) -> None:
        """See `interfaces.Router.certificates`. A handshake with each host confirms it."""
        with self._one_set:
            files = self._folder.keep(certificates)
            before = self._set_files(files)
            try:
                if self._container.running():
                    self._confirm("the certificates", lambda: self._not_served(certificates))
            except RouterError:
                self._set_files(before)
                raise
            self._folder.drop_others(files)
            self._cover()

    def _set_files(self, files: tuple[render.CertificateFiles, ...]) -> tuple[render.CertificateFiles, ...]:
        with self._guard:
            self._known()
            before, self._certificates = self._certificates, files
        self._change(lambda routes: None)
        return before

    def _not_served(self, certificates: Sequence[Certificate]) -> str:
        bind = self._settings.bind.strip("[]")
        address = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104
        for certificate in certificates:
            host = certificate.host.replace("*", "any", 1)
            # Two certificates may cover a host; Traefik picks one of them.
            good = {fingerprint(other.chain) for other in certificates if _covers(other, certificate.host)}
            if served(address, self._settings.https_port, host) not in good | {fingerprint(certificate.chain)}:
                return f"{certificate.host} is not served with it yet"
        return ""

    def _cover(self) -> None:
        """Ask for no certificate by itself where one was brought."""
        with self._guard:
            covered = self._folder.covered()
            changed, self._facts = covered != self._facts.covered, replace(self._facts, covered=covered)
        if changed:
            self._change(lambda routes: None)

    # --- certificates that come by themselves ----------------------------------------------------------------

    def requested(self) -> tuple[Requested, ...]:
        """See `interfaces.Router.requested`. What went wrong is read from Traefik's log, and only while one lacks."""
        with self._guard:
            hosts = render.asked(self._known().values(), self._facts)
            facts = self._with_issued()
            changed, self._facts = facts != self._facts, facts
        if changed:
            self._change(lambda routes: None)
        issued = self._folder.issued(static.issued_file(self._settings)) if hosts else ()
        found = {host: next((one for one in issued if _covers(one, host)), None) for host in hosts}
        if any(one is None or one.not_after < time.time() + refusals.RENEWAL for one in found.values()):
            self._refusals.read(self._container)
        return tuple(self._refusals.told(host, found[host]) for host in hosts)

    def request_again(self) -> None:
        """See `interfaces.Router.request_again`."""
        with self._guard:
            self._known()
            if self._facts.automatic is None:
                return
            attempt = max(int(time.time()), self._facts.automatic.attempt + 1)
            self._facts = replace(self._facts, automatic=replace(self._facts.automatic, attempt=attempt))
        self._change(lambda routes: None)

    def _with_issued(self) -> render.Facts:
        auto = self._facts.automatic
        if auto is None:
            return self._facts
        issued = self._folder.issued(static.issued_file(self._settings))
        names = frozenset(name for one in issued if one.not_after > time.time() for name in (one.host, *one.names))
        return replace(self._facts, automatic=replace(auto, issued=names))

    # --- what is told ----------------------------------------------------------------------------------------

    def traffic(self) -> tuple[Traffic, ...]:
        """See `interfaces.Router.traffic`. Raises RouterError while Traefik does not answer."""
        try:
            page = metrics.read(self._api.metrics())
        except Silent as error:
            raise RouterError(f"Traefik does not answer: {error}", hint="paas up") from error
        self._warn_of(page.series)
        return page.traffic

    def _warn_of(self, series: Mapping[str, int]) -> None:
        """Once, of an app that makes Traefik's page long: whoever asks it chooses among its statuses."""
        for app_id, count in series.items():
            if count > MANY_SERIES and app_id not in self._warned:
                self._warned.add(app_id)
                name = next((route.app_name for route in self.observe() if route.app_id == app_id), app_id)
                log.warning(
                    "%s has answered with %d pairs of status and method: each look at requests reads all of them",
                    name, count,
                )  # fmt: skip

    def in_flight(self, servers: Collection[str]) -> Mapping[str, int]:
        """See `interfaces.Router.in_flight`."""
        try:
            return connections.in_flight(servers)
        except OSError as error:
            raise RouterError(f"the kernel does not tell of connections: {error}") from error

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """See `interfaces.Router.logs`."""
        last = ""
        kept: deque[LogLine] = deque(maxlen=query.lines or None)
        for last, raw in self._container.output(since=query.since, follow=False):
            if found := access_log.line(raw, access_log.stamp(last), app_id, query):
                kept.append(found)
        yield from kept
        if not query.follow:
            return
        since = access_log.stamp(last) or query.since or time.time()
        for now, raw in self._container.output(since=since, follow=True):
            # The Engine's `since` is not exact to the nanosecond; its stamps are, and they sort as text.
            if now > last and (found := access_log.line(raw, access_log.stamp(now), app_id, query)):
                yield found

    def reload_failures(self) -> str:
        """What Traefik says is wrong with what it loaded; empty when nothing is."""
        try:
            overview = self._api.overview().get("http", {})
        except Silent as error:
            return str(error)
        wrong = {kind: facts.get("errors", 0) for kind, facts in overview.items() if facts.get("errors")}
        return ", ".join(f"{count} {kind} with errors" for kind, count in wrong.items())


def _facts(settings: Settings) -> render.Facts:
    auto = acme.automatic(settings)
    facts = render.Facts(settings.instance, settings.https_port, automatic=auto, hsts=settings.hsts)
    if not settings.platform_domain:
        return facts
    word = vouch.word(settings.home)
    proxies = tuple(settings.trusted_proxies.replace(",", " ").split())
    return replace(facts, host=settings.platform_domain, port=settings.server_port, word=word, proxies=proxies)


def _covers(certificate: Certificate, host: str) -> bool:
    return host in certificate.names or f"*.{host.partition('.')[2]}" in certificate.names


def _hosts_free(route: Route, routes: dict[str, Route]) -> None:
    """Raise RouterError when another app has one of the hosts: the last line of defence, the store refuses first."""
    for other in routes.values():
        if other.app_id != route.app_id and (both := set(other.hosts) & set(route.hosts)):
            raise RouterError(f"{min(both)} leads to {other.app_name} already")


def problem(router: object) -> str:
    """What a router of any kind knows to be wrong with its routes; empty when nothing is known."""
    with suppress(PaasError):
        return router.reload_failures() if isinstance(router, TraefikRouter) else ""
    return ""
