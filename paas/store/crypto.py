"""Secrets at rest: sealed with Fernet (AES-128-CBC + HMAC) under keys in a file that only the owner can read.

What is sealed names its owner and its place inside the ciphertext, so a sealed value moved to another app's row, or
to another release of the same app, is refused instead of handed out. Never logs, never puts a value in an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from paas.errors import PlatformError
from paas.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals and unseals. `path` is the key file: one Fernet key a line, the first one seals, all of them unseal."""

    path: Path
    keys: tuple[str, ...]

    @classmethod
    def create(cls, path: Path) -> Vault:
        """A new key in a new file (0600). Raises FileExistsError: a key file is never overwritten by this."""
        vault = cls(path, (Fernet.generate_key().decode(),))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(vault.text)
            file.flush()
            os.fsync(file.fileno())
        return vault

    @classmethod
    def load(cls, path: Path) -> Vault:
        """The keys of an existing file. Raises PlatformError when it is missing or holds no key."""
        try:
            keys = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
            MultiFernet([Fernet(key) for key in keys])
        except FileNotFoundError:
            raise PlatformError(
                f"the key file {path} is gone; without it no config value and no password can be read",
                hint=f"put it back from your copy of {path.parent}",
            ) from None
        except (ValueError, UnicodeDecodeError):
            raise PlatformError(
                f"the key file {path} holds no usable key", hint=f"put it back from your copy of {path.parent}"
            ) from None
        os.chmod(path, 0o600)  # noqa: PTH101 - whatever an unpacked backup made of it
        return cls(path, keys)

    @property
    def text(self) -> str:
        """What stands in the key file."""
        return "".join(f"{key}\n" for key in self.keys)

    def seal(self, values: Mapping[str, Secret], owner: str, place: str) -> str:
        """The values as one token, bound to their owner (an app or addon id) and place (`config 12`)."""
        plain = {"owner": owner, "place": place, "values": {key: value.reveal() for key, value in values.items()}}
        # surrogates are bytes of an environment that are no UTF-8: JSON's \u escapes carry them unharmed
        return self._fernet().encrypt(json.dumps(plain).encode()).decode()

    def unseal(self, token: str, owner: str, place: str) -> dict[str, Secret]:
        """The values of a token sealed for exactly this owner and place. Raises PlatformError."""
        try:
            plain = json.loads(self._fernet().decrypt(token.encode()))
        except (InvalidToken, ValueError):
            raise self._refusal(owner, place, "cannot be decrypted") from None
        if (plain["owner"], plain["place"]) != (owner, place):
            raise self._refusal(owner, place, f"belong to {plain['owner']} {plain['place']}")
        return {key: Secret(value) for key, value in plain["values"].items()}

    def renewed(self) -> Vault:
        """The same vault with a new first key; what the older keys sealed can still be unsealed."""
        return Vault(self.path, (Fernet.generate_key().decode(), *self.keys))

    def newest(self) -> Vault:
        """The same vault with its first key alone."""
        return Vault(self.path, self.keys[:1])

    def reseal(self, token: str) -> str:
        """The token under the first key."""
        return self._fernet().rotate(token.encode()).decode()

    def save(self) -> None:
        """Replace the key file in one step."""
        temporary = self.path.with_name(f".{self.path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self.keys])

    def _refusal(self, owner: str, place: str, what: str) -> PlatformError:
        return PlatformError(
            f"the secrets stored as {owner} {place} {what}",
            hint=f"{self.path} is another key, or the store is damaged: put back your copies of both",
        )
