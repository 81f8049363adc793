"""What an app says about itself in `paas.toml` and `app.json`, parsed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paas.model.alert import Alert
from paas.model.cron import CronJob
from paas.model.custom_signal import CustomSignal
from paas.model.scaling import Autoscale
from paas.model.scripts import Scripts
from paas.model.service import HealthCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """What the manifest says about one process type; None: not said. `memory` bytes, `cpus` cores."""

    command: str | None = None
    replicas: int | None = None
    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    stop_grace: float | None = None
    health: HealthCheck | None = None
    autoscale: Autoscale | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """A config var the app asks for. `generate`: a secret is made at the first deploy when it is not set.

    `required` without `value` and without `generate`: a deploy is refused until it is set.
    """

    value: str | None = None
    generate: bool = False
    required: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What a file says for one environment alone, over what it says for all. `addons` None: not said."""

    buildpack: str = ""
    processes: Mapping[str, ProcessOptions] = field(default_factory=dict)
    env: Mapping[str, EnvVar] = field(default_factory=dict)
    addons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`paas.toml` over `app.json`; empty or None: not said.

    `port` is what `web` listens on when it does not follow $PORT. `static_dir` is the folder that is served (static
    and single-page apps), `spa` whether unknown paths answer with its index.html. `addons` are kinds to create and
    attach at the first deploy. Durations are seconds. `scripts` and `environments` are by name of the environment; the
    scripts for all are under the empty name.
    """

    name: str = ""
    buildpack: str = ""
    dockerfile: str = ""
    target: str = ""
    build_command: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    static_dir: str = ""
    spa: bool | None = None
    port: int = 0
    packages: tuple[str, ...] = ()
    processes: Mapping[str, ProcessOptions] = field(default_factory=dict)
    domains: tuple[str, ...] = ()
    env: Mapping[str, EnvVar] = field(default_factory=dict)
    addons: tuple[str, ...] = ()
    cron: tuple[CronJob, ...] = ()
    signals: tuple[CustomSignal, ...] = ()
    alerts: tuple[Alert, ...] = ()
    sleep_after: float | None = None
    drain: float | None = None
    deploy_timeout: float | None = None
    release_timeout: float | None = None
    scripts: Mapping[str, Scripts] = field(default_factory=dict)
    environments: Mapping[str, Overrides] = field(default_factory=dict)
