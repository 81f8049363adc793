"""Waits until new replicas are well, and says in words why they are not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from paas.engines import docker_proc
from paas.engines.docker_observe import KILLED, Facts, exit_words, replica, seconds, target
from paas.engines.probe import Answer, Prober
from paas.errors import DeployFailed
from paas.model.events import Emit, Event
from paas.model.service import HealthCheck, HealthKind, Replica, State

DETAIL_LINES = 80
"""Enough for a traceback with the server's own after it: the cause stands in the first."""
COMMAND_PAUSE = 0.25
"""Running a command in a container costs ten times a connection; asking every 50 ms would slow the boot itself."""

YOUNG, YOUNG_PAUSE = 2.0, 0.015
"""Seconds of a wait in which connections are tried this often: most apps boot in less, and nobody is there to answer
yet. An app that takes longer is asked at its own `boot_interval`."""

OOM_PATIENCE = 0.1
"""The Engine may hear of a process killed for want of memory a little after its exit."""

HINT_AFTER = 5.0
"""Seconds after which a person who waits is told what is being waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """How the waiting sees the engine.

    `look` gives the facts of a container as they are now (None: it has gone), `sockets` the TCP sockets inside it
    (None: cannot be known), `tail` its last log lines, `last_exit` the facts of one that runs again with the exit code
    of its last death.
    """

    look: Callable[[str], Facts | None]
    sockets: Callable[[Facts], Sequence[docker_proc.Socket] | None]
    tail: Callable[[str, int], Sequence[str]]
    last_exit: Callable[[Facts], Facts]


@dataclass
class Wait:
    """One wait for some replicas: each is asked by a thread of its own, the first failure ends them all."""

    eyes: Eyes
    prober: Prober
    emit: Emit
    timeout: float
    began: float = field(default_factory=time.time)
    over: threading.Event = field(default_factory=threading.Event)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def all(self, waited: Sequence[tuple[Facts, int]]) -> tuple[Replica, ...]:
        """The healthy replicas. `waited`: facts, and how often each had been restarted when it began its run.

        Raises DeployFailed for the first one that fails.
        """
        if len(waited) == 1:
            return (self._one(*waited[0]),)
        with ThreadPoolExecutor(max(1, len(waited)), "wait-healthy") as pool:
            futures = [pool.submit(self._one, found, restarts) for found, restarts in waited]
            try:
                return self._gather(futures)
            finally:
                self.over.set()

    def _gather(self, futures: Sequence[Future[Replica]]) -> tuple[Replica, ...]:
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                if error := future.exception():
                    raise error
        return tuple(future.result() for future in futures)

    def _one(self, found: Facts, restarts: int) -> Replica:
        health = found.tags.notes.health
        # A replica that has been up for long is given its grace again: it is waited for now.
        deadline = self.began + min(self.timeout, max(0.0, found.started_at - self.began) + health.grace)
        hinted = False
        answer = Answer(good=False, detail="was not asked")
        while not self.over.is_set():
            found = self._still_up(found, restarts)
            state, _, answer = self.prober.ask(target(found))
            if state is State.HEALTHY:
                self._note(found, f"{found.name} is healthy after {seconds(time.time() - found.started_at)}")
                return replica(found, (State.HEALTHY, ""))
            if time.time() >= deadline:
                break
            if not hinted and time.time() - self.began > HINT_AFTER:
                hinted = True
                self._note(found, f"{found.name} {self._cause(found, answer)}; waiting for it")
            self.over.wait(min(_pause(health, answer, time.time() - self.began), max(0.0, deadline - time.time())))
        # An answer that took long may have hidden the end of the process.
        self._still_up(found, restarts)
        raise self._never_healthy(found, answer)

    def _still_up(self, found: Facts, restarts: int) -> Facts:
        """The facts as they are now. Raises DeployFailed when the process has exited since the wait's baseline."""
        now = self.eyes.look(found.id)
        if now is None:
            raise DeployFailed(f"{found.name} has disappeared", hint="somebody removed its container; deploy again")
        if now.paused:
            return now
        if now.running and now.restarts <= restarts:
            return now
        if now.exit_code == KILLED and not now.oom:
            time.sleep(OOM_PATIENCE)
            now = self.eyes.look(found.id) or now
        raise self._exited(now)

    def _exited(self, found: Facts) -> DeployFailed:
        if found.status == "created":
            why = f": {found.error}" if found.error else ""
            return DeployFailed(f"{found.name} was never started{why}", hint="deploy again")
        if found.exit_code is None:
            found = self.eyes.last_exit(found)
        words = exit_words(found.exit_code, found.oom, found.tags.notes.memory)
        lived = found.finished_at - found.started_at
        after = f" after {seconds(lived)}" if found.finished_at and lived >= 0 else ""
        hint = "its last lines are above; `paas logs` has more" if found.exit_code else "a service must keep running"
        if found.oom:
            hint = "give it more memory in paas.toml, or let it use less"
        return DeployFailed(f"{found.name} {words}{after}", hint=hint, details=self._details(found))

    def _never_healthy(self, found: Facts, answer: Answer) -> DeployFailed:
        waited = seconds(time.time() - self.began)
        return DeployFailed(
            f"{found.name} did not become healthy within {waited}: it {self._cause(found, answer)}",
            hint=_hint(found, answer),
            details=self._details(found),
        )

    def _cause(self, found: Facts, answer: Answer) -> str:
        """What is wrong, as the rest of a sentence that begins with the replica."""
        port = found.tags.notes.port
        if answer.refused and port:
            inside = self.eyes.sockets(found)
            if inside is not None and (words := docker_proc.listening(inside, port)):
                return words
        if found.paused:
            return "is paused"
        return f"is not ready: {answer.detail}" if answer.detail else "is not ready"

    def _details(self, found: Facts) -> tuple[str, ...]:
        return tuple(f"{found.name} | {line}" for line in self.eyes.tail(found.id, DETAIL_LINES))

    def _note(self, found: Facts, message: str) -> None:
        with self.guard:
            self.emit(Event(kind="note", message=message, at=time.time(), data={"replica": found.name}))


def _pause(health: HealthCheck, answer: Answer, waited: float) -> float:
    """Seconds to the next question. Only a port that nobody listens on yet is asked very often: it costs the app
    nothing."""
    if health.kind is HealthKind.COMMAND:
        return max(health.boot_interval, COMMAND_PAUSE)
    if answer.refused and waited < YOUNG:
        return min(health.boot_interval, YOUNG_PAUSE)
    return max(health.boot_interval, 0.01)


def _hint(found: Facts, answer: Answer) -> str:
    if answer.refused:
        return "let it listen on 0.0.0.0 and the port in $PORT"
    if found.tags.notes.health.kind is HealthKind.HTTP:
        return f"it is asked for GET {found.tags.notes.health.path}; choose another path or a longer grace in paas.toml"
    return "its last lines are above"
