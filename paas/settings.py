"""Every setting in one table: name, default, environment variable, sentence.

Order of who wins: flag > environment > server file (`<home>/paas.conf.toml`) > default. What an app sets for
itself stands in its `paas.toml`, not here.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from paas.errors import ConfigError

FILE = "paas.conf.toml"
"""The server file, in the home."""


def setting(default: Any, env: str, help: str, *, between: tuple[float, float] | None = None) -> Any:
    """A dataclass field that carries its environment variable, the sentence that documents it, and the least and the
    most that it may be."""
    return field(default=default, metadata={"env": env, "help": help, "between": between})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one platform. Paths are absolute, durations seconds, sizes bytes."""

    home: Path = setting(Path("/var/lib/paas"), "PAAS_HOME", "Folder that holds the platform's state.")
    instance: str = setting(
        "paas", "PAAS_INSTANCE", "Name of this platform: prefix of its containers, networks and volumes."
    )
    server: str = setting("", "PAAS_HOST", "Address of the server: empty for this machine's socket, or an https URL.")
    token: str = setting("", "PAAS_TOKEN", "Token for a server that is reached over TCP.")
    listen: str = setting("", "PAAS_LISTEN", "host:port the server also listens on; needs a token; empty: socket only.")
    platform_domain: str = setting(
        "", "PAAS_PLATFORM_DOMAIN", "Host the platform itself answers at by https; empty: this machine's socket only."
    )
    server_port: int = setting(8897, "PAAS_SERVER_PORT", "Loopback port at which the router reaches the server.")
    server_ca: str = setting(
        "", "PAAS_HOST_CA", "File with the CA (PEM) of a server at an address, beside those this machine trusts."
    )
    docker: str = setting("unix:///var/run/docker.sock", "DOCKER_HOST", "Address of the Docker Engine.")
    domain: str = setting("localhost", "PAAS_DOMAIN", "Apps answer at <app>.<domain>.")
    http_port: int = setting(80, "PAAS_HTTP_PORT", "Port Traefik listens on for http.")
    https_port: int = setting(443, "PAAS_HTTPS_PORT", "Port Traefik listens on for https.")
    bind: str = setting("", "PAAS_BIND", "Address Traefik binds 80 and 443 on; empty: all addresses.")
    acme: str = setting(
        "off", "PAAS_ACME", "Certificates got by themselves, and how a host is proven: off, http, tls or dns."
    )
    acme_email: str = setting("", "PAAS_ACME_EMAIL", "Address the certificate authority may write to.")
    acme_directory: str = setting(
        "https://acme-v02.api.letsencrypt.org/directory", "PAAS_ACME_DIRECTORY", "The certificate authority's ACME URL."
    )
    acme_ca: str = setting("", "PAAS_ACME_CA", "File with the CA (PEM) of that URL, beside those this machine trusts.")
    acme_dns: str = setting("", "PAAS_ACME_DNS", "Traefik's name of the DNS provider that proves hosts, for dns.")
    acme_dns_servers: str = setting(
        "",
        "PAAS_ACME_DNS_SERVERS",
        "Name servers (`host:port`, commas) that show whether the record is there, for dns.",
    )
    hsts: int = setting(
        0, "PAAS_HSTS", "Seconds browsers are told to come by https only, for hosts with a certificate; 0: not told."
    )
    trusted_proxies: str = setting(
        "", "PAAS_TRUSTED_PROXIES", "Address ranges of proxies in front of Traefik whose X-Forwarded-For counts."
    )
    request_timeout: int = setting(
        300,
        "PAAS_REQUEST_TIMEOUT",
        "Seconds a whole request may take to arrive; with PAAS_PLATFORM_DOMAIN 3600 at least.",
    )
    traefik_port: int = setting(8899, "PAAS_TRAEFIK_PORT", "Loopback port of Traefik's own API and metrics.")
    stack: str = setting("auto", "PAAS_STACK", "Where base images come from: official, debian or auto.")
    registry: str = setting(
        "", "PAAS_REGISTRY", "Image registry the official stack pulls from; empty: the Engine's own default."
    )
    debian_mirror: str = setting("", "PAAS_DEBIAN_MIRROR", "Debian mirror for base images; empty: this machine's own.")
    subnets: str = setting(
        "10.213.0.0/16", "PAAS_SUBNETS", "Address range the apps' networks are carved from, a /26 each."
    )
    keep_releases: int = setting(
        10, "PAAS_KEEP_RELEASES", "So many of the last images that served are kept for rollback."
    )
    build_timeout: int = setting(1800, "PAAS_BUILD_TIMEOUT", "A build that takes longer is stopped.")
    build_memory: int = setting(0, "PAAS_BUILD_MEMORY", "Memory limit of a classic build's steps; 0: none.")
    upload_limit: int = setting(1 << 30, "PAAS_UPLOAD_LIMIT", "Largest source, unpacked, that is taken.")
    upload_files: int = setting(100_000, "PAAS_UPLOAD_FILES", "Most files a source may have.")
    push_limit: int = setting(
        1 << 30, "PAAS_PUSH_LIMIT", "Most bytes that one push, or fetch from a git URL, may bring, packed."
    )
    repository_limit: int = setting(
        4 << 30,
        "PAAS_REPOSITORY_LIMIT",
        "Most bytes that the git repository of an app may hold, all branches together.",
    )
    push_idle: float = setting(
        600.0, "PAAS_PUSH_IDLE", "Seconds that a git push or fetch may stand still, nothing coming and nothing taken."
    )
    ssh_keys: str = setting(
        "",
        "PAAS_SSH_KEYS",
        "File that `paas keys` keeps SSH keys in; empty: ~/.ssh/authorized_keys of the server's user.",
    )
    backup_silence: int = setting(
        48, "PAAS_BACKUP_SILENCE", "Hours without a backup of an addon after which an event says so; 0: never."
    )
    egress_allow: str = setting(
        "",
        "PAAS_EGRESS_ALLOW",
        "Hosts and address ranges beyond the public internet that webhooks, mail and git sources may reach: "
        "`git.corp.example, *.corp.example, 10.1.0.0/16`.",
    )
    ca_file: str = setting("", "SSL_CERT_FILE", "CA bundle that builds must trust (a company network).")
    api_port: int = setting(
        8898, "PAAS_API_PORT", "Port on the apps' networks where a replica asks to be spared by scale-ins; 0: none."
    )
    memory_overcommit: float = setting(
        1.5, "PAAS_MEMORY_OVERCOMMIT", "So many times the machine's memory may the limits of all replicas come to."
    )
    tick: float = setting(
        5.0,
        "PAAS_TICK",
        "Seconds between two looks of the controller at every app; below 5, certificates and review apps are looked at "
        "more often, too.",
    )
    sample: float = setting(
        5.0, "PAAS_SAMPLE", "Seconds between two measurements of every process, 1 to 15.", between=(1, 15)
    )
    log_level: str = setting("info", "PAAS_LOG_LEVEL", "debug, info, warning or error.")

    @property
    def socket(self) -> Path:
        """The unix socket the local server listens on."""
        return self.home / "paas.sock"


def keep(home: Path, **changes: str | int) -> bool:
    """Write settings into the server file, the rest of it left as it is; an empty text takes one out. Whether anything
    changed. Raises ConfigError for a file that is not as this expects, and leaves it alone then."""
    path = home / FILE
    before = _values(path)
    wanted = {**before, **{key: value for key, value in changes.items() if value != ""}}
    wanted = {key: value for key, value in wanted.items() if changes.get(key) != ""}
    if wanted == before:
        return False
    lines = path.read_text().splitlines() if path.exists() else []
    lines = [line for line in lines if line.partition("=")[0].strip().strip("\"'") not in changes]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in changes.items() if value != ""]
    text = "\n".join(lines) + "\n"
    try:
        same = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise ConfigError("cannot be changed for you", where=str(path), hint=f"set {', '.join(changes)} in it yourself")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(path), hint="run as its owner") from error
    return True


def told(settings: Settings) -> dict[str, str]:
    """What a server is run with, by variable, as text: no secrets, and not where a client finds it."""
    kept = [one for one in fields(Settings) if one.name not in ("home", "server", "server_ca", "token")]
    return {str(one.metadata["env"]): str(getattr(settings, one.name)) for one in kept}


def default_home(environ: Mapping[str, str], *, root: bool) -> Path:
    """`/var/lib/paas` for root, the user's XDG state folder otherwise."""
    if root:
        return Path("/var/lib/paas")
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "state")
    return Path(state) / "paas"


def load(environ: Mapping[str, str] | None = None, *, root: bool | None = None, **flags: Any) -> Settings:
    """Settings from flags (None means not given), environment, server file and defaults.

    Raises ConfigError naming the variable or `file: key` that has a wrong value.
    """
    environ = os.environ if environ is None else environ
    is_root = os.geteuid() == 0 if root is None else root
    home = Path(flags.get("home") or environ.get("PAAS_HOME") or default_home(environ, root=is_root)).absolute()
    settings = replace(Settings(), home=home)
    settings = _with_file(settings, home / FILE)
    settings = _with_values(
        settings,
        {f.name: environ[f.metadata["env"]] for f in fields(Settings) if environ.get(f.metadata["env"])},
        lambda name: next(str(f.metadata["env"]) for f in fields(Settings) if f.name == name),
    )
    given = {key: value for key, value in flags.items() if value is not None}
    return replace(_with_values(settings, given, lambda name: f"--{name.replace('_', '-')}"), home=home)


def _values(path: Path) -> dict[str, Any]:
    """What the server file says; nothing when it is not there. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), hint="run as its owner (sudo), or set PAAS_HOME"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(error), where=str(path)) from error


def _with_file(settings: Settings, path: Path) -> Settings:
    values = _values(path)
    known = {f.name for f in fields(Settings)} - {"home"}
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown setting {key!r}", where=str(path), hint=f"known: {', '.join(sorted(known))}")
    return _with_values(settings, values, lambda name: f"{path}: {name}")


def _with_values(settings: Settings, values: Mapping[str, Any], where: Any) -> Settings:
    changes = {name: _parsed(value, getattr(Settings(), name), where(name)) for name, value in values.items()}
    for one in fields(Settings):
        bounds = one.metadata["between"]
        if one.name in changes and bounds and not bounds[0] <= changes[one.name] <= bounds[1]:
            raise ConfigError(
                f"expected {bounds[0]:g} to {bounds[1]:g}, got {values[one.name]!r}", where=where(one.name)
            )
    return replace(settings, **changes)


def _parsed(value: Any, like: Any, where: str) -> Any:
    """`value` as the type of the default `like`."""
    kind = type(like)
    if isinstance(like, Path):
        return Path(str(value)).absolute()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ConfigError(f"expected {kind.__name__}, got {value!r}", where=where)
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(f"expected {kind.__name__}, got {value!r}", where=where) from None
