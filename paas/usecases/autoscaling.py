"""The loop of autoscaling: samples → a decision → the number of replicas. Which number is `plan/scaling.py`'s business.

A step looks at every process that is scaled by rules and returns at once: what takes time, starting replicas, is done
in a thread of that app, under its lock, the same way `paas scale` does it. Those that go are led away from under the
lock, too, and then have a thread for their ends. While somebody else has the lock (a deploy, a restart), and where a
process was scaled to 0, the number stays as it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from paas.errors import Conflict, NotFound, PaasError
from paas.model.app import App, Release, ReleaseStatus
from paas.model.autoscaling import Override, Recorded
from paas.model.custom_signal import Standing
from paas.model.events import Event, logged
from paas.model.metrics import is_custom
from paas.model.plan import Plan
from paas.model.scaling import BY_HAND, Autoscale, Decision, Sample, StepRule
from paas.plan.compared import DEAD
from paas.plan.scaling import MEMORY, PATIENCE, STALE, decide, patient, spacing, unread
from paas.plan.summary import summary
from paas.usecases import readings, room
from paas.usecases.apps import wanted_counts
from paas.usecases.autoscale import effective
from paas.usecases.context import Context
from paas.usecases.endings import Endings
from paas.usecases.processes import change_formation
from paas.usecases.switch import in_words, world

log = logging.getLogger("paas.autoscaling")
_noted = logged(log)

PERIOD = 6.0
"""Seconds between two looks where nothing new is measured; else each measurement is followed by one."""
LONGEST = 90_000.0
"""Seconds of samples that a decision sees at most."""
SHOWN = 6
"""Samples that are kept with a decision."""
BLIND = 60.0
"""Seconds without metrics after which that is told."""
FIRST_WAIT, LONGEST_WAIT = 30.0, 600.0
"""Seconds after a scale-out that failed until the next is tried; doubled each time."""
ANEW = 30.0
"""Seconds between two records of which the later one only tells another cause of the same."""
CALM = 60.0
"""Seconds without more wanted than the maximum after which the maximum is enough again; noise is there in less."""
HOLDER = "autoscale"


@dataclass(slots=True)
class _State:
    """What is known of one process. `app` is as the last look saw it, `count` the number that it saw or made, `cause`
    the signals that had no value and why. Times are Unix seconds, but `not_before`, which is the clock's that never
    jumps."""

    app: App
    process: str
    history: list[Decision]
    count: int | None = None
    kept: Decision | None = None
    cause: str = ""
    kept_cause: str = ""
    blind_since: float | None = None
    full_since: float | None = None
    full_last: float = 0.0
    told: set[str] = field(default_factory=set)
    wait: float = 0.0
    not_before: float = 0.0

    def forget_failure(self) -> None:
        """A scale-out may be tried at once again, and is told of when that fails."""
        self.wait, self.not_before = 0.0, 0.0
        self.told -= {"autoscale.failed", "autoscale.full"}


@dataclass(frozen=True, slots=True)
class _Change:
    """A decision that is to be carried out, and what it was made from."""

    state: _State
    decision: Decision
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class _Changed:
    """The number that a process has now, and the ends of those it has no more."""

    count: int
    left: Plan


@dataclass(slots=True)
class Autoscaler:
    """One per server; a call is one step."""

    context: Context
    _states: dict[tuple[str, str], _State] = field(default_factory=dict)
    _releases: dict[str, Release] = field(default_factory=dict)
    _working: dict[str, threading.Thread] = field(default_factory=dict)
    _ends: Endings = field(init=False)
    _troubles: dict[str, str] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    """When each app fell asleep or woke last, at the last look."""

    def __post_init__(self) -> None:
        self._ends = Endings(world(self.context))

    def __call__(self) -> None:
        """Look at every process once. What fails with one app is told and keeps no other from its look."""
        overrides = self._overrides()
        seen: set[tuple[str, str]] = set()
        sleeps = {one.app_id: one for one in self.context.store.sleeps()}  # before the apps: see `sleep.py:_awake`
        asleep = {one.app_id for one in sleeps.values() if one.asleep}
        since = {one.app_id: one.since for one in sleeps.values()}
        apps = self.context.store.apps()
        for app in apps:
            if app.id in asleep or since.get(app.id) != self._since.get(app.id):
                self._forget_counts(app.id)
            own = None if overrides is None else [one for one in overrides if one.app_id == app.id]
            seen |= self._guarded(app, own, asleep=app.id in asleep)
        self._since = since
        there = {app.id for app in apps}
        self._states = {key: state for key, state in self._states.items() if key in seen}
        self._troubles = {app_id: words for app_id, words in self._troubles.items() if app_id in there}
        self._releases = {app_id: release for app_id, release in self._releases.items() if app_id in there}
        self._working = {app_id: thread for app_id, thread in self._working.items() if thread.is_alive()}

    def _forget_counts(self, app_id: str) -> None:
        """With how many it wakes was set by nobody's hand, also where it slept and woke between two looks."""
        for (known, _), state in self._states.items():
            if known == app_id:
                state.count = None

    def _begin_anew(self, app_id: str) -> None:
        """What did not boot of one release may boot of the next; what people were told of the load holds on."""
        self._forget_counts(app_id)
        for (known, _), state in self._states.items():
            if known == app_id:
                state.forget_failure()

    def wait(self, seconds: float = 30.0) -> None:
        """Until nothing is being carried out, `seconds` at most each."""
        for thread in list(self._working.values()):
            thread.join(seconds)
        self._ends.wait(seconds)

    # --- one look -----------------------------------------------------------------------------------------------

    def _overrides(self) -> Sequence[Override] | None:
        """Those of all apps. None where one of them cannot be read: then each app is asked for its own."""
        try:
            return self.context.store.overrides()
        except PaasError:
            return None

    def _guarded(self, app: App, overrides: Sequence[Override] | None, *, asleep: bool) -> set[tuple[str, str]]:
        """Look at one app; what is scaled by rules in it, or was until it could not be read, or is being deployed."""
        known = {key for key in self._states if key[0] == app.id}
        try:
            release = self._release(app)
            if release is None:
                self._begin_anew(app.id)
                return known
            own = self.context.store.overrides(app.id) if overrides is None else overrides
            rules = effective(release, own)
            if rules and not asleep:
                self._looks(app, release, rules)
            return {(app.id, process) for process in rules}
        except NotFound:
            log.debug("%s has just gone", app.name)
        except Exception as error:
            self._trouble(app, error)
        return known

    def _trouble(self, app: App, error: Exception) -> None:
        """Once a cause, and not at every look."""
        words = in_words(error)
        if self._troubles.get(app.id) != words:
            self._troubles[app.id] = words
            cause = None if isinstance(error, PaasError) else error
            log.warning("%s could not be looked at: %s", app.name, words, exc_info=cause)

    def _looks(self, app: App, release: Release, rules: Mapping[str, Autoscale]) -> None:
        """Look at all processes, and begin one change: replicas that are waited for before those that may go."""
        found = [self._look(app, release, process, one) for process, one in rules.items()]
        changes = sorted((one for one in found if one), key=lambda one: one.decision.wanted < one.decision.replicas)
        if changes:
            self._begin(app, changes[0])
        self._troubles.pop(app.id, None)

    def _release(self, app: App) -> Release | None:
        """The wanted release when it serves. One that succeeded never changes, and reading it means decrypting it."""
        if not app.wanted:
            return None
        known = self._releases.get(app.id)
        if known is None or known.number != app.wanted or known.status is not ReleaseStatus.SUCCEEDED:
            known = self._releases[app.id] = self.context.store.release(app.id, app.wanted)
        return known if known.image and known.status is ReleaseStatus.SUCCEEDED else None

    def _look(self, app: App, release: Release, process: str, rules: Autoscale) -> _Change | None:
        """What is to be changed of one process, if anything."""
        if self._is_working(app.id):
            return None
        count, now = app.formation.get(process, 0), self.context.clock.now()
        state = self._state(app, process, rules, now)
        if count and state.count and count != state.count:
            by_hand = Decision(at=now, replicas=state.count, wanted=count, why=BY_HAND)
            self._remember(state, by_hand, ())
        state.count = count
        if not count:
            return None
        samples = self._samples(state, rules)
        decision = self._decided(app, release, state, rules, samples)
        if decision.wanted != count:
            return _Change(state, decision, samples)
        self._remember(state, decision, samples)
        return None

    def _decided(
        self, app: App, release: Release, state: _State, rules: Autoscale, samples: Sequence[Sample]
    ) -> Decision:
        """What the rules come to, held where that cannot be done now; people are told of what needs them."""
        count, now = state.count or 0, self.context.clock.now()
        known = self.context.readings.of(app.id)
        unmeasured, undeclared = self.context.readings.unmeasured, _undeclared(release, rules)
        causes = {**_unanswered(samples, now), **unmeasured, **undeclared, **readings.causes(known)}
        decision = decide(rules, count, samples, now, state.history, causes=causes)
        if decision.missing and {one.name for one in known if one.state is Standing.OFF}.issuperset(decision.missing):
            decision = replace(decision, alarm=False)  # nobody is to be asked: that is no trouble
        decision = self._held(app, state, decision)
        state.cause = unread(decision.missing, causes)
        self._watch(state, rules, decision, causes)
        return decision

    def _samples(self, state: _State, rules: Autoscale) -> tuple[Sample, ...]:
        """What was measured, for as long as these rules look back."""
        steps = [
            one.period * max(one.evaluations, one.breach / one.period + 1)
            for one in rules.rules
            if isinstance(one, StepRule)
        ]
        patience = min(1 << _undone(state.history), PATIENCE)
        window = max(patient(rules.in_window, patience), rules.out_window, STALE, *steps)
        window += rules.average + 60 + spacing(window)
        return self.context.signals.recent(state.app.id, state.process, min(window, LONGEST))

    def _held(self, app: App, state: _State, decision: Decision) -> Decision:
        """The decision, held where it cannot be carried out now."""
        if decision.wanted == decision.replicas:
            return decision
        if holder := self.context.locks.holder(app.id):
            return _keep(decision, "busy", f"but now the app is busy: {holder}")
        if decision.wanted < decision.replicas:
            return self._spared(app, state.process, decision)
        if self.context.clock.monotonic() < state.not_before:
            return _keep(decision, "back-off", "but the last scale-out failed")
        return decision

    def _spared(self, app: App, process: str, decision: Decision) -> Decision:
        """No fewer than ask to be spared, of this process: what another one's replicas ask for concerns those."""
        asked = {one.replica for one in self.context.store.protections(app.id) if one.until > decision.at}
        if not asked:
            return decision
        there = self.context.leaving.staying(self.context.engine.observe(app.id))
        services = [one for one in there if one.key.process == process]
        replicas = [one for service in services for one in service.replicas if one.state not in DEAD]
        spared = sum(one.id in asked for one in replicas)
        least = min(max(decision.wanted, spared), decision.replicas)
        if least == decision.wanted:
            return decision
        words = f"{decision.why}, but {spared} asked to be spared"
        return replace(decision, wanted=least, why=words, limits=(*decision.limits, "protected"))

    # --- carrying out -------------------------------------------------------------------------------------------

    def _is_working(self, app_id: str) -> bool:
        thread = self._working.get(app_id)
        return thread is not None and thread.is_alive()

    def _begin(self, app: App, change: _Change) -> None:
        work = threading.Thread(target=self._carry_out, args=(app, change), name=f"autoscale-{app.id}", daemon=True)
        self._working[app.id] = work
        work.start()

    def _carry_out(self, app: App, change: _Change) -> None:
        """The thread of one change. Whatever happens is told, and the next look begins from what is then."""
        state, decision, process = change.state, change.decision, change.state.process
        try:
            changed = self._change(app, process, decision)
            if changed is None:
                return
            self._ends.begin(changed.left)  # first of all: to every plan they are not there, so nobody else ends them
            decision = _cut(decision, changed.count)
            state.count = changed.count
            state.forget_failure()
            self._remember(state, decision, change.samples)
            self._tell(state, "autoscale.scaled", _said(process, decision), decision, samples=change.samples)
        except NotFound:
            log.debug("%s has just gone", app.name)
        except Exception as error:
            self._failed(change, error)

    def _change(self, app: App, process: str, decision: Decision) -> _Changed | None:
        """What there is now: as many of those decided as there is room for. None where somebody else was faster.

        Raises Conflict, with numbers, when there is room for none.
        """
        with self.context.locks.try_hold(app.id, HOLDER) as held:
            current = self.context.store.app(app.id)
            if not held or current.formation.get(process, 0) != decision.replicas or not current.wanted:
                return None
            release = self.context.store.release(app.id, current.wanted)
            if release.status is not ReleaseStatus.SUCCEEDED or release.process(process) is None:
                return None
            before = wanted_counts(current, release)
            fits = room.fitting(self.context, release, before, {**before, process: decision.wanted})[process]
            # Where none fits the whole is asked for: it is refused in words.
            count = decision.wanted if fits == decision.replicas else fits
            left = change_formation(self.context, current, release, {process: count}, _noted)
            return _Changed(count, left or Plan(app.id, app.name))

    def _failed(self, change: _Change, error: Exception) -> None:
        """Tell it once, and wait longer each time: what does not boot now will seldom boot in five seconds."""
        state, decision, words = change.state, change.decision, in_words(error)
        if not isinstance(error, PaasError):
            log.error("scaling %s %s failed", state.app.name, state.process, exc_info=error)
        state.wait = min(max(FIRST_WAIT, state.wait * 2), LONGEST_WAIT)
        state.not_before = self.context.clock.monotonic() + state.wait
        kind, limit = ("autoscale.full", "room") if isinstance(error, Conflict) else ("autoscale.failed", "failed")
        hint = error.hint if isinstance(error, PaasError) else ""
        self._once(state, kind, f"{_said(state.process, decision)}: not done: {words}", decision, hint=hint)
        self._remember(state, _keep(decision, limit, f"not done: {words}"), change.samples)

    # --- what is kept and told ----------------------------------------------------------------------------------

    def _state(self, app: App, process: str, rules: Autoscale, now: float) -> _State:
        """Of a process that is looked at for the first time since the start: with the changes that are kept."""
        state = self._states.get((app.id, process))
        if state is None:
            kept = [one.decision for one in self.context.store.decisions(app.id, process)]
            state = self._states[app.id, process] = _State(app, process, kept, kept=kept[-1] if kept else None)
        state.app = app
        cooldowns = [one.cooldown for one in rules.rules if isinstance(one, StepRule)]
        long = now - max(MEMORY * rules.in_window, *cooldowns, 0.0) - 60
        short = now - max(rules.out_window, rules.warm_up) - 60
        # A clock that was set back leaves decisions of later than now: they would count as recent until it is then.
        state.history = [
            one
            for one in state.history
            if one.at <= now and (one.at > short or (one.at > long and one.wanted != one.replicas))
        ]
        if state.wait and self.context.clock.monotonic() > state.not_before + LONGEST_WAIT:
            state.forget_failure()  # nobody has asked for more since: it says nothing about the next time
        return state

    def _remember(self, state: _State, decision: Decision, samples: Sequence[Sample]) -> None:
        """To the history always; to the store when it changes something, or holds for another reason than the last."""
        state.history.append(decision)
        known = decision.wanted == decision.replicas and _reason(decision) == _reason(state.kept)
        if known and not (state.kept and state.cause != state.kept_cause and decision.at - state.kept.at >= ANEW):
            return
        state.kept, state.kept_cause = decision, state.cause
        whole = summary(samples, decision.over, decision.at)
        record = Recorded(
            app_id=state.app.id, process=state.process, decision=decision, samples=tuple(samples[-SHOWN:]),
            summary=whole if whole and whole.count > SHOWN else None,
        )  # fmt: skip
        try:
            self.context.store.add_decision(record)
        except PaasError as error:
            log.warning("%s: a decision could not be kept: %s", state.app.name, error.message)

    def _watch(self, state: _State, rules: Autoscale, decision: Decision, causes: Mapping[str, str]) -> None:
        """Tell once when signals are missing, and when the maximum has not been enough for a while."""
        now, process = decision.at, state.process
        state.blind_since = min(state.blind_since or now, now) if decision.alarm else None
        if state.blind_since is not None and now - state.blind_since >= BLIND:
            missing = unread(decision.missing, causes)
            message = (
                f"{process} has had no value of {missing} for {BLIND:g} s: none of its {decision.replicas} is let go"
            )
            self._once(state, "autoscale.blind", message, decision)
        elif not decision.missing and "autoscale.blind" in state.told:
            state.told.discard("autoscale.blind")
            self._tell(state, "autoscale.sighted", f"{process} has all its signals again", decision)
        self._watch_maximum(state, rules, decision)

    def _watch_maximum(self, state: _State, rules: Autoscale, decision: Decision) -> None:
        """A load that varies is below the maximum now and then: only a minute of that is an end of it."""
        now = decision.at
        lately = 0 <= now - state.full_last < CALM
        if not _at_maximum(decision):
            if state.full_since is not None and not lately:
                state.full_since = None
                state.told.discard("autoscale.maximum")
            return
        # Nobody looks while a release is carried out, which may take minutes: those say nothing of the load.
        state.full_since, state.full_last = (state.full_since or now) if lately else now, now
        if now - state.full_since >= rules.max_alarm:
            beyond = f"more than its maximum of {decision.wanted} for {rules.max_alarm:g} s"
            self._once(state, "autoscale.maximum", f"{state.process} has wanted {beyond}: {decision.why}", decision)

    def _once(self, state: _State, kind: str, message: str, decision: Decision, *, hint: str = "") -> None:
        if kind not in state.told:
            state.told.add(kind)
            self._tell(state, kind, message, decision, hint=hint)

    def _tell(
        self,
        state: _State,
        kind: str,
        message: str,
        decision: Decision,
        *,
        samples: Sequence[Sample] = (),
        hint: str = "",
    ) -> None:
        data: dict[str, object] = {
            "process": state.process, "from": decision.replicas, "to": decision.wanted, "why": decision.why,
            "limits": list(decision.limits), "hint": hint,
            "samples": [
                {"at": one.at, "replicas": one.replicas, "values": dict(one.values)} for one in samples[-SHOWN:]
            ],
        }  # fmt: skip
        event = Event(kind=kind, app=state.app.name, message=message, at=self.context.clock.now(), data=data)
        try:
            self.context.store.add_event(event, app_id=state.app.id, actor=HOLDER)
        except PaasError as error:
            log.warning("%s: %s could not be kept: %s", state.app.name, kind, error.message)


def _undone(history: Sequence[Decision]) -> int:
    """How often, at most, a scale-in had to be undone: what is asked of the past grows with it."""
    up = [one.wanted > one.replicas for one in history if one.wanted != one.replicas]
    return sum(after and not before for before, after in pairwise(up))


def _undeclared(release: Release, rules: Autoscale) -> dict[str, str]:
    """Rules set by command stay when a release declares their signal no more."""
    own = {one.name for one in release.signals}
    gone = {one.metric for one in rules.rules if is_custom(one.metric)} - own
    return dict.fromkeys(gone, f"release {release.number} declares no such signal")


def _unanswered(samples: Sequence[Sample], now: float) -> dict[str, str]:
    """Why there is no latency while the router counts. What hangs and a WebSocket, which is answered when it ends, look
    the same to it: nothing of an open one is in its numbers."""
    last = samples[-1] if samples and now - samples[-1].at < STALE else None
    if last is None or not last.values.get("in_flight") or "requests" not in last.values or "p95" in last.values:
        return {}
    words = "none of the requests in flight was answered lately: they hang, or are WebSockets, which in_flight counts"
    return dict.fromkeys(("p50", "p95", "p99"), words)


def _reason(decision: Decision | None) -> tuple[object, ...]:
    """What is worth a record of its own, even where the number stays."""
    return (decision.limits, decision.alarm, decision.missing) if decision else ((), False, ())


def _keep(decision: Decision, limit: str, words: str) -> Decision:
    return replace(decision, wanted=decision.replicas, why=f"{decision.why}, {words}", limits=(*decision.limits, limit))


def _cut(decision: Decision, done: int) -> Decision:
    """The decision as it was carried out."""
    if done == decision.wanted:
        return decision
    words = f"{decision.why}; there is room for {done}, not for {decision.wanted}"
    return replace(decision, wanted=done, why=words, limits=(*decision.limits, "room"))


def _at_maximum(decision: Decision) -> bool:
    return "max" in decision.limits and "paused" not in decision.limits


def _said(process: str, decision: Decision) -> str:
    return f"{process} {decision.replicas} → {decision.wanted}: {decision.why}"
