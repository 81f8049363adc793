"""Operations: work that belongs to the server. It goes on when the client goes away, and ends whatever happens.

Each runs in a thread of its own; its events go to a journal that anyone may follow from the start, and its outcome
to the store. An operation that a killed server left running is marked interrupted when the server starts again.
"""

from __future__ import annotations

import errno
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from paas.errors import NotFound, PaasError, PlatformError
from paas.model.app import App, Operation
from paas.model.events import Emit, Event
from paas.model.people import Actor
from paas.requests.base import Request
from paas.requests.deploys import DeployApp, SetUpApp
from paas.usecases.answers import as_json
from paas.usecases.apps import new_id
from paas.usecases.concerned import others_of
from paas.usecases.context import Context
from paas.usecases.door import Door, as_actor
from paas.usecases.journal import Journals
from paas.usecases.recovery import recover_held

NOTABLE = frozenset({"served", "crash", "warning", "error"})
"""Events of an operation that `paas events` shows later. Releases and audit entries are kept where they happen."""
INTERRUPTED = "the server was stopped while this ran"

log = logging.getLogger("paas.operations")


@dataclass(slots=True)
class Operations:
    """Starts operations and lets them be followed. One per server."""

    door: Door
    _threads: dict[str, threading.Thread] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def context(self) -> Context:
        """The platform it works on."""
        return self.door.context

    @property
    def journals(self) -> Journals:
        """Where the events go."""
        return self.door.journals

    def start(self, request: Request, actor: Actor | str) -> Operation:
        """Start the work and answer at once. Raises Denied, and NotFound for what does not exist for them; every other
        failure is the operation's last event."""
        who = as_actor(actor)
        self.door.check(request, who)
        operation = Operation(
            id=secrets.token_hex(8),
            app_id=self.door.app_id(request) or _coming_app(request),
            verb=type(request).__name__,
            actor=who.name,
            started_at=self.context.clock.now(),
            user_id=who.user_id,
            others=others_of(self.context, request),
        )
        self.journals.open(operation.id)
        try:
            self.context.store.add_operation(operation)
        except BaseException:
            self.journals.close(operation.id)
            raise
        # A daemon thread: a server that is told to stop waits (see `wait`), one that must go now leaves it to recovery.
        thread = threading.Thread(
            target=self._work, args=(operation, request, who), name=f"operation-{operation.id}", daemon=True
        )
        with self._guard:
            self._threads[operation.id] = thread
        thread.start()
        return operation

    def follow(self, operation_id: str) -> Iterator[Event]:
        """Its events from the start until it ends; the last one is `result` or `error`. Raises NotFound."""
        return self.journals.follow(operation_id)

    def interrupt(self) -> tuple[Operation, ...]:
        """At server start: mark what was left running as interrupted, and say so in its journal."""
        left = self.context.store.operations(status="running", limit=10_000)
        for operation in left:
            error = PlatformError(INTERRUPTED, hint="see what became of it: paas releases; then run it again")
            self.journals.end(operation.id, _last(error, self.context.clock.now()))
            self._save(replace(operation, status="interrupted", ended_at=self.context.clock.now(), error=INTERRUPTED))
        self.journals.collect()
        return left

    def recover(self, app: App) -> None:
        """Finish or undo what a killed server left of the app's release; the caller holds the app's lock.

        Its notable events are kept as the server's own.
        """
        recover_held(self.context, app.id, self._keeping(app.id, "", "server"))

    def keep(self, event: Event) -> None:
        """Keep a notable event of the server's own work, such as a repair."""
        self._keeping("", "", "server")(event)

    def running(self) -> tuple[str, ...]:
        """Ids of the operations that run now."""
        with self._guard:
            return tuple(self._threads)

    def wait(self, seconds: float) -> bool:
        """Wait until none runs, `seconds` at most; whether none does."""
        end = self.context.clock.monotonic() + seconds
        with self._guard:
            threads = tuple(self._threads.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - self.context.clock.monotonic()))
        return not any(thread.is_alive() for thread in threads if thread is not threading.current_thread())

    def _work(self, operation: Operation, request: Request, who: Actor) -> None:
        """The thread of one operation. Nothing gets out of it: whatever happens becomes its last event."""
        emit = self._emit(operation)
        try:
            answer = self.door.run(request, who, emit, operation.id)
            outcome = replace(operation, status="succeeded", ended_at=self.context.clock.now())
            last = Event(kind="result", at=self.context.clock.now(), data={"answer": as_json(answer)})
        except BaseException as error:
            failure = as_paas_error(error)
            outcome = replace(operation, status="failed", ended_at=self.context.clock.now(), error=failure.message)
            last = _last(failure, self.context.clock.now())
        self._save(outcome)
        emit(last)
        self.journals.close(operation.id)
        with self._guard:
            self._threads.pop(operation.id, None)

    def _emit(self, operation: Operation) -> Emit:
        """Where the events of this operation go: its journal, and the notable ones to the store."""
        journal = self.journals.running(operation.id)

        def emit(event: Event) -> None:
            stamped = event if event.at else replace(event, at=self.context.clock.now())
            journal.append(stamped)
            if event.kind in NOTABLE:
                self._keeping(self._whose(operation, stamped), operation.id, operation.actor)(stamped)

        return emit

    def _whose(self, operation: Operation, event: Event) -> str:
        """The id of the app among whose events it is kept: of several the one it names, for what it says is not for
        who may see another one alone. Empty: the platform's own."""
        if not operation.others:
            return operation.app_id
        for app_id in (operation.app_id, *operation.others):
            with suppress(PaasError):
                if event.app and self.context.store.app(app_id).name == event.app:
                    return app_id
        return operation.others[0] if len(operation.others) == 1 and not event.app else ""

    def _keeping(self, app_id: str, operation_id: str, actor: str) -> Emit:
        """Keeps notable events in the store. What cannot be kept must not stop the work."""

        def keep(event: Event) -> None:
            if event.kind not in NOTABLE:
                return
            try:
                stamped = event if event.at else replace(event, at=self.context.clock.now())
                self.context.store.add_event(stamped, app_id, operation_id, actor)
            except Exception:
                log.warning("an event of app %s could not be kept", app_id)

        return keep

    def _save(self, operation: Operation) -> None:
        """Keep the outcome. A destroyed app takes its operations along, and a full disk must not hide the result."""
        try:
            self.context.store.save_operation(operation)
        except NotFound:
            return
        except Exception:
            log.exception("the outcome of operation %s could not be kept", operation.id)


def _coming_app(request: Request) -> str:
    """The id that the app of a first deploy will get, so that the operation belongs to it from the start."""
    return new_id() if isinstance(request, (DeployApp, SetUpApp)) else ""


def as_paas_error(error: BaseException) -> PaasError:
    """The error in words for people. One that is not ours is a bug: its traceback goes to the server's log only,
    because its text may hold anything, secrets included."""
    if isinstance(error, PaasError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PlatformError("the disk is full", hint="free some space; paas doctor shows what uses it")
    log.error("an operation met a bug", exc_info=error)
    return PaasError(
        f"internal error ({type(error).__name__})", hint="the server's log has the details: paas logs --platform"
    )


def _last(error: PaasError, now: float) -> Event:
    return Event(kind="error", message=error.message, at=now, data=error.as_dict())
