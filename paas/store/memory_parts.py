"""What the memory store and the parts it is made of stand on: its state, and transactions on it."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from paas.model.alert import Firing
from paas.model.app import Addon, App, Attachment, Operation, Release
from paas.model.audit import Record
from paas.model.autoscaling import Override, Protection, Recorded
from paas.model.deploy_hook import DeployHook, HookDelivery, HookState
from paas.model.events import Event
from paas.model.notification import Notification, Target
from paas.model.people import Grant, Invite, KeyOwner, Membership, Team, Token, User
from paas.model.pipeline import Place
from paas.model.reviews import Review, ReviewPolicy
from paas.model.route import Certificate
from paas.model.runs import CronMark, Run
from paas.model.scripts import Setup
from paas.model.sleep import Sleep

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound="MemoryParts")


@dataclass(slots=True)
class People:
    """What is kept of people. Grants are by app and whoever has them, memberships by team and user."""

    users: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    memberships: dict[tuple[str, str], Membership] = field(default_factory=dict)
    grants: dict[tuple[str, str, str], Grant] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    invites: dict[str, Invite] = field(default_factory=dict)
    keys: dict[str, KeyOwner] = field(default_factory=dict)

    def __copy__(self) -> People:
        return People(**{name: dict(getattr(self, name)) for name in People.__slots__})


@dataclass(slots=True)
class Hooks:
    """What is kept of deploy hooks, by their ids; deliveries oldest first."""

    hooks: dict[str, DeployHook] = field(default_factory=dict)
    states: dict[str, HookState] = field(default_factory=dict)
    marks: dict[str, frozenset[str]] = field(default_factory=dict)
    deliveries: list[HookDelivery] = field(default_factory=list)

    def __copy__(self) -> Hooks:
        return Hooks(dict(self.hooks), dict(self.states), dict(self.marks), list(self.deliveries))


@dataclass(slots=True)
class Autoscaling:
    """What is kept of autoscaling: by app and process, by app and replica; decisions oldest first."""

    overrides: dict[tuple[str, str], Override] = field(default_factory=dict)
    decisions: list[Recorded] = field(default_factory=list)
    protections: dict[tuple[str, str], Protection] = field(default_factory=dict)

    def __copy__(self) -> Autoscaling:
        return Autoscaling(dict(self.overrides), list(self.decisions), dict(self.protections))


@dataclass(slots=True)
class Runs:
    """What is kept of runs, by id, and of schedules, by app and job."""

    runs: dict[str, Run] = field(default_factory=dict)
    marks: dict[tuple[str, str], CronMark] = field(default_factory=dict)

    def __copy__(self) -> Runs:
        return Runs(dict(self.runs), dict(self.marks))


@dataclass(slots=True)
class Told:
    """What is kept of notifications: targets by id, what waits and what ended, oldest first."""

    targets: dict[str, Target] = field(default_factory=dict)
    queue: list[Notification] = field(default_factory=list)
    read: int = -1

    def __copy__(self) -> Told:
        return Told(dict(self.targets), list(self.queue), self.read)


@dataclass(slots=True)
class State:
    """Everything that is kept. A new noun is one more field."""

    apps: dict[str, App] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    releases: dict[tuple[str, int], Release] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    addons: dict[str, Addon] = field(default_factory=dict)
    attachments: dict[tuple[str, str], Attachment] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    events: list[tuple[int, str, str, Event]] = field(default_factory=list)
    people: People = field(default_factory=People)
    audit: list[Record] = field(default_factory=list)
    runs: Runs = field(default_factory=Runs)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    hooks: Hooks = field(default_factory=Hooks)
    told: Told = field(default_factory=Told)
    places: dict[str, Place] = field(default_factory=dict)
    review_policies: dict[str, ReviewPolicy] = field(default_factory=dict)
    reviews: dict[str, Review] = field(default_factory=dict)
    sleeps: dict[str, Sleep] = field(default_factory=dict)
    firings: dict[tuple[str, str], Firing] = field(default_factory=dict)
    setups: dict[str, Setup] = field(default_factory=dict)


def transaction(method: Callable[Concatenate[M, P], T]) -> Callable[Concatenate[M, P], T]:
    """One at a time, and all of it or nothing."""

    def run(self: M, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.lock:
            before = copy.copy(self.state)
            for name in State.__slots__:
                setattr(self.state, name, copy.copy(getattr(before, name)))
            try:
                return method(self, *args, **kwargs)
            except BaseException:
                self.state = before
                raise

    run.__doc__, run.__name__ = method.__doc__, method.__name__
    return run


class MemoryParts:
    """A state and its lock."""

    def __init__(self) -> None:
        self.state = State()
        self.lock = threading.RLock()
        self._serial = 0
        self._revisions = itertools.count()

    def revision(self) -> int:
        """Always another one: who remembers it looks again each time, which costs nothing here."""
        return next(self._revisions)

    def close(self) -> None:
        """Nothing to give back."""
