"""Starts and stops this machine's server: a systemd unit where systemd is PID 1 and the home is the usual one, else a
detached process. Everything else about the server is behind its socket.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from paas.cli.output import say
from paas.errors import Conflict, PlatformError, ServerUnavailable
from paas.settings import Settings, default_home

PATIENCE = 20.0
"""Seconds a server gets to answer."""
GOING = 75.0
"""Seconds a server gets to end: it lets running operations finish first."""
SAID = "server.err"
UNIT = Path("/etc/systemd/system/paas.service")
PASSED = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "PATH", "LANG", "HOME",
          "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY",
          "npm_config_registry", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT",
          "PAAS_BUILDPACK_PATH")  # fmt: skip
"""Variables beside the settings' own that the server's unit gets: own buildpacks, and what builds need to reach the
network."""


def start(settings: Settings) -> None:
    """Have the server answer. Idempotent. Raises ServerUnavailable with what it said last."""
    say("starting the platform")
    if systemd(settings):
        _install(settings)
        _await(settings, None)
        return
    _await(settings, _spawn(settings))


def end(settings: Settings) -> None:
    """Make the running server end, whatever version it is. Raises PlatformError."""
    try:
        os.kill(int((settings.home / "server.pid").read_text().split()[0]), signal.SIGTERM)
    except (OSError, ValueError, IndexError) as error:
        raise PlatformError("the running server cannot be told to end", hint="paas down") from error
    if not stopped(settings):
        raise PlatformError("the running server does not end", hint="wait for its operations: paas operations")


def stopped(settings: Settings) -> bool:
    """Wait until the server has gone; whether it has."""
    deadline = time.monotonic() + GOING
    while time.monotonic() < deadline:
        if not owned(settings):
            return True
        time.sleep(0.05)
    return False


def owned(settings: Settings) -> bool:
    """Whether a server process owns the home: it holds the lock."""
    import fcntl

    try:
        with (settings.home / "server.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def left_behind(settings: Settings) -> bool:
    """Whether a server ran here that did not end by itself: its router may still run."""
    return (settings.home / "server.pid").exists()


def disable(settings: Settings) -> None:
    """Do not start it again at the next boot."""
    if systemd(settings) and UNIT.exists():
        _systemctl("disable", "--quiet", "paas.service")


def systemd(settings: Settings) -> bool:
    """Whether the server is systemd's to look after: only the usual platform of root is."""
    return (
        Path("/run/systemd/system").is_dir()
        and os.geteuid() == 0
        and settings.instance == "paas"
        and settings.home == default_home({}, root=True)
    )


def unit(python: str, environment: Path) -> str:
    """The text of the unit."""
    import jinja2

    from paas import bundled

    loader = jinja2.FileSystemLoader(bundled.templates() / "systemd")
    template = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - no HTML
    template.filters["unit_path"] = lambda path: str(path).replace("%", "%%").replace(" ", "\\x20")
    return template.get_template("paas.service.j2").render(python=python, environment=environment)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the person's environment the unit keeps: settings, and the way to the network."""
    names = {str(one.metadata["env"]) for one in fields(Settings)} | set(PASSED)
    kept = {name: value for name, value in sorted(environ.items()) if name in names and "\n" not in value}
    return {**kept, "MALLOC_ARENA_MAX": "2"}


def _install(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = settings.home / "server.env"
    lines = "".join(f"{name}={_quoted(value)}\n" for name, value in environment(os.environ).items())
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(lines)
    UNIT.write_text(unit(sys.executable, kept))
    _systemctl("daemon-reload")
    _systemctl("enable", "--quiet", "paas.service")
    _systemctl("restart", "paas.service")


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`") + '"'


def _systemctl(*argv: str) -> None:
    done = subprocess.run(["systemctl", *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = tuple(done.stderr.strip().splitlines()[-5:])
        raise PlatformError(f"systemctl {argv[0]} failed", hint="journalctl -u paas", details=lines)


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    """A server in a session of its own, so that no Ctrl-C and no closed terminal reaches it."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        said = (settings.home / SAID).open("ab")
    except OSError as error:
        raise PlatformError(
            f"{settings.home} cannot be used: {error.strerror}",
            hint="run as its owner, or set PAAS_HOME to a folder of yours",
        ) from error
    with said:
        said.truncate(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "paas.server"],
            # The settings as they are here: a flag or a file may have said otherwise than the environment.
            env={**os.environ, "PAAS_HOME": str(settings.home), "MALLOC_ARENA_MAX": "2"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd="/",
            start_new_session=True,
            umask=0o077,
        )


def _await(settings: Settings, process: subprocess.Popen[bytes] | None) -> None:
    from paas.client import Client

    deadline = time.monotonic() + PATIENCE
    with Client.connect(settings) as client:
        while time.monotonic() < deadline:
            if client.version():
                if process is not None:
                    process.returncode = 0  # it is nobody's child any more: no complaint that it still runs
                return
            # One that found another server in the home leaves the waiting to us.
            if process is not None and process.poll() not in (None, Conflict.exit_code):
                break
            time.sleep(0.02)
    said = _last_words(settings)
    raise ServerUnavailable(
        "the server did not start", hint=f"see {settings.home / 'server.log'}; paas doctor", details=said
    )


def _last_words(settings: Settings) -> tuple[str, ...]:
    lines: list[str] = []
    for name in (SAID, "server.log"):
        try:
            lines = (settings.home / name).read_text(errors="replace").strip().splitlines()
        except OSError:
            continue
        if lines:
            break
    return tuple(lines[-12:])
