"""Words of what we want: apps, releases, addons, domains, operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from paas.model.alert import Alert
from paas.model.build import Process
from paas.model.cron import CronJob
from paas.model.custom_signal import CustomSignal
from paas.model.scaling import Autoscale
from paas.model.scripts import Scripts
from paas.model.secret import Secret
from paas.model.service import HealthCheck, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app. `id` never changes and keys everything; `name` is what people type and may change.

    `wanted` is the number of the release that should run (0: none), `formation` replicas per process type.
    `addons` are the attachments' aliases as of now; times are Unix seconds.
    """

    id: str
    name: str
    created_at: float
    wanted: int = 0
    formation: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a release's code came from. `kind` is directory, git, archive or image; `id` a content id (sha256 hex).

    `version` is the commit, or the start of the content id: what the app sees as SOURCE_VERSION.
    """

    kind: str
    id: str
    version: str = ""
    origin: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One process type of a release: what runs, within which limits, when it is well, and by which rules the number
    of its replicas follows the load (None: by none)."""

    name: str
    command: str = ""
    limits: Limits = Limits()
    health: HealthCheck = HealthCheck()
    stop_grace: float = 30.0
    autoscale: Autoscale | None = None

    @classmethod
    def of(cls, process: Process) -> ProcessSpec:
        """The defaults around a process that a buildpack or Procfile named."""
        return cls(name=process.name, command=process.command)

    def start(self, said: int | None = None) -> int:
        """Replicas where it is new in an app: what its file says, within the bounds of its rules unless that is 0; else
        their minimum, or without rules one of `web` and none of others."""
        if said is None:
            said = self.autoscale.least if self.autoscale else int(self.name == "web")
        rules = self.autoscale
        return min(max(said, rules.least), rules.most) if said and rules else said


class ReleaseStatus(StrEnum):
    """Where a release is on its way."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ReleaseKind(StrEnum):
    """What made the release."""

    DEPLOY = "deploy"
    CONFIG = "config"
    LIMITS = "limits"
    DOMAINS = "domains"
    ADDON = "addon"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    CLONE = "clone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One numbered state of an app, complete: going back to it needs nothing else.

    `image` is the engine's immutable id, `image_ref` the name that keeps it. `image` is empty in a release that was
    made before the first deploy (config set on a new app): nothing runs then. `since` maps each process to the
    number of the release that introduced its present spec (see ServiceSpec.release). `drain` seconds at most are
    given to requests in flight. `port` is what web listens on as $PORT. `scripts` are those of each environment.
    `requires` are the config vars without which the source is not to be run anywhere.
    """

    app_id: str
    number: int
    kind: ReleaseKind
    created_at: float
    actor: str
    description: str
    status: ReleaseStatus = ReleaseStatus.PENDING
    image: str = ""
    image_ref: str = ""
    buildpack: str = ""
    source: Source | None = None
    processes: tuple[ProcessSpec, ...] = ()
    config: Mapping[str, Secret] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    addons: tuple[str, ...] = ()
    since: Mapping[str, int] = field(default_factory=dict)
    port: int = 8000
    drain: float = 30.0
    deploy_timeout: float = 300.0
    release_timeout: float = 900.0
    cron: tuple[CronJob, ...] = ()
    signals: tuple[CustomSignal, ...] = ()
    alerts: tuple[Alert, ...] = ()
    scripts: Mapping[str, Scripts] = field(default_factory=dict)
    failure: str = ""

    def process(self, name: str) -> ProcessSpec | None:
        """The process type of that name."""
        return next((process for process in self.processes if process.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addon:
    """A backing service. `id` keys its volume and never changes; `name` is unique on the platform.

    `image` is the immutable id it runs on, `volume` its data, `secrets` what it was created with
    (user, password, database).
    """

    id: str
    name: str
    kind: str
    version: str
    image: str
    volume: str
    created_at: float
    owner_app: str = ""
    secrets: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An addon bound to an app: `alias` `DATABASE` binds `DATABASE_URL`."""

    addon_id: str
    app_id: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Work that belongs to the server: a deploy, a restore. `status` is running, succeeded, failed or interrupted.

    Its events are stored in order and can be followed from the start at any time. `others` are ids of apps that it
    touches beside `app_id`; `user_id` is who started it, empty for one that no user did.
    """

    id: str
    app_id: str
    verb: str
    actor: str
    started_at: float
    ended_at: float = 0.0
    status: str = "running"
    error: str = ""
    user_id: str = ""
    others: tuple[str, ...] = ()
