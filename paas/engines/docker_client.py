"""The connection to a Docker Engine: clients, their time-outs, and its failures in words.

Knows how to reach the Engine, not what is asked of it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker import APIClient

from paas.errors import EngineUnavailable, PaasError, PlatformError
from paas.model.secret import Secret

TIMEOUT = 60
"""Seconds the Engine may take for one answer; it is slow only on a machine in need."""


KNOCK = 5.0
KEPT = 8
"""Idle clients that are kept: as many as a busy moment needs again."""


class Unreachable(OSError):
    """Nobody answers at the Engine's address."""


FAILURES = (
    Unreachable,
    requests.exceptions.RequestException,
    docker.errors.DockerException,
    urllib3.exceptions.HTTPError,
)
"""What docker and its HTTP library raise when there is no answer."""


class Connection:
    """Docker clients, lent to one thread at a time and kept warm between two uses."""

    def __init__(self, address: str, timeout: int = TIMEOUT) -> None:
        self.address = address
        self._timeout = timeout
        self._version: str | None = None
        self._free: list[APIClient] = []
        self._guard = threading.Lock()

    @contextmanager
    def lease(self) -> Iterator[APIClient]:
        """A client for this thread. What docker raises inside and nobody caught comes out as a PaasError."""
        with translated(self.address):
            api = self._take()
            try:
                yield api
            except Exception as error:
                # After an answer of the Engine the connection is still good; after anything else nobody knows.
                if isinstance(error, docker.errors.APIError):
                    self._give(api)
                else:
                    self._version = None
                    api.close()
                raise
            except BaseException:
                api.close()
                raise
            self._give(api)

    @contextmanager
    def stream(self) -> Iterator[APIClient]:
        """A client of its own for an answer that goes on for long; its connection ends with the block."""
        with translated(self.address):
            api = self._new()
            try:
                yield api
            finally:
                api.close()

    def close(self) -> None:
        """Close what is not lent. The connection can still be used afterwards."""
        with self._guard:
            free, self._free = self._free, []
        for api in free:
            api.close()

    def _take(self) -> APIClient:
        with self._guard:
            api = self._free.pop() if self._free else None
        if api is None:
            return self._new()
        try:
            knock(self.address)
        except OSError:
            api.close()
            raise
        return api

    def _give(self, api: APIClient) -> None:
        with self._guard:
            room = len(self._free) < KEPT
            if room:
                self._free.append(api)
        if not room:
            api.close()

    def _new(self) -> APIClient:
        knock(self.address)
        # The Engine is asked for its version once, not once per client.
        api = APIClient(base_url=self.address, version=self._version, timeout=self._timeout)
        # requests would look for proxies and ~/.netrc at every call; neither has a say here.
        api.trust_env = False
        self._version = api.api_version
        return api


def knock(address: str) -> None:
    """Raise Unreachable when nobody listens at a unix address.

    docker's own transport forgets to close the socket of a connection that was refused.
    """
    if not address.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(KNOCK)
        try:
            probe.connect(f"/{address.removeprefix('unix://').lstrip('/')}")
        except OSError as error:
            raise Unreachable(str(error)) from error


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn what docker and its HTTP library raise into EngineUnavailable or PlatformError."""
    try:
        yield
    except docker.errors.APIError as error:
        raise refused(error) from error
    except FAILURES as error:
        raise unavailable(error, address) from error


def refused(error: docker.errors.APIError, secrets: Sequence[Secret] = ()) -> PaasError:
    """The Engine's own words about a request it did not carry out."""
    words = said(error, secrets)
    if "no space left on device" in words:
        return PlatformError(
            f"the disk of the Docker Engine is full: {words}", hint="free some space, see `docker system df`"
        )
    return PlatformError(f"the Docker Engine refused: {words}")


def said(error: docker.errors.APIError, secrets: Sequence[Secret] = ()) -> str:
    """What the Engine said, on one line; values of `secrets` are masked wherever they turn up."""
    words = " ".join(str(error.explanation or error.response.reason if error.response is not None else error).split())
    for secret in sorted(secrets, key=lambda secret: -len(secret.reveal())):
        # A value such as "1" or "true" is no secret, and masking it would spoil the sentence.
        if len(secret.reveal()) > 5:
            words = words.replace(" ".join(secret.reveal().split()), "••••")
    return words


def unavailable(error: BaseException, address: str) -> EngineUnavailable:
    """Why there is no answer, and what to do."""
    causes = list(_chain(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineUnavailable(
            f"no permission to use the Docker Engine at {address}",
            hint="add yourself to the group docker (`sudo usermod -aG docker $USER`, log in again), or use sudo",
        )
    if any(isinstance(cause, (requests.exceptions.Timeout, TimeoutError)) for cause in causes):
        return EngineUnavailable(
            f"the Docker Engine at {address} took too long to answer", hint="see `docker info` and the machine's load"
        )
    return EngineUnavailable(
        f"the Docker Engine at {address} does not answer",
        hint="start it (`sudo service docker start`), or set DOCKER_HOST to the address of one that runs",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it; urllib3 keeps causes in `args`, requests in `__context__`."""
    pending, seen = [error], set[int]()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        nearest = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        pending.extend(item for item in nearest if isinstance(item, BaseException))


def created(api: APIClient, body: Mapping[str, Any], name: str) -> str:
    """Create a container from the Engine's own JSON; its id."""
    create: Callable[..., Mapping[str, Any]] = api.create_container_from_config
    return str(create(dict(body), name)["Id"])


def socket_of(response: Any) -> Any:
    """The socket under a streamed answer of requests, to shut it down from another thread or to write to it.

    Reaches through three libraries' private attributes; the contract suite holds it in place.
    """
    reader = response.raw._fp.fp
    raw = getattr(reader, "raw", reader)
    return getattr(raw, "_sock", raw)
