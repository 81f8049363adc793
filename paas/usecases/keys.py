"""SSH keys that may push and fetch: lines of the `authorized_keys` file that this machine's sshd reads, each with the
one command it may run. Everything in the file that is not ours stays as it is, byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from paas.errors import ConfigError, Conflict, NotFound, PlatformError, UsageError
from paas.model import names
from paas.model.people import KeyOwner
from paas.requests.git import AddKey, ListKeys, RemoveKey
from paas.settings import Settings
from paas.usecases.context import Act, Context

KINDS = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
MOST_KEYS = 50
"""Of one user: sshd reads the whole file at every login, the operator's own included."""
_OURS = re.compile(r'command="[^\n]* git-shell (?P<name>\S+)",restrict (?P<kind>\S+) (?P<blob>\S+) \S+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An SSH key that may push. `fingerprint` is what `ssh-keygen -l` says; `user` empty: the platform's owner."""

    name: str
    kind: str
    fingerprint: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedKey(Key):
    """A key that has come. `remote` is what to push to with it, before the app's name: `ssh://USER@HOST/`, where `HOST`
    stands for itself if the platform has no host of its own."""

    remote: str


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    kind: str
    blob: str

    @property
    def key(self) -> Key:
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(self.blob)).digest()).decode().rstrip("=")
        user, colon, name = self.name.partition(":")
        known = (user, name) if colon else ("", self.name)
        return Key(name=known[1], kind=self.kind, fingerprint=f"SHA256:{digest}", user=known[0])


def list_keys(context: Context, request: ListKeys, act: Act) -> tuple[Key, ...]:
    """The keys by name: one's own, and all of them for the platform's owner."""
    _, ours, _ = _read(context.settings)
    seen = [line for line in ours if _everybody(act) or line.name.startswith(_prefix(act))]
    return tuple(line.key for line in sorted(seen, key=lambda line: line.name))


def add_key(context: Context, request: AddKey, act: Act) -> AddedKey:
    """Let a key push, as the user who asks. Raises UsageError for what is no public key, Conflict when name or key are
    there already."""
    line = _parsed(_prefix(act) + names.key_name(request.name), request.public)
    with _alone(context.settings):
        before, ours, after = _read(context.settings)
        for known in ours:
            if known.blob == line.blob:
                raise _known_already(known, act)
            if known.name == line.name:
                raise Conflict(f"there is a key {request.name} already", hint=f"paas keys remove {request.name}")
        if (whose := _prefix(act)) and sum(known.name.startswith(whose) for known in ours) >= MOST_KEYS:
            raise Conflict(f"you have {MOST_KEYS} keys", hint="paas keys remove NAME")
        if line.blob in (before + after).split():
            raise Conflict(
                "this key may log in here already: sshd would never look at a second line for it",
                hint=f"push with a key of its own, or take its line out of {path_of(context.settings)}",
            )
        if user_id := act.who.user_id if act.who else "":
            # Whose it is first: a line that is nobody's would be the platform owner's.
            context.store.put_key_owner(KeyOwner(name=line.name, user_id=user_id))
        _write(context.settings, before, [*ours, line], after)
    return AddedKey(**asdict(line.key), remote=_remote(context.settings))


def remove_key(context: Context, request: RemoveKey, act: Act) -> Key:
    """Let a key push no more; what it is doing right now goes on. Raises NotFound."""
    with _alone(context.settings):
        before, ours, after = _read(context.settings)
        seen = [line.name for line in ours if _everybody(act) or line.name.startswith(_prefix(act))]
        wanted = request.name if request.name in seen else _prefix(act) + request.name
        gone = next((line for line in ours if line.name == wanted and wanted in seen), None)
        if gone is None:
            known = ", ".join(sorted(name.removeprefix(_prefix(act)) for name in seen)) or "none"
            raise NotFound(f"there is no key {request.name!r}", hint=f"keys: {known}")
        _write(context.settings, before, [line for line in ours if line is not gone], after)
    context.store.delete_key_owner(gone.name)
    return gone.key


def remove_of(context: Context, user_id: str) -> None:
    """Let none of a user's keys push any more. Raises PlatformError, ConfigError: then the user must not go yet."""
    own = {one.name for one in context.store.key_owners() if one.user_id == user_id}
    if own:
        with _alone(context.settings):
            before, ours, after = _read(context.settings)
            _write(context.settings, before, [line for line in ours if line.name not in own], after)
        for name in own:
            context.store.delete_key_owner(name)


def path_of(settings: Settings) -> Path:
    """The file that sshd reads."""
    if settings.ssh_keys:
        return Path(settings.ssh_keys).absolute()
    return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh" / "authorized_keys"


def shell_command(settings: Settings, name: str) -> str:
    """What sshd runs for the key: nothing of the environment that came over the line gets to it but what was asked."""
    home, python = shlex.quote(str(settings.home)), shlex.quote(sys.executable)
    asked = '"SSH_ORIGINAL_COMMAND=$SSH_ORIGINAL_COMMAND"'
    return f"exec env -i {asked} PAAS_HOME={home} {python} -P -m paas git-shell {name}"


def _remote(settings: Settings) -> str:
    """sshd lets the key in as the server's user, whose file it stands in."""
    return f"ssh://{pwd.getpwuid(os.geteuid()).pw_name}@{settings.platform_domain or 'HOST'}/"


def _everybody(act: Act) -> bool:
    return act.access.on_platform() == "owner"


def _prefix(act: Act) -> str:
    """What the names of a user's keys begin with, in the file: no two users' keys can be mixed up."""
    return f"{act.actor}:" if act.who and act.who.user_id else ""


def _known_already(known: _Line, act: Act) -> Conflict:
    """Whose it is, only for whom that concerns."""
    if _everybody(act) or known.name.startswith(_prefix(act) or ":"):
        name = known.name.removeprefix(_prefix(act))
        return Conflict(f"this key is there already, as {name}", hint=f"paas keys remove {name}")
    return Conflict("this key is there already", hint="push with a key of its own")


def _parsed(name: str, public: str) -> _Line:
    """The key out of the line of a .pub file; its comment is dropped."""
    lines = [line for line in public.splitlines() if line.strip()]
    words = lines[0].split() if len(lines) == 1 else []
    hint = "give the one line of a .pub file: paas keys add NAME < ~/.ssh/id_ed25519.pub"
    if "PRIVATE KEY" in public:
        raise UsageError("this is a private key: never send it anywhere", hint=hint)
    if len(words) < 2 or words[0] not in KINDS:
        raise UsageError("this is no public SSH key", hint=hint)
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("this is no public SSH key: it is cut or changed", hint=hint) from None
    size = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + size] != words[0].encode() or len(blob) <= 4 + size:
        raise UsageError("this is no public SSH key: it is cut or changed", hint=hint)
    return _Line(name, words[0], words[1])


def _marks(settings: Settings) -> tuple[str, str]:
    return f"# paas {settings.instance}: keys that may push; written by paas keys", f"# paas {settings.instance}: end"


def _read(settings: Settings) -> tuple[str, list[_Line], str]:
    """What stands before our lines, our lines, what stands after them. Raises ConfigError, PlatformError."""
    path = path_of(settings)
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return "", [], ""
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {error.strerror}") from error
    begin, end = _marks(settings)
    before, found, rest = text.partition(f"{begin}\n")
    if not found:
        return text, [], ""
    own, found, after = rest.partition(f"{end}\n")
    matches = [_OURS.fullmatch(line) for line in own.splitlines()]
    if not found or None in matches:
        raise ConfigError(
            "the lines that paas keeps there were changed by hand",
            where=str(path),
            hint=f"take out what is between {begin!r} and {end!r}, both lines included; then add the keys again",
        )
    return before, [_Line(match["name"], match["kind"], match["blob"]) for match in matches if match], after


def _write(settings: Settings, before: str, ours: Sequence[_Line], after: str) -> None:
    """Replace the file at once: sshd reads the old one or the new one."""
    path = path_of(settings).resolve()
    coming = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    begin, end = _marks(settings)
    lines = "".join(f"{_text(settings, line)}\n" for line in ours)
    block = f"{begin}\n{lines}{end}\n" if ours else ""
    if before and not before.endswith("\n"):
        before += "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write((before + block + after).encode("utf-8", "surrogateescape"))
            if path.exists():
                kept = path.stat()
                os.fchown(file.fileno(), kept.st_uid, kept.st_gid)
                os.fchmod(file.fileno(), kept.st_mode & 0o777)
        coming.rename(path)
    except OSError as error:
        coming.unlink(missing_ok=True)
        raise PlatformError(f"{path} cannot be written: {error.strerror}") from error


def _text(settings: Settings, line: _Line) -> str:
    command = shell_command(settings, line.name).replace('"', '\\"')
    return f'command="{command}",restrict {line.kind} {line.blob} {line.name}'


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    folder = settings.home / "git"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "keys.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
