"""Backups of addons: take, list, fetch, restore.

They live in `<home>/backups/<addon name>-<addon id>/<time>.dump` (0600) with a manifest beside each, and outlive the
addon. A dump gets its name when it is whole and its own tool has read it through; a restore changes nothing before
the dump has been read through again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from paas.addons import kinds
from paas.errors import ConfigError, NotFound, PaasError, PlatformError, UsageError
from paas.model.app import Addon
from paas.model.events import Event
from paas.model.service import Replica
from paas.requests.addons import BackupAddon, FetchBackup, ListBackups, RestoreAddon
from paas.usecases import addon_service as at
from paas.usecases import uploads
from paas.usecases.addon_loss import is_lost, remade
from paas.usecases.context import Act, Context
from paas.usecases.steps import step

BACKUP_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?")
PATIENCE = 60.0
"""Seconds that an addon which went down in a restore is given to come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupLine:
    """One backup, as its manifest says. `at` Unix time, `size` bytes; `addon_id` tells apart addons of one name."""

    id: str
    addon: str
    addon_id: str
    kind: str
    at: float
    size: int
    sha256: str
    server_version: str = ""
    tables: int = 0
    counts: str = "tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """A dump to be streamed: where it is, its size in bytes, and what to call it."""

    path: Path
    size: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What an addon holds after a restore."""

    addon: str
    backup: str
    tables: int
    size: int
    counts: str = "tables"


def list_backups(context: Context, request: ListBackups, act: Act) -> tuple[BackupLine, ...]:
    """Newest first; also of an addon that is gone, by its name. Raises NotFound when nothing has that name."""
    found = backups_of(context, request.addon, act)
    if not found:
        context.store.addon(request.addon)
    return found


def backup_addon(context: Context, request: BackupAddon, act: Act) -> BackupLine:
    """Take one now, while its apps go on working."""
    addon = context.store.addon(request.addon)
    with at.held(context, addon.id, f"{act.actor}: backup", act.emit):
        return take_backup(context, context.store.addon(addon.id), act)


def fetch_backup(context: Context, request: FetchBackup, act: Act) -> BackupFile:
    """Where the dump is. Raises NotFound."""
    line, path = _found(context, request.addon, request.backup, act)
    return BackupFile(path=path, size=path.stat().st_size, name=f"{line.addon}-{line.id}.dump")


def restore_addon(context: Context, request: RestoreAddon, act: Act) -> Restored:
    """Replace the addon's data with a dump's. Until the dump is in whole, apps work with the old data.

    Raises ConfigError for what is no dump of this kind and PlatformError when it cannot be restored: the old data is
    then as it was.
    """
    addon = context.store.addon(request.addon)
    if request.confirm != addon.name:
        raise UsageError(f"a restore replaces all data of {addon.name}", hint=f"--confirm {addon.name}")
    if bool(request.backup) == bool(request.upload):
        raise UsageError("give either a backup's id or a dump", hint=f"paas db backups --addon {addon.name} lists them")
    path, name = _source(context, addon, request, act)
    restored = restore_dump(context, addon, path, name, act)
    uploads.discard(context.settings, request.upload)
    return restored


def restore_dump(context: Context, addon: Addon, path: Path, name: str, act: Act) -> Restored:
    """Replace the addon's data with that of a file, which `name` stands for. Raises as `restore_addon` does."""
    with at.held(context, addon.id, f"{act.actor}: restore", act.emit):
        return _restored(context, context.store.addon(addon.id), path, name, act)


def dumps_of(context: Context, addon: Addon) -> tuple[tuple[BackupLine, Path], ...]:
    """The backups of this very addon, newest first, each with its dump."""
    kept = _in_folder(_folder(context, addon))
    return tuple(sorted(kept, key=lambda one: (one[0].at, one[0].id), reverse=True))


def check_dump(line: BackupLine, path: Path) -> None:
    """Raise PlatformError when a dump is not what was written."""
    if _sha256(path) != line.sha256:
        raise PlatformError(
            f"backup {line.id} is not what was written: its checksum differs", hint="use another backup"
        )


def take_backup(context: Context, addon: Addon, act: Act) -> BackupLine:
    """Dump, read it through, then give it its name. The caller holds the addon's lock. Raises PlatformError."""
    kind = kinds.kind(addon.kind)
    replica = at.running(context, addon, act.emit)
    folder = _folder(context, addon)
    with step(context, act.emit, f"back up {addon.name}"), _room(folder):
        facts = at.facts(context, addon, replica)
        now = context.clock.now()
        backup_id = _new_id(folder, now)
        with _temporary(folder / f".{backup_id}.part") as part:
            with part.open("wb") as sink:
                at.run(context, addon, replica, kind.backup, sink=sink)
                sink.flush()
                os.fsync(sink.fileno())
            _verify(context, addon, replica, part)
            line = BackupLine(
                id=backup_id, addon=addon.name, addon_id=addon.id, kind=addon.kind, at=now,
                size=part.stat().st_size, sha256=_sha256(part), server_version=facts.version, tables=facts.tables,
                counts=kind.counts,
            )  # fmt: skip
            # The manifest first: a dump without one would be nobody's, a manifest without a dump is skipped.
            _write(folder / f"{backup_id}.json", json.dumps(asdict(line), indent=2))
            part.rename(folder / f"{backup_id}.dump")
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Data that was copied from one addon to another. `size` is the dump's, bytes."""

    source: str
    addon: str
    tables: int
    size: int
    counts: str = "tables"


def copy_data(context: Context, source: Addon, target: Addon, act: Act) -> Copied:
    """Replace the data of `target` with that of `source`, which goes on working: a dump that is read through, restored,
    and gone afterwards. Takes the lock of each, never both. Raises ConfigError, PlatformError: `target` is then as it
    was."""
    with _room(place := context.settings.home / "work"), _temporary(place / f"{target.id}.dump") as dump:
        with at.held(context, source.id, f"{act.actor}: copy to {target.name}", act.emit):
            source = context.store.addon(source.id)
            replica = at.running(context, source, act.emit)
            with step(context, act.emit, f"dump {source.name}"), dump.open("wb") as sink:
                at.run(context, source, replica, kinds.kind(source.kind).backup, sink=sink)
        with at.held(context, target.id, f"{act.actor}: copy from {source.name}", act.emit):
            restored = _restored(context, context.store.addon(target.id), dump, source.name, act)
        size = dump.stat().st_size
        return Copied(source=source.name, addon=target.name, tables=restored.tables, size=size, counts=restored.counts)


def backups_of(context: Context, name: str, act: Act) -> tuple[BackupLine, ...]:
    """Of all addons that had this name, newest first; who is no owner of the platform gets those of the addon that has
    it now: the others may have been somebody else's."""
    lines = [line for line, _ in _kept(context, name, act)]
    return tuple(sorted(lines, key=lambda line: (line.at, line.id), reverse=True))


# --- restoring ----------------------------------------------------------------------------------------------------


def _source(context: Context, addon: Addon, request: RestoreAddon, act: Act) -> tuple[Path, str]:
    """The dump's file and what to call it. A kept one must still be what its manifest says."""
    if request.upload:
        return uploads.find(context.settings, request.upload), "upload"
    line, path = _found(context, addon.name, request.backup, act)
    if line.kind != addon.kind:
        raise UsageError(f"backup {line.id} is of a {line.kind}, {addon.name} is a {addon.kind}")
    check_dump(line, path)
    return path, line.id


def _restored(context: Context, addon: Addon, path: Path, name: str, act: Act) -> Restored:
    if not is_lost(context, addon):
        return _replaced(context, addon, path, name, act)
    with remade(context, addon, act) as anew:
        return _replaced(context, anew, path, name, act)


def _replaced(context: Context, addon: Addon, path: Path, name: str, act: Act) -> Restored:
    kind = kinds.kind(addon.kind)
    replica = at.running(context, addon, act.emit)
    _verify(context, addon, replica, path)
    with step(context, act.emit, f"restore {addon.name}"):
        try:
            for command in kind.restore:
                with _opened(path, wanted=command.dump) as dump:
                    at.run(context, addon, replica, command, dump=dump)
        except BaseException:
            _abandon(context, addon, act)
            raise
    facts = at.facts(context, addon, replica)
    return Restored(addon=addon.name, backup=name, tables=facts.tables, size=facts.size, counts=kind.counts)


def _abandon(context: Context, addon: Addon, act: Act) -> None:
    """Back to the old data, also when the addon itself went down on the way: then more than once, for it may still
    seem to run. What fails in the end is only told: the server's next start does it again."""
    deadline = context.clock.monotonic() + PATIENCE
    while True:
        try:
            replica = at.start(context, at.spec_of(context, addon), act.emit)
            at.run_all(context, addon, replica, kinds.kind(addon.kind).abandon)
        except PaasError as error:
            if context.clock.monotonic() > deadline:
                message = f"clearing up the restore of {addon.name} failed too: {error.message}"
                act.emit(Event(kind="warning", message=message))
                return
            context.clock.sleep(0.5)
        else:
            return


def _verify(context: Context, addon: Addon, replica: Replica, path: Path) -> None:
    """Read the dump through with its own tool. Raises ConfigError: nothing was changed."""
    kind = kinds.kind(addon.kind)
    refusal = f"this is no {kind.name} dump that can be restored"
    hint = f"make one with: paas db backup {addon.name}" if kind.name != "postgres" else "make it with: pg_dump -Fc"
    with path.open("rb") as dump:
        magic = kind.dump_magic.encode()
        if dump.read(len(magic)) != magic:
            raise ConfigError(refusal, hint=hint)
        dump.seek(0)
        try:
            at.run(context, addon, replica, kind.verify, dump=dump)
        except PlatformError as error:
            raise ConfigError(refusal, hint=hint, details=error.details) from error


@contextmanager
def _opened(path: Path, *, wanted: bool) -> Iterator[BinaryIO | None]:
    if not wanted:
        yield None
        return
    with path.open("rb") as dump:
        yield dump


# --- files --------------------------------------------------------------------------------------------------------


def _root(context: Context) -> Path:
    return context.settings.home / "backups"


def _folder(context: Context, addon: Addon) -> Path:
    return _root(context) / f"{addon.name}-{addon.id}"


def _kept(context: Context, name: str, act: Act) -> list[tuple[BackupLine, Path]]:
    """Backups of addons of exactly this name, as far as they are one's to see, each with its dump.

    Names and ids from outside are compared with what is there, never made into a path.
    """
    root = _root(context)
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{8}}")
    folders = [path for path in root.iterdir() if pattern.fullmatch(path.name)] if root.is_dir() else []
    if not act.may("", "owner"):
        now = _folder(context, context.store.addon(name))
        folders = [folder for folder in folders if folder == now]
    return [kept for folder in sorted(folders) for kept in _in_folder(folder)]


def _in_folder(folder: Path) -> Iterator[tuple[BackupLine, Path]]:
    """A manifest that cannot be read, or has no dump, is no backup."""
    known = {field.name for field in fields(BackupLine)}
    for path in folder.glob("*.json"):
        dump = path.with_suffix(".dump")
        if not BACKUP_ID.fullmatch(path.stem) or not dump.is_file():
            continue
        with suppress(ValueError, TypeError, OSError):
            data = json.loads(path.read_text())
            yield BackupLine(**{**{name: data[name] for name in known & data.keys()}, "id": path.stem}), dump


def _found(context: Context, name: str, backup_id: str, act: Act) -> tuple[BackupLine, Path]:
    """A backup and its dump. Raises NotFound listing what there is."""
    for line, dump in _kept(context, name, act):
        if line.id == backup_id:
            return line, dump
    listed = ", ".join(line.id for line in backups_of(context, name, act)[:5])
    raise NotFound(f"no backup {backup_id!r} of {name}", hint=f"there are: {listed}" if listed else "there is none yet")


def _new_id(folder: Path, now: float) -> str:
    stem = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    candidates = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(name for name in candidates if not (folder / f"{name}.json").exists())


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """The folder, only for us; a disk that is full or cannot be written is told as such."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    except OSError as error:
        raise PlatformError(
            f"no backup could be written to {folder}: {error.strerror}", hint=f"free some space: df -h {folder.parent}"
        ) from error


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A new file (0600) that is gone afterwards unless it got another name."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    with _temporary(path.with_name(f".{path.name}.part")) as part:
        part.write_text(text)
        part.rename(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
