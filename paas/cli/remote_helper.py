"""`git-remote-paas`: what git runs for URLs such as `paas::shop`. It connects git to the server, as `paas` itself
reaches it: over this machine's socket, or at an address with a token.

git says on standard input what it wants (gitremote-helpers(7)); after `connect` that same pipe is the conversation.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Literal, cast

from paas.errors import PaasError, UsageError

SERVICES = {"git-receive-pack": "receive-pack", "git-upload-pack": "upload-pack"}


def main() -> None:
    """The program. Its exit code is git's own, or that of the error."""
    from paas.cli.output import complain

    try:
        code = _served(sys.argv[1:])
    except PaasError as error:
        complain(error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BrokenPipeError:  # git has gone
        code = 1
    # Not sys.exit: a thread may still wait for git to say something.
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code)


def _served(arguments: list[str]) -> int:
    """Answer git until it connects or leaves."""
    from paas.cli.target import checked

    if len(arguments) != 2:
        raise UsageError("git runs this program", hint="git push paas::APP main")
    app = checked(arguments[1].strip("/"))
    while line := _line():
        if line == "capabilities":
            _say("connect\n\n")
        elif line.startswith("connect ") and line.removeprefix("connect ") in SERVICES:
            return _connected(app, SERVICES[line.removeprefix("connect ")])
        else:
            raise UsageError(f"git asks for {line[:40]!r}, which is not known here", hint="is this a newer git?")
    return 0


def _connected(app: str, service: str) -> int:
    from paas.cli.connection import connected
    from paas.cli.output import say
    from paas.cli.terminal import LocalTerminal
    from paas.requests.git import GitSession

    with connected() as client:
        _say("\n")
        try:
            with LocalTerminal(tty=False, interactive=True) as terminal:
                kind = cast(Literal["receive-pack", "upload-pack"], service)
                return client.session(GitSession(app=app, service=kind), terminal)
        except KeyboardInterrupt:
            if service == "receive-pack":
                say(f"\nwhat was sent whole goes on without you: paas operations -a {app}")
            raise


def _line() -> str:
    """The next line, read byte by byte: what follows it belongs to somebody else."""
    taken = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        taken += byte
    return taken.decode(errors="replace")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
