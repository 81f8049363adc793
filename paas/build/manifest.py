"""`paas.toml` and `app.json` → Manifest. `paas.toml` wins key by key. Nothing but parsing and checking.

Every wrong key is told at once, with file and key path; an unknown one with the nearest key there is.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from paas.build import app_json, cron, environments
from paas.build.autoscale import DECLARED, answerable
from paas.build.files import Files
from paas.build.paas_toml import PaasToml
from paas.errors import ConfigError
from paas.model.manifest import Manifest
from paas.model.scripts import Scripts, chosen

TOML = "paas.toml"
JSON = "app.json"
Model = TypeVar("Model", bound=BaseModel)
LIMIT = 256 * 1024
"""Bytes of either file."""


def load(files: Files) -> Manifest:
    """What the app says about itself. Raises ConfigError."""
    return read(files)[0]


def read(files: Files) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest, and warnings about what of both files is not used. Raises ConfigError."""
    theirs, warnings = _from_json(files) if files.has(JSON) else (Manifest(), ())
    ours = _from_toml(files) if files.has(TOML) else Manifest()
    _scaled(ours)
    return _over(ours, theirs), warnings


def _scaled(ours: Manifest) -> None:
    tables = {"": ours.processes} | {f"environments.{name}.": one.processes for name, one in ours.environments.items()}
    for place, processes in tables.items():
        for name, said in processes.items():
            if said.autoscale is None:
                continue
            where = f"{TOML}: {place}processes.{name}.autoscale"
            if name == "release":
                raise ConfigError("release runs once and is not scaled", where=where)
            try:
                answerable(name, said.autoscale)
            except ValueError as error:
                raise ConfigError(str(error), where=where) from None


def _over(ours: Manifest, theirs: Manifest) -> Manifest:
    """`ours`, with what it does not say taken from `theirs`."""
    return replace(
        ours,
        name=ours.name or theirs.name,
        buildpack=ours.buildpack or theirs.buildpack,
        addons=ours.addons or theirs.addons,
        env={**theirs.env, **ours.env},
        cron=ours.cron or theirs.cron,
        processes=environments.processes(ours.processes, theirs.processes),
        scripts={name: _scripts(ours, theirs, name) for name in theirs.scripts.keys() | ours.scripts.keys()},
        environments={
            name: environments.joined(ours.environments.get(name), theirs.environments.get(name))
            for name in theirs.environments.keys() | ours.environments.keys()
        },
    )


def _scripts(ours: Manifest, theirs: Manifest, name: str) -> Scripts:
    """Of one environment, in both files."""
    own, other = ours.scripts.get(name, Scripts()), theirs.scripts.get(name, Scripts())
    return chosen({"": other, "own": own}, "own")


def _from_toml(files: Files) -> Manifest:
    text = files.text(TOML, LIMIT)
    try:
        # TOML knows no lone carriage return; editors that write one are rare enough to be told by the parser.
        values = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        message, line = _placed(str(error))
        raise ConfigError(message, where=f"{TOML}:{line}" if line else TOML, hint="is it TOML?") from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply", where=TOML) from error
    try:
        return validated(PaasToml, values, TOML, _own_signals(values)).manifest()
    except ConfigError as error:
        # Which of several [[cron]] is wrong is hard to see from its number.
        found = re.fullmatch(rf"{TOML}: cron\.(\d+)(?:\.(\w+).*)?", error.where)
        if found and (at := cron.line_of(text, int(found[1]), found[2] or "name")):
            message = error.message.removeprefix(f"{error.where}: ")
            where = error.where.replace(TOML, f"{TOML}:{at}", 1)
            raise ConfigError(message, where=where, hint=error.hint, details=error.details) from None
        raise


def _own_signals(values: Mapping[str, Any]) -> tuple[str, ...]:
    declared = values.get("signals")
    return tuple(declared) if isinstance(declared, dict) else ()


def _from_json(files: Files) -> tuple[Manifest, tuple[str, ...]]:
    text = files.text(JSON, LIMIT)
    try:
        values = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ConfigError(f"is not JSON: {error.msg}", where=f"{JSON}:{error.lineno}") from error
    except _Twice as error:
        raise ConfigError(f"key {error} is there twice", where=JSON, hint="keep one") from error
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"is not JSON: {error}", where=JSON) from error
    if not isinstance(values, dict):
        raise ConfigError("expected an object", where=JSON, hint='such as {"name": "shop"}')
    return app_json.manifest(validated(app_json.AppJson, values, JSON), values)


class _Twice(Exception):
    """A key of a JSON object that is there twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        raise _Twice(repr(next(key for key in names if names.count(key) > 1)))
    return found


def _placed(message: str) -> tuple[str, str]:
    """The message without its place, and the line of it: both TOML and JSON say it at the end."""
    match = re.search(r" \(at line (\d+), column \d+\)$", message)
    return (message[: match.start()], match[1]) if match else (message, "")


# --- errors --------------------------------------------------------------------------------------------------------


def validated(model: type[Model], values: Mapping[str, Any], file: str, signals: Iterable[str] = ()) -> Model:
    """`values` as the model. `signals` are those that the app declares. Raises ConfigError that names each wrong key by
    its path in the file."""
    try:
        return model.model_validate(values, context={DECLARED: tuple(signals)})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=True)
        first = found[0]
        details = tuple(f"{file}: {_path(one['loc'])}: {_message(one)}" for one in found[1:11])
        raise ConfigError(
            _message(first),
            where=f"{file}: {_path(first['loc'])}" if first["loc"] else file,
            hint=_hint(model, first),
            details=details,
        ) from None


def _path(place: tuple[int | str, ...]) -> str:
    """`processes.web.memory`; the names of union members that pydantic puts in are left out."""
    return ".".join(str(part) for part in place if not re.search(r"[\[(]|^(str|AddonEntry)$", str(part)))


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such key"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    text = str(error["msg"])
    shown = repr(error["input"])
    # What stands under env may be a secret.
    tell = len(shown) <= 60 and error["type"] != "missing" and "env" not in error["loc"][:3]
    given = f", not {shown}" if tell else ""
    return f"{text[:1].lower()}{text[1:]}{given}"


def _hint(model: type[BaseModel], error: Any) -> str:
    if error["type"] != "extra_forbidden":
        return ""
    known = sorted(_keys(model, error["loc"][:-1]))
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    elsewhere = [path for path in _paths(model) if path.rpartition(".")[2] == error["loc"][-1]]
    return f"it belongs to {elsewhere[0]}" if elsewhere else f"known here: {', '.join(known)}"


def _keys(model: type[BaseModel], place: tuple[int | str, ...]) -> Iterator[str]:
    """Keys of the table at `place`, as they are written."""
    at: type[BaseModel] | None = model
    for part in place:
        at = _below(at, str(part)) or at
    for name, field in at.model_fields.items() if at else ():
        yield field.alias or name


def _below(model: type[BaseModel] | None, key: str) -> type[BaseModel] | None:
    for name, field in (model.model_fields if model else {}).items():
        if key in (name, field.alias):
            return _tables(field.annotation)
    return None


def _tables(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `dict[str, ProcessTable]` or `HealthTable | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_tables(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found), None)


def _paths(model: type[BaseModel], front: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        table = _tables(field.annotation)
        yield front + (field.alias or name)
        if table and table is not model:
            star = "NAME." if "dict" in str(field.annotation) else ""
            yield from _paths(table, f"{front}{name}.{star}")
