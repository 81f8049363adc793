"""The one way in: check the permission, note who asked for what, run the use case.

A new use case is a request in `requests.py`, a handler `verb(context, request, act)` and one line in HANDLERS; that
every request has its line is a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from paas.errors import Denied, NotFound, PaasError
from paas.interfaces import Terminal
from paas.model.events import Emit, Event
from paas.requests import (
    AddKey,
    AddonShell,
    AttachAddon,
    BackupAddon,
    ChangeConfig,
    ChangeDomains,
    CreateAddon,
    CreateApp,
    DeleteCertificate,
    DeployApp,
    DestroyAddon,
    DestroyApp,
    DetachAddon,
    Doctor,
    ExecCommand,
    FetchBackup,
    GitSession,
    ListAddonKinds,
    ListAddons,
    ListApps,
    ListBackups,
    ListCertificates,
    ListDomains,
    ListEvents,
    ListKeys,
    ListOperations,
    ListReleases,
    ListReplicas,
    PlanApp,
    PlatformDown,
    PlatformLogs,
    PlatformStatus,
    PlatformUp,
    PutCertificate,
    ReadLogs,
    RemoveKey,
    RenameApp,
    Request,
    Restart,
    RestoreAddon,
    Rollback,
    RunCommand,
    Scale,
    SetLimits,
    ShowAddon,
    ShowApp,
    ShowConfig,
    ShowCredentials,
    ShowRelease,
    WatchOperation,
)
from paas.usecases import (
    addons,
    apps,
    backups,
    certificates,
    config,
    deploy,
    doctor,
    domains,
    git,
    history,
    keys,
    logs,
    platform,
    processes,
    releases,
    restart,
    sessions,
)
from paas.usecases.context import Act, Context
from paas.usecases.journal import Journals

ROLES = ("viewer", "deployer", "operator", "owner")
"""Each may what those before it may."""

REVEALING = frozenset({ShowCredentials, FetchBackup})
"""Requests that change nothing and are noted all the same: they hand out passwords or data."""

Handler = Callable[[Context, Any, Act], object]
SessionHandler = Callable[[Context, Any, Act, Terminal], int]

HANDLERS: Mapping[type[Request], Handler] = {
    ListApps: apps.list_apps,
    CreateApp: apps.create_app,
    ShowApp: apps.show_app,
    RenameApp: apps.rename_app,
    DestroyApp: apps.destroy_app,
    DeployApp: deploy.deploy_app,
    PlanApp: deploy.plan_app,
    ListReleases: releases.list_releases,
    ShowRelease: releases.show_release,
    Rollback: releases.rollback,
    ListReplicas: processes.list_replicas,
    Scale: processes.scale,
    SetLimits: processes.set_limits,
    Restart: restart.restart,
    ReadLogs: logs.read_logs,
    ListEvents: history.list_events,
    ShowConfig: config.show_config,
    ChangeConfig: config.change_config,
    ListDomains: domains.list_domains,
    ChangeDomains: domains.change_domains,
    PlatformUp: platform.platform_up,
    PlatformDown: platform.platform_down,
    PlatformStatus: platform.platform_status,
    PlatformLogs: logs.platform_logs,
    Doctor: doctor.doctor,
    ListCertificates: certificates.list_certificates,
    PutCertificate: certificates.put_certificate,
    DeleteCertificate: certificates.delete_certificate,
    ListAddonKinds: addons.list_addon_kinds,
    ListAddons: addons.list_addons,
    CreateAddon: addons.create_addon,
    ShowAddon: addons.show_addon,
    ShowCredentials: addons.show_credentials,
    AttachAddon: addons.attach_addon,
    DetachAddon: addons.detach_addon,
    DestroyAddon: addons.destroy_addon,
    ListBackups: backups.list_backups,
    BackupAddon: backups.backup_addon,
    RestoreAddon: backups.restore_addon,
    FetchBackup: backups.fetch_backup,
    ListOperations: history.list_operations,
    ListKeys: keys.list_keys,
    AddKey: keys.add_key,
    RemoveKey: keys.remove_key,
}

SESSIONS: Mapping[type[Request], SessionHandler] = {
    RunCommand: sessions.run_command,
    ExecCommand: sessions.exec_command,
    AddonShell: addons.addon_shell,
    GitSession: git.git_session,
}


@dataclass(frozen=True, slots=True)
class Door:
    """Runs any request. `journals` hold the events of operations."""

    context: Context
    journals: Journals

    @classmethod
    def of(cls, context: Context) -> Door:
        """The door of a wired platform."""
        return cls(context, Journals(context.settings.home / "operations"))

    def run(self, request: Request, actor: str, emit: Emit, operation: str = "", *, role: str = "owner") -> object:
        """The answer: a dataclass, a tuple of them, or an iterator for a stream. Raises PaasError.

        A request that changes something, or hands out secrets, leaves an `audit` event first, also when it then fails.
        """
        self.check(request, role)
        if isinstance(request, WatchOperation):
            return self.journals.follow(request.operation)
        if isinstance(request, ReadLogs) and request.source == "build":
            return logs.build_logs(self.context, self.journals, request)
        handler = HANDLERS.get(type(request))
        if handler is None:
            raise NotFound(f"there is no use case for {type(request).__name__}")
        if type(request).method != "GET" or type(request) in REVEALING:
            self._audit(request, actor, operation)
        return handler(self.context, request, Act(actor, emit, operation))

    def session(self, request: Request, actor: str, emit: Emit, terminal: Terminal, *, role: str = "owner") -> int:
        """Run a command with the person's terminal and return its exit code. Raises PaasError."""
        self.check(request, role)
        handler = SESSIONS.get(type(request))
        if handler is None:
            raise NotFound(f"{type(request).__name__} is no session")
        self._audit(request, actor, "")
        return handler(self.context, request, Act(actor, emit), terminal)

    def check(self, request: Request, role: str) -> None:
        """Raise Denied when the role may not do this. The person at the local socket is the owner."""
        needed = type(request).permission
        if role not in ROLES or ROLES.index(role) < ROLES.index(needed):
            raise Denied(f"{type(request).__name__} needs the role {needed}; you are {role}", hint="ask an owner")

    def app_id(self, request: Request) -> str:
        """The id of the app the request is about; empty when it names none that exists."""
        name = getattr(request, "app", "")
        try:
            return self.context.store.app(name).id if name else ""
        except PaasError:
            return ""

    def _audit(self, request: Request, actor: str, operation: str) -> None:
        facts = audited(request)
        said = " ".join(f"{key}={value}" for key, value in facts.items())
        event = Event(
            kind="audit",
            message=f"{actor}: {type(request).__name__} {said}".rstrip(),
            app=str(facts.get("app", "")),
            at=self.context.clock.now(),
            data={"request": type(request).__name__, **facts},
        )
        self.context.store.add_event(event, self.app_id(request), operation, actor)


def audited(request: Request) -> dict[str, object]:
    """What of a request may be written down: names and numbers, never a value, a key, a command or a URL."""
    facts: dict[str, object] = {}
    simple = ("app", "addon", "host", "name", "kind", "alias", "number", "process", "service", "memory", "cpus", "pids")
    for name in simple:
        value = getattr(request, name, None)
        if isinstance(value, (str, int, float)) and value:
            facts[name] = value
    for name in ("set", "counts", "env"):
        if isinstance(keys := getattr(request, name, None), Mapping) and keys:
            facts[name] = dict(keys) if name == "counts" else sorted(keys)
    for name in ("unset", "add", "remove"):
        if values := getattr(request, name, ()):
            facts[name] = list(cast(tuple[str, ...], values))
    return facts
