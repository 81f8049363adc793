"""Reads a Dockerfile as far as it matters here: directives, stages, EXPOSE. The builder reads it for real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from paas.errors import ConfigError

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S.*?)\s*$")
_FRONTEND = re.compile(r"([\w-]+(\.[\w-]+)+/)?docker/dockerfile(:[\w.-]+)?(@sha256:[0-9a-f]+)?")
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
_PAIR = re.compile(r"(\w+)(?:=|\s+)\"?([^\s\"]*)\"?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read. `port` is the first TCP port of the image's stage, 0: none."""

    port: int = 0
    port_line: int = 0
    target: str = ""
    warnings: tuple[str, ...] = ()


def read(text: str, file: str, target: str = "") -> Read:
    """Raises ConfigError for a frontend that is not Docker's own, no FROM, or a target that is no stage."""
    _check_directives(text, file)
    stages: list[tuple[str, dict[str, str], list[tuple[int, str]]]] = []
    defaults: dict[str, str] = {}
    for number, instruction in instructions(text):
        word, _, rest = instruction.partition(" ")
        start = _FROM.match(instruction)
        if start:
            stages.append((start[2] or "", dict(defaults), []))
        elif word.upper() in ("ARG", "ENV"):
            variables = stages[-1][1] if stages else defaults
            variables |= dict(_PAIR.findall(rest))
        elif word.upper() == "EXPOSE" and stages:
            stages[-1][2].extend((number, _filled(one, stages[-1][1])) for one in rest.split())
    if not stages:
        raise ConfigError("has no FROM", where=file, hint="begin it with FROM and a base image")
    stage = _stage(stages, target, file)
    ports = [(int(match[1]), number) for number, one in stage[2] if (match := re.fullmatch(r"(\d{1,5})(/tcp)?", one))]
    ports = [(port, number) for port, number in ports if 0 < port < 65536]
    listed = ", ".join(str(port) for port, _ in ports)
    several = f"{file} exposes {listed}: the first counts, or say `port` in paas.toml" if len(ports) > 1 else ""
    return Read(
        port=ports[0][0] if ports else 0,
        port_line=ports[0][1] if ports else 0,
        target=target,
        warnings=(several,) if several else (),
    )


def instructions(text: str) -> Iterator[tuple[int, str]]:
    """Each instruction on one line, with the number of its first; comments and bodies of heredocs left out."""
    parts: list[str] = []
    first = 0
    end = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if end:
            end = "" if line.strip() == end else end
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first or number
        parts.append(line.rstrip().removesuffix("\\").strip())
        if line.rstrip().endswith("\\"):
            continue
        joined = " ".join(parts)
        heredoc = re.match(r"(?:RUN|COPY|ADD)\b.*?<<-?['\"]?(\w+)['\"]?", joined, re.IGNORECASE)
        end = heredoc[1] if heredoc else ""
        yield first, joined
        parts, first = [], 0
    if parts:
        yield first, " ".join(parts)


def _check_directives(text: str, file: str) -> None:
    """`# syntax=` names an image that would interpret the file with every right of a build: only Docker's own may."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _DIRECTIVE.match(line.strip())
        if not match:
            return
        if match[1].lower() == "syntax" and not _FRONTEND.fullmatch(match[2]):
            raise ConfigError(
                f"syntax={match[2][:80]} is not allowed",
                where=f"{file}:{number}",
                hint="take the line out, or use docker/dockerfile:1",
            )


def _stage(
    stages: list[tuple[str, dict[str, str], list[tuple[int, str]]]], target: str, file: str
) -> tuple[str, dict[str, str], list[tuple[int, str]]]:
    if not target:
        return stages[-1]
    for stage in stages:
        if stage[0].lower() == target.lower():
            return stage
    known = ", ".join(name for name, _, _ in stages if name) or "none has a name"
    raise ConfigError(f"{file} has no stage {target}", where="paas.toml: build.target", hint=f"stages: {known}")


def _filled(text: str, variables: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[3]) or match[2] or "", text)
