"""The Docker engine: sends what the pure modules beside it made, and decides nothing.

Every question to the Engine carries this instance's label, and what lacks it is never touched.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import docker.errors
from docker import APIClient

from paas.engines import docker_events, docker_proc, docker_use
from paas.engines.docker_client import Connection, created, refused
from paas.engines.docker_logs import Followed, Origin, Reader, tail
from paas.engines.docker_networks import Networks, Volumes, connect, disconnect
from paas.engines.docker_observe import Facts, Inspections, is_service, last_exit, replica, services, target
from paas.engines.docker_run import Runner, missing_image, not_started
from paas.engines.docker_runs import DockerRuns
from paas.engines.docker_spec import (
    APP,
    INSTANCE,
    PROCESS,
    RELEASE,
    Act,
    Listed,
    acts,
    container,
    container_name,
    listed,
    networks,
    own_network,
)
from paas.engines.docker_stop import stop, unmark
from paas.engines.docker_wait import Eyes, Wait
from paas.engines.probe import Prober
from paas.errors import Conflict, DeployFailed, NotFound, PlatformError
from paas.interfaces import Addresses, EngineInfo, LogQuery, Stop, Terminal
from paas.model.events import Emit, Event
from paas.model.metrics import Machine
from paas.model.secret import Secret
from paas.model.service import Change, LogLine, Measured, ObservedService, Replica, ServiceKey, ServiceSpec, Stats
from paas.settings import Settings

STARTERS = 4
"""Threads that create and start: 4 need 0.6 of the time of one, 8 gain nothing more."""

STOPPERS = 16
"""Threads that stop: each only waits for a process to end."""

REMOVAL = 10.0
"""Seconds for a removal that somebody else began."""

T = TypeVar("T")
R = TypeVar("R")


class DockerEngine(DockerRuns):
    """Runs service versions as containers of one Docker Engine."""

    def __init__(self, settings: Settings) -> None:
        self._instance = settings.instance
        self._api_port = settings.api_port
        self._connection = Connection(settings.docker)
        self._networks = Networks(settings.instance, settings.subnets)
        self._volumes = Volumes(settings.instance)
        self._runner = Runner(self._connection, settings.instance)
        self._prober = Prober(self._runner.quietly)
        self._inspections = Inspections(settings.instance)
        self._uses = docker_use.Uses()
        self._info: EngineInfo | None = None
        # What `apply` started and nobody has waited for yet: any restart of these means that they have exited.
        self._started: set[str] = set()
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close idle connections and files."""
        self._connection.close()
        self._uses.close()

    # Seeing.

    def observe(self, app_id: str = "") -> tuple[ObservedService, ...]:
        """See interfaces.Engine. Replicas that were not asked for their health within its interval are asked now."""
        with self._connection.lease() as api:
            present = [one for one in self._list(api, app_id) if is_service(one)]
            found = [facts for one in present if (facts := self._inspections.of(api, one))]
        if not app_id:
            ids = [facts.id for facts in found]
            self._inspections.keep(ids)
            self._prober.keep(ids)
            with self._guard:
                self._started &= set(ids)
        verdicts = self._prober.look([target(facts) for facts in found if facts.running])
        return services((facts, replica(facts, verdicts.get(facts.id))) for facts in found)

    def _list(
        self, api: APIClient, app_id: str = "", key: ServiceKey | None = None, *, all: bool = True
    ) -> list[Listed]:
        """Our containers, of an app or of one service version."""
        labels = [f"{INSTANCE}={self._instance}"]
        if key:
            app_id = key.app_id
            labels += [f"{PROCESS}={key.process}", f"{RELEASE}={key.release}"]
        if app_id:
            labels.append(f"{APP}={app_id}")
        found = api.containers(all=all, filters={"label": labels})
        return [one for entry in found if (one := listed(entry))]

    def _of_key(self, api: APIClient, key: ServiceKey, *, all: bool = True) -> list[Listed]:
        return [one for one in self._list(api, key=key, all=all) if is_service(one)]

    def _ours(self, api: APIClient, id: str) -> Facts:
        found = self._inspections.fresh(api, id)
        if found is None:
            raise NotFound(f"there is no replica {id[:12]}", hint="see `paas ps`")
        return found

    # Making it so.

    def apply(self, spec: ServiceSpec, replicas: int, emit: Emit, besides: Sequence[str] = ()) -> None:
        """See interfaces.Engine. Raises DeployFailed when the image's command cannot be run at all.

        Replicas whose spec differs in nothing but networks are connected and disconnected while they run.
        """
        with self._connection.lease() as api:
            todo = acts(spec, replicas, self._of_key(api, spec.key), self._instance, besides)
            if all(act.verb == "keep" and not act.connect + act.disconnect for act in todo):
                return
            self._networks.ensure(api, networks(spec, self._instance))
            for mount in spec.mounts:
                self._volumes.ensure(api, mount.volume, spec.app_id)
        for act in todo:
            if act.verb == "replace":
                emit(Event(kind="note", message=f"{spec.process}.{act.index} is replaced in place", at=time.time()))
        each(lambda act: self._carry_out(act, spec), todo, STARTERS)

    def _carry_out(self, act: Act, spec: ServiceSpec) -> None:
        with self._connection.lease() as api:
            id = act.container
            if act.verb == "start":
                unmark(api, id)
            if act.verb == "replace":
                self._stop(api, id, spec.stop_grace, f"{spec.process}.{act.index} of {spec.app_name}")
                self._delete(api, id)
            if act.verb in ("replace", "create"):
                id = self._create(api, spec, act.index)
                act = Act(index=act.index, verb="start", connect=networks(spec, self._instance)[1:])
            for name in act.connect:
                connect(api, id, name, spec.alias)
            for name in act.disconnect:
                disconnect(api, id, name)
            if act.verb == "start":
                self._start(api, id, spec, act.index)

    def _create(self, api: APIClient, spec: ServiceSpec, index: int) -> str:
        """Create one container; where its name is another's, the app's id makes it unique."""
        body = container(spec, index, self._instance, api=self._api(api, spec))
        name = container_name(spec, index, self._instance)
        deadline = time.monotonic() + REMOVAL
        while True:
            try:
                return created(api, body, name)
            except docker.errors.ImageNotFound:
                raise missing_image(spec) from None
            except docker.errors.APIError as error:
                if error.status_code != 409 or time.monotonic() > deadline:
                    raise refused(error, tuple(spec.env.values())) from None
                name = self._other_name(api, name, spec)

    def _api(self, api: APIClient, spec: ServiceSpec) -> str:
        """Where its containers reach what the platform has for them; empty: nowhere."""
        if spec.kind != "replica" or not self._api_port:
            return ""
        address = self._networks.gateway(api, networks(spec, self._instance)[0])
        return f"http://{address}:{self._api_port}" if address else ""

    def _other_name(self, api: APIClient, name: str, spec: ServiceSpec) -> str:
        """The name to try next: the same when ours of that name is just being removed."""
        try:
            holder = api.inspect_container(name)
        except docker.errors.NotFound:
            return name
        labels = (holder.get("Config") or {}).get("Labels") or {}
        if labels.get(INSTANCE) == self._instance and labels.get(APP) == spec.app_id:
            time.sleep(0.05)
            return name
        return name if name.endswith(f"-{spec.app_id}") else f"{name}-{spec.app_id}"

    def _start(self, api: APIClient, id: str, spec: ServiceSpec, index: int) -> None:
        self._prober.forget(id)
        try:
            api.start(id)
        except docker.errors.APIError as error:
            if why := not_started(error):
                hint = "does the image have the command that the Procfile names?"
                raise DeployFailed(f"{spec.process}.{index} cannot start: {why.words}", hint=hint) from None
            raise refused(error, tuple(spec.env.values())) from None
        self._inspections.fresh(api, id)
        with self._guard:
            self._started.add(id)

    def wait_healthy(
        self, spec: ServiceSpec, replicas: int, timeout: float, emit: Emit, passed: Sequence[str] = ()
    ) -> tuple[Replica, ...]:
        """See interfaces.Engine."""
        count = replicas - len(passed)
        with self._connection.lease() as api:
            others = [one for one in self._of_key(api, spec.key) if one.id not in passed]
            present = sorted(others, key=lambda one: (one.tags.index, one.id))[:count]
            found = [facts for one in present if (facts := self._inspections.of(api, one))]
        if len(found) < count:
            raise DeployFailed(
                f"{spec.process} has {len(found) + len(passed)} of {replicas} replicas",
                hint="somebody removed the others; deploy again",
            )
        if not found:
            return ()
        with self._guard:
            # The Engine counts restarts from its last start by request, which sets the count to 0.
            waited = [(facts, 0 if facts.id in self._started else facts.restarts) for facts in found]
            self._started -= {facts.id for facts in found}
        return Wait(self._eyes(), self._prober, emit, timeout).all(waited)

    def _eyes(self) -> Eyes:
        return Eyes(look=self._look, sockets=self._sockets, tail=self._tail, last_exit=self._last_exit)

    def _look(self, id: str) -> Facts | None:
        if kept := self._inspections.kept(id):
            return kept
        with self._connection.lease() as api:
            return self._inspections.fresh(api, id)

    def _sockets(self, facts: Facts) -> Sequence[docker_proc.Socket] | None:
        """The TCP sockets inside a container: read on this machine, else by a command inside it."""
        inside = docker_proc.sockets(facts.pid, facts.id)
        if inside is None and facts.running:
            code, output = self._runner.quietly(facts.id, ("cat", "/proc/net/tcp", "/proc/net/tcp6"), 3.0, 1 << 20)
            # tcp6 may be missing where there is no IPv6; then cat fails and has still shown the other one.
            inside = (
                tuple(docker_proc.parse_sockets(output)) if code is not None and "local_address" in output else None
            )
        return inside

    def _tail(self, id: str, lines: int) -> Sequence[str]:
        return [line.text for line in tail([Reader(self._connection, Origin(id, "", 0), lines=lines)], lines)]

    def _last_exit(self, facts: Facts) -> Facts:
        with self._connection.lease() as api:
            return last_exit(api, facts)

    # Taking away.

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            present = self._of_key(api, key)
        each(self._end, [one for one in present if not replicas or one.id in replicas], STOPPERS)

    def _end(self, one: Listed) -> None:
        """Stop one container gracefully and remove it."""
        with self._connection.lease() as api:
            if one.tags.kind != "oneoff":
                name = f"{one.tags.key.process}.{one.tags.index} of {one.tags.app_name}"
                self._stop(api, one.id, one.tags.notes.stop_grace, name)
            self._delete(api, one.id)

    def _stop(self, api: APIClient, id: str, grace: float, words: str) -> None:
        try:
            stop(api, id, grace, words)
        except Exception:
            self._inspections.forget(id)  # it may have had its stop signal, and then it is called so
            raise

    def _delete(self, api: APIClient, id: str) -> None:
        """Remove a container with its anonymous volumes; waits when somebody else is at it."""
        deadline = time.monotonic() + REMOVAL
        while time.monotonic() < deadline:
            try:
                api.remove_container(id, v=True, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
                time.sleep(0.05)
            else:
                return
        raise PlatformError(f"container {id[:12]} could not be removed", hint=f"try `docker rm -f {id[:12]}`")

    def gateways(self) -> Mapping[str, str]:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            return self._networks.gateways(api)

    def addresses(self, app_id: str) -> Addresses:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            return self._networks.addresses(api, own_network(app_id, self._instance))

    def forget(self, app_id: str) -> None:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            present = self._list(api, app_id)
        each(self._end, present, STOPPERS)
        with self._connection.lease() as api:
            for name in self._networks.of_app(api, app_id):
                self._networks.remove(api, name)

    def volumes(self) -> frozenset[str]:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            return self._volumes.names(api)

    def remove_volume(self, volume: str) -> None:
        """See interfaces.Engine. Raises Conflict when it is in use or not this platform's."""
        with self._connection.lease() as api:
            self._volumes.remove(api, volume)

    def restart(self, replica: str) -> None:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            found = self._ours(api, replica)
            unmark(api, replica)
            api.restart(replica, timeout=math.ceil(found.tags.notes.stop_grace))
            self._prober.forget(replica)
            self._inspections.fresh(api, replica)

    # Commands, logs, numbers, changes.

    def run_once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
        """See interfaces.Engine. `timeout` 0: no limit. A command that is not in the image exits with 127."""
        with self._connection.lease() as api:
            self._sweep(api, spec.app_id)
            self._networks.ensure(api, networks(spec, self._instance))
            for mount in spec.mounts:
                self._volumes.ensure(api, mount.volume, spec.app_id)
        return self._runner.once(spec, timeout, terminal)

    def _sweep(self, api: APIClient, app_id: str) -> None:
        """Remove one-offs of the app that outlived their time: their server was killed."""
        for one in self._list(api, app_id):
            if one.tags.kind == "oneoff" and 0 < one.until < time.time():
                self._delete(api, one.id)

    def exec(
        self,
        replica: str,
        command: Sequence[str],
        terminal: Terminal,
        env: Mapping[str, Secret] | None = None,
        *,
        timeout: float = 0.0,
    ) -> int:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            if not self._ours(api, replica).running:
                raise Conflict("the replica does not run", hint="see `paas ps`")
        return self._runner.exec(replica, command, terminal, env, timeout)

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """See interfaces.Engine. The iterator's `close()` may be called from any thread."""
        since = int(query.since * 1e9)
        if query.follow:
            filters = docker_events.filters(self._instance, app_id)
            return Followed(
                self._connection, lambda: self._origins(app_id, query), filters, lines=query.lines, since=since
            )
        origins = self._origins(app_id, query)
        readers = [Reader(self._connection, one, lines=query.lines, since=since) for one in origins]
        return tail(readers, query.lines)

    def _origins(self, app_id: str, query: LogQuery) -> list[Origin]:
        with self._connection.lease() as api:
            return [
                Origin(one.id, one.tags.key.process, one.tags.index)
                for one in self._list(api, app_id)
                if is_service(one)
                and query.process in ("", one.tags.key.process)
                and query.replica in (0, one.tags.index)
            ]

    def stats(self, app_id: str = "") -> tuple[Stats, ...]:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            present = [one for one in self._list(api, app_id, all=False) if is_service(one)]
            found = [facts for one in present if (facts := self._inspections.of(api, one)) and facts.running]
            return tuple(stats for facts in found if (stats := self._stats(api, facts)))

    def _stats(self, api: APIClient, facts: Facts) -> Stats | None:
        port = facts.tags.notes.port
        inside = docker_proc.sockets(facts.pid, facts.id) if port else None
        connections = docker_proc.established(inside, port) if inside is not None else None
        use = docker_proc.use(facts.pid, facts.id)
        if use is None:
            with suppress(docker.errors.NotFound):
                use = docker_proc.use_of_api(api.stats(facts.id, stream=False, one_shot=True))
        if use is None:
            return None
        return Stats(
            replica=facts.id, cpu_seconds=use.cpu_seconds, memory=use.memory, pids=use.pids, connections=connections
        )

    def measure(self) -> tuple[Measured, ...]:
        """See interfaces.Engine. Where cgroups cannot be read the Engine is asked, some milliseconds a replica."""
        with self._connection.lease() as api:
            present = [one for one in self._list(api) if one.tags.kind == "replica"]
            found = [facts for one in present if (facts := self._inspections.of(api, one))]
            measured = [self._measured(api, facts) for facts in found]
        self._uses.keep(facts.id for facts in found)
        return tuple(sorted(measured, key=lambda one: (one.key, one.replica.index, one.replica.id)))

    def _measured(self, api: APIClient, facts: Facts) -> Measured:
        used = self._uses.of(facts.pid, facts.id) if facts.running else None
        if used is None and facts.running:
            with suppress(docker.errors.NotFound):
                used = docker_use.of_api(api.stats(facts.id, stream=False, one_shot=True))
        verdict = self._prober.known(target(facts)) if facts.running else None
        return Measured(
            key=facts.tags.key, replica=replica(facts, verdict), used=used, cpus=facts.cpus, memory_limit=facts.memory,
            boot=self._prober.boot(target(facts)) if facts.running else None,
        )  # fmt: skip

    def connections(self, key: ServiceKey, port: int) -> Mapping[str, int]:
        """See interfaces.Engine. A replica whose connections cannot be known is left out."""
        with self._connection.lease() as api:
            present = self._of_key(api, key, all=False)
            found = [facts for one in present if (facts := self._inspections.of(api, one)) and facts.running]
        inside = {facts.id: self._sockets(facts) for facts in found}
        return {id: docker_proc.established(some, port) for id, some in inside.items() if some is not None}

    def watch(self, stop: Stop, since: float = 0.0) -> Iterator[Change]:
        """See interfaces.Engine."""
        return docker_events.watch(self._connection, self._instance, stop, since)

    def info(self) -> EngineInfo:
        """See interfaces.Engine."""
        with self._connection.lease() as api:
            version, facts = api.version(), api.info()
            # Tried, not derived: an Engine with BuildKit answers that an upgrade is missing, others 404.
            tried = api.post(f"{api.base_url}/v{api.api_version}/session", timeout=api.timeout)
        self._info = EngineInfo(
            name="docker",
            version=str(version.get("Version", "")),
            api_version=str(version.get("ApiVersion", "")),
            buildkit=tried.status_code != 404,
            cpus=int(facts.get("NCPU") or 0),
            memory=int(facts.get("MemTotal") or 0),
            data_root=str(facts.get("DockerRootDir") or ""),
        )
        return self._info

    def machine(self) -> Machine:
        """See interfaces.Engine."""
        return (self._info or self.info()).machine


def each(work: Callable[[T], R], items: Iterable[T], threads: int) -> None:
    """Do the work on all items at once and wait for all; the first failure is raised afterwards."""
    todo = list(items)
    if len(todo) == 1:
        work(todo[0])
    elif todo:
        with ThreadPoolExecutor(min(threads, len(todo)), "engine") as pool:
            futures = [pool.submit(work, item) for item in todo]
        for future in futures:
            future.result()
