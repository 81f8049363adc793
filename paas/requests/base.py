"""What a request is: flags, wire format and argument of one use case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, cast, dataclass_transform

from annotated_types import Ge, Le, MaxLen, MinLen

from paas.errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Permission = Literal["viewer", "deployer", "operator", "owner"]
Shape = Literal["answer", "operation", "stream", "session"]

Count = Annotated[int, Ge(0), Le(100)]
Name = Annotated[str, MinLen(1), MaxLen(255)]
Number = Annotated[int, Ge(0), Le(2**53)]
"""An integer that every reader of JSON keeps as it is, and the store too."""
Seconds = Annotated[float, Ge(0), Le(2**53)]
Lines = Annotated[int, Ge(0), Le(1_000_000)]
TOLD = 20
"""Wrong fields that are named beside the first."""
Screen = Annotated[int, Ge(1), Le(10_000)]


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Request:
    """What one use case needs. Subclasses become frozen, keyword-only dataclasses; unknown fields are refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    method: ClassVar[str] = "GET"
    path: ClassVar[str] = ""
    permission: ClassVar[Permission] = "viewer"
    """The role it needs on what it names: an app (`app`), an addon (`addon`), an operation (`operation`), else on the
    platform. See `usecases/door.py`, which reads this and what follows, and refuses what nothing here allows."""
    shape: ClassVar[Shape] = "answer"
    everyone: ClassVar[bool] = False
    """Names no app, and answers each person only with what is theirs. Without it, a request that names nothing is for
    the platform's own operators and owners."""
    personal: ClassVar[bool] = False
    """Acts on somebody's own ways in: not for a token with limits, which could make itself one without."""
    anyone: ClassVar[bool] = False
    """Answered without a login. Its handler checks what is shown instead."""
    app_fields: ClassVar[Mapping[str, Permission]] = {}
    """More fields that name apps (or tuples of them), and the role needed there."""
    makes_another: ClassVar[bool] = False
    """Makes an app beside what it names: that takes the role deployer on the platform, unless it names a team."""
    team_fields: ClassVar[Mapping[str, Permission]] = {}
    """Fields that name teams, and the role needed there."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    def makes_app(self) -> bool:
        """Whether it makes the app it names, if there is none."""
        return False


R = TypeVar("R", bound=Request)


def parse(kind: type[R], fields: Mapping[str, object]) -> R:
    """The request made of these fields, which came from outside. Raises UsageError naming wrong fields and their
    rules, never their values. Imports pydantic: the command line makes its requests directly, the server checks them.
    """
    from pydantic import ValidationError

    try:
        return cast(R, _adapter(cast(Any, kind)).validate_python(dict(fields)))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        said = tuple(f"{_place(one['loc']) or kind.__name__}: {one['msg']}" for one in found[: TOLD + 1])
        raise UsageError(said[0], details=said[1:]) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _place(path: tuple[int | str, ...]) -> str:
    """`set.KEY`. A key of a mapping may be anything that was typed, so it is shown as data."""
    return ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in path)
