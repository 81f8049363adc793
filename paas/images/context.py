"""Packs a folder and a Dockerfile into the tar that the Engine builds from. Touches files, never the Engine.

The Dockerfile text usually is not a file of the app. It must reach the Engine inside the tar, and neither replace a
file of the app nor be copied into its image by `COPY . .` (BuildKit ignores .dockerignore in an uploaded tar). So the
app's files go into the subfolder `source/`, the Dockerfile beside it, and sources of COPY and ADD are prefixed.
A Dockerfile that is one of the app's own files is used from where it lies, and nothing is rewritten.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paas.errors import ConfigError

DOCKERFILE = "Dockerfile"
SOURCE = "source"
_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(.*?)\s*$")
_KEYWORD = re.compile(r"\s*(COPY|ADD)\s+(.*)$", re.IGNORECASE | re.DOTALL)
_REMOTE = re.compile(r"[a-z+]+://|git@|<<", re.IGNORECASE)
_OWN_FRONTEND = re.compile(r"([\w-]+(\.[\w-]+)+/)?docker/dockerfile(:[\w.-]+)?(@sha256:[0-9a-f]+)?")


@dataclass(frozen=True, slots=True)
class Packed:
    """Where the Dockerfile is in the tar, and whether the app's files stand below `source/` (as-is otherwise)."""

    dockerfile: str
    moved: bool


def write(folder: Path | None, dockerfile: str, out: IO[bytes]) -> Packed:
    """Write the tar: plain, in a fixed order, owner and modes normalised.

    The Dockerfile stands first: the Engine looks at the first bytes only to see that this is a tar, and takes GNU
    headers there but not PAX ones.
    """
    text = without_syntax(dockerfile)
    own = _own(folder, dockerfile) if folder else ""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        body = (text if own else prefixed(text)).encode()
        _add_bytes(tar, own or DOCKERFILE, body)
        if not own:
            _add_folder(tar, SOURCE)
        if folder:
            for path, name in walk(folder):
                if name != own:
                    _add(tar, path, name if own else f"{SOURCE}/{name}")
    return Packed(own or DOCKERFILE, moved=not own)


def walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file, link and folder below, sorted by path, with its relative path; never follows a link."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        yield Path(entry.path), entry.name
        if entry.is_dir(follow_symlinks=False):
            for path, name in walk(Path(entry.path)):
                yield path, f"{entry.name}/{name}"


def without_syntax(dockerfile: str) -> str:
    """The text without its `# syntax=` line, the number of lines unchanged.

    That line names an image that would interpret the Dockerfile, with every right of a build. The Engine's own
    interpreter does the work of docker/dockerfile; any other is refused. Raises ConfigError.
    """
    lines = dockerfile.split("\n")
    directives: list[str] = []
    seen = False
    for index, line in enumerate(lines):
        match = _DIRECTIVE.match(line.lstrip("\ufeff"))
        if not match:
            break
        if match[1].lower() != "syntax":
            directives.append(line)
            continue
        if not _OWN_FRONTEND.fullmatch(match[2]):
            raise ConfigError(
                f"syntax={match[2]} is not allowed",
                where=f"Dockerfile:{index + 1}",
                hint="take the line out, or use docker/dockerfile:1",
            )
        seen = True
    if not seen:
        return dockerfile
    # A comment ends the directives, so the remaining ones (escape) come first.
    count = next((i for i, line in enumerate(lines) if not _DIRECTIVE.match(line.lstrip("\ufeff"))), len(lines))
    return "\n".join([*directives, *["#"] * (count - len(directives)), *lines[count:]])


def prefixed(dockerfile: str) -> str:
    """The Dockerfile with sources of COPY and ADD that mean the context looked up in `source/`."""
    lines = dockerfile.split("\n")
    for first, last, text in instructions(dockerfile):
        match = _KEYWORD.match(text)
        if match:
            # Emptied lines keep the line numbers that error messages name.
            lines[first : last + 1] = [f"{match[1]} {_prefixed(match[2])}", *[""] * (last - first)]
    return "\n".join(lines)


def instructions(dockerfile: str) -> Iterator[tuple[int, int, str]]:
    """Each instruction with the index of its first and last line, continued lines joined, comments left out."""
    lines = dockerfile.split("\n")
    at = 0
    while at < len(lines):
        first, parts = at, []
        while at < len(lines):
            line = lines[at]
            at += 1
            comment = line.lstrip().startswith("#")
            if not comment:
                parts.append(line.rstrip().removesuffix("\\"))
            if not comment and not line.rstrip().endswith("\\"):
                break
            if comment and len(parts) == 0:
                break
        text = " ".join(parts).strip()
        if text:
            yield first, at - 1, text


def _prefixed(arguments: str) -> str:
    flags = re.match(r"(--\S+\s+)*", arguments)
    front = flags[0] if flags else ""
    rest = arguments[len(front) :]
    if "--from=" in front:
        return arguments
    if rest.lstrip().startswith("["):
        words = json.loads(rest)
        return front + json.dumps([*map(_inside, words[:-1]), words[-1]])
    *sources, target = rest.split()
    return front + " ".join([*map(_inside, sources), target])


def _inside(source: str) -> str:
    return source if _REMOTE.match(source) else f"{SOURCE}/{source.lstrip('/')}"


def _own(folder: Path, dockerfile: str) -> str:
    """The relative path of the file that is this Dockerfile, empty when there is none."""
    body = dockerfile.encode()
    for path, name in walk(folder):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size == len(body) and path.read_bytes() == body:
            return name
    return ""


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    status = path.lstat()
    info = _info(name, status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(info)
    elif stat.S_ISDIR(status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
    elif stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            info.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
            tar.addfile(info, file)


def _add_bytes(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    info = _info(name, 0)
    info.size, info.mode = len(body), 0o644
    tar.addfile(info, io.BytesIO(body))


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    info = _info(name, 0)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(info)


def _info(name: str, mtime: float) -> tarfile.TarInfo:
    """Times are kept (a web server makes ETags of them); neither builder looks at them to find a cached layer."""
    info = tarfile.TarInfo(name)
    info.mtime = max(0, int(mtime))
    return info
