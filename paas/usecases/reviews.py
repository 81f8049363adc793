"""Review apps: opened for a branch or a pull request, deployed anew when it moves, closed with all they have.

A review is written down before its app is made and forgotten after the app is gone, and each step in between may be
repeated: whatever a killed server left is finished by the next `open_review` or `close_review` of the same thing, or
closed when its time is over. What is done to one takes turns, by the lock of its key; then come the locks of addons and
apps, in their own order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from paas.errors import Conflict, NotFound, PaasError, UsageError
from paas.model import names
from paas.model.app import App
from paas.model.deploy_hook import Provider
from paas.model.events import Event
from paas.model.reviews import Review, ReviewPolicy, ReviewStatus, review_key, review_name
from paas.requests.apps import DestroyApp
from paas.requests.deploys import DeployApp, SourceRef
from paas.requests.reviews import CloseReview, ExtendReview, ListReviews, OpenReview, ShowReview
from paas.sources.clone import is_ref
from paas.usecases import repository
from paas.usecases.apps import destroy_app, new_id
from paas.usecases.context import Act, Context
from paas.usecases.deploy import deploy_app
from paas.usecases.domains import app_url
from paas.usecases.review_app import Preparation, changed, prepared
from paas.usecases.review_policy import no_source, policy_of
from paas.usecases.switch import base_release, in_words, source_version


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewShown:
    """A review app. `status`: opening, open, failed (what was asked last does not serve; `failure` says why) or
    closing. `commit` is what was deployed last, `release` 0: nothing yet. Times are Unix seconds."""

    name: str
    parent: str
    status: str
    branch: str
    pull_request: int
    commit: str
    fork: bool
    url: str
    release: int
    opened_at: float
    opened_by: str
    expires_at: float
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewClosed:
    """What went: the app and its addons."""

    name: str
    addons: tuple[str, ...]


def list_reviews(context: Context, request: ListReviews, act: Act) -> tuple[ReviewShown, ...]:
    """By name."""
    parent = context.store.app(request.app)
    return tuple(_shown(context, one, parent) for one in context.store.reviews(parent.id))


def show_review(context: Context, request: ShowReview, act: Act) -> ReviewShown:
    """Raises NotFound."""
    parent = context.store.app(request.app)
    return _shown(context, found(context, parent, request.review), parent)


def open_review(context: Context, request: OpenReview, act: Act) -> ReviewShown:
    """Make it, or deploy it anew; its time begins again. Raises Conflict when the app has no review apps or as many as
    it may, and what the deploy failed with: what was made stays for the next attempt."""
    parent = context.store.app(request.app)
    policy = policy_of(context, parent)
    _check(request)
    key = review_key(request.branch, request.pull_request)
    with _turn(context, parent.id, key, act):
        request = _with_branch(context, parent, request)
        # Not before its turn: of two pushes to a branch the one whose turn comes last may have come first.
        source = _source(context, parent, policy, request)
        review = _begun(context, parent, policy, request, act)
        try:
            review = prepared(Preparation(context, act, review, parent, policy))
            name = context.store.app(review.app_id).name
            deployed = deploy_app(context, DeployApp(app=name, source=source, create=False), act)
        except Exception as error:
            _failed(context, review, error, act)
            raise
        return _serves(context, review, parent, deployed.url, act)


def extend_review(context: Context, request: ExtendReview, act: Act) -> ReviewShown:
    """Raises NotFound, and Conflict for one that is being closed."""
    parent = context.store.app(request.app)
    review = found(context, parent, request.review)
    if review.status is ReviewStatus.CLOSING:
        raise Conflict(f"{review.name} is being closed", hint="open it again: paas reviews open")
    longer = changed(context, review, expires_at=context.clock.now() + request.seconds, warned=False)
    return _shown(context, longer, parent)


def close_review(context: Context, request: CloseReview, act: Act) -> ReviewClosed:
    """Raises NotFound, and Conflict while another app uses one of its addons."""
    parent = context.store.app(request.app)
    known = found(context, parent, request.review)
    with _turn(context, parent.id, known.key, act):
        return close(context, found(context, parent, request.review), f"{act.actor} closed it", act, request.backup)


def close(context: Context, review: Review, why: str, act: Act, backup: bool = False) -> ReviewClosed:
    """Take it away; the caller has its turn. The app goes with its addons, then the review is forgotten."""
    changed(context, review, status=ReviewStatus.CLOSING)
    gone: tuple[str, ...] = ()
    app = next((one for one in context.store.apps() if one.id == review.app_id), None)
    if app is not None:
        # Its `predestroy` is run, and what it says is told; but nobody is here to mend it.
        request = DestroyApp(app=app.name, confirm=app.name, addons=True, backups=backup, force=True)
        gone = destroy_app(context, request, act).addons
    context.store.delete_review(review.app_id)
    tell(context, review, "review.closed", f"{review.name} is gone, with its addons: {why}", act, reason=why)
    return ReviewClosed(name=review.name, addons=gone)


@contextmanager
def try_turn(context: Context, review: Review) -> Iterator[bool]:
    """The turn of a review, if nobody has it."""
    with context.locks.try_hold(_lock(review.parent_id, review.key), "the platform") as held:
        yield held


def found(context: Context, parent: App, name: str) -> Review:
    """The review of that name. Raises NotFound naming those there are."""
    known = context.store.reviews(parent.id)
    for one in known:
        if name in (one.name, _name(context, one), one.app_id):
            return one
    listed = ", ".join(one.name for one in known[:10]) or "none"
    raise NotFound(f"{parent.name} has no review app {name[:80]!r}", hint=f"its review apps: {listed}")


def tell(context: Context, review: Review, kind: str, message: str, act: Act, **facts: object) -> None:
    """Keep it among the events of the parent: the review app's own go with it."""
    known = {"review": review.name, "branch": review.branch, "pull_request": review.number, **facts}
    data = {name: value for name, value in known.items() if value}
    parent = next((one.name for one in context.store.apps() if one.id == review.parent_id), "")
    event = Event(kind=kind, app=parent or review.name, message=message, at=context.clock.now(), data=data)
    context.store.add_event(event, review.parent_id if parent else "", act.operation, act.actor)
    act.emit(event)


# --- opening ------------------------------------------------------------------------------------------------------


def _check(request: OpenReview) -> None:
    if not request.branch and not request.pull_request:
        raise UsageError("a review app is of a branch or of a pull request", hint="paas reviews open BRANCH")
    for name in (request.branch, request.commit):
        if name and not is_ref(name):
            raise UsageError(f"{name[:80]!a} cannot name a branch or a commit")


def _source(context: Context, parent: App, policy: ReviewPolicy, request: OpenReview) -> SourceRef:
    """Where the code is, with what is to be taken of it. Of a payload only branch, number and commit are used.

    A fork's commits are in no branch of the repository: hosts keep them under the number of the pull request.
    """
    hooks = [one for one in context.store.deploy_hooks(parent.id) if request.hook in ("", one.name)]
    hooks.sort(key=lambda one: not one.reviews)
    hook = hooks[0] if hooks else None
    if request.hook and hook is None:
        raise NotFound(f"{parent.name} has no deploy hook {request.hook!r}")
    source = policy.source if not request.hook and policy.source.reveal() else hook.source if hook else policy.source
    if not (url := source.reveal()):
        return _pushed(context, parent, request)
    if request.pull_request and (request.fork or not (request.branch or request.commit)):
        group = "merge-requests" if hook is not None and hook.provider is Provider.GITLAB else "pull"
        return SourceRef(git=f"{url}#refs/{group}/{request.pull_request}/head")
    return SourceRef(git=f"{url}#{request.commit or request.branch}")


def _pushed(context: Context, parent: App, request: OpenReview) -> SourceRef:
    """What was pushed to the parent's own repository, where nobody named another one."""
    path = repository.path_of(context.settings, parent.id)
    if not repository.has_refs(path):
        raise Conflict(
            no_source(parent),
            hint=f"git push paas {request.branch or 'BRANCH'}; or where it is: paas reviews enable -a {parent.name} "
            "--source https://HOST/OWNER/NAME.git",
        )
    commit = repository.commit_named(path, request.commit or request.branch) if not _foreign(request) else ""
    if not commit:
        what = request.commit or request.branch or f"pull request {request.pull_request}"
        raise NotFound(
            f"{what[:80]!a} was not pushed to {parent.name}",
            hint=f"git push paas {request.branch or 'BRANCH'}, then open it again",
        )
    return SourceRef(commit=commit, kind="git", origin=f"git push {request.branch or request.commit}")


def _begun(context: Context, parent: App, policy: ReviewPolicy, request: OpenReview, act: Act) -> Review:
    """The review, written down. One that was being closed is closed first: it is another app then."""
    key = review_key(request.branch, request.pull_request)
    known = next((one for one in context.store.reviews(parent.id) if one.key == key), None)
    if known is not None and (known.status is ReviewStatus.CLOSING or _stricter(known, request)):
        close(context, known, "it is opened anew", act)
        known = None
    now = context.clock.now()
    if known is not None:
        return changed(
            context, known, branch=request.branch or known.branch, commit=request.commit, cap=policy.cap, failure="",
            expires_at=max(known.expires_at, now + policy.ttl), warned=False, status=ReviewStatus.OPENING,
        )  # fmt: skip
    with context.locks.hold(f"reviews {parent.id}", f"{act.actor}: open a review app", act.emit):
        _refuse_too_many(context, parent, policy, request, act)
        review = Review(
            app_id=new_id(), parent_id=parent.id, name=_new_name(context, parent, request), key=key, opened_at=now,
            opened_by=act.actor, expires_at=now + policy.ttl, branch=request.branch, number=request.pull_request,
            commit=request.commit, fork=_foreign(request), cap=policy.cap,
        )  # fmt: skip
        context.store.put_review(review)
    return review


def _with_branch(context: Context, parent: App, request: OpenReview) -> OpenReview:
    """A pull request by its number alone is the one of that number that is there: with its branch, if that is one of
    one's own. Raises Conflict where nobody ever said the branch: what is there would be taken away with its data."""
    key = review_key(request.branch, request.pull_request)
    known = next((one for one in context.store.reviews(parent.id) if one.key == key), None)
    if known is None or known.fork or request.fork or not _foreign(request):
        return request
    if not known.branch:
        hint = f"paas reviews open BRANCH --pr {request.pull_request} -a {parent.name}"
        raise Conflict(f"nobody said of which branch pull request {request.pull_request} is", hint=hint)
    return replace(request, branch=known.branch)


def _foreign(request: OpenReview) -> bool:
    """Whether the code may be a stranger's: a pull request without its branch may be anybody's."""
    return request.fork or bool(request.pull_request and not (request.branch or request.commit))


def _stricter(known: Review, request: OpenReview) -> bool:
    """Whether what was opened for people of one's own is now a stranger's code: it must not meet config or data."""
    return _foreign(request) and not known.fork


def _refuse_too_many(context: Context, parent: App, policy: ReviewPolicy, request: OpenReview, act: Act) -> None:
    there = context.store.reviews(parent.id)
    if len(there) < policy.most:
        return
    asked = Review(
        app_id="", parent_id=parent.id, name="", key="", opened_at=0, opened_by="", expires_at=0,
        branch=request.branch, number=request.pull_request,
    )  # fmt: skip
    message = f"no review app for {asked.what}: {parent.name} has {len(there)}, and {policy.most} at most"
    tell(context, asked, "review.limit", message, act, maximum=policy.most)
    oldest = min(there, key=lambda one: one.expires_at).name
    hint = f"close one: paas reviews close {oldest} -a {parent.name}; or raise it: paas reviews enable --max N"
    raise Conflict(message, hint=hint)


def _new_name(context: Context, parent: App, request: OpenReview) -> str:
    """Not an app's, an addon's or another review's, and no name of the platform's own."""
    store = context.store
    taken = {one.name for one in store.apps()} | {one.name for one in store.addons()} | names.RESERVED_APPS
    taken |= {one.name for one in store.reviews()}
    domain, own = context.settings.domain, context.settings.platform_domain
    if own.endswith(f".{domain}"):
        taken.add(own.removesuffix(f".{domain}"))
    return names.app_name(review_name(parent.name, request.branch, request.pull_request, taken))


def _serves(context: Context, review: Review, parent: App, url: str, act: Act) -> ReviewShown:
    """What was asked serves: keep and tell it."""
    app = context.store.app(review.app_id)
    commit = source_version(base_release(context.store, app))
    done = changed(context, review, status=ReviewStatus.OPEN, failure="", commit=commit, served=True)
    kind, verb = ("review.updated", "serves the newest of") if review.served else ("review.opened", "serves")
    tell(context, done, kind, f"{app.name} {verb} {review.what}: {url}", act, release=app.wanted)
    return _shown(context, done, parent)


def _failed(context: Context, review: Review, error: Exception, act: Act) -> None:
    words = in_words(error)
    with suppress(PaasError):  # the error itself is more important
        changed(context, review, status=ReviewStatus.FAILED, failure=words)
        tell(context, review, "review.failed", f"the review app of {review.what} does not serve it: {words}", act)


# --- the rest -----------------------------------------------------------------------------------------------------


def _lock(parent_id: str, key: str) -> str:
    return f"review {parent_id} {key}"


@contextmanager
def _turn(context: Context, parent_id: str, key: str, act: Act) -> Iterator[None]:
    with context.locks.hold(_lock(parent_id, key), f"{act.actor}: review app", act.emit):
        yield


def _name(context: Context, review: Review) -> str:
    """Its app's name, which somebody may have changed."""
    return next((one.name for one in context.store.apps() if one.id == review.app_id), review.name)


def _shown(context: Context, review: Review, parent: App) -> ReviewShown:
    app = next((one for one in context.store.apps() if one.id == review.app_id), None)
    return ReviewShown(
        name=app.name if app else review.name, parent=parent.name, status=review.status.value, branch=review.branch,
        pull_request=review.number, commit=review.commit, fork=review.fork, url=app_url(context, app) if app else "",
        release=app.wanted if app else 0, opened_at=review.opened_at, opened_by=review.opened_by,
        expires_at=review.expires_at, failure=review.failure,
    )  # fmt: skip
