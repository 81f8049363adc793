"""Which programs a start command runs that come from devDependencies alone. The image has none of those: it is what
`npm install --omit=dev` would leave."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .sources import Package

_PROGRAMS = {
    "@angular/cli": ("ng",),
    "@babel/node": ("babel-node",),
    "@nestjs/cli": ("nest",),
    "@react-router/serve": ("react-router-serve",),
    "@remix-run/dev": ("remix",),
    "@remix-run/serve": ("remix-serve",),
    "@vue/cli-service": ("vue-cli-service",),
    "dotenv-cli": ("dotenv",),
    "npm-run-all": ("npm-run-all", "run-p", "run-s"),
    "npm-run-all2": ("npm-run-all", "run-p", "run-s"),
    "ts-node": ("ts-node", "ts-node-esm", "ts-node-script", "ts-node-transpile-only"),
    "ts-node-dev": ("ts-node-dev", "tsnd"),
    "typescript": ("tsc", "tsserver"),
    "webpack-cli": ("webpack", "webpack-cli"),
}
"""Programs of packages that are not called like them, for lock files that do not say."""

_STARTERS = frozenset({"npx", "exec", "env", "cross-env", "cross-env-shell", "dotenv", "env-cmd", "dumb-init", "time"})
"""Programs whose first word that is no option and sets nothing is a program too."""
_LOADERS = frozenset({"-r", "--require", "--import", "--loader", "--experimental-loader"})
_MANAGERS = frozenset({"npm", "yarn", "pnpm"})
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")
_SETS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BIN = re.compile(r"(?:\./)?node_modules/\.bin/")


def missing(command: str, package: Package) -> tuple[str, ...]:
    """A sentence for each program or loader of the command, and of the scripts it runs, that the image will lack."""
    found: dict[str, str] = {}
    for word in _used(command, package, set()):
        name = next((name for name in sorted(package.dev_only) if word in (name, *_programs(name, package))), "")
        if name:
            found.setdefault(name, word)
    return tuple(
        f"{word} is what web starts, but {'it' if word == name else name} is in devDependencies alone, "
        "which are not in the image: move it to dependencies"
        for name, word in found.items()
    )


def _programs(name: str, package: Package) -> tuple[str, ...]:
    """What the lock file says, else what is known, else what the package is called."""
    return package.programs.get(name) or _PROGRAMS.get(name) or (name.rpartition("/")[2],)


def _used(command: str, package: Package, seen: set[str]) -> Iterator[str]:
    """Programs and loaded packages, those of the package's own scripts included."""
    for part in re.split(r"&&|\|\||[;|&\n]", command):
        words = [word.strip("\"'") for word in _WORD.findall(part)]
        program, rest = _program(words)
        while program in _STARTERS:
            yield program
            program, rest = _program(rest)
        if not program:
            continue
        yield program
        if program == "node":
            yield from _loaded(rest)
        script = _script(program, rest)
        for name in (f"pre{script}", script, f"post{script}") if script and script not in seen else ():
            seen.add(name)
            yield from _used(package.scripts.get(name, ""), package, seen)


def _program(words: list[str]) -> tuple[str, list[str]]:
    """The first word that is no option and sets nothing, without its folder `node_modules/.bin`; and what follows."""
    for at, word in enumerate(words):
        if not word.startswith("-") and not _SETS.match(word):
            return _BIN.sub("", word), words[at + 1 :]
    return "", []


def _loaded(words: list[str]) -> Iterator[str]:
    """Packages that node is told to load first: `-r ts-node/register`, `--import=tsx`."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option in _LOADERS:
            module = value if equals else after
            scoped = module.startswith("@")
            yield "/".join(module.split("/")[: 2 if scoped else 1])


def _script(program: str, words: list[str]) -> str:
    """The script that `npm run NAME`, `npm start` and the like mean; empty: none."""
    if program not in _MANAGERS:
        return ""
    said = [word for word in words if not word.startswith("-")]
    if said[:1] in (["run"], ["run-script"]):
        return said[1] if len(said) > 1 else ""
    return said[0] if said and (program != "npm" or said[0] in ("start", "restart", "test")) else ""
