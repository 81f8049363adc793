"""What a build stage needs to reach the package registries from here: proxies, indexes, a company's CA."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from paas.errors import ConfigError
from paas.interfaces import Builder
from paas.model.events import Emit
from paas.settings import Settings

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
"""Where Debian's and Ubuntu's update-ca-certificates takes a machine's own certificates from."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_INDEXES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "NPM_CONFIG_REGISTRY",
    "YARN_NPM_REGISTRY_SERVER",
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def build_env(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of this machine that build stages need: proxies in both spellings, package indexes.

    What only this machine could reach is left out: file paths, and addresses on loopback.
    """
    found: dict[str, str] = {}
    for name in _PROXIES:
        value = environ.get(name) or environ.get(name.lower()) or ""
        if _one_line(value) and (name == "NO_PROXY" or _travels(value)):
            found[name] = found[name.lower()] = value
    for name in _INDEXES:
        value = environ.get(name) or environ.get(name.lower()) or ""
        if _one_line(value) and all(_travels(part) for part in value.split()):
            found[name] = value
    if "PIP_INDEX_URL" in found:
        found.setdefault("UV_DEFAULT_INDEX", found["PIP_INDEX_URL"])
    elif "UV_DEFAULT_INDEX" in found:
        found["PIP_INDEX_URL"] = found["UV_DEFAULT_INDEX"]
    return dict(sorted(found.items()))


def _travels(value: str) -> bool:
    if value.startswith(("/", ".", "~", "file:")):
        return False
    try:
        host = urlsplit(value if "//" in value else f"//{value}").hostname
    except ValueError:
        return False
    return host not in _LOOPBACK


def _one_line(value: str) -> bool:
    """Whether there is a value, and one that cannot become a line of its own in a Dockerfile."""
    return bool(value) and value.isprintable()


def ca_image(settings: Settings, builder: Builder, emit: Emit, *, local: Path = LOCAL_CERTIFICATES) -> str:
    """The name of an image that holds nothing but `/ca.pem`, what builds must trust; empty when there is no need.

    There is a need when SSL_CERT_FILE names a bundle other than the system's, or the system's has this machine's own
    certificates in it. Build stages take the file by COPY --from or a bind mount; no final image ever holds it.
    Raises ConfigError when the bundle cannot be read or holds no certificate.
    """
    bundle = _bundle(settings.ca_file, local)
    if bundle is None:
        return ""
    try:
        pem = bundle.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{bundle}: {error.strerror}", where="SSL_CERT_FILE", hint="name a readable bundle"
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise ConfigError(f"{bundle} holds no certificate", where="SSL_CERT_FILE", hint="name a bundle in PEM format")
    ref = f"paas-base/ca:{hashlib.sha256(pem).hexdigest()[:12]}"
    if builder.find(ref) is None:
        with tempfile.TemporaryDirectory(prefix="paas-ca-") as folder:
            (Path(folder) / "ca.pem").write_bytes(pem)
            builder.build(Path(folder), "FROM scratch\nCOPY ca.pem /ca.pem\n", ref, labels={}, emit=emit)
    return ref


def _bundle(ca_file: str, local: Path) -> Path | None:
    own = local.is_dir() and any(path.suffix == ".crt" for path in local.rglob("*"))
    if own:
        return Path(ca_file) if ca_file else SYSTEM_BUNDLE
    return Path(ca_file) if ca_file and Path(ca_file) != SYSTEM_BUNDLE else None
