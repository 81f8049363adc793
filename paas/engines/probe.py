"""Asks replicas whether they are well, and remembers what they answered.

Knows networks and time, not Docker: a command is run by the function it is given.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from paas.model.service import HealthCheck, HealthKind, State

Execute = Callable[[str, Sequence[str], float], tuple[int | None, str]]
"""(container, argv, timeout in seconds) → (exit code, None when time ran out; the end of its output)."""

EARLY = 0.8
"""A look that comes a little before the interval is over counts: a tick of 5 s is never exactly 5 s."""

CLOSE = 1.0
"""Seconds between two looks at a booting replica within which its boot counts as measured."""

THREADS = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `detail` says what was wrong; `refused`: nobody answered on the port at all."""

    good: bool
    detail: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running replica as the prober needs it. `started_at` is Unix time and marks one run of its process."""

    id: str
    name: str
    host: str
    port: int
    started_at: float
    health: HealthCheck
    app_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What one run of a replica has answered so far. `good` and `bad` count in a row; `asked_at` is Unix time. `gap` is
    the longest time between two looks until it passed, the start being the first; `passed_at` when that was."""

    run: float
    asked_at: float = 0.0
    good: int = 0
    bad: int = 0
    well: bool = False
    passed: bool = False
    gap: float = 0.0
    passed_at: float = 0.0
    last: Answer = Answer(good=False)


def told(history: History, answer: Answer, health: HealthCheck, now: float) -> History:
    """The history after one more answer."""
    good = history.good + 1 if answer.good else 0
    bad = 0 if answer.good else history.bad + 1
    well = good >= health.passes or (history.well and bad < health.failures)
    after = replace(history, asked_at=now, good=good, bad=bad, well=well, passed=history.passed or well, last=answer)
    if history.passed:
        return after
    gap = max(history.gap, now - (history.asked_at or history.run))
    return replace(after, gap=gap, passed_at=now if well else 0.0)


def boot(history: History) -> float | None:
    """Seconds from its start until it was healthy; None where nobody looked closely, as with a server that began later
    than the replica. A check that hangs until its timeout still says it within half."""
    took = history.passed_at - history.run
    if not history.passed_at or took < 0 or history.gap > max(CLOSE, took / 2):
        return None
    return took


def judged(history: History, health: HealthCheck, now: float) -> tuple[State, str]:
    """The state that follows from a history, and why when it is not healthy."""
    up = now - history.run
    if health.kind is HealthKind.RUNNING:
        return (State.HEALTHY, "") if up >= health.settle else (State.STARTING, "")
    if history.well:
        return State.HEALTHY, ""
    if history.passed or up >= health.grace:
        return State.UNHEALTHY, history.last.detail
    return State.STARTING, history.last.detail


class Prober:
    """Keeps the last answers of each replica; asks again when they are old."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._guard = threading.Lock()
        self._histories: dict[str, History] = {}

    def look(self, targets: Sequence[Target]) -> dict[str, tuple[State, str]]:
        """The state of each target by id; those not asked within their interval are asked now, at the same time."""
        due = [target for target in targets if self._is_due(target)]
        if len(due) == 1:
            self.ask(due[0])
        elif due:
            with ThreadPoolExecutor(min(THREADS, len(due)), "probe") as pool:
                list(pool.map(self.ask, due))
        now = time.time()
        return {target.id: judged(self._history(target), target.health, now) for target in targets}

    def known(self, target: Target) -> tuple[State, str]:
        """The state by what was answered so far; asks nobody."""
        return judged(self._history(target), target.health, time.time())

    def boot(self, target: Target) -> float | None:
        """Seconds that this run took to be healthy; None: not known."""
        return boot(self._history(target))

    def ask(self, target: Target) -> tuple[State, str, Answer]:
        """Ask one replica now; its state, why, and the answer itself."""
        if target.health.kind is HealthKind.RUNNING:
            return *judged(self._history(target), target.health, time.time()), Answer(good=True)
        answer = asked(target, self._execute)
        with self._guard:
            history = told(self._known(target), answer, target.health, time.time())
            self._histories[target.id] = history
        return *judged(history, target.health, time.time()), answer

    def keep(self, ids: Iterable[str]) -> None:
        """Forget every replica but these."""
        kept = set(ids)
        with self._guard:
            self._histories = {id: history for id, history in self._histories.items() if id in kept}

    def forget(self, id: str) -> None:
        """Forget one replica."""
        with self._guard:
            self._histories.pop(id, None)

    def _is_due(self, target: Target) -> bool:
        if target.health.kind is HealthKind.RUNNING:
            return False
        history = self._history(target)
        return not history.passed or time.time() - history.asked_at >= target.health.interval * EARLY

    def _history(self, target: Target) -> History:
        with self._guard:
            return self._known(target)

    def _known(self, target: Target) -> History:
        """The history of this run; a replica that was restarted begins a new one."""
        history = self._histories.get(target.id)
        return history if history and history.run == target.started_at else History(run=target.started_at)


def asked(target: Target, execute: Execute) -> Answer:
    """One answer of a replica to its check."""
    health = target.health
    if health.kind is HealthKind.COMMAND:
        code, output = execute(target.id, ("/bin/sh", "-c", health.command), health.timeout)
        return _command_answer(code, output, health.timeout)
    if not target.host:
        return Answer(good=False, detail="has no address")
    if health.kind is HealthKind.TCP:
        return tcp(target.host, target.port, health.timeout)
    if health.kind is HealthKind.HTTP:
        return http(target, health)
    return Answer(good=True)


def _command_answer(code: int | None, output: str, timeout: float) -> Answer:
    if code == 0:
        return Answer(good=True)
    if code is None:
        return Answer(good=False, detail=f"the health command did not end within {timeout:g} s")
    said = f": {output.strip().splitlines()[-1][:200]}" if output.strip() else ""
    return Answer(good=False, detail=f"the health command exited with code {code}{said}")


def tcp(host: str, port: int, timeout: float) -> Answer:
    """Whether the port accepts a connection."""
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError as error:
        return _refusal(port, error, timeout)
    return Answer(good=True)


def http(target: Target, health: HealthCheck) -> Answer:
    """Whether a GET answers with a good status.

    Only the status line is read, so redirects are not followed and no proxy is asked; `timeout` is for all of it,
    a replica that sends one byte a second holds nobody up.
    """
    deadline = time.monotonic() + health.timeout
    try:
        connection = socket.create_connection((target.host, target.port), timeout=health.timeout)
    except OSError as error:
        return _refusal(target.port, error, health.timeout)
    asked_for = f"GET {health.path}"
    with connection:
        try:
            connection.sendall(_request(target, health.path))
            line = _status_line(connection, deadline)
        except TimeoutError:
            return Answer(good=False, detail=f"{asked_for} did not answer within {health.timeout:g} s")
        except OSError:
            return Answer(good=False, detail=f"{asked_for}: the connection was closed without an answer")
    return _status_answer(line, asked_for, health.max_status)


def _request(target: Target, path: str) -> bytes:
    """The request's bytes. The path is grammar-checked at the edge; here nothing of it can end the line."""
    clean = "".join(char for char in path if char.isprintable() and char != " ") or "/"
    return (
        f"GET {clean} HTTP/1.1\r\nHost: {target.app_name or 'app'}.internal\r\n"
        "User-Agent: paas-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode()


def _status_line(connection: socket.socket, deadline: float) -> bytes:
    data = b""
    while b"\n" not in data and len(data) < 4096:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(4096)
        if not chunk:
            break
        data += chunk
    return data.split(b"\n", 1)[0].strip()


def _status_answer(line: bytes, asked_for: str, most: int) -> Answer:
    if not line:
        return Answer(good=False, detail=f"{asked_for}: the connection was closed without an answer")
    parts = line.split()
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return Answer(good=False, detail=f"{asked_for}: the answer is not HTTP")
    status = int(parts[1])
    return Answer(good=100 <= status <= most, detail="" if status <= most else f"{asked_for} answered {status}")


def _refusal(port: int, error: OSError, timeout: float) -> Answer:
    if isinstance(error, TimeoutError):
        return Answer(good=False, detail=f"port {port} did not accept a connection within {timeout:g} s", refused=True)
    return Answer(good=False, detail=f"nothing accepts connections on port {port}", refused=True)
