"""Doctor: looks at everything the platform stands on, and says what is wrong and what mends it. Changes nothing.

A check never raises: what goes wrong in it is its finding. `checks` needs no server, so the command can run it too
when the server is what does not work.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from paas.addons import services
from paas.errors import EngineUnavailable, PaasError
from paas.interfaces import Builder, Clock, Engine, Router, Stack, Store
from paas.model.build import Base, Runtime
from paas.model.events import Emit, silent
from paas.requests.platform import Doctor
from paas.routers.traefik import ports, problem
from paas.settings import Settings
from paas.stacks import ca_image
from paas.usecases import machine
from paas.usecases.certificates import SOON
from paas.usecases.context import Act, Context

Level = Literal["info", "warning", "error"]

LEAST_API = (1, 40)
"""What the platform is tried with; Docker Engine 19.03."""

SMALL_PACKAGE = "six"
"""Asked for, never installed: one small file, there since long before and for long after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding. `ok`: nothing to do. `level` is info (fine), warning (works, not for long) or error (does not
    work); `message` says how it is, `fix` the command or setting that mends it (empty when ok)."""

    name: str
    ok: bool
    level: Level
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at. `store` None: there is no server, only its files are looked at."""

    settings: Settings
    engine: Engine
    router: Router
    builder: Builder
    stack: Stack
    clock: Clock
    store: Store | None = None
    build_env: Mapping[str, str] = field(default_factory=dict)
    emit: Emit = silent


def doctor(context: Context, request: Doctor, act: Act) -> tuple[Check, ...]:
    """All findings, in the order in which one would mend them."""
    return checks(
        context.settings,
        context.engine,
        context.router,
        context.builder,
        context.stack,
        clock=context.clock,
        store=context.store,
        build_env=context.build_env,
        emit=act.emit,
        build=request.build,
    )


def checks(
    settings: Settings,
    engine: Engine,
    router: Router,
    builder: Builder,
    stack: Stack,
    *,
    clock: Clock,
    store: Store | None = None,
    build_env: Mapping[str, str] | None = None,
    emit: Emit = silent,
    build: bool = True,
) -> tuple[Check, ...]:
    """All findings. `build` False leaves out what needs a build (seconds; a minute when a base image is missing)."""
    patient = Patient(
        settings=settings, engine=engine, router=router, builder=builder, stack=stack, clock=clock, store=store,
        build_env=build_env or {}, emit=emit,
    )  # fmt: skip
    looks: list[tuple[str, Callable[[Patient], Iterable[Check]]]] = [
        ("engine", _engine),
        ("buildkit", _buildkit),
        ("limits", _limits),
        ("disk", _disk),
        ("networks", _networks),
        ("ports", _ports),
        ("router", _router),
        ("store", _store),
        ("leftovers", _leftovers),
        ("certificates", _certificates),
        ("clock", _clock),
    ]
    looks += [("build", _build)] if build else []
    return tuple(check for name, look in looks for check in _guarded(name, look, patient))


def _guarded(name: str, look: Callable[[Patient], Iterable[Check]], patient: Patient) -> tuple[Check, ...]:
    try:
        return tuple(look(patient))
    except PaasError as error:
        return (wrong(name, error.message, error.hint),)
    except Exception as error:  # a check that breaks must not hide the others
        return (uneasy(name, f"could not be checked ({type(error).__name__}: {error})", "report this as a bug"),)


def fine(name: str, message: str) -> Check:
    """Nothing to do."""
    return Check(name=name, ok=True, level="info", message=message)


def uneasy(name: str, message: str, fix: str) -> Check:
    """It works, but not for long or not wholly."""
    return Check(name=name, ok=False, level="warning", message=message, fix=fix)


def wrong(name: str, message: str, fix: str) -> Check:
    """It does not work."""
    return Check(name=name, ok=False, level="error", message=message, fix=fix)


# --- the engine --------------------------------------------------------------------------------------------------


def _engine(patient: Patient) -> Iterable[Check]:
    try:
        info = patient.engine.info()
    except EngineUnavailable as error:
        yield wrong("engine", error.message, error.hint)
        return
    api = tuple(int(part) for part in info.api_version.split(".") if part.isdigit())
    said = f"{info.name} {info.version}, API {info.api_version}, {info.cpus} cores, {info.memory / 2**30:.1f} GiB"
    if api and api < LEAST_API:
        yield wrong("engine", f"{said}: older than the platform needs", "install Docker Engine 20.10 or newer")
    else:
        yield fine("engine", said)


def _buildkit(patient: Patient) -> Iterable[Check]:
    if patient.builder.buildkit():
        yield fine("buildkit", "builds have cache mounts")
    else:
        yield uneasy(
            "buildkit",
            "not available: builds work, but download every package again",
            "install Docker Engine 20.10 or newer, or the package docker-buildx",
        )


def _limits(patient: Patient) -> Iterable[Check]:
    missing = machine.missing_limits()
    if missing:
        yield uneasy(
            "limits",
            f"the kernel limits no {', no '.join(missing)}: an app can take all of it",
            "boot with `cgroup_enable=memory swapaccount=1`, or use cgroup v2",
        )
    else:
        yield fine("limits", "memory, CPU and processes of apps are limited")


# --- the machine -------------------------------------------------------------------------------------------------


def _disk(patient: Patient) -> Iterable[Check]:
    places = {"home": patient.settings.home}
    with suppress(PaasError):
        places |= {"engine": Path(root)} if (root := patient.engine.info().data_root) else {}
    for what, path in places.items():
        room = machine.room(path)
        if room is None:
            yield fine(f"disk ({what})", f"{path} cannot be seen from here")
            continue
        said = f"{path}: {room.free / 2**30:.1f} GiB and {room.inodes:.0%} of the inodes are free"
        fix = "docker system df; docker builder prune; df -h; df -i"
        if room.free < machine.LEAST_FREE or room.inodes < machine.LEAST_INODES:
            yield wrong(f"disk ({what})", said, fix)
        elif room.free < machine.LITTLE_FREE or room.inodes < machine.LITTLE_INODES:
            yield uneasy(f"disk ({what})", said, fix)
        else:
            yield fine(f"disk ({what})", said)


def _networks(patient: Patient) -> Iterable[Check]:
    ranges = patient.settings.subnets
    pool = machine.pool(ranges)
    if pool.foreign:
        yield uneasy(
            "networks",
            f"{ranges} overlaps what this machine routes elsewhere: {', '.join(pool.foreign)}",
            "set PAAS_SUBNETS to a range that nothing else uses, for example 10.214.0.0/16",
        )
    said = f"{pool.free} of {pool.total} networks of {ranges} are free (one an app)"
    if not pool.free:
        yield wrong("networks", said, "set PAAS_SUBNETS to a larger range, or destroy apps that are not needed")
    elif pool.free < 5:
        yield uneasy("networks", said, "set PAAS_SUBNETS to a larger range")
    else:
        yield fine("networks", said)


def _ports(patient: Patient) -> Iterable[Check]:
    settings = patient.settings
    if patient.router.alive():
        yield fine("ports", f"{settings.http_port} and {settings.https_port} are Traefik's")
        return
    free = []
    for port, address, variable in (
        (settings.http_port, settings.bind, "PAAS_HTTP_PORT"),
        (settings.https_port, settings.bind, "PAAS_HTTPS_PORT"),
        (settings.traefik_port, "127.0.0.1", "PAAS_TRAEFIK_PORT"),
    ):
        taken = ports.listener(port, address)
        if taken is None:
            free.append(str(port))
            continue
        stop = f"stop it (kill {taken.pid}, or its service)" if taken.pid else f"find it: ss -ltnp 'sport = :{port}'"
        yield wrong(
            "ports", f"port {port} is taken by {taken.owner or 'another process'}", f"{stop}, or set {variable}"
        )
    if free:
        yield fine("ports", f"{', '.join(free)} free")


def _clock(patient: Patient) -> Iterable[Check]:
    skew = machine.clock_fault(patient.clock.now(), patient.settings.home)
    if skew:
        yield wrong("clock", skew, "timedatectl set-ntp true (or: date -s, as root)")
    else:
        yield fine("clock", "is sane")


# --- the platform's own parts ------------------------------------------------------------------------------------


def _router(patient: Patient) -> Iterable[Check]:
    if not patient.router.alive():
        yield wrong("router", "Traefik does not answer", "paas up; paas logs --platform")
    elif said := problem(patient.router):
        yield wrong("router", f"Traefik did not take what it was given: {said}", "paas up; paas logs --platform")
    else:
        yield fine("router", f"Traefik answers, {len(patient.router.observe())} routes are live")


def _store(patient: Patient) -> Iterable[Check]:
    if said := machine.store_fault(patient.settings.home):
        yield wrong("store", said.message, said.fix)
    elif patient.store is not None:
        yield fine("store", f"{len(patient.store.apps())} apps, {len(patient.store.addons())} addons")
    else:
        yield fine("store", f"{patient.settings.home} is in order")


def _leftovers(patient: Patient) -> Iterable[Check]:
    """Addons on the engine that the store does not know: a server was killed while it made them. They may hold data
    (a store put back from an older copy does not know the newest), so they are told, never taken away."""
    if patient.store is None:
        return
    # Before the store: what is made meanwhile is in the store then, or under way.
    seen, volumes = patient.engine.observe(), patient.engine.volumes()
    if any(operation.verb == "CreateAddon" for operation in patient.store.operations(status="running")):
        return
    known = {addon.id for addon in patient.store.addons()}
    left = [one for one in seen if one.kind == services.ADDON and one.key.app_id not in known]
    for service in left:
        volume = services.volume_name(patient.settings.instance, service.key.app_id)
        containers = " ".join(replica.id[:12] for replica in service.replicas)
        yield uneasy(
            "leftovers",
            f"the store knows no addon for container {containers}; its volume {volume} may hold data",
            f"when nobody needs the data: docker rm -f {containers} && docker volume rm {volume}",
        )
    told = {services.volume_name(patient.settings.instance, service.key.app_id) for service in left}
    kept = {addon.volume for addon in patient.store.addons()} | told
    for volume in sorted(volumes - kept):
        yield uneasy(
            "leftovers",
            f"the store knows no addon for the volume {volume}; it may hold data",
            f"when nobody needs the data: docker volume rm {volume}",
        )
    if not left and volumes <= kept:
        yield fine("leftovers", "every addon and volume on the engine is known to the store")


def _certificates(patient: Patient) -> Iterable[Check]:
    asked = patient.router.requested()
    for host in asked:
        if host.why:
            why = f"none of {host.host} could be had: {host.why}"
            yield (uneasy if host.certificate else wrong)("certificates", why, "mend that, then: paas certs request")
    came = tuple(one.certificate for one in asked if one.certificate)
    found = (*(patient.store.certificates() if patient.store else ()), *came)
    for one in found:
        days = int((one.not_after - patient.clock.now()) // 86_400)
        fix = f"paas certs add CHAIN KEY (a new one for {one.host})"
        if days < 0:
            yield wrong("certificates", f"the one of {one.host} has expired", fix)
        elif days < SOON:
            yield uneasy("certificates", f"the one of {one.host} ends in {days} days", fix)
    if all(one.not_after - patient.clock.now() >= SOON * 86_400 for one in found):
        yield fine("certificates", f"{len(found)} certificates, none ends within {SOON} days")


# --- from inside a build -----------------------------------------------------------------------------------------


def _build(patient: Patient) -> Iterable[Check]:
    """DNS, package registry and company CA, asked from where builds run."""
    base = patient.stack.answer(Runtime("python"))
    trusted = ca_image(patient.settings, patient.builder, patient.emit)
    patient.stack.prepare(base, patient.emit)
    ref = f"paas-base/probe:{uuid.uuid4().hex[:12]}"
    try:
        patient.builder.build(
            None,
            probe(base, trusted, patient.build_env),
            ref,
            labels={"paas.kind": "probe"},
            emit=patient.emit,
            build_args=patient.build_env,
            no_cache=True,
        )
    except PaasError as error:
        lines = [line.strip() for line in error.details if line.strip()]
        said = f"a build cannot reach the package registry: {lines[-1] if lines else error.message}"
        yield wrong(
            "registry",
            said,
            "check this machine's DNS (/etc/resolv.conf), proxy (HTTPS_PROXY) and package index (PIP_INDEX_URL), then "
            "start the server anew: paas down; paas up",
        )
        yield from _ca(trusted, reached=False, said=" ".join([error.message, *lines]))
        return
    finally:
        patient.builder.remove(ref)
    yield fine("registry", "reachable from inside a build, by name")
    yield from _ca(trusted, reached=True, said="")


def _ca(trusted: str, *, reached: bool, said: str) -> Iterable[Check]:
    untrusted = any(word in said.lower() for word in ("certificate", "unknownissuer", "ssl:"))
    if not trusted and untrusted:
        yield wrong(
            "company CA",
            "a build does not trust the package registry, and this machine has no CA of its own",
            "put your company's CA into /usr/local/share/ca-certificates and run update-ca-certificates, or set "
            "SSL_CERT_FILE to a bundle that has it",
        )
    elif not trusted:
        yield fine("company CA", "this machine has none, builds need none")
    elif reached:
        yield fine("company CA", "builds trust it")
    elif untrusted:
        yield wrong("company CA", "builds have it, and still do not trust the registry", "check SSL_CERT_FILE")
    else:
        yield fine("company CA", "builds have it; it could not be tried")


def probe(base: Base, trusted: str, build_env: Mapping[str, str]) -> str:
    """The Dockerfile of the build that asks the package registry for one small package and installs nothing."""
    lines = [f"FROM {trusted} AS ca"] if trusted else []
    lines += [f"FROM {base.build_image}", *(f"ARG {name}" for name in sorted(build_env))]
    if trusted:
        lines += ["COPY --from=ca /ca.pem /tmp/ca.pem", "ENV SSL_CERT_FILE=/tmp/ca.pem"]
    lines += [f"RUN uv pip install --dry-run --no-cache --no-deps --target /tmp/probe {SMALL_PACKAGE}"]
    return "\n".join(lines) + "\n"
