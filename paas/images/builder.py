"""DockerBuilder: builds, finds, tags, imports and removes images through the Engine's API.

BuildKit is driven by the plain build call with `version=2`: the context travels as a tar, progress comes back as
`moby.buildkit.trace`. No session is opened, so secret and ssh mounts are not available. An Engine without BuildKit
gets the classic builder. Which of the two is found out by building a file of one byte.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.errors import NotFound as DockerNotFound

from paas.errors import BuildFailed, ConfigError, EngineUnavailable, NotFound, PaasError, PlatformError
from paas.images import context as packed
from paas.images import failures
from paas.images.progress import Classic, Progress, Trace
from paas.model.build import Image
from paas.model.events import Emit, Event, silent
from paas.settings import Settings

LEAST_BYTES = 500 * 1024 * 1024
LEAST_INODES = 0.02
"""Below either of these the Engine's disk counts as full and no build begins."""

ASKING = 3
"""Seconds that a registry gets to answer the Engine."""

_REFUSED_ARGS = frozenset({"BUILDKIT_SYNTAX"})
"""Would replace the interpreter of the Dockerfile by an image."""


class DockerBuilder:
    """`interfaces.Builder` on a Docker Engine. Safe to use from several threads: each call has its own connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._buildkit: bool | None = None
        self._api_version = ""
        self._data_root: str | None = None

    def build(
        self,
        context: Path | None,
        dockerfile: str,
        ref: str,
        *,
        labels: Mapping[str, str],
        emit: Emit,
        build_args: Mapping[str, str] | None = None,
        target: str = "",
        no_cache: bool = False,
    ) -> Image:
        """See `interfaces.Builder.build`."""
        for name in _REFUSED_ARGS.intersection(build_args or ()):
            raise ConfigError(f"build argument {name} is not allowed", hint="take it out of build_args")
        self._check_disk()
        params = {"t": ref, "rm": "1", "forcerm": "1"}
        params |= {"target": target} if target else {}
        params |= {"nocache": "1"} if no_cache else {}
        params |= {"labels": _json(labels)} if labels else {}
        params |= {"buildargs": _json(build_args)} if build_args else {}
        progress = self._progress(self.buildkit(), emit)
        image_id = self._run(context, dockerfile, params, progress)
        found = self.find(image_id)
        if found is None:
            raise PlatformError(
                f"the image of {ref} is gone right after its build", hint="is something pruning images?"
            )
        return Image(
            id=found.id,
            ref=ref,
            size=found.size,
            cached=progress.cached,
            exposed=found.exposed,
            command=found.command,
            user=found.user,
        )

    def find(self, ref: str) -> Image | None:
        """See `interfaces.Builder.find`."""
        with self._client() as client:
            try:
                return _image(client.inspect_image(ref), ref)
            except ImageNotFound:
                return None

    def pull(self, ref: str, emit: Emit) -> Image:
        """See `interfaces.Builder.pull`."""
        name, _, tag = ref.partition("@") if "@" in ref else _split(ref)
        emit(Event(kind="step", message=f"pulling {ref}"))
        try:
            self._pull(name, tag)
        except PlatformError as error:
            raise PlatformError(
                f"{ref} cannot be pulled: {error.message}", hint="check the name, and that the registry is reachable"
            ) from error
        found = self.find(ref)
        if found is None:
            raise PlatformError(
                f"{ref} was pulled but is not there", hint="does the image fit this machine's platform?"
            )
        return found

    def _pull(self, name: str, tag: str) -> None:
        with self._client(timeout=self._settings.build_timeout) as client:
            for line in client.pull(name, tag=tag, stream=True, decode=True):
                if "error" in line:
                    raise PlatformError(str(line["error"]))

    def tag(self, image: str, ref: str) -> None:
        """See `interfaces.Builder.tag`."""
        name, _, tag = _split(ref)
        with self._client() as client:
            client.tag(image, name, tag=tag)

    def load(self, archive: Iterable[bytes], ref: str, changes: Sequence[str] = ()) -> Image:
        """See `interfaces.Builder.load`."""
        self._check_disk()
        name, _, tag = _split(ref)
        params: dict[str, Any] = {"fromSrc": "-", "repo": name, "tag": tag}
        with self._client(timeout=self._settings.build_timeout) as client:
            url = client._url("/images/create")
            query = [*params.items(), *(("changes", change) for change in changes)]
            headers = {"Content-Type": "application/x-tar"}
            response = client._post(url, data=iter(archive), params=query, headers=headers, stream=True)
            with response:
                client._raise_for_status(response)
                for line in _lines(response):
                    if "error" in line:
                        raise PlatformError(f"{ref} cannot be imported: {line['error']}")
        found = self.find(ref)
        if found is None:
            raise PlatformError(f"{ref} was imported but is not there")
        return found

    def images(self, app_id: str) -> tuple[Image, ...]:
        """See `interfaces.Builder.images`."""
        with self._client() as client:
            labels = [f"paas.instance={self._settings.instance}", f"paas.app={app_id}"]
            listed = client.images(filters={"label": labels})
            return tuple(_image(client.inspect_image(item["Id"]), ref) for item in listed for ref in _refs(item))

    def remove(self, ref: str) -> None:
        """See `interfaces.Builder.remove`."""
        with self._client() as client:
            try:
                client.remove_image(ref, force=False, noprune=False)
            except DockerNotFound:
                return
            except APIError as error:
                if error.status_code != 409:
                    raise

    def reachable(self, name: str) -> bool:
        """See `interfaces.Builder.reachable`. The Engine asks: its mirrors, proxies and names are what counts."""
        try:
            with self._client(timeout=ASKING) as client:
                try:
                    client.inspect_distribution(name)
                except APIError as error:
                    return error.status_code in (401, 403)
                return True
        except (PaasError, requests.exceptions.RequestException):
            return False

    def buildkit(self) -> bool:
        """See `interfaces.Builder.buildkit`. Tried once per process."""
        with self._lock:
            if self._buildkit is None:
                self._buildkit = self._try_buildkit()
            return self._buildkit

    def _try_buildkit(self) -> bool:
        ref = f"paas-base/probe:{uuid.uuid4().hex[:12]}"
        progress = Trace(silent)
        try:
            self._run(None, "FROM scratch\nCOPY . /\n", {"t": ref}, progress)
        except BuildFailed:
            return False
        self.remove(ref)
        # An engine that takes the parameter and ignores it builds without a trace.
        return progress.seen

    def _progress(self, buildkit: bool, emit: Emit) -> Progress:
        return Trace(emit) if buildkit else Classic(emit)

    def _run(self, context: Path | None, dockerfile: str, params: Mapping[str, str], progress: Progress) -> str:
        """Send the context, follow the build to its end, return the image's id."""
        with tempfile.TemporaryFile(prefix="paas-context-") as tar:
            sent = packed.write(context, dockerfile, tar)
            tar.seek(0)
            progress.moved = packed.SOURCE if sent.moved else ""
            query = {**params, "dockerfile": sent.dockerfile}
            if isinstance(progress, Trace):
                query |= {"version": "2", "buildid": uuid.uuid4().hex}
            elif self._settings.build_memory:
                query |= {"memory": str(self._settings.build_memory), "memswap": str(self._settings.build_memory)}
            return self._follow(tar, query, dockerfile, progress)

    def _follow(self, tar: Any, query: Mapping[str, str], dockerfile: str, progress: Progress) -> str:
        limit = float(self._settings.build_timeout)
        headers = {"Content-Type": "application/x-tar"}
        with self._client(timeout=limit) as client, _Deadline(limit) as deadline:
            # Logins of this machine (docker login), for private images after FROM.
            client._set_auth_headers(headers)
            try:
                # Closing the connection ends the build on the Engine's side, whatever made us leave this block.
                with client._post(
                    client._url("/build"),
                    data=tar,
                    params=query,
                    headers=headers,
                    stream=True,
                ) as response:
                    if response.status_code >= 400:
                        raise _refused(dockerfile, response, query["dockerfile"])
                    deadline.watch(response)
                    for line in _lines(response):
                        progress.feed(line)
            except (requests.exceptions.RequestException, OSError, AttributeError, ValueError) as error:
                if deadline.passed:
                    self._cancel(query)
                    raise failures.timed_out(progress.step, limit, progress.output) from error
                raise
        if deadline.passed:
            self._cancel(query)
            raise failures.timed_out(progress.step, limit, progress.output)
        if progress.error:
            raise self._failure(dockerfile, progress, query["dockerfile"])
        if not progress.image:
            raise EngineUnavailable("the Engine went away during the build", hint="start it, then deploy again")
        return progress.image

    def _failure(self, dockerfile: str, progress: Progress, name: str) -> PaasError:
        error = failures.failed(dockerfile, progress.step, progress.error, progress.output, name)
        return failures.disk_full(self._disk()) if isinstance(error, PlatformError) else error

    def _cancel(self, query: Mapping[str, str]) -> None:
        if "buildid" in query:
            with self._client(timeout=10) as client:
                client._post(client._url("/build/cancel"), params={"id": query["buildid"]}).close()

    def _check_disk(self) -> None:
        """Raises PlatformError when the Engine's disk has no room; says nothing about an Engine elsewhere."""
        disk = self._disk()
        if not disk:
            return
        try:
            status = os.statvfs(disk)
        except OSError:
            return
        free = status.f_bavail * status.f_frsize
        if free < LEAST_BYTES:
            raise failures.disk_full(disk, f"{free // 1048576} MB left, {LEAST_BYTES // 1048576} MB needed")
        if status.f_files and status.f_favail < LEAST_INODES * status.f_files:
            raise failures.disk_full(disk, f"{status.f_favail} inodes left of {status.f_files}")

    def _disk(self) -> str:
        if self._data_root is None:
            with self._client() as client:
                self._data_root = str(client.info().get("DockerRootDir", ""))
        return self._data_root if urlparse(self._settings.docker).scheme in ("", "unix") else ""

    @contextmanager
    def _client(self, timeout: float = 60) -> Iterator[Any]:
        """A connection of its own, closed at the end; the Engine's errors come out as PaasErrors."""
        client: Any = None
        _knock(self._settings.docker)
        try:
            client = docker.APIClient(
                base_url=self._settings.docker, version=self._api_version or "auto", timeout=int(timeout)
            )
            self._api_version = client._version
            yield client
        except APIError as error:
            raise _of_api(error) from error
        except (DockerException, requests.exceptions.ConnectionError) as error:
            raise _gone(self._settings.docker, error) from error
        finally:
            if client is not None:
                client.close()


class _Deadline:
    """Ends a response that is still being read when the time is up, by closing its socket under the reader."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._response: Any = None
        self._guard = threading.Lock()
        self.passed = False

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def watch(self, response: Any) -> None:
        """From now on this is what ends."""
        with self._guard:
            self._response = response
        if self.passed:
            self._end()

    def _end(self) -> None:
        with self._guard:
            self.passed = True
            if self._response is not None:
                with suppress(OSError, AttributeError):
                    self._response.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)


def _lines(response: Any) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines(chunk_size=None):
        if line.strip():
            yield json.loads(line)


def _json(values: Mapping[str, str] | None) -> str:
    return json.dumps(dict(values or {}))


def _refused(dockerfile: str, response: Any, name: str) -> PaasError:
    """The Engine took the request for wrong (4xx: the Dockerfile is) or could not serve it."""
    try:
        message = str(response.json()["message"])
    except (ValueError, KeyError):
        message = response.text
    if response.status_code < 500 or "dockerfile" in message.lower():
        return failures.failed(dockerfile, "", message, (), name)
    return PlatformError(f"the Engine refused the build: {message}", hint="`paas doctor`")


def _of_api(error: APIError) -> PaasError:
    message = str(error.explanation or error)
    if "no space left" in message:
        return failures.disk_full("")
    if isinstance(error, DockerNotFound):
        return NotFound(message)
    return PlatformError(f"the Docker Engine says: {message}", hint="`paas doctor`")


def _knock(address: str) -> None:
    """See that the Engine's socket takes connections: the library leaves its own open when it does not."""
    parts = urlparse(address)
    if parts.scheme != "unix":
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(parts.path)
        except OSError as error:
            raise _gone(address, error) from error


def _gone(address: str, error: Exception) -> EngineUnavailable:
    denied = "PermissionError" in repr(error) or "Permission denied" in str(error)
    hint = (
        "add yourself to the group docker, or use sudo"
        if denied
        else "start it, e.g. `systemctl start docker` (`paas doctor`)"
    )
    return EngineUnavailable(f"the Docker Engine does not answer at {address}", hint=hint)


def _image(found: Mapping[str, Any], ref: str) -> Image:
    config = found.get("Config") or {}
    ports = sorted(
        int(port)
        for port, _, kind in (key.partition("/") for key in config.get("ExposedPorts") or {})
        if kind in ("", "tcp")
    )
    return Image(
        id=str(found["Id"]),
        ref=ref,
        size=int(found.get("Size") or 0),
        cached=True,
        exposed=tuple(ports),
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        user=str(config.get("User") or ""),
    )


def _refs(listed: Mapping[str, Any]) -> Sequence[str]:
    """All its names, else its id: an image that was promoted has one name of each app."""
    return [name for name in listed.get("RepoTags") or () if name != "<none>:<none>"] or [str(listed["Id"])]


def _split(ref: str) -> tuple[str, str, str]:
    """Name, separator and tag; a port in the registry's address is no tag."""
    name, colon, tag = ref.rpartition(":")
    return (name, colon, tag) if colon and "/" not in tag else (ref, ":", "latest")
