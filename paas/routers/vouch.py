"""The word by which the server knows its own router: what the router says of a client is believed, from nobody else.

It lies in `<home>/router.word` (0600), goes to the server in a header that the router sets on each request, and is
never sent to a client.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from paas.errors import PlatformError
from paas.model.secret import Secret

HEADER = "Paas-Router"
FILE = "router.word"


def word(home: Path) -> Secret:
    """The word; made when there is none yet. Raises PlatformError when it cannot be kept."""
    path = home / FILE
    try:
        with suppress(FileNotFoundError):
            if len(found := path.read_text().strip()) >= 32:
                return Secret(found)
        made = secrets.token_hex(32)
        draft = path.with_name(f".{FILE}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(made + "\n")
        draft.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise PlatformError(f"{path} cannot be used: {error}", hint="run as the platform's owner (sudo)") from error
    return Secret(made)
