"""The schema of `paas.toml`: pydantic models, unknown keys refused. `PaasToml.manifest()` gives the frozen value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from paas.build import procfile, quoting, sizes
from paas.build.alerts import MOST as MOST_ALERTS
from paas.build.alerts import AlertTable, bounded
from paas.build.alerts import named as named_alerts
from paas.build.autoscale import AutoscaleTable, consistent
from paas.build.cron import MOST, CronTable, distinct
from paas.build.signals import MOST as MOST_SIGNALS
from paas.build.signals import SignalTable, named, one_source
from paas.build.tables import Count, Table, seconds
from paas.errors import PaasError
from paas.model import names
from paas.model.manifest import EnvVar, Manifest, Overrides, ProcessOptions
from paas.model.scripts import BASE, Scripts
from paas.model.service import HealthCheck, HealthKind

_PATH = re.compile(r"[A-Za-z0-9_@.+-]+(/[A-Za-z0-9_@.+-]+)*/?")
_URL_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,127}")
_STAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LOW_PORTS = (80, 443)


def relative_path(value: str) -> str:
    """A path inside the app. Raises ValueError."""
    path = value.removeprefix("./")
    if value in (".", "./"):
        return "."
    if not _PATH.fullmatch(path) or len(path) > 512 or ".." in path.split("/"):
        raise ValueError("expected a relative path of letters, digits, dots, dashes and slashes, without `..`")
    return path.rstrip("/")


def url_path(value: str) -> str:
    """The path of a health check: never another host, never a header. Raises ValueError."""
    if not _URL_PATH.fullmatch(value) or len(value) > 1024:
        raise ValueError("expected a path such as /healthz, without spaces and quotes")
    return value


def package(value: str) -> str:
    """The name of a Debian package (policy 5.6.1). Raises ValueError."""
    if not _PACKAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a Debian package")
    return value


def stage(value: str) -> str:
    """The name of a Dockerfile's stage. Raises ValueError."""
    if not _STAGE.fullmatch(value):
        raise ValueError("expected the name of a stage")
    return value


def port_number(value: int) -> int:
    """A port an app can be asked at. Raises ValueError."""
    if not (1024 <= value <= 65535 or value in _LOW_PORTS):
        raise ValueError("expected a port: 80, 443, or 1024 to 65535")
    return value


def addon(value: str) -> str:
    """The kind of an addon. Raises ValueError."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", value):
        raise ValueError("expected the kind of an addon, such as postgres")
    return value


def _by(check: Callable[[str], str]) -> Callable[[str], str]:
    """A check of `names` as one of pydantic: message and hint in one sentence."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except PaasError as error:
            raise ValueError(f"{error.message}: {error.hint}" if error.hint else error.message) from None

    return checked


def command(value: str) -> str:
    """A shell command line. Raises ValueError."""
    return _by(lambda text: procfile.command(text, ""))(value)


def argument(value: str) -> str:
    """The value of a build argument. Raises ValueError."""
    if quoting.LINE_BREAKS.search(value):
        raise ValueError("a value is one line without control characters: encode it, e.g. base64")
    return value


def env_table(value: object) -> object:
    """A plain value of `[env]` as the table it is short for; `true` and numbers as TOML and JSON write them."""
    if isinstance(value, bool):
        return {"value": str(value).lower()}
    return {"value": str(value)} if isinstance(value, (str, int, float)) else value


Key = Annotated[str, AfterValidator(_by(names.config_key))]
Command = Annotated[str, AfterValidator(command)]
RelativePath = Annotated[str, AfterValidator(relative_path)]
Text = Annotated[str, Field(max_length=names.MAX_VALUE, pattern=r"^[^\x00]*$")]
Argument = Annotated[str, Field(max_length=names.MAX_VALUE), AfterValidator(argument)]


class HealthTable(Table):
    """`[processes.NAME.health]`: one of path, tcp, command; and when it counts."""

    path: Annotated[str, AfterValidator(url_path)] | None = None
    """Healthy when a GET of this path answers 200 to 399."""
    tcp: bool | None = None
    """Healthy when `$PORT` accepts a connection."""
    command: Command | None = None
    """Healthy when this command exits 0 inside the replica."""
    interval: seconds(0.1, 3600) = 5.0  # type: ignore[valid-type]
    """Time between two checks."""
    timeout: seconds(0.1, 300) = 3.0  # type: ignore[valid-type]
    """How long one check may take."""
    passes: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Good checks in a row that make a replica healthy."""
    failures: Annotated[int, Field(strict=True, ge=1, le=100)] = 3
    """Bad checks in a row that make a healthy replica unhealthy."""
    grace: seconds(1, 3600) = 60.0  # type: ignore[valid-type]
    """How long a new replica may take to become healthy."""

    def check(self, process: str) -> HealthCheck:
        """As a HealthCheck; without path, tcp and command the process's default one with these times."""
        times = {name: getattr(self, name) for name in ("interval", "timeout", "passes", "failures", "grace")}
        if self.path is not None:
            return HealthCheck(kind=HealthKind.HTTP, path=self.path, max_status=399, **times)
        if self.command is not None:
            return HealthCheck(kind=HealthKind.COMMAND, command=self.command, **times)
        if self.tcp:
            return HealthCheck(kind=HealthKind.TCP, **times)
        if process == "web":
            return HealthCheck(kind=HealthKind.HTTP, path="/", max_status=499, **times)
        return HealthCheck(kind=HealthKind.RUNNING, **times)


def _one_question(value: HealthTable) -> HealthTable:
    if sum(one not in (None, False) for one in (value.path, value.tcp, value.command)) > 1:
        raise ValueError("give one of path, tcp and command")
    return value


class ProcessTable(Table):
    """`[processes.NAME]`."""

    command: Command | None = None
    """What runs, by `/bin/sh -c`; wins over the Procfile and what was found."""
    replicas: Count | None = None
    """How many at the first deploy, 0 to 100; later `paas scale` decides. Else its rules' min; 1 of web; 0."""
    memory: Annotated[int, BeforeValidator(sizes.memory)] | None = None
    """Memory limit of a replica, 16M to 1T. Else as it was; 512M at first."""
    cpus: Annotated[float, Field(ge=0.01, le=512, allow_inf_nan=False)] | None = None
    """Cores a replica may use. Else as it was; 1 at first."""
    pids: Annotated[int, Field(strict=True, ge=8, le=1_000_000)] | None = None
    """Processes and threads a replica may have. Else as it was; 1024 at first."""
    stop_grace: seconds(0, 3600) | None = None  # type: ignore[valid-type]
    """Time between SIGTERM and SIGKILL. Else 30 s."""
    health: Annotated[HealthTable, AfterValidator(_one_question)] | None = None
    """How the platform knows that a replica is well."""
    autoscale: Annotated[AutoscaleTable, AfterValidator(consistent)] | None = None
    """Between which bounds, and by what, the number of replicas follows the load."""

    def options(self, name: str) -> ProcessOptions:
        """As the frozen value."""
        said = {key: getattr(self, key) for key in ("command", "replicas", "memory", "cpus", "pids", "stop_grace")}
        return ProcessOptions(
            **said,
            health=self.health.check(name) if self.health else None,
            autoscale=self.autoscale.rules() if self.autoscale else None,
        )


class EnvTable(Table):
    """`[env.KEY]`, or `KEY = { … }` in `[env]`."""

    value: Text | None = None
    """Set by a deploy, unless it is set already."""
    generate: bool = False
    """Set to a random value by a deploy, unless it is set already."""
    required: bool = True
    """A deploy without a value for it is refused."""
    description: str = ""
    """For people."""


class ScriptsTable(Table):
    """`[scripts]`: shell lines that run once, in a container of their own."""

    postdeploy: Command = ""
    """Runs after the first deploy that serves; after later ones until it exits 0."""
    predestroy: Command = ""
    """Runs before the app is taken away; unless it exits 0, only `paas destroy --force` goes on."""

    def scripts(self) -> Scripts:
        """As the frozen value."""
        return Scripts(postdeploy=self.postdeploy, predestroy=self.predestroy)


ProcessName = Annotated[str, AfterValidator(_by(names.process_name))]
AddonKinds = Annotated[list[Annotated[str, AfterValidator(addon)]], Field(max_length=20)]
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Variables = dict[Key, Annotated[EnvTable, BeforeValidator(env_table)]]


class EnvironmentTable(Table):
    """`[environments.NAME]`: what counts in that environment alone, such as the pipeline stage `review`."""

    buildpack: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = ""
    """Instead of the file's."""
    addons: AddonKinds | None = None
    """Instead of the file's; `[]`: none."""
    env: Variables = Field(default_factory=dict, max_length=500)
    """Config vars, over the file's key by key."""
    processes: dict[ProcessName, ProcessTable] = Field(default_factory=dict, max_length=procfile.MOST)
    """Process types, over the file's key by key."""
    scripts: ScriptsTable = ScriptsTable()
    """Over the file's, script by script."""

    def overrides(self) -> Overrides:
        """As the frozen value."""
        return Overrides(
            buildpack=self.buildpack,
            processes={name: table.options(name) for name, table in self.processes.items()},
            env={key: EnvVar(**table.model_dump()) for key, table in self.env.items()},
            addons=None if self.addons is None else tuple(dict.fromkeys(self.addons)),
        )


class BuildTable(Table):
    """`[build]`: `command` runs in the build after the source is there; `dockerfile` and `target` for an own one."""

    command: Command | None = None
    """Runs in the build after the source is there, for example `make assets`."""
    args: dict[Key, Argument] = Field(default_factory=dict, max_length=100)
    """Build arguments, `KEY = "value"`; not for secrets."""
    dockerfile: RelativePath = ""
    """A Dockerfile of another name or in another folder."""
    target: Annotated[str, AfterValidator(stage)] = ""
    """The stage of the Dockerfile that is deployed."""
    packages: Annotated[list[Annotated[str, AfterValidator(package)]], Field(max_length=100)] = Field(
        default_factory=list
    )
    """Debian packages the app needs, such as `ffmpeg`."""


class DeployTable(Table):
    """`[deploy]`: how long requests in flight, a switch and the `release` command may take."""

    drain: seconds(0, 3600) | None = None  # type: ignore[valid-type]
    """Most time that requests in flight get before the old replicas stop. Else 30 s."""
    timeout: seconds(5, 86_400) | None = None  # type: ignore[valid-type]
    """Most time from the start of new replicas until they are healthy. Else 5 minutes."""
    release_timeout: seconds(1, 86_400) | None = None  # type: ignore[valid-type]
    """Most time of the `release` command. Else 15 minutes."""


class SleepTable(Table):
    """`[sleep]`: the app runs nothing while nobody asks; the first request starts it."""

    after: seconds(60, 604_800)  # type: ignore[valid-type]
    """Idle time after which it sleeps: `30m`."""


class PaasToml(Table):
    """The whole file."""

    name: Annotated[str, AfterValidator(_by(names.app_name))] = ""
    """The app, when the command line does not name one."""
    buildpack: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = ""
    """Decides instead of detection."""
    port: Annotated[int, Field(strict=True), AfterValidator(port_number)] | None = None
    """Where web listens, when it does not follow `$PORT`: 80, 443, or 1024 to 65535."""
    static_dir: RelativePath = ""
    """The folder of files to serve, for the static buildpack and built single-page apps."""
    spa: bool | None = None
    """Whether unknown paths get `index.html`. Else it is found out."""
    domains: Annotated[list[Annotated[str, AfterValidator(_by(names.host_name))]], Field(max_length=100)] = Field(
        default_factory=list
    )
    """Hosts the app answers at beside its default one."""
    addons: AddonKinds = Field(default_factory=list)
    """Kinds of addons made and attached at the first deploy."""
    build: BuildTable = BuildTable()
    """How the image is built."""
    deploy: DeployTable = DeployTable()
    """How a new version takes over."""
    env: Variables = Field(default_factory=dict, max_length=500)
    """Config vars the app expects: `KEY = "value"`, or a table."""
    processes: dict[ProcessName, ProcessTable] = Field(default_factory=dict, max_length=procfile.MOST)
    """Process types; `NAME` is web, worker, release…"""
    cron: Annotated[list[CronTable], Field(max_length=MOST), AfterValidator(distinct)] = Field(default_factory=list)
    """Scheduled jobs, each a `[[cron]]`."""
    signals: Annotated[
        dict[str, Annotated[SignalTable, AfterValidator(one_source)]],
        Field(max_length=MOST_SIGNALS),
        AfterValidator(named),
    ] = Field(default_factory=dict)
    """Numbers of the app's own that autoscaling can follow; `NAME` is what rules call it."""
    alerts: Annotated[
        dict[str, Annotated[AlertTable, AfterValidator(bounded)]],
        Field(max_length=MOST_ALERTS),
        AfterValidator(named_alerts),
    ] = Field(default_factory=dict)
    """What people are told of once it has lasted for a while; `NAME` is what they are told."""
    sleep: SleepTable | None = None
    """When the app sleeps. Else never; `paas sleep set` counts before it."""
    scripts: ScriptsTable = ScriptsTable()
    """What runs once after the first deploy, and before the app is taken away."""
    environments: dict[EnvironmentName, EnvironmentTable] = Field(default_factory=dict, max_length=20)
    """What counts in one environment alone; `NAME` is review, staging…"""

    def manifest(self) -> Manifest:
        """As the frozen value."""
        return Manifest(
            name=self.name,
            buildpack=self.buildpack,
            dockerfile=self.build.dockerfile,
            target=self.build.target,
            build_command=self.build.command or "",
            build_args=dict(self.build.args),
            static_dir=self.static_dir,
            spa=self.spa,
            port=self.port or 0,
            packages=tuple(self.build.packages),
            processes={name: table.options(name) for name, table in self.processes.items()},
            domains=tuple(dict.fromkeys(self.domains)),
            env={key: EnvVar(**table.model_dump()) for key, table in self.env.items()},
            addons=tuple(dict.fromkeys(self.addons)),
            cron=tuple(table.job() for table in self.cron),
            sleep_after=self.sleep.after if self.sleep else None,
            signals=tuple(table.signal(name) for name, table in self.signals.items()),
            alerts=tuple(table.alert(name) for name, table in self.alerts.items()),
            drain=self.deploy.drain,
            deploy_timeout=self.deploy.timeout,
            release_timeout=self.deploy.release_timeout,
            scripts=_all(self),
            environments={name: table.overrides() for name, table in self.environments.items()},
        )


def _all(toml: PaasToml) -> dict[str, Scripts]:
    """The scripts of each environment that has any."""
    found = {BASE: toml.scripts, **{name: table.scripts for name, table in toml.environments.items()}}
    return {name: table.scripts() for name, table in found.items() if table != ScriptsTable()}
