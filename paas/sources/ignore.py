"""Which files of a source stay behind: the app's own list, and what never belongs in an image.

The app's list is `.paasignore`, or `.dockerignore` where there is none, with Docker's rules: the last pattern that
matches decides, and what holds for a folder holds below it. A `!pattern` also takes along what the lists below would
leave out. docker-py has these rules too and the tests hold ours against them; importing it would cost every
`paas deploy` 150 ms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

FILES = (".paasignore", ".dockerignore")
"""The first one that exists counts."""

_ALWAYS = frozenset({"Dockerfile", "Procfile", "paas.toml", "app.json"})
"""At the top of the source these are read by the platform, whatever the list says (Docker does the same)."""

_JUNK = frozenset(
    {
        *(".git", ".hg", ".svn", ".DS_Store", "Thumbs.db", ".vagrant", ".terraform"),
        *(".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".hypothesis"),
        *("node_modules", "bower_components", ".sass-cache", ".parcel-cache", ".turbo"),
    }
)
_SECRET_NAMES = frozenset(
    {
        *(".env", ".env.local", ".netrc", ".pypirc", ".git-credentials", ".ssh", ".aws", ".gnupg"),
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
    }
)
_SECRET_PATTERNS = (".env.*.local", "*.p12", "*.pfx", "*.keystore", "*.jks")
_BY_CONTENT: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    # A file of nothing but certificates is public, and apps do bring CA bundles along.
    ("*.pem", lambda body: b"PRIVATE KEY" in body or b"BEGIN CERTIFICATE" not in body),
    ("*.key", lambda body: b"PRIVATE KEY" in body),
    # `${NPM_TOKEN}` is the name of a secret, not one.
    (".npmrc", lambda body: bool(re.search(rb"(_authToken|_auth|_password)\s*=\s*[\"']?(?!\$\{)\S", body))),
    (".yarnrc.yml", lambda body: bool(re.search(rb"npmAuth(Token|Ident)\s*:\s*[\"']?(?!\$\{)\S", body))),
)

Verdict = Literal["keep", "ignored", "secret"]


@dataclass(slots=True)
class Ignore:
    """Says of each path whether it comes along. Paths are relative with `/`; ask for folders before what is in them."""

    patterns: tuple[tuple[bool, str, re.Pattern[str]], ...] = ()
    _below: dict[str, tuple[bool, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[str]) -> Ignore:
        """From the lines of an ignore file; comments and empty ones are none."""
        stripped = (line.strip().lstrip("\ufeff") for line in lines)
        patterns = [
            (line.startswith("!"), _cleaned(line.removeprefix("!")))
            for line in stripped
            if line and not line.startswith("#")
        ]
        return cls(tuple((keeps, text, re.compile(_expression(text), re.DOTALL)) for keeps, text in patterns if text))

    def verdict(self, path: str, read: Callable[[], bytes] | None = None) -> Verdict:
        """Whether it is kept. `read` gives a file's start, for names that alone do not tell; None: a folder."""
        if path in _ALWAYS or path in FILES:
            return "keep"
        said = self._said(path)
        if said is not None:
            return "ignored" if said else "keep"
        parts = path.split("/")
        if any(part in _JUNK or part in _SECRET_NAMES for part in parts) or parts[-1].endswith(".pyc"):
            return "secret" if any(part in _SECRET_NAMES for part in parts) else "ignored"
        return "secret" if read is not None and _secret(parts[-1], read) else "keep"

    def descends(self, folder: str) -> bool:
        """Whether anything below this folder, which itself stays behind, may come along after all."""
        return any(
            keeps and (text.startswith((f"{folder}/", "*")) or text == folder) for keeps, text, _ in self.patterns
        )

    def _said(self, path: str) -> bool | None:
        """What the app's list says: True to leave it out, False to take it along, None nothing."""
        if not self.patterns:
            return None
        last = None
        for matched, (keeps, _, _) in zip(self._matches(path), self.patterns, strict=True):
            if matched:
                last = not keeps
        return last

    def _matches(self, path: str) -> tuple[bool, ...]:
        """For each pattern, whether it matches the path or a folder it is in."""
        parent = path.rpartition("/")[0]
        above = self._folder(parent) if parent else (False,) * len(self.patterns)
        return tuple(
            up or pattern.fullmatch(path) is not None for up, (_, _, pattern) in zip(above, self.patterns, strict=True)
        )

    def _folder(self, folder: str) -> tuple[bool, ...]:
        if folder not in self._below:
            self._below[folder] = self._matches(folder)
        return self._below[folder]


def _cleaned(pattern: str) -> str:
    """Without slashes at the ends and without `.` and `..`, which Docker resolves before it matches."""
    parts: list[str] = []
    for part in pattern.strip().split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _expression(pattern: str) -> str:
    """The pattern as a regular expression: `*` and `?` stay inside one folder, `**` does not."""
    found, at = "", 0
    while at < len(pattern):
        char, rest = pattern[at], pattern[at + 1 :]
        if pattern.startswith("**", at):
            at += len(re.match(r"\*\*+/?", pattern[at:])[0])  # type: ignore[index]
            found += "(?:.*/)?" if at < len(pattern) else ".*"
            continue
        if char == "\\" and rest:
            at += 1
            found += re.escape(rest[0])
        elif char == "[" and (group := re.match(r"\[([!^]?)(\]?[^\]]*)\]", pattern[at:])):
            at += len(group[0]) - 1
            body = group[2].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            found += f"[{'^' if group[1] else ''}{body}]"
        else:
            found += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
        at += 1
    return found


def _secret(name: str, read: Callable[[], bytes]) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in _SECRET_PATTERNS):
        return True
    return any(fnmatchcase(name, pattern) and holds(read()) for pattern, holds in _BY_CONTENT)
