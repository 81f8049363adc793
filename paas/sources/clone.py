"""Gets a commit from a git URL without running anything of it: no hooks, no filters, no checkout by git.

A URL can make git start programs (`ext::`), read options (`--upload-pack=…`, a host that begins with a dash) or ask for
a password. So addresses are taken by a grammar, git is told which protocols exist, and it never gets a terminal. Which
hosts may be reached is `egress/`'s to say; git then goes to the addresses that were checked, and nowhere else. What the
server's user may read there (SSH keys, `~/.netrc`, settings of git) is lent only where the operator allows the host by
name: who types a URL must not read with somebody else's rights.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

from paas.errors import ConfigError, NotFound, PlatformError, UsageError
from paas.model.events import Emit, Event
from paas.sources import gittree
from paas.sources.limits import MEMORY, limited
from paas.sources.tree import pack
from paas.sources.unpack import unpack

if TYPE_CHECKING:
    from paas.egress.connect import Place
    from paas.egress.policy import Policy
    from paas.model.app import Source

_SCHEMES = ("https", "http", "ssh")
_SHORT = re.compile(r"(?P<user>[A-Za-z0-9_][\w.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^\s:-][^\s]*)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_%][\w.%+-]*")
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]*@", re.IGNORECASE)
_REF = re.compile(r"(?!-)(?!.*(\.\.|@\{|//|\\))[^\s~^:?*\[\x00-\x20\x7f]{1,250}(?<![./])")
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NO_KEYS = " -F none -oIdentityFile=none -oIdentitiesOnly=yes -oIdentityAgent=none -oUserKnownHostsFile=/dev/null"

PACKED = 1 << 30
"""Bytes that one fetch may bring, unless the caller says otherwise."""

_THREADS = min(4, os.cpu_count() or 1)
# As for a push: what is broken or hostile is refused on sight, large files pass through in pieces. All that comes is
# one file, as it came.
_CONFIG = (
    "fetch.fsckObjects=true",
    "fetch.fsck.zeroPaddedFilemode=ignore",
    "fetch.fsck.badTimezone=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "core.bigFileThreshold=8m",
    f"pack.threads={_THREADS}",
    "fetch.unpackLimit=1",
    "core.fsmonitor=false",
    "core.logAllRefUpdates=false",
)
_WHOLE = "--depth=2147483647"
"""All there is. With any depth git takes nothing from servers that give each object as a file of its own."""
_LINE = 1 << 16
_SAID = 1000
"""Lines of git that are passed on."""


def is_git_url(target: str) -> bool:
    """Whether this is written as a git URL (allowed or not) rather than as a path."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*:(//|:)", target) or _SHORT.fullmatch(target.partition("#")[0]))


def redacted(text: str) -> str:
    """The text with user names and passwords taken out of its URLs."""
    return _USERINFO.sub(r"\g<scheme>", text)


def check_address(address: str, policy: Policy | None = None) -> None:
    """Raise UsageError, Denied or ConfigError (no such host) for what `clone` would not fetch from."""
    _check(address, "", allow_file=False)
    _place(address, policy)


def is_ref(name: str) -> bool:
    """Whether this can name a branch, tag or commit."""
    return bool(_REF.fullmatch(name))


def clone(
    url: str,
    into: Path,
    *,
    emit: Emit,
    timeout: float,
    limit: int = 1 << 30,
    most: int = 100_000,
    packed: int = PACKED,
    schemes: tuple[str, ...] = _SCHEMES,
    allow_file: bool = False,
    policy: Policy | None = None,
    ca_file: str = "",
) -> Source:
    """Make the new folder `into` from `url` (`#ref` picks a branch, tag or commit; else the remote's default branch).

    `timeout` seconds for the whole transfer, which brings `packed` bytes at most. git may speak no other protocols than
    `schemes`, whatever it is told on the way; `allow_file` also takes `file://` URLs. `policy` says which hosts may be
    reached (None: the internet); `ca_file` whom https is believed, where git's own settings do not (empty: whom the
    system believes).
    Raises UsageError for an address that is not allowed, Denied for a host that may not be reached, NotFound when
    repository or ref do not exist, ConfigError when it holds nothing or too much.
    """
    address, _, ref = url.partition("#")
    _check(address, ref, allow_file=allow_file)
    protocols = (*schemes, "file") if allow_file else schemes
    place = _place(address, policy)
    remote = _Remote(address, ref, protocols, time.monotonic() + timeout, emit, place, ca_file, packed)
    into.parent.mkdir(parents=True, exist_ok=True)
    repository = Path(tempfile.mkdtemp(prefix=f".{into.name}.git.", dir=into.parent))
    try:
        emit(Event(kind="step", message=f"fetching {remote.shown}{f' at {ref}' if ref else ''}"))
        _prepare(repository, remote)
        _fetch(repository, remote)
        commit = gittree.commit(repository, "FETCH_HEAD")
        tree = read(repository, commit, where=remote.shown, limit=limit, most=most)
        found = materialised(tree, into, emit=emit, where=remote.shown, limit=limit, most=most)
    finally:
        shutil.rmtree(repository, ignore_errors=True)
    from paas.model.app import Source  # a server's word; the command line, which imports this file too, starts without

    return Source(kind="git", id=found, version=commit.sha, origin=remote.shown, message=commit.subject)


@dataclass(frozen=True, slots=True)
class _Remote:
    address: str
    ref: str
    protocols: tuple[str, ...]
    deadline: float
    emit: Emit
    place: Place | None = None
    """Where its host was found; None: nowhere but on this machine's disk."""
    ca_file: str = ""
    packed: int = PACKED
    """Bytes that may come."""

    @property
    def shown(self) -> str:
        return redacted(self.address)


def read(
    repository: Path, commit: gittree.Commit, *, where: str, limit: int, most: int, fetches: bool = False
) -> gittree.GitTree:
    """A commit's tree. `where` is what the person calls the repository. Raises ConfigError when it holds too much: said
    before any of it is unpacked, a few bytes of git can stand for very many."""
    try:
        return gittree.GitTree(repository, commit, fetches=fetches, room=gittree.Room(most, limit, where))
    except gittree.GitFailed as error:
        raise ConfigError("git cannot read the commit", where=where, details=error.lines) from error


def materialised(tree: gittree.GitTree, into: Path, *, emit: Emit, where: str, limit: int, most: int) -> str:
    """Make the new folder `into` from a commit's tree; its content id. Raises ConfigError when it holds nothing."""
    for warning in tree.warnings:
        emit(Event(kind="warning", message=warning))
    if not tree.entries:
        raise ConfigError("there is no file to deploy: no app found", where=where)
    with tempfile.NamedTemporaryFile(dir=into.parent, prefix=f".{into.name}.", suffix=".tar") as tar:
        pack(tree, cast("IO[bytes]", tar))
        tar.flush()
        # What comes out of a foreign repository passes the same checks as an upload.
        return unpack(Path(tar.name), into, limit=limit, most=most)


def _check(address: str, ref: str, *, allow_file: bool) -> None:
    if not _allowed(address, allow_file=allow_file):
        raise UsageError(
            f"{redacted(address)!r} is not a git URL that is allowed",
            hint="use https://host/path, ssh://host/path or git@host:path",
        )
    if ref and not _REF.fullmatch(ref):
        raise UsageError(f"{ref!r} cannot name a branch, tag or commit", hint="write it after #, e.g. …/app.git#main")


def _allowed(address: str, *, allow_file: bool) -> bool:
    if any(ord(char) <= 32 or ord(char) == 127 for char in address) or address.startswith("-"):
        return False
    if _SHORT.fullmatch(address):
        return True
    try:
        parts = urlsplit(address)
        host, user, _ = parts.hostname or "", parts.username or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "file":
        return allow_file and not parts.netloc and parts.path.startswith("/")
    user_fits = not user or bool(_USER.fullmatch(user))
    host_fits = bool(_HOST.fullmatch(f"[{host}]" if ":" in host else host))
    return (
        parts.scheme in _SCHEMES and host_fits and user_fits and len(parts.path) > 1 and not parts.path.startswith("/-")
    )


def _place(address: str, policy: Policy | None) -> Place | None:
    """Where git may go for it. Raises Denied, UsageError, ConfigError."""
    from paas.egress.connect import found
    from paas.egress.policy import Policy

    if short := _SHORT.fullmatch(address):
        return _trusted_or(short["host"], 22, policy or Policy(), found)
    parts = urlsplit(address)
    if parts.scheme == "file":
        return None
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80, "ssh": 22}[parts.scheme]
    return _trusted_or(f"[{host}]" if ":" in host else host, port, policy or Policy(), found)


def _trusted_or(host: str, port: int, policy: Policy, found: Callable[..., Place]) -> Place:
    """A host that is allowed by name may be an alias of the SSH configuration, or known to a proxy alone."""
    from paas.egress.connect import Place

    return Place(host, port, (), trusted=True) if policy.names(host) else found(host, port, policy)


def pinned(place: Place | None) -> tuple[tuple[str, ...], str]:
    """The options by which git, and those by which ssh goes to the addresses that were checked: neither asks the
    resolver again. (git knows `http.curloptResolve` since 2.37; an older one ignores it.)"""
    options = ["http.followRedirects=false", "transfer.bundleURI=false", "fetch.uriProtocols="]
    if place is None or place.trusted:
        return tuple(options), ""
    shown = ",".join(f"[{one}]" if one.version == 6 else str(one) for one in place.addresses)
    if ":" not in place.host:
        options.append(f"http.curloptResolve={place.host}:{place.port}:{shown}")
    # sshd is known by the name that was given, as without this.
    known = place.host if place.port == 22 else f"[{place.host}]:{place.port}"
    return tuple(options), f" -oHostName={place.addresses[0]} -oHostKeyAlias={known} -oCheckHostIP=no{_NO_KEYS}"


def _prepare(repository: Path, remote: _Remote) -> None:
    """An empty repository; GitPython's own list of dangerous addresses is asked as well."""
    # Imported here: the command line only wants the words of this module, and this costs it 110 ms.
    import git

    try:
        git.Git.check_unsafe_protocols(remote.address)
        git.Repo.init(repository, bare=True).close()
    except git.UnsafeProtocolError as error:
        raise UsageError(f"{remote.shown!r} is not a git URL that is allowed") from error
    except git.GitCommandNotFound as error:
        raise PlatformError("git is not installed", hint="apt-get install -y git") from error


def _fetch(repository: Path, remote: _Remote) -> None:
    lines = _try_fetch(repository, remote, [remote.ref or "HEAD"], "--depth=1")
    if lines and _SHA.fullmatch(remote.ref):
        # Not every server gives a commit by its id: take all branches, then look for it among them.
        lines = _try_fetch(repository, remote, ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"], _WHOLE)
        if not lines:
            gittree.run(repository, "update-ref", "FETCH_HEAD", gittree.commit(repository, remote.ref).sha)
    if lines:
        raise _too_much(remote, lines) or _explained(remote.shown, remote.ref, lines)


def _try_fetch(repository: Path, remote: _Remote, refs: list[str], *options: str) -> tuple[str, ...]:
    """Empty when it went well, else git's last lines without credentials."""
    settings, ssh = pinned(remote.place)
    command = [
        *("git", "-C", str(repository), "-c", "core.hooksPath=/dev/null", "-c", "credential.helper="),
        *(part for one in (*_CONFIG, *settings) for part in ("-c", one)),
        "fetch",
        *("--progress", "--no-recurse-submodules", "--no-auto-gc", "--no-tags", *options, "--", remote.address, *refs),
    ]
    words: deque[str] = deque(maxlen=5)
    with subprocess.Popen(
        limited(command, file=remote.packed),
        env=_trust(remote.ca_file) | _environment(remote.protocols, ssh) | _nobodys(repository, remote.place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        timer = threading.Timer(max(0.0, remote.deadline - time.monotonic()), _end, [process])
        timer.start()
        try:
            for number, line in enumerate(_lines(cast("IO[bytes]", process.stderr))):
                words.append(redacted(line))
                if number < _SAID:
                    remote.emit(Event(kind="output", message=words[-1], data={"stream": "stderr", "step": "git fetch"}))
        except BaseException:
            _end(process)
            raise
        finally:
            timer.cancel()
            timer.join()
        code = process.wait()
    if code and time.monotonic() >= remote.deadline:
        raise ConfigError(f"git took too long to fetch {remote.shown}", hint="try again, or upload the folder")
    return (tuple(words) or ("git failed",)) if code else ()


def _environment(protocols: tuple[str, ...], ssh: str) -> dict[str, str]:
    return gittree.environment(
        {
            "GIT_ALLOW_PROTOCOL": ":".join(protocols),
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15 -oStrictHostKeyChecking=accept-new" + ssh,
            "GIT_HTTP_LOW_SPEED_LIMIT": "1",
            "GIT_HTTP_LOW_SPEED_TIME": "60",
        }
    )


def _trust(ca_file: str) -> dict[str, str]:
    """The bundle of certificate authorities: git reads no SSL_CERT_FILE by itself. A variable of git's own wins."""
    return {"GIT_SSL_CAINFO": ca_file} if ca_file else {}


def _nobodys(folder: Path, place: Place | None) -> dict[str, str]:
    """A home without a `.netrc` and without settings of git, for hosts that are not allowed by name."""
    lent = place is None or place.trusted
    return {} if lent else {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and what it started (ssh, git-remote-https): they share a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines as they come; of a progress line that is redrawn only the last state."""
    while raw := stream.readline(_LINE):
        line = raw.decode("utf-8", "replace").rstrip("\n").rsplit("\r", 1)[-1].strip()
        if line:
            yield line


def _too_much(remote: _Remote, lines: tuple[str, ...]) -> ConfigError | None:
    """Where git met one of its limits."""
    text = "\n".join(lines)
    if "File too large" in text:
        said, hint = f"brings more than {remote.packed >> 20} MB packed", "raise PAAS_PUSH_LIMIT, or upload the folder"
    elif "Out of memory" in text:
        said, hint = f"takes git more than {MEMORY >> 20} MB of memory", "keep such large files out of git"
    else:
        return None
    return ConfigError(f"{remote.shown} {said}", hint=hint, details=lines)


def _explained(address: str, ref: str, lines: tuple[str, ...]) -> NotFound | ConfigError:
    text = "\n".join(lines)
    if re.search(r"returned error: 30[12378]", text):
        return NotFound(
            f"{address} leads to another address", hint="use that one: open it in a browser, or ask git", details=lines
        )
    if "couldn't find remote ref" in text or "Server does not allow request" in text or "not our ref" in text:
        return NotFound(f"{address} has no {ref!r}" if ref else f"{address} has no commit", details=lines)
    if re.search(r"not found|does not exist|not appear to be a git repository|403|404", text, re.IGNORECASE):
        return NotFound(f"there is no repository at {address}, or it is private", details=lines)
    if re.search(r"could not read Username|Authentication failed|Permission denied|terminal prompts", text):
        return NotFound(
            f"{address} asks for a login",
            hint="put a token into its https URL, deploy a clone of yours, or have the operator allow the host by name "
            "(PAAS_EGRESS_ALLOW): then the server's own keys count there",
            details=lines,
        )
    if re.search(r"server certificate verification failed|SSL certificate problem", text):
        return ConfigError(
            f"{address} shows a certificate that this server does not trust",
            hint="of a company's own authority: name a bundle that has it in SSL_CERT_FILE at the server, then paas up",
            details=lines,
        )
    if "Could not resolve host" in text:
        return ConfigError(
            f"the host of {address} cannot be resolved", hint="check the spelling and DNS", details=lines
        )
    return ConfigError(f"{address} cannot be fetched: {lines[-1]}", details=lines)
