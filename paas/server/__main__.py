"""`python -m paas.server`: the process. Owns the home, wires the platform, listens, and ends cleanly on SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack

import paas
from paas import settings as configuration
from paas.bootstrap import Platform, wire
from paas.errors import PaasError
from paas.routers import vouch
from paas.server.app import Parts, create
from paas.server.home import began, log_to, owned
from paas.server.inside import Inside
from paas.server.listen import router_socket, tcp_socket, unix_socket
from paas.server.serving import GRACE, Server
from paas.server.streams import Streams, many_files, quick_turns, short_collections
from paas.settings import Settings
from paas.usecases.hook_receiver import Receiver

log = logging.getLogger("paas.server")


def main() -> int:
    """The exit code: 0 after a clean end, else that of the error, which is on standard error and in the log."""
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        settings = configuration.load()
        with owned(settings.home):
            log_to(settings.home, settings.log_level)
            began(settings)
            return run(settings)
    except PaasError as error:
        log.critical("the server does not run: %s", error.message)
        _say(error)
        return error.exit_code


def run(settings: Settings) -> int:
    """Serve until told to stop. The caller owns the home. Raises PaasError when it cannot begin."""
    quick_turns()
    many_files()  # before the parts, which share them out
    platform = wire(settings)
    with ExitStack() as cleanup:
        sockets = _sockets(settings, cleanup)
        server = _server(settings, platform)
        platform.start()
        inside = Inside(platform.context)
        inside.start()
        cleanup.callback(inside.stop)
        short_collections()
        log.info("paas %s listens on %s", paas.__version__, settings.socket)
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises what it caught once more when it has ended; by then it is done.
            signal.signal(number, signal.SIG_IGN)
        server.run(sockets)
        _finish(platform, server)
    return 0


def _server(settings: Settings, platform: Platform) -> Server:
    streams = Streams()
    parts = Parts(
        door=platform.door,
        operations=platform.operations,
        settings=settings,
        stop=lambda: os.kill(os.getpid(), signal.SIGTERM),
        streams=streams,
        logins=platform.door.logins,
        presence=platform.door.presence,
        receiver=Receiver(platform.context),
        vouched=vouch.word(settings.home),
    )
    return Server(create(parts), streams)


def _sockets(settings: Settings, cleanup: ExitStack) -> list[socket.socket]:
    """The listening sockets; at the end they are closed and the file goes."""
    sockets = []
    if settings.listen:
        sockets.append(cleanup.enter_context(tcp_socket(settings.listen, settings.token)))
    if settings.platform_domain:
        sockets.append(cleanup.enter_context(router_socket(settings.server_port)))
    sockets.append(cleanup.enter_context(unix_socket(settings.socket)))
    cleanup.callback(settings.socket.unlink, missing_ok=True)
    return sockets


def _finish(platform: Platform, server: Server) -> None:
    """Running operations get what is left of the grace; what they leave then is recovered at the next start."""
    begun = server.told or time.monotonic()
    platform.stop(max(1.0, GRACE - (time.monotonic() - begun)))
    log.info("stopped")


def _say(error: PaasError) -> None:
    print(f"error: {error.message}", file=sys.stderr)
    for line in error.details:
        print(f"  {line}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
