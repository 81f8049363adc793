"""Runs commands: in a container of their own (`run_once`), or inside a running replica (`exec`, health commands)."""

from __future__ import annotations

import math
import re
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import docker.errors
from docker import APIClient

from paas.engines import docker_proc
from paas.engines.docker_client import Connection, created, refused, said
from paas.engines.docker_networks import connect
from paas.engines.docker_observe import KILLED, exit_words, oom, unix
from paas.engines.docker_spec import networks, oneoff
from paas.engines.docker_terminal import DETACH_KEYS, Hijacked, converse, patiently
from paas.errors import Conflict, DeployFailed, PaasError, PlatformError
from paas.interfaces import Terminal
from paas.model.secret import Secret
from paas.model.service import ServiceSpec

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""The exit codes of every shell for a command that is not there or cannot be executed."""

LEFTOVER = 3600
"""Seconds after its end that a one-off of a server that died is left for somebody to look at."""

SIGHTINGS = 60
"""Looks, 50 ms apart, at a command that was just started and has to be ended."""

OUTPUT = 4096

PATIENCE = 10.0
"""Most seconds between SIGTERM and SIGKILL for a command whose time is up."""


class NotStarted(Exception):
    """The command in an image cannot be run: why, and what a shell would have exited with."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.words, self.code = words, code


def not_started(error: docker.errors.APIError) -> NotStarted | None:
    """The cause in a sentence when the Engine could not start a process because of its command."""
    words = said(error)
    command = re.search(r'exec: "([^"]*)"', words)
    name = command.group(1) if command else "its command"
    if "executable file not found" in words or "no such file or directory" in words:
        return NotStarted(f"{name}: command not found", NOT_FOUND)
    if "permission denied" in words or "exec format error" in words or "is a directory" in words:
        return NotStarted(f"{name}: cannot be executed", NOT_EXECUTABLE)
    return None


class Runner:
    """Runs commands for one instance."""

    def __init__(self, connection: Connection, instance: str) -> None:
        self._connection = connection
        self._instance = instance

    def once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
        """Run the spec in one container and return its exit code; the container is removed whatever happens.

        `timeout` seconds; 0: no limit. Networks and volumes are there already.
        """
        container = self._create(spec, timeout, terminal)
        try:
            return self._run(container, spec, timeout, terminal)
        finally:
            self._remove(container)

    def _create(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> str:
        mark = spec.run or secrets.token_hex(3)
        name = f"{self._instance}-{spec.app_name}-{spec.process}-{mark}"
        until = int(time.time() + timeout + LEFTOVER) if timeout else 0
        body = oneoff(spec, mark, self._instance, tty=terminal.tty, stdin=terminal.interactive, until=until)
        with self._connection.lease() as api:
            try:
                container = created(api, body, name)
            except docker.errors.ImageNotFound:
                raise missing_image(spec) from None
            except docker.errors.APIError as error:
                raise refused(error, tuple(spec.env.values())) from None
            try:
                for other in networks(spec, self._instance)[1:]:
                    connect(api, container, other, "")
            except BaseException:
                self._remove(container)
                raise
            return container

    def _run(self, container: str, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
        late = threading.Event()
        with self._connection.stream() as api:
            # Attached before the start, so that not a byte of the output is missed.
            stream = Hijacked(api.attach_socket(container, params=_attachment(terminal)))
            timer = threading.Timer(timeout, self._expire, (container, spec, stream, late)) if timeout else None
            try:
                self._start(container, spec)
                if timer:
                    timer.start()
                converse(stream, terminal, lambda rows, columns: self._resize(container, rows, columns))
            except NotStarted as failure:
                terminal.write(f"{failure.words}\n".encode(), "stderr")
                return failure.code
            finally:
                if timer:
                    timer.cancel()
                stream.close()
        if late.is_set():
            raise DeployFailed(
                f"{spec.process} did not end within {timeout:g} s and was killed", hint="give it more time in paas.toml"
            )
        return self._exit_code(container, spec, terminal)

    def _start(self, container: str, spec: ServiceSpec) -> None:
        with self._connection.lease() as api:
            try:
                api.start(container)
            except docker.errors.APIError as error:
                raise not_started(error) or refused(error, tuple(spec.env.values())) from None

    def _expire(self, container: str, spec: ServiceSpec, stream: Hijacked, late: threading.Event) -> None:
        """SIGTERM, and SIGKILL a little later."""
        late.set()
        with suppress(PaasError), self._connection.lease() as api, suppress(docker.errors.APIError):
            api.stop(container, timeout=math.ceil(min(spec.stop_grace, PATIENCE)))
        stream.cut()

    def _resize(self, container: str, rows: int, columns: int) -> None:
        with self._connection.lease() as api:
            patiently(lambda: api.resize(container, rows, columns))

    def _exit_code(self, container: str, spec: ServiceSpec, terminal: Terminal) -> int:
        with self._connection.lease() as api:
            try:
                # The output has ended, so has the process; only its bookkeeping may still be under way.
                code = int(api.wait(container)["StatusCode"])
                killed = code == KILLED and _was_oom(api, container)
            except docker.errors.NotFound:
                raise Conflict(f"{spec.process} was removed while it ran", hint="was its app destroyed?") from None
        if killed:
            terminal.write(f"{exit_words(code, True, spec.limits.memory)}\n".encode(), "stderr")
        return code

    def _remove(self, container: str) -> None:
        with self._connection.lease() as api, suppress(docker.errors.APIError):
            api.remove_container(container, v=True, force=True)

    def exec(
        self,
        container: str,
        command: Sequence[str],
        terminal: Terminal,
        env: Mapping[str, Secret] | None = None,
        timeout: float = 0.0,
    ) -> int:
        """Run a command inside a running container and return its exit code. Raises PlatformError after `timeout`
        seconds (0: never)."""
        env = env or {}
        with self._connection.stream() as api:
            execution = _execution(api, container, command, env, tty=terminal.tty, stdin=terminal.interactive)
            stream = Hijacked(api.exec_start(execution, tty=terminal.tty, socket=True))
            try:
                with _at_most(timeout, stream):
                    converse(stream, terminal, lambda rows, columns: self._resize_exec(execution, rows, columns))
            except BaseException:
                # The Engine leaves a process running when its terminal has gone.
                self._end(container, execution)
                raise
            finally:
                stream.close()
            return self._exec_code(execution)

    def _resize_exec(self, execution: str, rows: int, columns: int) -> None:
        with self._connection.lease() as api:
            patiently(lambda: api.exec_resize(execution, height=rows, width=columns))

    def _exec_code(self, execution: str) -> int:
        with self._connection.lease() as api:
            for pause in (0.0, 0.01, 0.05, *[0.1] * 100):
                time.sleep(pause)
                try:
                    found = api.exec_inspect(execution)
                except docker.errors.NotFound:
                    break
                if not found.get("Running") and found.get("ExitCode") is not None:
                    return int(found["ExitCode"])
        raise PlatformError("the command's connection ended before the command did", hint="did its replica stop?")

    def _end(self, container: str, execution: str) -> None:
        """End a process that nobody listens to any more: it gets a hang-up like from a closed terminal, then a kill."""
        with suppress(PaasError), self._connection.lease() as api, suppress(docker.errors.APIError):
            for number in (signal.SIGHUP, signal.SIGKILL):
                if not _signalled(api, container, execution, number):
                    return
                time.sleep(0.5 if number == signal.SIGHUP else 0)

    def quietly(
        self, container: str, command: Sequence[str], timeout: float, keep: int = OUTPUT
    ) -> tuple[int | None, str]:
        """Run a command inside a container for the platform itself: exit code (None: time ran out), the end of
        its output (`keep` bytes)."""
        output = b""
        with self._connection.stream() as api:
            try:
                execution = _execution(api, container, command, {}, tty=False, stdin=False)
            except PaasError as error:
                return 1, error.message
            stream = Hijacked(api.exec_start(execution, socket=True))
            timer = threading.Timer(timeout, stream.cut)
            began = time.monotonic()
            timer.start()
            try:
                for _, data in stream.output(tty=False):
                    output = (output + data)[-keep:]
            finally:
                timer.cancel()
                stream.close()
            if time.monotonic() - began >= timeout:
                self._end(container, execution)
                return None, output.decode("utf-8", "replace")
            return self._exec_code(execution), output.decode("utf-8", "replace")


@contextmanager
def _at_most(seconds: float, stream: Hijacked) -> Iterator[None]:
    """Cut the stream when the time is up (0: never). Raises PlatformError where it was."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        stream.cut()

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise PlatformError(f"the command took longer than {seconds:g} s and was ended")


def _signalled(api: APIClient, container: str, execution: str, number: int) -> bool:
    """Whether the process got the signal; not when it has ended, or cannot be seen from here.

    On a busy machine the Engine knows a process only some time after its first output has arrived.
    """
    for _ in range(SIGHTINGS):
        found = api.exec_inspect(execution)
        if found.get("ExitCode") is not None:
            return False
        if found.get("Running") and docker_proc.signal(int(found.get("Pid") or 0), container, number):
            return True
        time.sleep(0.05)
    return False


def _was_oom(api: APIClient, container: str) -> bool:
    """Whether a killed process had used up its memory; the Engine may hear of that a little after the exit."""
    for pause in (0.0, 0.05, 0.2, 0.5, 1.0, 1.5):
        time.sleep(pause)
        seen = api.inspect_container(container)
        # Since it was made: one that ends at once may be said to have started after its end.
        if seen["State"].get("OOMKilled") or oom(api, container, unix(seen.get("Created")), time.time()):
            return True
    return False


def _attachment(terminal: Terminal) -> dict[str, Any]:
    wanted: dict[str, Any] = {"stdout": 1, "stderr": 1, "stream": 1, "detachKeys": DETACH_KEYS}
    return wanted | ({"stdin": 1} if terminal.interactive else {})


def _execution(
    api: APIClient, container: str, command: Sequence[str], env: Mapping[str, Secret], *, tty: bool, stdin: bool
) -> str:
    """Prepare a command inside a container; its id. Raises Conflict when the container does not run."""
    try:
        made = api.exec_create(
            container,
            list(command),
            tty=tty,
            stdin=stdin,
            environment=[f"{key}={value.reveal()}" for key, value in env.items()],
            detach_keys=DETACH_KEYS,
        )
    except docker.errors.APIError as error:
        if error.status_code in (404, 409):
            raise Conflict("the replica does not run", hint="see `paas ps`") from None
        raise refused(error, tuple(env.values())) from None
    return str(made["Id"])


def missing_image(spec: ServiceSpec) -> PlatformError:
    """The image of a spec has gone from the Engine."""
    return PlatformError(
        f"image {spec.image} of {spec.process} is not on this Engine", hint="deploy again to build it anew"
    )
