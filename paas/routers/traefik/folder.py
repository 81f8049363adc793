"""The platform's `traefik` folder: what Traefik reads, written so that it never sees half of anything."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography import x509

from paas.bundled import templates
from paas.errors import RouterError
from paas.model.route import Certificate, Route
from paas.model.secret import Secret
from paas.routers.traefik import acme, render, static
from paas.routers.traefik.render import CertificateFiles

_PLUGIN = "plugins-local/src/paas/request"
"""Where Traefik looks for a local plugin, below its working directory."""

ROOTS = "roots.pem"
"""The authorities that Traefik trusts when it asks for certificates: its image has none."""

_GO_MOD = "module paas/request\n\ngo 1.22\n"


class Folder:
    """Reads and writes below `path`. The same folder is INSIDE in Traefik's container, read-only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dynamic = path / static.DYNAMIC
        self._last = self.dynamic.with_suffix(".last")
        self._certs = path / "certs"
        self._issued: tuple[tuple[str, int, int], tuple[Certificate, ...]] = (("", 0, 0), ())

    def prepare(self, static_text: str, roots: str = "") -> str:
        """Write all that Traefik needs at its start; the digest of it changes when a restart is needed. `roots` are the
        authorities it trusts, PEM."""
        source = templates() / "traefik" / "request"
        files = {
            "static.yml": static_text,
            f"{_PLUGIN}/request.go": (source / "request.go").read_text(),
            f"{_PLUGIN}/.traefik.yml": (source / "manifest.yml").read_text(),
            f"{_PLUGIN}/go.mod": _GO_MOD,
            **({ROOTS: roots} if roots else {}),
        }
        self._certs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in files.items():
            _write(self.path / name, text)
        return hashlib.sha256("\0".join(files.values()).encode()).hexdigest()[:16]

    def read(self) -> tuple[tuple[Route, ...], tuple[CertificateFiles, ...]]:
        """The routes and certificates that were last written; of a damaged file the ones written before."""
        for path in (self.dynamic, self._last):
            try:
                return render.read(path.read_text())
            except FileNotFoundError:
                continue
            except (ValueError, OSError):
                continue
        return (), ()

    def write(self, routes: Collection[Route], certificates: Sequence[CertificateFiles], facts: render.Facts) -> None:
        """Make this the dynamic file, if it differs. Raises RouterError when it cannot be written."""
        text = render.text(routes, certificates, facts)
        try:
            before = self.dynamic.read_text() if self.dynamic.exists() else ""
            if before == text:
                return
            if before.startswith(render.HEAD):
                _write(self._last, before)
            _write(self.dynamic, text)
        except (OSError, UnicodeDecodeError) as error:
            raise RouterError(f"the routes cannot be written: {error}", hint="free some space, see `df`") from error

    def covered(self) -> frozenset[str]:
        """The names of the certificates that were kept here."""
        found: set[str] = set()
        for path in self._certs.glob("*.crt"):
            with suppress(OSError, ValueError):
                found.update(acme.names_of(x509.load_pem_x509_certificate(path.read_bytes())))
        return frozenset(found)

    def issued(self, name: str) -> tuple[Certificate, ...]:
        """What Traefik got by itself; nothing while there is no such file, or none that can be read."""
        path = self.path / "issued" / name
        with suppress(OSError, ValueError):
            seen = path.stat()
            state = (name, seen.st_mtime_ns, seen.st_size)
            if self._issued[0] != state:
                self._issued = (state, acme.kept(path.read_text()))
            return self._issued[1]
        return ()

    def prepare_issued(self, name: str, secrets: Mapping[str, Secret]) -> None:
        """The folder that Traefik may write to, and its file, which Traefik demands to be 0600. `secrets` go into files
        of their own beside it, in place of those before."""
        folder = self.path / "issued"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / name
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        path.chmod(0o600)
        for old in (folder / "dns").glob("*"):
            if old.name not in secrets:
                old.unlink()
        for key, value in secrets.items():
            _write(folder / "dns" / key, value.reveal())

    def keep(self, certificates: Sequence[Certificate]) -> tuple[CertificateFiles, ...]:
        """Write certificates and keys (0600) under names of their content; the files as Traefik finds them."""
        self._certs.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = []
        for certificate in certificates:
            pair = f"{certificate.chain}\0{certificate.key.reveal()}"
            name = hashlib.sha256(pair.encode()).hexdigest()[:24]
            _write(self._certs / f"{name}.crt", certificate.chain)
            _write(self._certs / f"{name}.key", certificate.key.reveal())
            inside = f"{static.INSIDE}/certs/{name}"
            found.append(CertificateFiles(certFile=f"{inside}.crt", keyFile=f"{inside}.key"))
        return tuple(found)

    def drop_others(self, certificates: Sequence[CertificateFiles]) -> None:
        """Remove certificate files that are not among these."""
        kept = {Path(path).name for files in certificates for path in (files["certFile"], files["keyFile"])}
        for path in self._certs.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """All of the text or nothing, readable by the owner only; on disk when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The dot keeps it out of sight; in the same folder, because a rename is atomic only within a file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
