"""A kind of addon, read from its `addon.yml` and checked. Errors name the file and the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paas import bundled
from paas.errors import ConfigError, NotFound
from paas.model import names
from paas.model.service import HealthCheck, HealthKind, Limits

DUMP = "dump"
"""The word in `stdin` that stands for the bytes of a dump."""

PLACE = re.compile(r"\{([a-z_]+)\}")
SIZE = re.compile(r"([0-9]+)([KMG]?)")
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
FACTS = frozenset({"host", "port"})
"""What `url` and `env` may name beside the addon's own secrets."""


QUERY = "query"
"""What the command `query` may name beside: the query of a signal, as the app declares it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command inside the addon's container; `{name}` in it stands for one of the addon's values.

    `script` is text for its standard input; `dump` says that it reads a dump there instead.
    """

    run: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    script: str = ""
    dump: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonKind:
    """Everything there is to know about one kind of addon.

    `runtime` is what a stack is asked for, `volume` where the addon's volume is mounted, `alias` the first
    attachment's: it binds `<alias>_URL` to `url`. `secrets` maps a value's name to how it is made: `name` or
    `password`. `speaks` is the language of its queries. `dump_magic` is what a dump of its own begins with,
    `counts` what its facts count as `tables`.
    """

    name: str
    summary: str
    runtime: str
    port: int
    alias: str
    url: str
    secrets: Mapping[str, str]
    env: Mapping[str, str]
    volume: str
    command: tuple[str, ...]
    health: HealthCheck
    stop_signal: str
    stop_grace: float
    limits: Limits
    setup: tuple[Command, ...]
    shell: Command
    facts: Command
    query: Command | None
    speaks: str
    backup: Command
    verify: Command
    dump_magic: str
    counts: str
    restore: tuple[Command, ...]
    abandon: tuple[Command, ...]


@cache
def load(folder: Path | None = None) -> tuple[AddonKind, ...]:
    """All kinds in the folder (default: this installation's), by name, read once. Raises ConfigError."""
    folder = folder or bundled.templates() / "addons"
    return tuple(read(path.parent) for path in sorted(folder.glob("*/addon.yml")))


def kind(name: str, folder: Path | None = None) -> AddonKind:
    """The kind of that name. Raises NotFound listing those there are."""
    known = {each.name: each for each in load(folder)}
    if name not in known:
        raise NotFound(f"no addon kind {name!r}", hint=f"there are: {', '.join(known)}")
    return known[name]


def read(folder: Path) -> AddonKind:
    """The kind that a folder describes. Raises ConfigError."""
    path = folder / "addon.yml"
    try:
        document = _Document.model_validate(yaml.safe_load(path.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"is no YAML: {' '.join(str(error).split())}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ConfigError(first["msg"], where=f"{path}: {where}") from error
    return _Reader(path, document).kind()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Command(_Strict):
    run: tuple[str, ...] = Field(min_length=1)
    stdin: str = ""
    env: dict[str, str] = {}


class _Health(_Strict):
    command: str = Field(min_length=1)
    grace: float = Field(default=60.0, gt=0)
    interval: float = Field(default=5.0, gt=0)
    timeout: float = Field(default=5.0, gt=0)


class _Limits(_Strict):
    memory: str = "0"
    cpus: float = Field(default=0.0, ge=0)
    pids: int = Field(default=0, ge=0)


class _Document(_Strict):
    summary: str
    runtime: str
    port: int = Field(ge=1, le=65535)
    alias: str
    url: str
    secrets: dict[str, Literal["name", "password"]]
    env: dict[str, str]
    volume: str
    command: tuple[str, ...] = ()
    health: _Health
    stop_signal: str = Field(default="SIGTERM", pattern="^SIG[A-Z0-9]+$")
    stop_grace: float = Field(default=30.0, gt=0)
    limits: _Limits = _Limits()
    setup: tuple[_Command, ...] = ()
    shell: _Command
    facts: _Command
    query: _Command | None = None
    speaks: str = "sql"
    backup: _Command
    verify: _Command
    dump_magic: str = Field(min_length=1)
    counts: str = Field(default="tables", min_length=1)
    restore: tuple[_Command, ...] = Field(min_length=1)
    abandon: tuple[_Command, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks what goes beyond types, with the key each error is about."""

    path: Path
    document: _Document

    def kind(self) -> AddonKind:
        given = self.document
        if not names.APP.fullmatch(self.path.parent.name):
            raise self._wrong("", "the folder's name must be lower-case letters, digits and dashes")
        if not names.ALIAS.fullmatch(given.alias):
            raise self._wrong("alias", "expected capital letters, digits and underscores")
        if not given.volume.startswith("/") or ".." in given.volume:
            raise self._wrong("volume", "expected an absolute path")
        self._places("url", given.url, FACTS)
        for key, value in given.env.items():
            self._places(f"env.{key}", value, frozenset())
        return AddonKind(
            name=self.path.parent.name, summary=given.summary, runtime=given.runtime, port=given.port,
            alias=given.alias, url=given.url, secrets=given.secrets, env=given.env, volume=given.volume,
            command=given.command, health=self._health(), stop_signal=given.stop_signal,
            stop_grace=given.stop_grace, limits=self._limits(), dump_magic=given.dump_magic, counts=given.counts,
            setup=self._commands("setup", given.setup), restore=self._commands("restore", given.restore),
            abandon=self._commands("abandon", given.abandon), shell=self._command("shell", given.shell),
            facts=self._command("facts", given.facts),
            query=self._command("query", given.query, frozenset({QUERY})) if given.query else None,
            speaks=given.speaks,
            backup=self._command("backup", given.backup),
            verify=self._command("verify", given.verify),
        )  # fmt: skip

    def _health(self) -> HealthCheck:
        given = self.document.health
        return HealthCheck(
            kind=HealthKind.COMMAND,
            command=given.command,
            grace=given.grace,
            interval=given.interval,
            timeout=given.timeout,
        )

    def _limits(self) -> Limits:
        given = self.document.limits
        size = SIZE.fullmatch(given.memory)
        if size is None:
            raise self._wrong("limits.memory", "expected a size such as 512M")
        return Limits(memory=int(size[1]) * UNITS[size[2]], cpus=given.cpus, pids=given.pids)

    def _commands(self, key: str, given: tuple[_Command, ...]) -> tuple[Command, ...]:
        return tuple(self._command(f"{key}.{number}", one) for number, one in enumerate(given))

    def _command(self, key: str, given: _Command, more: frozenset[str] = frozenset()) -> Command:
        for part in given.run:
            if secret := self._places(f"{key}.run", part, FACTS | more) & self._passwords():
                raise self._wrong(f"{key}.run", f"{min(secret)} is a password; other processes can read it here")
        for name, value in given.env.items():
            self._places(f"{key}.env.{name}", value, FACTS)
        is_dump = given.stdin == DUMP
        script = self._script(key, given.stdin) if given.stdin and not is_dump else ""
        return Command(run=given.run, env=given.env, script=script, dump=is_dump)

    def _script(self, key: str, name: str) -> str:
        path = self.path.parent / name
        if path.parent != self.path.parent or not path.is_file():
            raise self._wrong(f"{key}.stdin", f"there is no file {name!r} beside it")
        return path.read_text()

    def _passwords(self) -> set[str]:
        return {name for name, how in self.document.secrets.items() if how == "password"}

    def _places(self, key: str, text: str, more: frozenset[str]) -> set[str]:
        """The values that `text` names. Raises ConfigError for one there is not, and for a stray brace."""
        found = set(PLACE.findall(text))
        if unknown := found - set(self.document.secrets) - more:
            known = ", ".join(sorted({*self.document.secrets, *more}))
            raise self._wrong(key, f"there is no value {min(unknown)!r}", hint=f"there are: {known}")
        if set(PLACE.sub("", text)) & set("{}"):
            raise self._wrong(key, "a brace that belongs to no {value}")
        return found

    def _wrong(self, key: str, message: str, *, hint: str = "") -> ConfigError:
        return ConfigError(message, where=f"{self.path}: {key}" if key else str(self.path), hint=hint)


def filled(text: str, values: Mapping[str, Any]) -> str:
    """`text` with each `{name}` replaced by its value, once: a value is never looked into."""
    return PLACE.sub(lambda found: str(values[found[1]]), text)
