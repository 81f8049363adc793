"""The patterns of an ignore list, all of them read along a path at once, one character after the other.

Who deploys writes them, and the server matches them. So the work must not grow with anything but the length of the list
and of the path: a regular expression tries all the ways to share a name out between the stars of a pattern. This is
Shift-And (Baeza-Yates and Gonnet 1992): a number has a bit for each place in each pattern, and those are set that what
was read so far leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from paas.errors import ConfigError

MOST = 1000
"""Patterns in a list."""
MOST_TEXT = 32 * 1024
"""Characters of all of them together. A `[…]` counts for 50 more: it is asked about each new character."""

_CLASS = re.compile(r"\[([!^]?+)(\][^\]]*|[^\]]+)\]")
_DEEP = re.compile(r"\*\*+/?")
_MOST_KNOWN = 4096
"""Characters whose places are remembered."""

_Kind = Literal["literal", "any", "class", "other", "within", "folders", "rest"]


class Patterns:
    """Docker's patterns without slashes at the ends: `*`, `?` and `[…]` stay inside one folder, `**` does not."""

    def __init__(self, patterns: Sequence[str], where: str) -> None:
        """Raises ConfigError for a list (the file `where`) that is too long."""
        if len(patterns) > MOST or sum(len(text) + 50 * text.count("[") for text in patterns) > MOST_TEXT:
            raise ConfigError(
                "the list is too long", where=where, hint=f"at most {MOST} patterns, {MOST_TEXT} characters in all"
            )
        self._literals: dict[str, int] = {}
        self._classes: list[tuple[int, bool, tuple[tuple[str, str], ...]]] = []
        self._any = self._folders = 0
        self._within = self._through = 0
        self._skip_one = self._skip_two = 0
        self._known: dict[str, int] = {}
        self._ends: dict[int, int] = {}
        begins = at = 0
        for index, text in enumerate(patterns):
            begins |= 1 << at
            for kind, said in _pieces(text):
                at += self._place(kind, said, 1 << at)
            self._ends[at] = index
            at += 1
        self._end = sum(1 << place for place in self._ends)
        self.start = self._skipped(begins)

    def after(self, state: int, text: str) -> int:
        """The state that this text leads to from `state`, which is `start` at first; 0: nothing fits any more."""
        known, within, through, one, two = self._known, self._within, self._through, self._skip_one, self._skip_two
        for char in text:
            if not state:
                return 0
            moves = known.get(char)
            if moves is None:
                moves = self._learnt(char)
            state = state & (through if char == "/" else within) | (state & moves) << 1
            # As `_skipped`, which would cost a call for each character.
            state |= (state & two) << 2
            state |= (state & one) << 1
        return state

    def last(self, state: int) -> int:
        """The index of the last pattern that fits as a whole; -1: none does."""
        found = state & self._end
        return self._ends[found.bit_length() - 1] if found else -1

    def _place(self, kind: _Kind, said: str, bit: int) -> int:
        """Give a piece of a pattern its place; how many places it takes."""
        if kind == "literal":
            self._literals[said] = self._literals.get(said, 0) | bit
        elif kind == "any":
            self._any |= bit
        elif kind in ("class", "other"):
            self._classes.append((bit, kind == "class", tuple(_ranges(said))))
        else:
            self._skip_one |= bit
            if kind == "folders":  # nothing, or what ends in a slash: where it begins, and where it is in the middle
                self._skip_two |= bit
                self._folders |= bit << 1
            stays = bit << (kind == "folders")
            self._within |= stays
            self._through |= stays if kind != "within" else 0
        return 2 if kind == "folders" else 1

    def _skipped(self, state: int) -> int:
        """With the places behind those that may stand for nothing. (None of these follows another, but after
        `folders`.)"""
        state |= (state & self._skip_two) << 2
        return state | (state & self._skip_one) << 1

    def _learnt(self, char: str) -> int:
        """The places that this character leads on from."""
        moves = self._literals.get(char, 0) | (self._folders if char == "/" else self._any)
        if char != "/":
            for bit, holds, ranges in self._classes:
                if any(first <= char <= last for first, last in ranges) == holds:
                    moves |= bit
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[char] = moves
        return moves


def _pieces(pattern: str) -> Iterator[tuple[_Kind, str]]:
    at, before = 0, ""
    while at < len(pattern):
        kind, said, length = _piece(pattern, at)
        if (kind, before) != ("folders", "folders"):
            yield kind, said
        before = kind
        at += length


def _piece(pattern: str, at: int) -> tuple[_Kind, str, int]:
    """The kind of what stands there, what it says, and its length."""
    char = pattern[at]
    if deep := _DEEP.match(pattern, at):
        return ("rest" if deep.end() == len(pattern) else "folders"), "", len(deep[0])
    if char == "\\" and at + 1 < len(pattern):
        return "literal", pattern[at + 1], 2
    if found := _CLASS.match(pattern, at):
        return ("other" if found[1] else "class"), found[2], len(found[0])
    return {"*": "within", "?": "any"}.get(char, "literal"), char, 1  # type: ignore[return-value]


def _ranges(said: str) -> Iterator[tuple[str, str]]:
    """`a-cx` → a to c, x to x."""
    at = 0
    while at < len(said):
        is_range = said[at + 1 : at + 2] == "-" and at + 2 < len(said)
        yield said[at], said[at + 2] if is_range else said[at]
        at += 3 if is_range else 1
