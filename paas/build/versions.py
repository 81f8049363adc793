"""Which of a stack's versions fits what an app asks for. Pure: constraint + offers → version, or a clear refusal.

Offers are what a stack can give, best first, at the precision it can promise (`3.13`, `22`). The first that fits is
taken; an app that says nothing gets the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from semantic_version import NpmSpec
from semantic_version import Version as SemVer

from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import Runtime

LIMIT = 4 * 1024
"""Bytes of a file that holds one version."""

_HIGH = 999
"""Stands for "the newest patch": an offer `3.13` is any of 3.13.0 to 3.13.999."""

_PYTHON = re.compile(r"(?:c?python-)?(\d{1,4}(?:\.\d{1,4}){0,2})")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class Asked:
    """A version or a constraint in the app's own words, and the file (with key path) that says so."""

    text: str
    source: str


def line_of(files: Files, name: str) -> Asked | None:
    """The one line of a version file that is neither empty nor a comment; None without the file.

    Raises ConfigError when there are none or several.
    """
    if not files.has(name):
        return None
    text = files.text(name, LIMIT)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    if len(lines) != 1:
        what = "several versions" if lines else "no version"
        raise ConfigError(f"names {what}", where=name, hint="write one version, such as 3.13 for Python or 22 for Node")
    return Asked(lines[0], name)


def python(asked: Asked | None, offers: tuple[str, ...]) -> Runtime:
    """A Python for a version (`3.13`, `python-3.13.1`) or a PEP 440 or Poetry constraint. Raises ConfigError."""
    if asked is None:
        return _default("python", offers)
    match = _PYTHON.fullmatch(asked.text)
    if match:
        wanted = match[1].split(".")
        return _chosen("python", asked, offers, lambda offer: _agree(wanted, offer.split(".")))
    try:
        specs = [SpecifierSet(_pep440(part)) for part in asked.text.split("||")]
    except InvalidSpecifier:
        raise _no_version("python", asked, offers) from None
    return _chosen("python", asked, offers, lambda offer: any(_allows(spec, offer) for spec in specs))


def node(asked: Asked | None, offers: tuple[str, ...]) -> Runtime:
    """A Node.js for a version (`v22.3.0`, `lts/*`) or an npm range. Raises ConfigError."""
    if asked is None or asked.text in ("*", "", "x", "lts/*", "lts", "lts/-0"):
        runtime = _default("node", offers)
        return Runtime("node", runtime.version, asked.text, asked.source) if asked else runtime
    text = asked.text.removeprefix("lts/").lower()
    if text in ("node", "latest", "current", "stable"):
        newest = max(offers or _none("node", asked), key=lambda offer: [int(part) for part in offer.split(".")])
        return Runtime("node", newest, asked.text, asked.source)
    text = _LTS.get(text, text)
    wanted = text.removeprefix("v")
    if _RELEASE.fullmatch(wanted):
        return _chosen("node", asked, offers, lambda offer: _agree(wanted.split("."), offer.split(".")))
    try:
        spec = NpmSpec(text)
    except ValueError:
        raise _no_version("node", asked, offers) from None
    return _chosen("node", asked, offers, lambda offer: any(spec.match(SemVer(one)) for one in _samples(offer, text)))


def any_of(name: str, offers: tuple[str, ...]) -> Runtime:
    """The stack's best version of a runtime nobody asks a version of. Raises ConfigError when there is none."""
    return _default(name, offers)


_LTS = {"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}
"""Node's names for its long-term versions (nodejs/Release)."""


def _default(name: str, offers: tuple[str, ...]) -> Runtime:
    return Runtime(name, (offers or _none(name, None))[0])


def _chosen(name: str, asked: Asked, offers: tuple[str, ...], fits: Callable[[str], bool]) -> Runtime:
    for offer in offers or _none(name, asked):
        if fits(offer):
            return Runtime(name, offer, asked.text, asked.source)
    raise ConfigError(
        f"{name} {_shown(asked.text)} is not available",
        where=asked.source,
        hint=f"ask for one of: {', '.join(offers)}",
    )


def _no_version(name: str, asked: Asked, offers: tuple[str, ...]) -> ConfigError:
    return ConfigError(
        f"{_shown(asked.text)!r} is no version of {name}",
        where=asked.source,
        hint=f"write one of: {', '.join(offers)}",
    )


def _none(name: str, asked: Asked | None) -> tuple[str, ...]:
    raise ConfigError(f"this stack has no {name}", where=asked.source if asked else "", hint="see `paas doctor`")


def _shown(text: str) -> str:
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= 60 else f"{printable[:59]}…"


def _agree(wanted: Iterable[str], offer: Iterable[str]) -> bool:
    """Whether two versions are the same as far as both are precise: `3.13.1` and `3.13`, `3` and `3.13`."""
    return all(int(mine) == int(theirs) for mine, theirs in zip(wanted, offer, strict=False))


def _allows(spec: SpecifierSet, offer: str) -> bool:
    return any(spec.contains(Version(one), prereleases=False) for one in _samples(offer, str(spec)))


def _samples(offer: str, text: str) -> Iterator[str]:
    """Versions that stand for an offer: its first, its newest, and those the constraint itself names."""
    parts = offer.split(".")
    yield ".".join([*parts, "0", "0"][:3])
    yield ".".join([*parts, str(_HIGH), str(_HIGH)][:3])
    for named in _RELEASE.findall(text):
        if _agree(named.split("."), parts) and named.count(".") >= len(parts) - 1:
            yield ".".join([*named.split("."), "0", "0"][:3])


def _pep440(text: str) -> str:
    """Poetry's `^3.11`, `~3.11` and `3.11.*` in the words of PEP 440; everything else as it is."""
    return ",".join(_part(part.strip()) for part in re.split(r",|(?<=[\d*])\s+(?=[<>=!^~])", text) if part.strip(" *"))


def _part(part: str) -> str:
    match = re.fullmatch(r"([~^]?)\s*(\d+(?:\.\d+)*(?:\.\*)?)", part)
    if not match:
        return part
    numbers = match[2].split(".")
    if match[1] == "^":
        return f">={match[2]},<{int(numbers[0]) + 1}"
    if match[1] == "~":
        upper = [numbers[0], str(int(numbers[1]) + 1)] if len(numbers) > 1 else [str(int(numbers[0]) + 1)]
        return f">={match[2]},<{'.'.join(upper)}"
    return f"=={match[2]}"
