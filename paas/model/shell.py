"""How a command line of an app becomes an argv: through a shell that steps aside, so that signals reach the app."""

from __future__ import annotations

import re

_ASSIGNMENTS = re.compile(r"\s*(?:[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|[^\s\"'])*\s+)*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_WORD = re.compile(r"[^\s;&|<>()]+")
_NOT_PROGRAMS = frozenset(
    {
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "for",
        "do",
        "done",
        "while",
        "until",
        "case",
        "esac",
        "in",
        "function",
        "select",
    }
    | {
        "{",
        "}",
        "!",
        "[[",
        "time",
        "exec",
        ".",
        ":",
        "source",
        "eval",
        "cd",
        "export",
        "set",
        "unset",
        "exit",
        "return",
    }
    | {"trap", "ulimit", "umask", "wait", "read", "shift", "alias", "unalias", "local", "readonly", "break", "continue"}
    | {"command", "builtin", "type", "hash", "jobs", "fg", "bg", "times", "getopts"}
)
"""Words that a shell has to act on itself: nothing can be put in its place."""


def argv(command: str) -> tuple[str, ...]:
    """What a container runs for a command line: `/bin/sh -c`, with `exec` before the last program.

    A shell that waits for its child gets the SIGTERM and dies of it, and the app with it, in the middle of its
    requests; Debian's sh does not step aside by itself. What is more than a list of programs joined by `&&`, `||`
    and `;` (pipes, loops, background jobs) is left as it is.
    """
    return ("/bin/sh", "-c", stepping_aside(command))


def stepping_aside(command: str) -> str:
    """The command line with `exec` where its last program starts, if that means the same."""
    start = _last_program(command)
    if start < 0:
        return command
    word = _WORD.match(command, start)
    if not word or word[0] in _NOT_PROGRAMS or _ASSIGNMENT.match(word[0]):
        return command
    return f"{command[:start]}exec {command[start:]}"


def _last_program(command: str) -> int:
    """Where the last program of a plain list starts, its assignments skipped; -1: this is no plain list."""
    start, at, depth, quote = 0, 0, 0, ""
    while at < len(command):
        char, pair = command[at], command[at : at + 2]
        if depth:
            if char in "\"'`\\":
                return -1
            depth += {"(": 1, ")": -1}.get(char, 0)
        elif quote == "'" or (quote and char not in "\\`$" and char != quote):
            quote = "" if char == quote else quote
        elif char == "\\":
            at += 1
        elif char == "`" or pair == "<<" or (char == "#" and not quote and (at == 0 or command[at - 1].isspace())):
            return -1
        elif pair == "$(":
            depth, at = depth + 1, at + 1
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        elif not quote and char in "()\n":
            return -1
        elif not quote and (pair in ("&&", "||") or (char == ";" and pair != ";;")):
            at += int(char != ";")
            start = at + 1
        elif not quote and char in "&|;" and not (char == "&" and command[at - 1 : at] in (">", "<")):
            return -1
        at += 1
    match = _ASSIGNMENTS.match(command, start)
    return match.end() if match and not quote and not depth else -1
