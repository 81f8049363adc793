"""Words of deploys that a git host asks for: a hook, what came to it, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from paas.errors import UsageError
from paas.model.secret import Secret


class Provider(StrEnum):
    """Who sends, which says how it is signed and what it looks like."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    FORGEJO = "forgejo"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployHook:
    """An address at which a git host says what happened, and what is done then.

    `id` is the unguessable part of the address. `source` is the git URL that is deployed, without a ref: it may hold a
    password, and what a payload says of URLs is never used. `repository` is what the host calls it: `team/shop`; empty
    only for `signed`. `paths` are globs of which one changed file must match (none: all do). With `wait`, a commit is
    deployed when its checks are green: those named in `checks`, or all that were heard of. `reviews` says which pull
    requests concern it: none (empty), those of the repository's own branches (`own`), or forks' as well (`forks`).
    """

    id: str
    app_id: str
    name: str
    provider: Provider
    source: Secret
    secret: Secret
    created_at: float
    created_by: str
    repository: str = ""
    branch: str = "main"
    paths: tuple[str, ...] = ()
    wait: bool = False
    checks: tuple[str, ...] = ()
    reviews: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookDelivery:
    """One thing that came, and what was decided. `status` is accepted, waiting, ignored, refused or pinged; `said` the
    sender's own id of it; `notice` what is needed to decide again (empty: it was refused); `operation` the deploy."""

    id: str
    hook_id: str
    at: float
    status: str
    reason: str
    said: str = ""
    event: str = ""
    branch: str = ""
    commit: str = ""
    notice: Mapping[str, object] = field(default_factory=dict)
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """That a `file` which fits the hook's paths (empty: it is not known which) was changed and is not deployed.
    `commit` is the newest that was pushed and should be."""

    commit: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDeploy:
    """A deploy that is to begin: of a commit, or (empty) of the branch as it is then. `deliveries` asked for it.
    `again`: a server that was stopped left it undone once already. `left`: what is left out again if it fails."""

    commit: str = ""
    deliveries: tuple[str, ...] = ()
    again: bool = False
    left: Left | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingReview:
    """A review app that is to be opened or deployed anew, or closed: of pull request `number`, or (0) of a branch.
    `commit` empty: the branch as it is then. `deliveries` and `again` as in PendingDeploy."""

    close: bool
    branch: str = ""
    number: int = 0
    commit: str = ""
    fork: bool = False
    deliveries: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What was heard of a commit's check: pending, success or failure. `at`: since when, by the host's clock (Unix
    seconds; 0: it does not say)."""

    state: str
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HookState:
    """What a hook remembers: commits that wait for their checks (oldest first), the checks heard of by commit, the
    deploy that is to begin, and the one that runs (`running`: its operation), and, of a hook with paths, what was left
    out and is to be deployed with the next push. Likewise of review apps: those that are
    to be seen to, one for each, oldest first, and the one that is."""

    waiting: tuple[str, ...] = ()
    checks: Mapping[str, Mapping[str, Check]] = field(default_factory=dict)
    pending: PendingDeploy | None = None
    running: str = ""
    began: PendingDeploy | None = None
    left: Left | None = None
    reviews: tuple[PendingReview, ...] = ()
    reviewing: str = ""
    review: PendingReview | None = None

    @property
    def busy(self) -> bool:
        """Whether something is to begin or runs."""
        return bool(self.pending or self.running or self.reviews or self.reviewing)


def repository_of(provider: str, url: str) -> str:
    """What the git host calls the repository: OWNER/NAME, the end of its URL's path; GitLab's groups lie in groups, so
    there it is all of the path. Ours, `signed`, says it only where it wants to. Raises UsageError for a path that names
    no owner."""
    if provider == Provider.SIGNED:
        return ""
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    repository = path.strip("/").removesuffix(".git").strip("/")
    if "/" not in repository:
        raise UsageError("the URL names no repository of an owner", hint="https://HOST/OWNER/NAME.git")
    return repository if provider == Provider.GITLAB else "/".join(repository.split("/")[-2:])
