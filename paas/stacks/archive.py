"""Where this machine gets Debian packages from, and a root filesystem made of them (mmdebstrap)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paas.errors import PlatformError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CHUNK = 1 << 20
_NAME_ONE = "set PAAS_DEBIAN_MIRROR to a Debian mirror that ends in /debian and has /debian-security beside it"
_ONE_LINE = re.compile(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mirror:
    """The addresses of the main and the security archive."""

    main: str
    security: str

    def sources(self, suite: str) -> tuple[str, ...]:
        """The lines of sources.list for a suite such as `trixie`."""
        return (
            f"deb {self.main} {suite} main",
            f"deb {self.main} {suite}-updates main",
            f"deb {self.security} {suite}-security main",
        )


def mirror(configured: str, apt: Path = Path("/etc/apt")) -> Mirror:
    """The configured mirror, or the one this machine's own apt uses.

    A mirror `…/debian` is expected to have `…/debian-security` beside it, unless apt names another one. Raises
    PlatformError when neither the setting nor apt says where Debian is.
    """
    known = tuple(_addresses(apt))
    security = next((url for url in known if url.rstrip("/").endswith("/debian-security")), "")
    main = configured or next((url for url in known if url.rstrip("/").endswith("/debian")), "")
    if not main:
        raise PlatformError(f"{apt} names no Debian mirror to make base images from", hint=_NAME_ONE)
    beside = re.sub(r"/debian/?$", "/debian-security", main)
    if not security and beside == main:
        raise PlatformError(f"{main} does not end in /debian: where is its security archive?", hint=_NAME_ONE)
    return Mirror(main.rstrip("/"), (security or beside).rstrip("/"))


def _addresses(apt: Path) -> Iterator[str]:
    """Addresses in sources.list and sources.list.d, in the order of the files; unreadable ones are passed over."""
    folder = apt / "sources.list.d"
    for path in (apt / "sources.list", *(sorted(folder.iterdir()) if folder.is_dir() else ())):
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if path.suffix == ".sources":
            for line in re.findall(r"^URIs:(.*)$", text, re.MULTILINE | re.IGNORECASE):
                yield from line.split()
        else:
            yield from (match[1] for match in _ONE_LINE.finditer(text))


def arguments(suite: str, where: Mirror, out: Path) -> tuple[str, ...]:
    """The mmdebstrap command line. What it is told about documentation and languages stays set in the image."""
    left_out = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
    return (
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        "--format=tar",
        "--include=ca-certificates,tzdata",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in left_out),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Retries "3"',
        f"--keyring={KEYRING}",
        suite,
        str(out),
        *where.sources(suite),
    )


def able() -> None:
    """Raises PlatformError with the command that mends it when this machine cannot make a root filesystem."""
    if os.geteuid() != 0:
        raise PlatformError(
            "making base images needs root", hint="use root's platform (`sudo paas ...`), or set PAAS_STACK=official"
        )
    missing = [] if shutil.which("mmdebstrap") else ["mmdebstrap"]
    missing += [] if KEYRING.exists() else ["debian-archive-keyring"]
    if missing:
        raise PlatformError(
            f"making base images needs {' and '.join(missing)}",
            hint=f"apt-get install -y {' '.join(missing)} (or set PAAS_STACK=official where a registry is reachable)",
        )


def root_filesystem(suite: str, where: Mirror) -> Iterator[bytes]:
    """The tar stream of a minimal Debian, made when the first chunk is asked for (about 15 s).

    Raises PlatformError with apt's last words; nothing is left behind.
    """
    able()
    with tempfile.TemporaryDirectory(prefix="paas-debian-") as folder:
        out = Path(folder) / "root.tar"
        environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "TMPDIR": folder, "LC_ALL": "C"}
        environ |= {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
        done = subprocess.run(
            arguments(suite, where, out), env=environ, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0:
            words = tuple(line for line in done.stderr.splitlines() if line.strip())[-15:]
            raise PlatformError(
                f"Debian {suite} cannot be made from {where.main}",
                hint="check that the mirror is reachable; PAAS_DEBIAN_MIRROR names another one",
                details=words,
            )
        with out.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
