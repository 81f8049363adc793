"""What every table of `paas.toml` is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from paas.build import sizes
from paas.model import names


class Table(BaseModel):
    """A table of the file. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=names.MAX_VALUE)


def seconds(least: float, most: float) -> Any:
    """The type of a time as people write it: `30`, `30s`, `5m`."""
    return Annotated[float, BeforeValidator(lambda value: sizes.seconds(value, least, most))]


Count = Annotated[int, Field(strict=True, ge=0, le=100)]
