"""Finds the WSGI or ASGI app of a folder by reading its Python files with `ast`. Runs nothing of the app."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import Reason

_CLASSES = {
    "fastapi.FastAPI": ("FastAPI", True),
    "starlette.applications.Starlette": ("Starlette", True),
    "quart.Quart": ("Quart", True),
    "litestar.Litestar": ("Litestar", True),
    "falcon.asgi.App": ("Falcon", True),
    "flask.Flask": ("Flask", False),
    "apiflask.APIFlask": ("APIFlask", False),
    "bottle.Bottle": ("Bottle", False),
    "falcon.App": ("Falcon", False),
}
"""Fully qualified class → its name for people, and whether it speaks ASGI."""

_VARIABLES = ("app", "application", "api", "server", "web", "asgi", "wsgi")
_FACTORIES = ("create_app", "make_app", "build_app", "get_app", "app_factory", "create_application")
_MODULES = ("app", "main", "wsgi", "asgi", "application", "server", "api", "web", "run", "index", "__init__")
_SKIPPED = re.compile(r"(^|/)(tests?|docs?|examples?|scripts|migrations|benchmarks)/|(^|/)(test_|conftest|setup\.py)")
_LOOKED_AT = 200
_LIMIT = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A WSGI or ASGI app: `module:attribute`, below `folder` (`src`, or empty). `factory`: it has to be called."""

    module: str
    attribute: str
    asgi: bool
    what: str
    file: str
    line: int = 0
    factory: bool = False
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What `web` runs (empty: not found), and what has to be installed and said for it."""

    command: str = ""
    packages: tuple[str, ...] = ()
    python_path: str = ""
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


def find(files: Files, depends: frozenset[str]) -> Entry | None:
    """The app: usual file names first, what lies nearer to the top first, an instance before a factory."""
    found: list[tuple[tuple[int, ...], Entry]] = []
    for path in _candidates(files):
        tree = parsed(files, path)
        if tree is not None:
            found.extend((_rank(one), one) for one in _in(tree, path, depends))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def script(files: Files) -> str:
    """A script at the top that reads the variable PORT and so can be started as it is; empty: none."""
    for name in ("main.py", "app.py", "server.py", "run.py", "index.py"):
        tree = parsed(files, name) if files.has(name) else None
        if tree and any(isinstance(node, ast.Constant) and node.value == "PORT" for node in ast.walk(tree)):
            return name
    return ""


def parsed(files: Files, path: str) -> ast.Module | None:
    """The file's syntax tree; None for what is no Python 3 (the app may never load it)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(files.text(path, _LIMIT))
    except (SyntaxError, ValueError, RecursionError, MemoryError, ConfigError):
        return None


def _candidates(files: Files) -> list[str]:
    paths = [
        path for path in files.paths if path.endswith(".py") and path.count("/") <= 3 and not _SKIPPED.search(path)
    ]
    return sorted(paths, key=lambda path: (path.count("/"), path))[:_LOOKED_AT]


def _rank(entry: Entry) -> tuple[int, ...]:
    name = entry.file.rpartition("/")[2].removesuffix(".py")
    return (
        int(entry.factory),
        entry.file.removeprefix("src/").count("/"),
        _MODULES.index(name) if name in _MODULES else len(_MODULES),
        _VARIABLES.index(entry.attribute) if entry.attribute in _VARIABLES else len(_VARIABLES),
        entry.line,
    )


def _in(tree: ast.Module, path: str, depends: frozenset[str]) -> Iterator[Entry]:
    module, folder = _module(path)
    if not module:
        return
    imports = _imports(tree)
    makers = {
        node.name: made for node in tree.body if isinstance(node, ast.FunctionDef) if (made := _makes(node, imports))
    }
    for node in tree.body:
        for attribute, what, asgi, factory in _apps(node, imports, path, depends, makers):
            yield Entry(
                module=module, attribute=attribute, asgi=asgi, what=what, file=path, line=node.lineno,
                factory=factory, folder=folder,
            )  # fmt: skip


def _module(path: str) -> tuple[str, str]:
    """Dotted name and the folder it is imported from; empty for a path that is no module."""
    folder = "src" if path.startswith("src/") else ""
    parts = path.removeprefix("src/").removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return (".".join(parts), folder) if parts and all(part.isidentifier() for part in parts) else ("", "")


def _imports(tree: ast.Module) -> dict[str, str]:
    """Local name → what it stands for, of imports at the top level (also inside try)."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.partition(".")[0]
                found[one.asname or top] = one.name if one.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def _apps(
    node: ast.stmt,
    imports: dict[str, str],
    path: str,
    depends: frozenset[str],
    makers: dict[str, tuple[str, bool]],
) -> Iterator[tuple[str, str, bool, bool]]:
    """Apps that a top-level statement makes: attribute, what it is, whether ASGI, whether a factory."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
        made = makers.get(ast.unparse(node.value.func)) or _made_by_factory(node.value, depends)
        yield from _assigned(node, node.value, imports, made)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield from _function(node, imports)
    elif isinstance(node, ast.ImportFrom) and path.rpartition("/")[2] in ("wsgi.py", "asgi.py"):
        for one in node.names:
            name = one.asname or one.name
            if name in ("app", "application"):
                yield name, f"imports {name}", path.endswith("asgi.py") or _speaks_asgi(depends), False


def _assigned(
    node: ast.Assign | ast.AnnAssign, call: ast.Call, imports: dict[str, str], factory: tuple[str, bool] | None
) -> Iterator[tuple[str, str, bool, bool]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    known = _CLASSES.get(_dotted(call.func, imports))
    made = known or factory
    for target in targets:
        if isinstance(target, ast.Name) and made and (known or target.id in _VARIABLES):
            yield target.id, f"{target.id} is a {made[0]} app", made[1], False


def _made_by_factory(call: ast.Call, depends: frozenset[str]) -> tuple[str, bool] | None:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name not in _FACTORIES:
        return None
    return ("web", _speaks_asgi(depends))


def _function(
    node: ast.FunctionDef | ast.AsyncFunctionDef, imports: dict[str, str]
) -> Iterator[tuple[str, str, bool, bool]]:
    positional = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    if isinstance(node, ast.AsyncFunctionDef):
        if positional[:3] == ["scope", "receive", "send"]:
            yield node.name, f"{node.name} is a plain ASGI app", True, False
    elif len(positional) == 2 and positional[0] in ("environ", "env") and "start_response" in positional[1]:
        yield node.name, f"{node.name} is a plain WSGI app", False, False
    elif node.name in _FACTORIES and len(positional) <= len(node.args.defaults) and (made := _makes(node, imports)):
        yield node.name, f"{node.name}() makes a {made[0]} app", made[1], True


def _makes(node: ast.FunctionDef, imports: dict[str, str]) -> tuple[str, bool] | None:
    """What app a function's body makes, and whether it speaks ASGI; None: none that is known."""
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return next((known for call in calls if (known := _CLASSES.get(_dotted(call.func, imports)))), None)


def _dotted(node: ast.expr, imports: dict[str, str]) -> str:
    """`Flask` or `flask.Flask` as its fully qualified name."""
    if isinstance(node, ast.Attribute):
        front = _dotted(node.value, imports)
        return f"{front}.{node.attr}" if front else ""
    return imports.get(node.id, "") if isinstance(node, ast.Name) else ""


def _speaks_asgi(depends: frozenset[str]) -> bool:
    asgi = depends & {"fastapi", "starlette", "quart", "litestar"}
    return bool(asgi) and not depends & {"flask", "bottle", "django"}
