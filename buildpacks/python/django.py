"""Django: where its app is, and whether there are static files to collect. Reads settings with `ast`, runs nothing."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass

from paas.build.files import Files
from paas.model.build import Reason

from . import dependencies, entry

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a Django project wants of its build."""

    commands: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Settings:
    module: str
    file: str
    values: dict[str, ast.expr]
    trees: tuple[ast.Module, ...]


def application(files: Files) -> entry.Entry | None:
    """The WSGI app that the settings name, or the wsgi.py (asgi.py) beside them; None when this is no Django."""
    settings = _settings(files)
    if settings is None:
        return None
    named = settings.values.get("WSGI_APPLICATION")
    if isinstance(named, ast.Constant) and isinstance(named.value, str) and "." in named.value:
        module, _, attribute = named.value.rpartition(".")
        return entry.Entry(
            module=module, attribute=attribute, asgi=False, what="WSGI_APPLICATION of Django", file=settings.file,
            line=named.lineno,
        )  # fmt: skip
    package = settings.module.partition(".")[0]
    for kind in ("wsgi", "asgi"):
        if files.has(f"{package}/{kind}.py"):
            return entry.Entry(
                module=f"{package}.{kind}", attribute="application", asgi=kind == "asgi", what="Django's own",
                file=f"{package}/{kind}.py",
            )  # fmt: skip
    return None


def read(files: Files, needs: dependencies.Needs) -> Site:
    """Static files to collect, and what a person should know."""
    settings = _settings(files)
    if settings is None:
        return Site()
    reasons = [Reason("manage.py", f"Django with settings {settings.module}")]
    warnings = []
    commands = []
    root = settings.values.get("STATIC_ROOT")
    if root is not None and not (isinstance(root, ast.Constant) and not root.value):
        commands.append(_collect(settings))
        reasons.append(Reason(settings.file, "sets STATIC_ROOT: static files are collected in the build", root.lineno))
        if needs.complete and "whitenoise" not in needs.names:
            warnings.append("Django's static files are collected, but nothing serves them: add whitenoise")
    return Site(commands=tuple(commands), reasons=tuple(reasons), warnings=tuple(warnings))


def _collect(settings: _Settings) -> str:
    """`collectstatic`, with stand-ins for variables the settings insist on: the build knows no config."""
    words = [f"{key}={shlex.quote(_stand_in(key))}" for key in _insisted_on(settings.trees)]
    return " ".join([*words, "python manage.py collectstatic --noinput"])


def _stand_in(key: str) -> str:
    if "DATABASE" in key or key.endswith("_DSN"):
        return "sqlite:////tmp/build-only.sqlite3"
    return "0" if re.search(r"PORT|DEBUG|COUNT|TIMEOUT", key) else "build-only"


def _insisted_on(trees: tuple[ast.Module, ...]) -> list[str]:
    """Keys of `os.environ["KEY"]`, which fails without the variable, and of `env("KEY")`."""
    found: dict[str, None] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("os.environ", "environ"):
            key = node.slice
        elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            key = node.args[0] if ast.unparse(node.func) in ("env", "env.str", "config", "os.environ") else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and _KEY.fullmatch(key.value):
            found[key.value] = None
    return list(found)


def _settings(files: Files) -> _Settings | None:
    """The settings module that manage.py names, as far as it can be read."""
    tree = entry.parsed(files, "manage.py") if files.has("manage.py") else None
    if tree is None:
        return None
    for module in _named(tree):
        path = module.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py"):
            found = entry.parsed(files, file) if files.has(file) else None
            if found:
                trees = _with_bases(files, found, file)
                return _Settings(module, file, _assigned(trees), trees)
    return None


def _named(tree: ast.Module) -> list[str]:
    """What DJANGO_SETTINGS_MODULE may be set to. Of a choice the last is tried first: it is what holds elsewhere than
    at a certain host."""
    names = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    said = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Constant(value="DJANGO_SETTINGS_MODULE"), value]):
                said.append(value)
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value="DJANGO_SETTINGS_MODULE"))], value=value):
                said.append(value)
    said = [names.get(value.id, value) if isinstance(value, ast.Name) else value for value in said]
    return [
        part.value
        for value in said
        for part in reversed(list(ast.walk(value)))
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _with_bases(files: Files, tree: ast.Module, file: str, depth: int = 0) -> tuple[ast.Module, ...]:
    """The file's tree after those of `from .base import *`, in the order Python runs them."""
    before: list[ast.Module] = []
    for node in tree.body if depth < 5 else ():
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module and node.names[0].name == "*":
            beside = f"{file.rpartition('/')[0]}/{node.module.replace('.', '/')}.py"
            other = entry.parsed(files, beside) if files.has(beside) and beside != file else None
            before.extend(_with_bases(files, other, beside, depth + 1) if other else ())
    return (*before, tree)


def _assigned(trees: tuple[ast.Module, ...]) -> dict[str, ast.expr]:
    """Names assigned at the top level; the last one counts."""
    found: dict[str, ast.expr] = {}
    for node in (node for tree in trees for node in tree.body):
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found
