"""Python apps: uv, Poetry, Pipenv, pip; Django, Flask, FastAPI, Starlette, plain WSGI and ASGI.

Without a command for `web` the app is found by reading its files (never by running them), and served by gunicorn or
uvicorn, which the build adds when the app does not depend on them.
"""

from __future__ import annotations

import re

from paas.build import versions
from paas.build.buildpacks import Options
from paas.build.files import Files
from paas.build.versions import Asked
from paas.errors import ConfigError
from paas.model.build import BuildPlan, Process, Reason, Runtime

from . import dependencies, django, entry

ORDER = 20
LOOKED_FOR = (*dependencies.FILES, "manage.py", "*.py")
COMMANDS = frozenset(
    {"python", "python3", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve", "flask", "fastapi", "celery"}
    | {"django-admin", "uwsgi", "granian", "uv", "poetry", "pipenv", "streamlit"}
)

_GUNICORN = "gunicorn --bind 0.0.0.0:$PORT --workers ${WEB_CONCURRENCY:-2} --threads 4 --keep-alive 75"
_UVICORN = "uvicorn --host 0.0.0.0 --port $PORT --workers ${WEB_CONCURRENCY:-1} --timeout-keep-alive 75"
"""Keep-alive outlives the router's own idle connections, so it never meets one the server just closed."""


def detect(files: Files, options: Options) -> tuple[Reason, ...]:
    """Dependency files, or Python files at the top, or a `web` command that starts Python."""
    found = [Reason(name, "is a file of Python apps") for name in (*dependencies.FILES, "manage.py") if files.has(name)]
    if found:
        return tuple(found)
    sources = [name for name in files.names() if name.endswith(".py")]
    if sources:
        return (Reason(sources[0], "is Python"),)
    words = options.web.split()
    return (Reason("Procfile", f"web starts {words[0]}"),) if words and words[0] in COMMANDS else ()


def plan(files: Files, options: Options) -> BuildPlan:
    """How to install, build and start it. Raises ConfigError naming the file."""
    needs = dependencies.read(files)
    runtime, version_reasons, version_warnings = _runtime(files, options, needs)
    server = _server(files, options, needs)
    site = django.read(files, needs)
    commands = [*site.commands, *([options.manifest.build_command] if options.manifest.build_command else [])]
    from_build = bool(commands) or needs.source_first or needs.project
    ignored, ignored_warnings = _ignored(files)
    return BuildPlan(
        buildpack="python",
        runtimes={"run": runtime},
        processes=(Process("web", server.command),) if server.command else (),
        reasons=(*version_reasons, *needs.reasons, *server.reasons, *site.reasons),
        values={
            "installer": needs.installer,
            "install_files": needs.files,
            "source_first": needs.source_first,
            "project": needs.project,
            "locked": needs.locked,
            "own_indexes": needs.own_indexes,
            "servers": server.packages,
            "python_path": server.python_path,
            "commands": tuple(commands),
            "build_args": tuple(sorted(options.manifest.build_args.items())),
            "packages": options.manifest.packages,
            "ignored": ignored,
            "source": "build" if from_build else "context",
        },
        warnings=(*version_warnings, *needs.warnings, *server.warnings, *site.warnings, *ignored_warnings),
    )


# --- version -------------------------------------------------------------------------------------------------------


def _runtime(
    files: Files, options: Options, needs: dependencies.Needs
) -> tuple[Runtime, tuple[Reason, ...], tuple[str, ...]]:
    """The first of runtime.txt, .python-version and what the dependency files require."""
    said = [versions.line_of(files, "runtime.txt"), versions.line_of(files, ".python-version"), needs.python]
    asked = [one for one in said if one is not None]
    offers = options.offers("python")
    if not asked:
        runtime = versions.python(None, offers)
        return runtime, (Reason("", f"no file asks for a Python version: {runtime.version} is the default"),), ()
    _no_implementation(asked[0])
    runtime = versions.python(asked[0], offers)
    reason = Reason(asked[0].source, f"asks for Python {asked[0].text}: {runtime.version} it is")
    warnings = [w for one in asked[1:] for w in _disagreement(one, asked[0], runtime.version)]
    if re.search(r"\d+\.\d+\.\d+$", asked[0].text) and asked[0] is not needs.python:
        reason = Reason(reason.file, f"asks for Python {asked[0].text}: the newest {runtime.version} there is, it is")
    return runtime, (reason,), tuple(warnings)


def _no_implementation(asked: Asked) -> None:
    if asked.text.startswith("pypy"):
        raise ConfigError("PyPy is not available", where=asked.source, hint="write a version of CPython, such as 3.13")


def _disagreement(other: Asked, winner: Asked, version: str) -> list[str]:
    try:
        versions.python(other, (version,))
    except ConfigError:
        return [
            f"{other.source} asks for Python {other.text[:40]}, {winner.source} for {winner.text[:40]}: that counts"
        ]
    return []


# --- web -----------------------------------------------------------------------------------------------------------


def _server(files: Files, options: Options, needs: dependencies.Needs) -> entry.Server:
    """What `web` runs, when the app does not say so itself, and what has to be installed for it."""
    if options.web:
        return _said(options.web, needs)
    found = django.application(files) or entry.find(files, needs.names)
    if found is None:
        script = entry.script(files)
        if script:
            return entry.Server(
                command=f"python {script}", reasons=(Reason(script, "reads PORT: it is started as it is"),)
            )
        return entry.Server(reasons=(Reason("*.py", "no WSGI or ASGI app, and no script that reads PORT"),))
    return _serving(found, needs)


def _said(web: str, needs: dependencies.Needs) -> entry.Server:
    word = next((word for word in web.split() if "=" not in word and word != "exec"), "")
    missing = word in ("gunicorn", "uvicorn", "hypercorn", "waitress-serve", "daphne") and needs.complete
    package = {"waitress-serve": "waitress"}.get(word, word)
    if not missing or package in needs.names:
        return entry.Server()
    return entry.Server(warnings=(f"web starts {word}, but no dependency file names {package}",))


def _serving(found: entry.Entry, needs: dependencies.Needs) -> entry.Server:
    server = "uvicorn" if found.asgi else "gunicorn"
    target = f"{found.module}:{found.attribute}"
    if found.asgi:
        command = f"{_UVICORN} {'--factory ' if found.factory else ''}{target}"
    else:
        command = f"{_GUNICORN} '{target}()'" if found.factory else f"{_GUNICORN} {target}"
    reasons = [Reason(found.file, f"{found.what}: served by {server} as {target}", found.line)]
    packages: tuple[str, ...] = ()
    if server not in needs.names:
        packages = (server,)
        reasons.append(Reason("", f"no dependency file names {server}: the build installs it"))
    return entry.Server(command=command, packages=packages, reasons=tuple(reasons), python_path=found.folder)


# --- what does not belong into an image ----------------------------------------------------------------------------


def _ignored(files: Files) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Virtual environments and caches that are part of the source: made for another machine, so left out."""
    found = tuple(name for name in files.skipped if name.rpartition("/")[2] not in (".git", "node_modules"))
    warnings = tuple(
        f"{name}/ is part of the source; it is left out and made anew" for name in found if "cache" not in name
    )
    return found, warnings
