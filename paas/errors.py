"""Every error a person can meet, with the exit code a script can rely on.

    PaasError                    1   something failed; the message says what, the hint what to do
    ├── UsageError               2   the command line or a request field is wrong
    ├── NotFound                 3   no such app, release, addon, domain…
    ├── Conflict                 4   taken, locked, or in a state that forbids it
    ├── ConfigError              5   a file of the app is wrong: file, key path or line, what was expected
    │   └── NothingDetected      5   no buildpack knows this folder
    ├── BuildFailed              6   a build step failed; the old release still serves
    ├── ReleaseFailed            7   the `release` command failed; the old release still serves
    ├── DeployFailed             8   new replicas never became healthy; the old release still serves
    ├── PlatformError            9   the platform is not able: Engine, Traefik, disk, store
    │   ├── EngineUnavailable    9   the Docker Engine does not answer
    │   ├── RouterError          9   Traefik did not take over the routes
    │   └── ServerUnavailable    9   the paas server does not answer
    ├── Unsupported             10   this engine or stack cannot do it
    ├── ScriptFailed            12   `postdeploy` or `predestroy` of the app failed
    ├── Denied                  11   not allowed
    │   ├── NotLoggedIn         11   no token, or one that does not count (any more)
    │   ├── TooManyAttempts     11   too many wrong ones from the same address
    │   └── TooMany             11   more at the same time, or so soon, than one gets
    └── Cancelled              130   stopped by the person (Ctrl-C)

Caught in two places only: the CLI's main and the server. Anything else is our bug and keeps its traceback.
`paas run` and `paas exec` return the exit code of the command they ran.
"""

from __future__ import annotations

from typing import ClassVar


class PaasError(Exception):
    """A failure with words for a person: `message` says what is wrong, `hint` what to do next.

    `exit_code` is what the CLI exits with, `status` the HTTP status the server answers with. `details` holds
    lines that help (for example the last log lines of a replica) and is printed below the message.
    """

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    @property
    def code(self) -> str:
        """The class name, which names the kind of failure on the wire."""
        return type(self).__name__

    def as_dict(self) -> dict[str, object]:
        """The error as it goes over the wire: code, message, hint, details."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "details": list(self.details)}


class UsageError(PaasError):
    """The command line or a request field is wrong."""

    exit_code = 2
    status = 422


class NotFound(PaasError):
    """No such app, release, addon, domain."""

    exit_code = 3
    status = 404


class Conflict(PaasError):
    """Taken, locked, or in a state that forbids it."""

    exit_code = 4
    status = 409


class ConfigError(PaasError):
    """A file of the app is wrong. `where` is `file`, `file:line` or `file: key.path`."""

    exit_code = 5
    status = 422

    def __init__(self, message: str, *, where: str = "", hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint, details=details)
        self.where = where


class NothingDetected(ConfigError):
    """No buildpack knows this folder; details list what was looked for."""


class BuildFailed(PaasError):
    """A build step failed. Details hold the last output lines."""

    exit_code = 6
    status = 422


class ReleaseFailed(PaasError):
    """The `release` command exited non-zero or ran out of time."""

    exit_code = 7
    status = 422


class DeployFailed(PaasError):
    """New replicas never became healthy; details hold the failing replica's last log lines."""

    exit_code = 8
    status = 422


class PlatformError(PaasError):
    """The platform itself is not able: Engine, Traefik, disk, store."""

    exit_code = 9
    status = 503


class EngineUnavailable(PlatformError):
    """The Docker Engine does not answer."""


class RouterError(PlatformError):
    """Traefik did not take over the routes in time, or refused them."""


class ServerUnavailable(PlatformError):
    """The paas server does not answer."""


class OtherVersion(PlatformError):
    """Command line and server are of versions that do not speak with each other. Nothing was done."""

    status = 426


class Unsupported(PaasError):
    """This engine, router or stack cannot do it."""

    exit_code = 10
    status = 501


class ScriptFailed(PaasError):
    """`postdeploy` or `predestroy` failed. What was deployed serves on; an app that was to go is still there."""

    exit_code = 12
    status = 422


class Denied(PaasError):
    """Not allowed."""

    exit_code = 11
    status = 403


class NotLoggedIn(Denied):
    """No token, or one that does not count (any more)."""

    status = 401


class TooManyAttempts(Denied):
    """Too many wrong tokens or codes from the same address."""

    status = 429


class TooMany(Denied):
    """More at the same time, or so soon, than one gets."""

    status = 429


class Cancelled(PaasError):
    """Stopped by the person."""

    exit_code = 130
    status = 409


def by_code(code: str) -> type[PaasError]:
    """The class named `code` on the wire; `PaasError` for a name this version does not know."""
    pending: list[type[PaasError]] = [PaasError]
    while pending:
        kind = pending.pop()
        if kind.__name__ == code:
            return kind
        pending.extend(kind.__subclasses__())
    return PaasError
