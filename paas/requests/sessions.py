"""Commands with a terminal."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, ClassVar

from annotated_types import Gt, Le, MinLen

from paas.requests.base import Name, Permission, Request, Screen


class Session(Request):
    """A command with a terminal. `tty` asks for one; `rows` and `columns` are its first size."""

    method, shape = "GET", "session"
    permission: ClassVar[Permission] = "operator"
    tty: bool = False
    interactive: bool = True
    rows: Screen = 24
    columns: Screen = 80


class RunCommand(Session):
    """A one-off container of the wanted release; answers the command's exit code. Ended after `timeout` seconds."""

    path = "/apps/{app}/run"
    app: Name
    command: Annotated[tuple[str, ...], MinLen(1)]
    env: dict[str, str] = field(default_factory=dict)
    timeout: Annotated[float, Gt(0), Le(604_800)] = 86_400
    memory: str = ""
    cpus: Annotated[float, Gt(0), Le(1024)] | None = None


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
