"""Source to running release, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen

from paas.requests.base import Name, Number, Permission, Request

Word = Annotated[str, MaxLen(255)]
Place = Annotated[str, MaxLen(4096)]
Message = Annotated[str, MaxLen(4096)]
"""What is kept with a release, and shown with every list of them."""


@dataclass(frozen=True, kw_only=True)
class SourceRef:
    """Where the code is: exactly one of an upload's id, a git URL (`#ref` allowed), an image reference, a commit of the
    app's own repository (`incoming` names the folder of objects that a push keeps apart), or a content id the server
    may already know (`same`: deploy only if it is what runs, else answer `upload`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    upload: Word = ""
    git: Place = ""
    image: Place = ""
    commit: Word = ""
    incoming: Word = ""
    content_id: Word = ""
    kind: Literal["directory", "git", "archive", "image"] = "directory"
    version: Word = ""
    origin: Place = ""
    message: Message = ""


class DeployApp(Request):
    """Source to running release. With `create`, an app that does not exist yet is made."""

    method, path, permission, shape = "POST", "/apps/{app}/deploys", "deployer", "operation"
    app: Name
    source: SourceRef
    create: bool = True
    buildpack: Word = ""
    message: Message = ""
    no_cache: bool = False
    force: bool = False

    def makes_app(self) -> bool:
        return self.create


class PlanApp(Request):
    """What a deploy of this source would do, and why. Changes nothing, builds nothing, but fetches what it names."""

    method, path, permission = "POST", "/apps/{app}/plan", "deployer"
    app: Name
    source: SourceRef | None = None
    buildpack: Word = ""
    environment: Word = ""

    def makes_app(self) -> bool:
        return self.source is not None


class SetUpApp(Request):
    """An app out of a git repository: made if there is none, with the config it requires (`env`) and the addons it
    names, deployed. Given again after a failure it goes on. `team` gets the role deployer, `environment` is the one of
    its files that counts."""

    method, path, permission, shape = "POST", "/apps/{app}/set-up", "deployer", "operation"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "viewer"}
    app: Name
    url: Annotated[str, MaxLen(2000)]
    environment: str = ""
    env: dict[str, str] = field(default_factory=dict)
    team: str = ""
    buildpack: str = ""

    def makes_app(self) -> bool:
        return True


class ListReleases(Request):
    """Releases, newest first."""

    path = "/apps/{app}/releases"
    app: Name
    limit: Annotated[int, Ge(0), Le(10_000)] = 30


class ShowRelease(Request):
    """One release, and with `diff` what it changed against the one before (values masked)."""

    path = "/apps/{app}/releases/{number}"
    app: Name
    number: Annotated[Number, Ge(1)]
    diff: bool = False


class Rollback(Request):
    """A new release that equals an earlier one, image, config, processes and domains. 0: the last good one before."""

    method, path, permission, shape = "POST", "/apps/{app}/rollback", "deployer", "operation"
    app: Name
    number: Number = 0
