"""Roles as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from paas.errors import UsageError

if TYPE_CHECKING:
    from paas.requests.base import Permission

WORDS = {"view": "viewer", "deploy": "deployer", "operate": "operator", "manage": "owner", "member": "deployer",
         "collaborator": "viewer", "admin": "owner"}  # fmt: skip
"""Heroku's permissions and roles, and ours."""


def checked_role(text: str) -> Permission:
    """The role. Raises UsageError."""
    from paas.requests.base import Permission

    role = WORDS.get(text, text)
    if role not in get_args(Permission):
        raise UsageError(f"{text[:40]!a} is no role", hint=f"roles: {', '.join(get_args(Permission))}")
    return cast("Permission", role)
