"""git's own conversation, and the keys that may have it."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from paas.requests.base import Name, Request
from paas.requests.sessions import Session


class GitSession(Session):
    """git's own conversation about an app's repository, as bytes: `git push` is receive-pack, `git fetch` upload-pack.

    A push to an app that does not exist makes it; one that is refused takes it away again. `step` is one half of it, as
    HTTP has it: what there is, or one request and its answer.
    """

    path, permission = "/apps/{app}/git", "deployer"
    app: Name
    service: Literal["receive-pack", "upload-pack"]
    step: Literal["", "refs", "rpc"] = ""

    def makes_app(self) -> bool:
        # asked before the session is opened, nothing is known but the app
        return getattr(self, "service", "receive-pack") == "receive-pack"


class ShowBranch(Request):
    """Which branch of the app's repository is deployed when it is pushed."""

    path = "/apps/{app}/git/branch"
    app: Name


class SetBranch(Request):
    """Deploy another branch from now on. One that was pushed already is deployed at once."""

    method, path, permission, shape = "PUT", "/apps/{app}/git/branch", "deployer", "operation"
    app: Name
    branch: Annotated[str, MinLen(1), MaxLen(250)]


class ListKeys(Request):
    """The SSH keys that may push and fetch: one's own, and all of them for the platform's owner."""

    path, everyone = "/keys", True


class AddKey(Request):
    """Let an SSH key push and fetch, as whoever asks. `public` is the line of its .pub file."""

    method, path, everyone, personal = "POST", "/keys", True, True
    name: Name
    public: Annotated[str, MaxLen(20_000)]


class RemoveKey(Request):
    """Let an SSH key push and fetch no more."""

    method, path, everyone, personal = "DELETE", "/keys/{name}", True, True
    name: Name
