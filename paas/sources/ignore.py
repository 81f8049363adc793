"""Which files of a source stay behind: the app's own list, and what never belongs in an image.

The app's list is `.paasignore`, or `.dockerignore` where there is none, with Docker's rules: the last pattern that
matches decides, and what holds for a folder holds below it. A `!pattern` also takes along what the lists below would
leave out. docker-py has these rules too and the tests hold ours against them; importing it would cost every
`paas deploy` 150 ms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from paas.sources.patterns import Patterns

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

    patterns: tuple[tuple[bool, str], ...] = ()
    where: InitVar[str] = FILES[0]
    _read: Patterns = field(init=False)
    _above: list[tuple[str, int, int]] = field(default_factory=list)
    """The folders of the path asked for last, from the top: their name, what it leads to, and the last pattern that
    fits one of them."""

    def __post_init__(self, where: str) -> None:
        self._read = Patterns([text for _, text in self.patterns], where)

    @classmethod
    def of(cls, lines: Iterable[str], where: str = FILES[0]) -> Ignore:
        """From the lines of an ignore file; comments and empty ones are none. Raises ConfigError for too many."""
        stripped = (line.strip().lstrip("\ufeff") for line in lines)
        patterns = [
            (line.startswith("!"), _cleaned(line.removeprefix("!")))
            for line in stripped
            if line and not line.startswith("#")
        ]
        return cls(tuple((keeps, text) for keeps, text in patterns if text), where)

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
        return any(keeps and (text.startswith((f"{folder}/", "*")) or text == folder) for keeps, text in self.patterns)

    def _said(self, path: str) -> bool | None:
        """What the app's list says: True to leave it out, False to take it along, None nothing. The last pattern that
        fits the path or a folder it is in decides."""
        if not self.patterns:
            return None
        *folders, name = path.split("/")
        known = next((at for at, (a, b) in enumerate(zip(self._above, folders, strict=False)) if a[0] != b), None)
        del self._above[len(folders) if known is None else known :]
        _, state, last = self._above[-1] if self._above else ("", self._read.start, -1)
        for folder in folders[len(self._above) :]:
            state = self._read.after(state, folder)
            last = max(last, self._read.last(state))
            state = self._read.after(state, "/")
            self._above.append((folder, state, last))
        last = max(last, self._read.last(self._read.after(state, name)))
        return None if last < 0 else not self.patterns[last][0]


def _cleaned(pattern: str) -> str:
    """Without slashes at the ends and without `.` and `..`, which Docker resolves before it matches."""
    parts: list[str] = []
    for part in pattern.strip().split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _secret(name: str, read: Callable[[], bytes]) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in _SECRET_PATTERNS):
        return True
    return any(fnmatchcase(name, pattern) and holds(read()) for pattern, holds in _BY_CONTENT)
