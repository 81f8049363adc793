"""The one grammar for names: apps, processes, config keys, domains, addons. Every sink trusts only these.

An app name is at once a DNS label, part of an image name, of a container name and of a Traefik key.
"""

from __future__ import annotations

import re

from paas.errors import UsageError

APP = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
PROCESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,510}")
CONFIG_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
ALIAS = re.compile(r"[A-Z][A-Z0-9_]{0,62}")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
USER = re.compile(r"[a-z]([a-z0-9._-]{0,38}[a-z0-9])?")
TOKEN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._@-]{0,61}[A-Za-z0-9])?")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

RESERVED_APPS = frozenset({"paas", "traefik", "registry", "admin", "api", "www-data", "localhost"})
"""Names that the platform itself uses as hosts, containers or networks."""

RESERVED_USERS = frozenset({"root", "server", "token", "key", "paas", "nobody", "local"})
"""Names under which the platform itself acts."""

RESERVED_CONFIG = frozenset({"PORT", "SOURCE_VERSION"})
"""Keys that the platform sets itself, with everything that starts with `PAAS_`."""

MAX_VALUE = 128 * 1024 - 512
"""Bytes of one config value: the Linux kernel takes 128 KiB for one `KEY=value` string (MAX_ARG_STRLEN)."""

MAX_CONFIG = 1024 * 1024
"""Bytes of all config values of an app together: the kernel's room for an environment is about 2 MiB."""


def app_name(value: str) -> str:
    """`value` if it can name an app. Raises UsageError saying which rule it breaks."""
    if not APP.fullmatch(value):
        raise UsageError(
            f"{value!r} cannot name an app",
            hint="use 1 to 40 lower-case letters, digits and dashes; start with a letter, end with a letter or digit",
        )
    if value in RESERVED_APPS:
        raise UsageError(f"{value!r} is a name the platform uses itself", hint="choose another name")
    return value


def process_name(value: str) -> str:
    """`value` if it can name a process type. Raises UsageError."""
    if not PROCESS.fullmatch(value):
        raise UsageError(
            f"{value!r} cannot name a process", hint="use up to 63 letters, digits, dashes and underscores"
        )
    return value


def image_reference(value: str) -> str:
    """The name or id of an image, as far as it cannot be taken for anything else. Raises UsageError."""
    if not IMAGE.fullmatch(value):
        raise UsageError(f"{value[:80]!r} cannot name an image", hint="use NAME:TAG, NAME@sha256:… or an image id")
    return value


def key_name(value: str) -> str:
    """`value` if it can name an SSH key. Raises UsageError."""
    if not KEY.fullmatch(value):
        raise UsageError(
            f"{value!r} cannot name a key", hint="use up to 63 letters, digits, dots, dashes, underscores and @"
        )
    return value


def owned_key_name(value: str) -> str:
    """The same for a key of a user, which begins with the user's name: `bob:laptop`. Raises UsageError."""
    user, colon, name = value.partition(":")
    return f"{user_name(user)}:{key_name(name)}" if colon else key_name(value)


def user_name(value: str) -> str:
    """`value` if it can name a user. Raises UsageError."""
    if not USER.fullmatch(value):
        raise UsageError(
            f"{value[:80]!a} cannot name a user",
            hint="use 1 to 40 lower-case letters, digits, dots, dashes and underscores; start with a letter",
        )
    if value in RESERVED_USERS:
        raise UsageError(f"{value!r} is a name the platform uses itself", hint="choose another name")
    return value


def team_name(value: str) -> str:
    """`value` if it can name a team. Raises UsageError."""
    if not USER.fullmatch(value):
        raise UsageError(
            f"{value[:80]!a} cannot name a team",
            hint="use 1 to 40 lower-case letters, digits, dots, dashes and underscores; start with a letter",
        )
    return value


def token_name(value: str) -> str:
    """`value` if it can name a token or a session. Raises UsageError."""
    if not TOKEN.fullmatch(value):
        raise UsageError(
            f"{value[:80]!a} cannot name a token", hint="use up to 63 letters, digits, blanks, dots, dashes and @"
        )
    return value


def config_key(value: str) -> str:
    """`value` if it can be a config key. Raises UsageError."""
    if not CONFIG_KEY.fullmatch(value):
        raise UsageError(
            f"{value!r} cannot be a config key", hint="use letters, digits and underscores, no digit first"
        )
    if value in RESERVED_CONFIG or value.startswith("PAAS_"):
        raise UsageError(f"{value} is set by the platform", hint="choose another key")
    return value


def config_value(key: str, value: str) -> str:
    """`value` if a process can have it in its environment. Raises UsageError naming the key, never the value."""
    if "\0" in value:
        raise UsageError(
            f"the value of {key} holds a NUL byte", hint="environment variables cannot; encode it, e.g. base64"
        )
    size = len(value.encode("utf-8", "surrogateescape"))
    if size > MAX_VALUE:
        raise UsageError(
            f"the value of {key} has {size} bytes; the limit is {MAX_VALUE}",
            hint="keep large data in a file of the app or in a database",
        )
    return value


def host_name(value: str) -> str:
    """A fully qualified host name, lower-case and in punycode; `*.` in front is allowed. Raises UsageError."""
    text = value.strip().rstrip(".").lower()
    wildcard, rest = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        ascii_name = rest.encode("idna").decode() if not rest.isascii() else rest
    except UnicodeError:
        ascii_name = ""
    labels = ascii_name.split(".")
    is_address = bool(labels[-1]) and labels[-1].isdigit()
    if len(ascii_name) > 253 or len(labels) < 2 or is_address or not all(LABEL.fullmatch(label) for label in labels):
        raise UsageError(
            f"{value!r} is not a domain", hint="give a host name such as www.example.com, without scheme, port or path"
        )
    return wildcard + ascii_name
