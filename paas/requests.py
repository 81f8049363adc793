"""One frozen dataclass per use case: it is flags, wire format and argument at once.

Each names its HTTP method and path (`{app}` comes from the path, the rest from the body or, for GET and DELETE, the
query), the permission it needs, and whether it is an operation (work that the server owns, answered as a stream of
events and finished even when the client goes away), a stream (log lines) or a session (a terminal over a WebSocket).
The server makes one route from each and checks what comes in with pydantic, the client sends each,
`usecases/door.py` runs each: nothing else knows paths.

Plain dataclasses, because every command of the CLI makes one: importing pydantic and building its models would take
longer than all the rest of the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, cast, dataclass_transform

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from paas.errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Permission = Literal["viewer", "deployer", "operator", "owner"]
Shape = Literal["answer", "operation", "stream", "session"]

Count = Annotated[int, Ge(0), Le(100)]
Name = Annotated[str, MinLen(1), MaxLen(255)]
Lines = Annotated[int, Ge(0), Le(1_000_000)]
Screen = Annotated[int, Ge(1), Le(10_000)]


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Request:
    """What one use case needs. Subclasses become frozen, keyword-only dataclasses; unknown fields are refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    method: ClassVar[str] = "GET"
    path: ClassVar[str] = ""
    permission: ClassVar[Permission] = "viewer"
    shape: ClassVar[Shape] = "answer"

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)


# --- apps ---------------------------------------------------------------------------------------------------------


class ListApps(Request):
    """All apps, with status and URL."""

    path = "/apps"


class CreateApp(Request):
    """A new, empty app."""

    method, path, permission = "POST", "/apps", "deployer"
    name: Name


class ShowApp(Request):
    """One app: processes, URL, wanted release, addons."""

    path = "/apps/{app}"
    app: Name


class RenameApp(Request):
    """Another name for an app: its id, data and history stay."""

    method, path, permission = "POST", "/apps/{app}/rename", "owner"
    app: Name
    name: Name


class DestroyApp(Request):
    """Take an app away: replicas, routes, releases, images. Addons stay unless `addons`."""

    method, path, permission, shape = "DELETE", "/apps/{app}", "owner", "operation"
    app: Name
    confirm: str
    addons: bool = False


# --- deploy, releases ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SourceRef:
    """Where the code is: exactly one of an upload's id, a git URL (`#ref` allowed), an image reference, a commit of the
    app's own repository (`incoming` names the folder of objects that a push keeps apart), or a content id the server
    may already know (`same`: deploy only if it is what runs, else answer `upload`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    upload: str = ""
    git: str = ""
    image: str = ""
    commit: str = ""
    incoming: str = ""
    content_id: str = ""
    kind: Literal["directory", "git", "archive", "image"] = "directory"
    version: str = ""
    origin: str = ""
    message: str = ""


class DeployApp(Request):
    """Source to running release. With `create`, an app that does not exist yet is made."""

    method, path, permission, shape = "POST", "/apps/{app}/deploys", "deployer", "operation"
    app: Name
    source: SourceRef
    create: bool = True
    buildpack: str = ""
    message: str = ""
    no_cache: bool = False
    force: bool = False


class PlanApp(Request):
    """What a deploy of this source would do, and why. Changes nothing, builds nothing."""

    method, path, shape = "POST", "/apps/{app}/plan", "answer"
    app: Name
    source: SourceRef | None = None
    buildpack: str = ""


class ListReleases(Request):
    """Releases, newest first."""

    path = "/apps/{app}/releases"
    app: Name
    limit: Annotated[int, Ge(0), Le(10_000)] = 30


class ShowRelease(Request):
    """One release, and with `diff` what it changed against the one before (values masked)."""

    path = "/apps/{app}/releases/{number}"
    app: Name
    number: Annotated[int, Ge(1)]
    diff: bool = False


class Rollback(Request):
    """A new release that equals an earlier one, image, config, processes and domains. 0: the last good one before."""

    method, path, permission, shape = "POST", "/apps/{app}/rollback", "deployer", "operation"
    app: Name
    number: Annotated[int, Ge(0)] = 0


# --- processes ----------------------------------------------------------------------------------------------------


class ListReplicas(Request):
    """Processes and their replicas: state, release, age, restarts, CPU and memory."""

    path = "/apps/{app}/ps"
    app: Name


class Scale(Request):
    """Replicas per process type. No release: the count is not part of what a rollback brings back."""

    method, path, permission, shape = "POST", "/apps/{app}/scale", "operator", "operation"
    app: Name
    counts: Annotated[dict[str, Count], MinLen(1)]


class SetLimits(Request):
    """Memory, CPU and pids limits of a process; a release."""

    method, path, permission, shape = "POST", "/apps/{app}/limits", "operator", "operation"
    app: Name
    process: str = "web"
    memory: str = ""
    cpus: Annotated[float, Gt(0), Le(1024)] | None = None
    pids: Annotated[int, Ge(8), Le(1_000_000)] | None = None


class Restart(Request):
    """Start every replica of a process (empty: of all) anew, gracefully, with no gap."""

    method, path, permission, shape = "POST", "/apps/{app}/restart", "operator", "operation"
    app: Name
    process: str = ""


class ReadLogs(Request):
    """Log lines of an app: its replicas, the router's access log, or the builds."""

    path, shape = "/apps/{app}/logs", "stream"
    app: Name
    lines: Lines = 100
    follow: bool = False
    process: str = ""
    replica: Annotated[int, Ge(0)] = 0
    source: Literal["", "app", "router", "build"] = ""
    since: Annotated[float, Ge(0)] = 0


class ListEvents(Request):
    """What happened: releases, crashes, scaling, and who did it."""

    path = "/apps/{app}/events"
    app: Name
    limit: Annotated[int, Ge(1), Le(10_000)] = 100
    after: Annotated[int, Ge(0)] = 0


# --- config, domains, certificates --------------------------------------------------------------------------------


class ShowConfig(Request):
    """Config vars with their values: `permission` is deployer because values are secrets."""

    path, permission = "/apps/{app}/config", "deployer"
    app: Name


class ChangeConfig(Request):
    """Set and unset config vars: one release, one rolling restart."""

    method, path, permission, shape = "PATCH", "/apps/{app}/config", "deployer", "operation"
    app: Name
    set: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()


class ListDomains(Request):
    """The app's hosts, the default one first."""

    path = "/apps/{app}/domains"
    app: Name


class ChangeDomains(Request):
    """Add and remove custom domains: one release, no restart."""

    method, path, permission, shape = "POST", "/apps/{app}/domains", "operator", "operation"
    app: Name
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class ListCertificates(Request):
    """Certificates: host, names, issuer, expiry. Never the key."""

    path, permission = "/certificates", "operator"


class PutCertificate(Request):
    """A certificate chain and its key (PEM), for the hosts it names."""

    method, path, permission, shape = "PUT", "/certificates", "operator", "operation"
    chain: Annotated[str, MaxLen(1_000_000)]
    key: Annotated[str, MaxLen(1_000_000)] = field(repr=False)


class DeleteCertificate(Request):
    """Stop serving https for a host with an own certificate."""

    method, path, permission, shape = "DELETE", "/certificates/{host}", "operator", "operation"
    host: Name


# --- addons -------------------------------------------------------------------------------------------------------


class ListAddonKinds(Request):
    """The kinds of addon this installation carries, with versions."""

    path = "/addon-kinds"


class ListAddons(Request):
    """Addons; of one app when given."""

    path = "/addons"
    app: str = ""


class CreateAddon(Request):
    """A backing service with its own volume, attached to `app` when given: its URL becomes a config var."""

    method, path, permission, shape = "POST", "/addons", "operator", "operation"
    kind: Name
    app: str = ""
    name: str = ""
    alias: str = ""
    version: str = ""


class ShowAddon(Request):
    """One addon: state, version, size, attachments, backups; with `credentials` its URL."""

    path, permission = "/addons/{addon}", "viewer"
    addon: Name


class ShowCredentials(Request):
    """The addon's URL with its password."""

    path, permission = "/addons/{addon}/credentials", "operator"
    addon: Name


class AttachAddon(Request):
    """Bind an addon to one more app (a config release there)."""

    method, path, permission, shape = "POST", "/addons/{addon}/attach", "operator", "operation"
    addon: Name
    app: Name
    alias: str = ""


class DetachAddon(Request):
    """Unbind an addon from an app (a config release there); its data stays."""

    method, path, permission, shape = "POST", "/addons/{addon}/detach", "operator", "operation"
    addon: Name
    app: Name


class DestroyAddon(Request):
    """Take an addon and its data away, after a last backup (`backup=False` skips it)."""

    method, path, permission, shape = "DELETE", "/addons/{addon}", "owner", "operation"
    addon: Name
    confirm: str
    backup: bool = True


class ListBackups(Request):
    """Backups of an addon, newest first; also of one that is gone, by its name."""

    path = "/addons/{addon}/backups"
    addon: Name


class BackupAddon(Request):
    """A dump, kept in the platform's backup folder."""

    method, path, permission, shape = "POST", "/addons/{addon}/backups", "operator", "operation"
    addon: Name


class RestoreAddon(Request):
    """Put a backup (its id, or an uploaded dump) into an addon. It replaces what is there: `confirm` is its name."""

    method, path, permission, shape = "POST", "/addons/{addon}/restore", "owner", "operation"
    addon: Name
    confirm: str
    backup: str = ""
    upload: str = ""


class FetchBackup(Request):
    """The bytes of a backup, base64 in `output` events' data is not used: the server streams the file."""

    path, permission, shape = "/addons/{addon}/backups/{backup}/content", "operator", "stream"
    addon: Name
    backup: Name


# --- sessions -----------------------------------------------------------------------------------------------------


class Session(Request):
    """A command with a terminal. `tty` asks for one; `rows` and `columns` are its first size."""

    method, shape = "GET", "session"
    permission: ClassVar[Permission] = "operator"
    tty: bool = False
    interactive: bool = True
    rows: Screen = 24
    columns: Screen = 80


class RunCommand(Session):
    """A one-off container of the wanted release; answers the command's exit code."""

    path = "/apps/{app}/run"
    app: Name
    command: Annotated[tuple[str, ...], MinLen(1)]
    env: dict[str, str] = field(default_factory=dict)
    timeout: Annotated[float, Gt(0), Le(604_800)] = 86_400


class ExecCommand(Session):
    """A command inside a running replica (`replica` "web.1"; empty: the first of web)."""

    path = "/apps/{app}/exec"
    app: Name
    command: Annotated[tuple[str, ...], MinLen(1)]
    replica: str = ""


class AddonShell(Session):
    """The addon's own client (psql), as its own user, inside its container; `command` goes to it as arguments."""

    path = "/addons/{addon}/shell"
    addon: Name
    command: tuple[str, ...] = ()


# --- git ----------------------------------------------------------------------------------------------------------


class GitSession(Session):
    """git's own conversation about an app's repository, as bytes: `git push` is receive-pack, `git fetch` upload-pack.

    A push to an app that does not exist makes it; one that is refused takes it away again. `step` is one half of it, as
    HTTP has it: what there is, or one request and its answer.
    """

    path, permission = "/apps/{app}/git", "deployer"
    app: Name
    service: Literal["receive-pack", "upload-pack"]
    step: Literal["", "refs", "rpc"] = ""


class ListKeys(Request):
    """The SSH keys that may push and fetch."""

    path, permission = "/keys", "operator"


class AddKey(Request):
    """Let an SSH key push and fetch. `public` is the line of its .pub file."""

    method, path, permission = "POST", "/keys", "owner"
    name: Name
    public: Annotated[str, MaxLen(20_000)]


class RemoveKey(Request):
    """Let an SSH key push and fetch no more."""

    method, path, permission = "DELETE", "/keys/{name}", "owner"
    name: Name


# --- platform and operations --------------------------------------------------------------------------------------


class PlatformUp(Request):
    """Have the platform run: engine checked, router started, apps reconciled."""

    method, path, permission, shape = "POST", "/platform/up", "owner", "operation"


class PlatformDown(Request):
    """Stop the router and the server; apps and data stay as they are."""

    method, path, permission, shape = "POST", "/platform/down", "owner", "operation"


class PlatformStatus(Request):
    """Versions, addresses, counts, health of the parts."""

    path = "/platform"


class PlatformLogs(Request):
    """The server's and the router's own logs."""

    path, permission, shape = "/platform/logs", "owner", "stream"
    lines: Lines = 100
    follow: bool = False


class Doctor(Request):
    """Checks of everything the platform stands on, each with what is wrong and the command that mends it."""

    path, permission = "/platform/doctor", "viewer"
    build: bool = True


class ListOperations(Request):
    """Operations, newest first."""

    path = "/operations"
    app: str = ""
    status: Literal["", "running", "succeeded", "failed", "interrupted"] = ""


class WatchOperation(Request):
    """The events of an operation from its start, until it ends."""

    path, shape = "/operations/{operation}/events", "stream"
    operation: Name


def all_requests() -> tuple[type[Request], ...]:
    """Every request that has a path, in the order of this file."""
    found: list[type[Request]] = []
    pending = list(Request.__subclasses__())
    while pending:
        kind = pending.pop(0)
        if "path" in vars(kind):
            found.append(kind)
        pending.extend(kind.__subclasses__())
    return tuple(found)


R = TypeVar("R", bound=Request)


def parse(kind: type[R], fields: Mapping[str, object]) -> R:
    """The request made of these fields, which came from outside. Raises UsageError naming each wrong field and its
    rule, never its value. Imports pydantic: the command line makes its requests directly, the server checks them.
    """
    from pydantic import ValidationError

    try:
        return cast(R, _adapter(cast(Any, kind)).validate_python(dict(fields)))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        said = tuple(f"{_place(one['loc']) or kind.__name__}: {one['msg']}" for one in found)
        raise UsageError(said[0], details=said[1:]) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _place(path: tuple[int | str, ...]) -> str:
    """`set.KEY`. A key of a mapping may be anything that was typed, so it is shown as data."""
    return ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in path)
