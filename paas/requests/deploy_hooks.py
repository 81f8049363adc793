"""Deploys that a git host asks for."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen

from paas.requests.base import Name, Request

Text = Annotated[str, MaxLen(2000)]
Reviews = Literal["", "own", "forks"]
Few = Annotated[tuple[Annotated[str, MaxLen(250)], ...], MaxLen(50)]


class ListDeployHooks(Request):
    """The addresses at which git hosts tell of pushes to this app's repositories."""

    path, permission = "/apps/{app}/deploy-hooks", "deployer"
    app: Name


class AddDeployHook(Request):
    """A new address for a git host. `url` is the repository that is deployed, `secret` what the host signs with (empty:
    one is made). The answer shows the secret, once."""

    method, path, permission = "POST", "/apps/{app}/deploy-hooks", "operator"
    app: Name
    provider: Literal["github", "gitlab", "gitea", "forgejo", "signed"]
    url: Text
    name: Annotated[str, MaxLen(63)] = ""
    secret: Annotated[str, MaxLen(200)] = ""
    branch: Annotated[str, MaxLen(250)] = "main"
    paths: Few = ()
    wait: bool = False
    checks: Few = ()
    reviews: Reviews = ""


class ChangeDeployHook(Request):
    """What is given is changed, the rest stays. `secret` empty: one is made; the answer shows it, once, and the one
    before opens nothing any more. Another `branch`: what waits of the one before is forgotten. `checks` has it wait for
    them, `wait` without checks for all or for none. `reviews`: which pull requests open review apps, none (empty),
    those of its own branches, or forks' as well."""

    method, path, permission = "PATCH", "/apps/{app}/deploy-hooks/{hook}", "operator"
    app: Name
    hook: Name
    secret: Annotated[str, MaxLen(200)] | None = None
    branch: Annotated[str, MaxLen(250)] | None = None
    paths: Few | None = None
    wait: bool | None = None
    checks: Few | None = None
    reviews: Reviews | None = None


class ShowDeployHook(Request):
    """One of them, and what it waits for."""

    path, permission = "/apps/{app}/deploy-hooks/{hook}", "deployer"
    app: Name
    hook: Name


class RemoveDeployHook(Request):
    """Answer at this address no more. What it started goes on."""

    method, path, permission = "DELETE", "/apps/{app}/deploy-hooks/{hook}", "operator"
    app: Name
    hook: Name


class ListHookDeliveries(Request):
    """What came to a hook, newest first, and what was decided."""

    path, permission = "/apps/{app}/deploy-hooks/{hook}/deliveries", "deployer"
    app: Name
    hook: Name
    limit: Annotated[int, Ge(1), Le(200)] = 30


class RedeliverHook(Request):
    """Decide again about something that came, as if it came now."""

    method, path, permission = "POST", "/apps/{app}/deploy-hooks/{hook}/deliveries/{delivery}", "deployer"
    app: Name
    hook: Name
    delivery: Name
