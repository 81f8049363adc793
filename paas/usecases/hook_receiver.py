"""What a git host sends, taken in: verified, decided, written down, answered at once. `Dispatcher` then starts what is
to begin, one deploy an app at a time, so that a burst of pushes is one deploy of the newest and none is lost: what is
to begin is kept in the store until its operation has begun.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from paas.errors import Conflict, Denied, NotFound, PaasError, TooMany, UsageError
from paas.model.app import App, Operation
from paas.model.deploy_hook import DeployHook, HookDelivery, HookState, PendingDeploy, PendingReview
from paas.model.events import silent
from paas.model.people import Access, Actor
from paas.model.reviews import review_key
from paas.requests.base import Request
from paas.requests.deploys import DeployApp, SourceRef
from paas.requests.reviews import CloseReview, OpenReview
from paas.usecases.context import Context
from paas.webhooks.decision import Decision, decide
from paas.webhooks.notice import Notice
from paas.webhooks.providers import notice as read_notice
from paas.webhooks.signature import Signed, Unsigned, verified

LIMIT = 5 << 20
"""Bytes of one body."""
KEPT, KEPT_REFUSED = 200, 50
STEADY, BURST = 5.0, 200
"""Deliveries a second that a hook takes for long, and at once."""
WRONG_STEADY, WRONG_BURST = 0.2, 20
"""The same for those that are not signed with its secret: beyond that they are not even written down."""
SECONDS = 1.0
"""Between two looks at what is to begin."""

log = logging.getLogger("paas.hooks")
Start = Callable[[Request, Actor], Operation]


class TooLarge(UsageError):
    """More than is read."""

    status = 413


class Replayed(Conflict):
    """It was here before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The answer: the id in our log of deliveries, what was decided, and why."""

    delivery: str
    status: str
    reason: str


@dataclass(slots=True)
class Meter:
    """How much may come: `steady` a second, `burst` at once, for each key."""

    steady: float
    burst: int
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, key: str, now: float) -> bool:
        """Whether one more may come now (monotonic seconds); it counts."""
        with self._guard:
            left, at = self._left.get(key, (float(self.burst), now))
            left = min(self.burst, left + (now - at) * self.steady)
            taken = left >= 1
            self._left[key] = (left - 1 if taken else left, now)
            return taken


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes deliveries in. One a server."""

    context: Context
    meter: Meter = field(default_factory=lambda: Meter(STEADY, BURST))
    wrong: Meter = field(default_factory=lambda: Meter(WRONG_STEADY, WRONG_BURST))

    def known(self, hook_id: str) -> None:
        """Raise NotFound where nobody listens: before a body is read."""
        self.context.store.deploy_hook(hook_id)

    def receive(self, hook_id: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Take it in. Raises NotFound, Unsigned (401), Replayed (409), Denied for another repository, UsageError for
        what is no JSON of its event, TooMany (429)."""
        hook = self.context.store.deploy_hook(hook_id)
        try:
            signed = verified(hook.provider, hook.secret, headers, body, self.context.clock.now())
        except Unsigned as error:
            if not self.wrong.takes(hook_id, self.context.clock.monotonic()):
                raise TooMany("too many deliveries that are not signed", hint="try again in a minute") from None
            self._refuse(hook, error, None)
            raise
        noted = self.meter.takes(hook_id, self.context.clock.monotonic())
        try:
            with held(self.context, hook):
                # Anew: it may have been changed while this one waited for its turn.
                return self._taken(self.context.store.deploy_hook(hook_id), signed, body, noted=noted)
        except (Replayed, UsageError) as error:
            if noted:
                self._refuse(hook, error, signed)
            raise

    def _taken(self, hook: DeployHook, signed: Signed, body: bytes, *, noted: bool) -> Received:
        if self.context.store.hook_has_seen(hook.id, signed.marks):
            raise Replayed("this was delivered before", hint="to deploy again: paas deploy-hooks redeliver")
        notice = read_notice(hook.provider, signed.event, _object(body))
        delivery_id = secrets.token_hex(8) if noted else ""
        decision = _decided(self.context, hook, notice, delivery_id)
        if not noted:
            # Nothing is lost: what a push asks for is kept, only the log of it is not.
            _keep_state(self.context, hook, decision.state)
            raise TooMany("too many deliveries", hint="what was pushed is deployed all the same")
        marks = () if decision.status == "refused" else signed.marks
        kept = _kept(_log_line(self.context, hook, delivery_id, signed), notice, decision)
        # First what it asks for: a server that is killed in between must not know it as done and have lost it.
        _keep_state(self.context, hook, decision.state)
        self.context.store.add_hook_delivery(kept, marks, keep=KEPT)
        if decision.status == "refused":
            raise Denied(decision.reason)
        return Received(delivery=delivery_id, status=decision.status, reason=decision.reason)

    def _refuse(self, hook: DeployHook, error: PaasError, signed: Signed | None) -> None:
        refused = HookDelivery(
            id=secrets.token_hex(8), hook_id=hook.id, at=self.context.clock.now(), status="refused",
            reason=error.message, said=signed.said if signed else "", event=signed.event if signed else "",
        )  # fmt: skip
        self.context.store.add_hook_delivery(refused, keep=KEPT_REFUSED)


def again(context: Context, hook: DeployHook, before: HookDelivery) -> HookDelivery:
    """Decide anew about a delivery that was kept; a delivery of its own."""
    notice = Notice.of(before.notice)
    signed = Signed(before.said, before.event, ())
    with held(context, hook):
        delivery_id = secrets.token_hex(8)
        decision = _decided(context, hook, notice, delivery_id)
        kept = _kept(_log_line(context, hook, delivery_id, signed), notice, decision)
        _keep_state(context, hook, decision.state)
        context.store.add_hook_delivery(kept, keep=KEPT)
        return kept


def _webhook(hook: DeployHook, app: App) -> Actor:
    """It may deploy this app and its review apps, and nothing else."""
    access = Access(apps={app.id: "deployer"}, most="deployer", only=frozenset({app.id}))
    return Actor(name=f"webhook {hook.name}", access=access)


@dataclass(slots=True)
class Dispatcher:
    """Starts what hooks ask for: deploys, and review apps opened and closed. `step` is called again and again."""

    context: Context
    start: Start
    _idle_at: int | None = None
    """The revision of the store at which there was nothing to do."""

    def step(self) -> None:
        """Look at every hook that has something to begin, or something running."""
        revision = self.context.store.revision()
        if self._idle_at == revision:
            return
        busy = self.context.store.hook_states()
        self._idle_at = None if busy else revision
        hooks = [hook for hook in self.context.store.deploy_hooks() if hook.id in busy] if busy else []
        for app_id in dict.fromkeys(hook.app_id for hook in hooks):
            try:
                mine = [hook for hook in hooks if hook.app_id == app_id]
                self._look_at_reviews(mine)
                self._look(mine)
            except PaasError as error:
                log.warning("a deploy hook of app %s: %s", app_id, error.message)

    def _look(self, hooks: list[DeployHook]) -> None:
        """One deploy at a time for all hooks of an app."""
        with held(self.context, hooks[0]):
            states = {hook.id: self._settled(hook) for hook in hooks}
            if any(state.running for state in states.values()):
                return
            for hook in hooks:
                state = states[hook.id]
                if state.pending is not None:
                    self._begin(hook, state, state.pending)
                    return

    def _look_at_reviews(self, hooks: list[DeployHook]) -> None:
        """One review app at a time for all hooks of an app, beside its own deploys."""
        with held(self.context, hooks[0]):
            states = {hook.id: self._reviewed(hook) for hook in hooks}
            if any(state.reviewing for state in states.values()):
                return
            for hook in hooks:
                if states[hook.id].reviews and self._begin_review(hook, states[hook.id]):
                    return

    def _reviewed(self, hook: DeployHook) -> HookState:
        """As `_settled`, for review apps. What was asked meanwhile of the same one counts."""
        state = self.context.store.hook_state(hook.id)
        status = self._status(state.reviewing)
        if status in ("", "running"):
            return state
        began, waiting = state.review, state.reviews
        if status == "interrupted" and began is not None and not began.again:
            known = {review_key(one.branch, one.number) for one in waiting}
            if review_key(began.branch, began.number) not in known:
                waiting = (replace(began, again=True), *waiting)
        settled = replace(state, reviewing="", review=None, reviews=waiting)
        self.context.store.save_hook_state(hook.id, settled)
        return settled

    def _begin_review(self, hook: DeployHook, state: HookState) -> bool:
        """Begin the one that was asked first; False: there was nothing to do for any."""
        app = self.context.store.app(hook.app_id)
        waiting = list(state.reviews)
        operation, asked = "", None
        while waiting and not operation:
            asked = waiting.pop(0)
            request = self._review_request(hook, app, asked)
            operation = self.start(request, _webhook(hook, app)).id if request else ""
        begun = replace(state, reviews=tuple(waiting), reviewing=operation, review=asked if operation else None)
        self.context.store.save_hook_state(hook.id, begun)
        if operation and asked:
            self.context.store.set_hook_operation(hook.id, asked.deliveries, operation)
        return bool(operation)

    def _review_request(self, hook: DeployHook, app: App, asked: PendingReview) -> Request | None:
        """What is asked of the app; None: to close what is not there."""
        if not asked.close:
            return OpenReview(
                app=app.name, branch=asked.branch, pull_request=asked.number, commit=asked.commit, fork=asked.fork,
                hook=hook.name,
            )  # fmt: skip
        key = review_key(asked.branch, asked.number)
        known = next((one for one in self.context.store.reviews(app.id) if one.key == key), None)
        return CloseReview(app=app.name, review=known.app_id) if known else None

    def _status(self, operation: str) -> str:
        """Of an operation; empty for none."""
        try:
            return self.context.store.operation(operation).status if operation else ""
        except NotFound:
            return "gone"

    def _settled(self, hook: DeployHook) -> HookState:
        """The state, once its operation has ended. One that a stopped server cut off is begun again, once; what one
        that did not succeed was to deploy is left out."""
        state = self.context.store.hook_state(hook.id)
        status = self._status(state.running)
        if status in ("", "running"):
            return state
        began, pending, left = state.began, state.pending, state.left
        if status == "interrupted" and pending is None and began is not None and not began.again:
            pending = replace(began, again=True)
        elif status != "succeeded" and began is not None and pending is not None:
            pending = replace(pending, left=pending.left or began.left)
        elif status != "succeeded" and began is not None:
            left = left or began.left
        settled = replace(state, running="", began=None, pending=pending, left=left)
        self.context.store.save_hook_state(hook.id, settled)
        return settled

    def _begin(self, hook: DeployHook, state: HookState, pending: PendingDeploy) -> None:
        hook = self.context.store.deploy_hook(hook.id)
        app = self.context.store.app(hook.app_id)
        url = f"{hook.source.reveal()}#{pending.commit or hook.branch}"
        request = DeployApp(app=app.name, source=SourceRef(git=url), create=False)
        operation = self.start(request, _webhook(hook, app))
        began = replace(state, running=operation.id, began=pending, pending=None)
        self.context.store.save_hook_state(hook.id, began)
        self.context.store.set_hook_operation(hook.id, pending.deliveries, operation.id)


def _decided(context: Context, hook: DeployHook, notice: Notice, delivery_id: str) -> Decision:
    reviews = context.store.reviews(hook.app_id) if hook.reviews and notice.kind == "push" else ()
    return decide(hook, notice, context.store.hook_state(hook.id), delivery_id, reviews)


@contextmanager
def held(context: Context, hook: DeployHook) -> Iterator[None]:
    """Hooks of one app take turns: what they remember is read, decided and kept at once."""
    with context.locks.hold(f"deploy hooks {hook.app_id}", f"the deploy hook {hook.name}", silent):
        yield


def _keep_state(context: Context, hook: DeployHook, state: HookState) -> None:
    if state != context.store.hook_state(hook.id):
        context.store.save_hook_state(hook.id, state)


def _log_line(context: Context, hook: DeployHook, delivery_id: str, signed: Signed) -> HookDelivery:
    return HookDelivery(
        id=delivery_id, hook_id=hook.id, at=context.clock.now(), status="", reason="", said=signed.said,
        event=signed.event,
    )  # fmt: skip


def _kept(line: HookDelivery, notice: Notice, decision: Decision) -> HookDelivery:
    """As it goes to the log. A list of very many files is not needed again: then any file may have changed."""
    lean = notice if len(notice.files or ()) <= 500 else replace(notice, files=None, why="more than 500 files changed")
    return replace(
        line, status=decision.status, reason=decision.reason, event=line.event or notice.kind, branch=notice.branch,
        commit=notice.commit, notice={} if decision.status == "refused" else asdict(lean),
    )  # fmt: skip


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("the body is not JSON", hint="have the sender use the content type application/json") from None
    if not isinstance(value, dict):
        raise UsageError("the body is not a JSON object")
    return value
