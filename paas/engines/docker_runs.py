"""Runs on Docker: containers that nobody is connected to, found again by their label, kept with their output until
they are removed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import docker.errors
from docker import APIClient

from paas.engines.docker_client import Connection, created, refused, said
from paas.engines.docker_logs import Origin, Reader
from paas.engines.docker_networks import Networks, connect
from paas.engines.docker_observe import KILLED, facts, oom
from paas.engines.docker_run import missing_image, not_started
from paas.engines.docker_spec import APP, INSTANCE, RUN, networks, oneoff
from paas.errors import Conflict, DeployFailed
from paas.model.runs import ObservedRun
from paas.model.service import LogLine, ServiceSpec

ALIVE = frozenset({"running", "paused", "restarting"})


class DockerRuns:
    """The part of the Docker engine that is a `RunEngine`."""

    _connection: Connection
    _instance: str
    _networks: Networks

    def begin_run(self, spec: ServiceSpec) -> None:
        """See interfaces.RunEngine. The name holds the run's id, so that the Engine itself refuses a second one."""
        body = oneoff(spec, spec.run, self._instance, tty=False, stdin=False, until=0)
        body |= {"AttachStdout": False, "AttachStderr": False}
        body["HostConfig"] = body["HostConfig"] | {"LogConfig": _log_config()}
        name = f"{self._instance}-{spec.app_name}-{spec.process}-{spec.run}"
        with self._connection.lease() as api:
            self._networks.ensure(api, networks(spec, self._instance))
            try:
                container = created(api, body, name)
            except docker.errors.ImageNotFound:
                raise missing_image(spec) from None
            except docker.errors.APIError as error:
                if error.status_code == 409:
                    raise Conflict(f"run {spec.run} was begun already") from None
                raise refused(error, tuple(spec.env.values())) from None
            try:
                for other in networks(spec, self._instance)[1:]:
                    connect(api, container, other, "")
                _start(api, container, spec)
            except BaseException:
                _delete(api, container)
                raise

    def runs(self, app_id: str = "") -> tuple[ObservedRun, ...]:
        """See interfaces.RunEngine."""
        with self._connection.lease() as api:
            found = [self._observed(api, entry) for entry in self._listed(api, app_id=app_id)]
        return tuple(sorted((one for one in found if one), key=lambda one: one.id))

    def run_logs(self, run_id: str, lines: int = 0, *, follow: bool = False) -> Iterator[LogLine]:
        """See interfaces.RunEngine. Its `close()` may be called from any thread."""
        with self._connection.lease() as api:
            found = self._listed(api, run_id)
        if not found:
            return iter(())
        return Lines(Reader(self._connection, Origin(found[0]["Id"], "run", 0), lines=lines), follow=follow)

    def stop_run(self, run_id: str, grace: float) -> None:
        """See interfaces.RunEngine."""
        with self._connection.lease() as api:
            for entry in self._listed(api, run_id):
                try:
                    api.stop(entry["Id"], timeout=math.ceil(grace))
                except docker.errors.NotFound:
                    continue
                except docker.errors.APIError as error:
                    if "removal" not in said(error):
                        raise

    def remove_run(self, run_id: str) -> None:
        """See interfaces.RunEngine."""
        with self._connection.lease() as api:
            for entry in self._listed(api, run_id):
                _delete(api, entry["Id"])

    def _listed(self, api: APIClient, run_id: str = "", app_id: str = "") -> list[Mapping[str, Any]]:
        labels = [f"{INSTANCE}={self._instance}", f"{RUN}={run_id}" if run_id else RUN]
        if app_id:
            labels.append(f"{APP}={app_id}")
        return list(api.containers(all=True, filters={"label": labels}))

    def _observed(self, api: APIClient, entry: Mapping[str, Any]) -> ObservedRun | None:
        """Only what has ended is inspected: it costs the Engine a millisecond or two each."""
        found = entry.get("Labels") or {}
        run_id, app_id = str(found.get(RUN, "")), str(found.get(APP, ""))
        if entry.get("State") in ALIVE:
            return ObservedRun(id=run_id, app_id=app_id, running=True)
        try:
            seen = facts(api.inspect_container(entry["Id"]), self._instance)
        except docker.errors.NotFound:
            return None
        if seen is None:
            return None
        killed = seen.exit_code == KILLED and (
            seen.oom or oom(api, seen.id, max(0.0, seen.finished_at - 5), seen.finished_at)
        )
        return ObservedRun(
            id=run_id, app_id=app_id, running=seen.running, started_at=seen.started_at, ended_at=seen.finished_at,
            exit_code=seen.exit_code if seen.started_at else None, oom=killed, memory=seen.tags.notes.memory,
        )  # fmt: skip


class Lines:
    """One container's lines. An iterator whose `close` may be called from any thread."""

    def __init__(self, reader: Reader, *, follow: bool) -> None:
        self._reader = reader
        self._lines = reader.lines(follow=follow)

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> LogLine:
        return next(self._lines)

    def close(self) -> None:
        """End it. Idempotent."""
        self._reader.close()
        with suppress(ValueError):  # another thread is reading just now: it ends by itself
            self._lines.close()  # type: ignore[attr-defined]


def _log_config() -> dict[str, Any]:
    """At most 10 MB of output on disk while it runs."""
    return {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "2"}}


def _start(api: APIClient, container: str, spec: ServiceSpec) -> None:
    try:
        api.start(container)
    except docker.errors.APIError as error:
        if why := not_started(error):
            raise DeployFailed(why.words, hint="does the image have this command?") from None
        raise refused(error, tuple(spec.env.values())) from None


def _delete(api: APIClient, container: str) -> None:
    with suppress(docker.errors.NotFound):
        try:
            api.remove_container(container, v=True, force=True)
        except docker.errors.APIError as error:
            if error.status_code != 409:  # it is being removed just now
                raise
