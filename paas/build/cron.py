"""`[[cron]]` of `paas.toml` and `cron` of `app.json` → CronJobs. Nothing but parsing and checking."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from paas.build import procfile, sizes
from paas.build.tables import Lenient, Table, seconds
from paas.errors import PaasError
from paas.model import names
from paas.model.cron import CronJob, Missed, Overlap
from paas.model.scaling import ScheduleRule
from paas.model.schedule import checked

MOST = 50
"""Jobs of an app."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_SHORT = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_EXAMPLE = "minute hour day month weekday, such as 0 8 * * mon-fri"


def job_name(value: str) -> str:
    """The name of a job. Raises ValueError."""
    if not _NAME.fullmatch(value):
        raise ValueError("expected a name of 1 to 40 lower-case letters, digits and dashes, a letter first")
    return value


def schedule(value: str) -> str:
    """Five fields, or one of the short words, as five fields. Raises ValueError for what never fires."""
    text = " ".join(value.split())
    if text.lower() in _SHORT:
        return _SHORT[text.lower()]
    if text.startswith("@"):
        raise ValueError(f"{text[:40]!r} is not known; there are {', '.join(_SHORT)}")
    if len(text) > 200:
        raise ValueError("is longer than 200 characters")
    if (count := len(text.split())) != 5:
        rest = "; seconds are not kept" if count == 6 else ""
        raise ValueError(f"has {count} fields, expected five: {_EXAMPLE}{rest}")
    checked(ScheduleRule(cron=text, time_zone="UTC"))
    return text


def _zone(value: str) -> str:
    """The name of a time zone. Raises ValueError."""
    checked(ScheduleRule(cron="0 0 * * *", time_zone=value))
    return value


def _command(value: str) -> str:
    return _worded(lambda: procfile.command(value, ""))


def _process(value: str) -> str:
    return _worded(lambda: names.process_name(value))


def _key(value: str) -> str:
    return _worded(lambda: names.config_key(value))


def _worded(check: Callable[[], str]) -> str:
    """A check of ours as one of pydantic: message and hint in one sentence."""
    try:
        return check()
    except PaasError as error:
        raise ValueError(f"{error.message}: {error.hint}" if error.hint else error.message) from None


Schedule = Annotated[str, AfterValidator(schedule)]
Command = Annotated[str, AfterValidator(_command)]
Value = Annotated[str, Field(max_length=names.MAX_VALUE, pattern=r"^[^\x00]*$")]


class CronTable(Table):
    """`[[cron]]`: one job; either `command` or `process`."""

    name: Annotated[str, AfterValidator(job_name)]
    """What it is called."""
    schedule: Schedule
    """When: minute, hour, day, month, weekday; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."""
    command: Command = ""
    """What runs, by `/bin/sh -c`."""
    process: Annotated[str, AfterValidator(_process)] = ""
    """Instead of `command`: the process type whose command and limits it has."""
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """The time zone of the schedule, such as `Europe/Berlin`."""
    overlap: Literal["skip", "queue", "replace"] = "skip"
    """While its last run still goes on: leave this one out, run it afterwards, or end the last one."""
    missed: Literal["skip", "run"] = "skip"
    """After the server was down: leave out what was missed, or run it once."""
    time_limit: seconds(1, 604_800) = 3600.0  # type: ignore[valid-type]
    """When a run is ended: SIGTERM, then SIGKILL."""
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] = 0
    """Further tries after a failure, 30 s and more apart."""
    env: Annotated[dict[Annotated[str, AfterValidator(_key)], Value], Field(max_length=100)] = Field(
        default_factory=dict
    )
    """More variables, `{ KEY = "value" }`; secrets belong into the config."""
    memory: Annotated[int, BeforeValidator(sizes.memory)] | None = None
    """Memory limit, 16M to 1T. Else that of its process, or of web."""
    cpus: Annotated[float, Field(ge=0.01, le=512, allow_inf_nan=False)] | None = None
    """Cores it may use. Else those of its process, or of web."""

    @model_validator(mode="after")
    def _one_thing(self) -> CronTable:
        if bool(self.command) == bool(self.process):
            raise ValueError("give one of command and process")
        return self

    def job(self) -> CronJob:
        """As the frozen value."""
        return CronJob(
            name=self.name, schedule=self.schedule, command=self.command, process=self.process, zone=self.zone,
            overlap=Overlap(self.overlap), missed=Missed(self.missed), time_limit=self.time_limit,
            retries=self.retries, env=dict(self.env), memory=self.memory or 0, cpus=self.cpus or 0.0,
        )  # fmt: skip


def distinct(tables: Sequence[CronTable]) -> Sequence[CronTable]:
    """The tables, if no two have the same name. Raises ValueError."""
    told = [one.name for one in tables]
    twice = sorted({name for name in told if told.count(name) > 1})
    if twice:
        raise ValueError(f"two jobs are called {twice[0]!r}")
    return tables


_CONCURRENCY = {"forbid": Overlap.SKIP, "replace": Overlap.REPLACE, "allow": Overlap.QUEUE}


class CronEntry(Lenient):
    """`cron[]` of `app.json`, as Dokku has it."""

    schedule: Schedule
    """When: five fields, or `@daily` and the like."""
    command: Command
    """What runs."""
    concurrency_policy: Literal["allow", "forbid", "replace"] = "forbid"
    """While its last run still goes on; `allow` queues here."""


def of_app_json(entries: Sequence[CronEntry], warnings: list[str]) -> tuple[CronJob, ...]:
    """The jobs of `app.json`, named after their commands."""
    found: dict[str, CronJob] = {}
    for number, entry in enumerate(entries):
        warnings.extend(f"app.json: cron.{number}.{key} is not used" for key in entry.model_extra or ())
        if entry.concurrency_policy == "allow":
            warnings.append(f"app.json: cron.{number}: runs of one job do not go on side by side; they queue")
        base = re.sub(r"[^a-z0-9]+", "-", entry.command.lower()).strip("-0123456789")[:34].strip("-") or "job"
        name = base if base not in found else f"{base}-{number}"
        found[name] = CronJob(
            name=name, schedule=entry.schedule, command=entry.command, overlap=_CONCURRENCY[entry.concurrency_policy]
        )
    return tuple(found.values())


def line_of(text: str, number: int, key: str) -> int:
    """The line of a key of the `number`th `[[cron]]` (from 0), else of its header; 0: not found."""
    seen, header = -1, 0
    for at, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[\[\s*cron\s*\]\]", line):
            seen += 1
            header = at if seen == number else header
        elif seen == number and re.match(rf"\s*{re.escape(key)}\s*[=.]", line):
            return at
    return header
