"""A string that never shows itself by accident."""

from __future__ import annotations


class Secret:
    """A secret value. `str()`, `repr()`, f-strings and logs show `••••`; only `reveal()` gives the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: call it where it leaves for its one destination, nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "••••"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("secret", self._value))
