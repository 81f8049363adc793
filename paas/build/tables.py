"""What every table of `paas.toml` and `app.json` is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from paas.build import sizes
from paas.model import names


class Table(BaseModel):
    """A table of the file. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=names.MAX_VALUE)


def seconds(least: float, most: float) -> Any:
    """The type of a time as people write it: `30`, `30s`, `5m`."""
    return Annotated[float, BeforeValidator(lambda value: sizes.seconds(value, least, most))]


Count = Annotated[int, Field(strict=True, ge=0, le=100)]


_OF_THE_HOST = frozenset(
    {
        "binds", "cap_add", "cap_drop", "capadd", "cgroup", "cgroup_parent", "device_cgroup_rules", "devices", "dns",
        "docker_options", "extra_hosts", "gpus", "host_network", "hostnetwork", "ipc", "mounts", "network_mode",
        "networks", "pid", "ports", "privileged", "runtime", "security_opt", "securityopt", "sysctls", "tmpfs",
        "ulimits", "userns_mode", "volumes", "volumes_from",
    }
)  # fmt: skip
"""Keys by which other tools give a container something of the host: told as an error, never as not used."""


class Lenient(BaseModel):
    """A table of which some keys are used; the others are kept and told. None of them asks for the host."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_validator(mode="before")
    @classmethod
    def nothing_of_the_host(cls, values: object) -> object:
        """Raises ValueError naming the key."""
        for key in values if isinstance(values, dict) else ():
            if str(key).lower().replace("-", "_") in _OF_THE_HOST:
                raise ValueError(f"there is no such key as {str(key)[:40]!a}: an app gets nothing of the host")
        return values
