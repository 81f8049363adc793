"""Asking before something is taken away: its name must be typed."""

from __future__ import annotations

import sys

from paas.errors import UsageError


def confirmed(name: str, given: str, what: str) -> str:
    """`name`, typed by the person or given by `--confirm`. Raises UsageError otherwise; then nothing has happened."""
    typed = given or _typed(name, what)
    if typed != name:
        raise UsageError(f"{typed!r} is not {name!r}: nothing was changed", hint=f"--confirm {name}")
    return typed


def _typed(name: str, what: str) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"this {what}; it must be confirmed", hint=f"--confirm {name}")
    print(f"This {what}.\nType {name} to go on: ", end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise
