"""What Traefik needs to ask an authority for certificates: whom it trusts, and the DNS provider's credentials."""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from pathlib import Path

from paas.errors import ConfigError, UsageError
from paas.model.secret import Secret
from paas.routers.traefik import static
from paas.settings import Settings

CREDENTIALS = "acme-dns.env"
"""File in the home with the DNS provider's variables, `NAME=value` a line, as Traefik documents them; 0600."""

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


def roots(settings: Settings) -> str:
    """The authorities of this machine and the one of the settings, PEM. Raises ConfigError when one cannot be read."""
    found = []
    paths = ssl.get_default_verify_paths()
    for path in (settings.ca_file, paths.cafile, "/etc/ssl/certs/ca-certificates.crt"):
        with suppress(OSError, UnicodeDecodeError):
            if path:
                found.append(Path(path).read_text())
                break
    if settings.acme_ca:
        try:
            found.append(Path(settings.acme_ca).read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot be read: {error}", where=f"PAAS_ACME_CA: {settings.acme_ca}") from error
    return "\n".join(found)


def dns_secrets(settings: Settings) -> dict[str, Secret]:
    """The DNS provider's variables. Raises ConfigError for a file that is not as it should be."""
    path = settings.home / CREDENTIALS
    try:
        return parsed(path.read_text()) if settings.acme == "dns" else {}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, UsageError) as error:
        raise ConfigError(f"cannot be used: {error}", where=str(path)) from error


def parsed(text: str) -> dict[str, Secret]:
    """`NAME=value` lines; empty ones and comments are left out. Raises UsageError, which names no value."""
    found: dict[str, Secret] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise UsageError(f"line {number} is not NAME=value", hint="one variable of the DNS provider a line")
        found[name.strip()] = Secret(value.strip().strip("\"'"))
    return found


def environment(settings: Settings) -> dict[str, str]:
    """Variables of Traefik's container: paths only."""
    files = {f"{name}_FILE": f"{static.ISSUED}/dns/{name}" for name in dns_secrets(settings)}
    return {"SSL_CERT_FILE": f"{static.INSIDE}/roots.pem", **files}
