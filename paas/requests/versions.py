"""Which versions of command line and server speak with each other."""

from __future__ import annotations

import paas
from paas.errors import OtherVersion

HEADER = "Paas-Version"
"""Sent by both sides with each message."""


def check(theirs: str, *, here: str, there: str) -> None:
    """Raises OtherVersion when `there` (`server`, `command line`) is of a version that `here` does not speak with."""
    if _major(theirs) != _major(paas.__version__):
        older = there if _numbers(theirs) < _numbers(paas.__version__) else here
        raise OtherVersion(
            f"the {here} is paas {paas.__version__}, the {there} is paas {theirs[:40]}",
            hint=f"update the {older}; `paas up` restarts this machine's server in the version of the command line",
        )


def differ(theirs: str, *, here: str, there: str) -> str:
    """A hint for what one side does not know of the other: empty when both are of the same version."""
    if not theirs or theirs == paas.__version__:
        return ""
    older = there if _numbers(theirs) < _numbers(paas.__version__) else here
    return f"the {here} is paas {paas.__version__}, the {there} is paas {theirs[:40]}: update the {older}"


def _major(version: str) -> tuple[str, ...]:
    """What must be equal: the first number, and while that is 0 the second too."""
    first, *rest = version.split(".")
    return (first, *rest[:1]) if first == "0" else (first,)


def _numbers(version: str) -> tuple[int, ...]:
    """For the order; what is no number counts as 0."""
    return tuple(int(part) if part.isascii() and part.isdigit() else 0 for part in version.split(".")[:3])
