"""What an app and its release want of the engine and the router."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from paas.model import shell
from paas.model.app import App, ProcessSpec, Release
from paas.model.route import Route
from paas.model.secret import Secret
from paas.model.service import HealthKind, ServiceSpec
from paas.model.sleep import Sleep

RELEASE = "release"


@dataclass(frozen=True, slots=True)
class WantedService:
    """A service version and how many replicas of it."""

    spec: ServiceSpec
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that should be there. `route` None: the app has no hosts (nothing is wanted any more).

    `release_command` is what runs once before the switch. `protected` are ids of replicas that stay, as long as
    there are others that are too many. Durations are seconds.
    """

    app_id: str
    app_name: str
    services: tuple[WantedService, ...] = ()
    route: Route | None = None
    release_command: ServiceSpec | None = None
    release_timeout: float = 900.0
    deploy_timeout: float = 300.0
    drain: float = 30.0
    protected: frozenset[str] = frozenset()


def nothing(app: App) -> Wanted:
    """Nothing should run."""
    return Wanted(app_id=app.id, app_name=app.name)


def wanted(
    app: App, release: Release, *, instance: str, domain: str, tls_hosts: Iterable[str] = (), sleep: Sleep | None = None
) -> Wanted:
    """What this release of the app wants; nothing while it has no image, and no replica while the app sleeps."""
    if not release.image:
        return nothing(app)
    network = f"{instance}-{app.id}"
    specs = {process.name: _spec(app, release, process, network) for process in release.processes}
    asleep = sleep is not None and sleep.asleep
    waker = f"127.0.0.1:{sleep.port}" if sleep is not None and sleep.asleep and sleep.port else ""
    return Wanted(
        app_id=app.id,
        app_name=app.name,
        services=tuple(
            WantedService(spec, 0 if asleep else app.formation.get(name, int(name == "web")))
            for name, spec in specs.items()
            if name != RELEASE
        ),
        route=replace(_route(app, release, domain, tuple(tls_hosts)), waker=waker) if "web" in specs else None,
        release_command=specs.get(RELEASE),
        release_timeout=release.release_timeout,
        deploy_timeout=release.deploy_timeout,
        drain=release.drain,
    )


def default_host(app_name: str, domain: str) -> str:
    """The host an app has without being told."""
    return f"{app_name}.{domain}"


def environment(app: App, release: Release, since: int, *, port: int = 0) -> Mapping[str, Secret]:
    """The config and the platform's variables; the platform's win."""
    own = {
        "PAAS_APP": app.name,
        "PAAS_RELEASE": f"v{since}",
        "SOURCE_VERSION": release.source.version if release.source else "",
        **({"PORT": str(port)} if port else {}),
    }
    return {**release.config, **{key: Secret(value) for key, value in own.items()}}


def _spec(app: App, release: Release, process: ProcessSpec, network: str) -> ServiceSpec:
    since = release.since.get(process.name) or release.number
    port = release.port if process.name == "web" else 0
    return ServiceSpec(
        app_id=app.id,
        app_name=app.name,
        process=process.name,
        release=since,
        image=release.image,
        command=shell.argv(process.command) if process.command else (),
        env=environment(app, release, since, port=port),
        port=port,
        limits=process.limits,
        health=process.health,
        stop_grace=process.stop_grace,
        networks=(network,),
        kind="oneoff" if process.name == RELEASE else "replica",
    )


def _route(app: App, release: Release, domain: str, tls_hosts: tuple[str, ...]) -> Route:
    hosts = (default_host(app.name, domain), *release.domains)
    web = release.process("web")
    health = web.health if web else None
    asked = health is not None and health.kind is HealthKind.HTTP and health.max_status < 400
    return Route(
        app_id=app.id,
        app_name=app.name,
        hosts=hosts,
        servers=(),
        tls_hosts=tuple(host for host in hosts if _covered(host, tls_hosts)),
        health_path=health.path if health and asked else "",
        health_interval=health.interval if health else 5.0,
        health_timeout=health.timeout if health else 3.0,
    )


def _covered(host: str, names: tuple[str, ...]) -> bool:
    """Whether a certificate's names cover the host; a wildcard covers one label."""
    return host in names or "*." + host.partition(".")[2] in names
