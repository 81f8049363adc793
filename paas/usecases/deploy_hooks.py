"""Deploy hooks: added, shown, removed, and what came to them. What is decided is `webhooks/decision.py`'s, what takes
deliveries in is `hook_receiver.py`."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import Any

from paas.egress.policy import Policy
from paas.errors import Conflict, NotFound, UsageError
from paas.model.app import App
from paas.model.deploy_hook import DeployHook, HookDelivery, Provider, repository_of
from paas.model.secret import Secret
from paas.requests.deploy_hooks import (
    AddDeployHook,
    ChangeDeployHook,
    ListDeployHooks,
    ListHookDeliveries,
    RedeliverHook,
    RemoveDeployHook,
    ShowDeployHook,
)
from paas.sources import redacted
from paas.sources.clone import check_address, is_ref
from paas.usecases.context import Act, Context
from paas.usecases.hook_receiver import again, held

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SECRET = re.compile(r"[\x21-\x7e]{16,200}")
MOST_HOOKS = 20
"""Of one app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployHookShown:
    """A hook. `path` is its address on the server, `url` the whole one where the server knows its name. `secret` is
    empty but right after it was added. `waiting` are commits that wait for their checks, `running` an operation.
    `reviews`: which pull requests open review apps: none (empty), `own` or `forks`."""

    name: str
    provider: str
    path: str
    url: str
    source: str
    repository: str
    branch: str
    paths: tuple[str, ...]
    wait: bool
    checks: tuple[str, ...]
    created_at: float
    created_by: str
    secret: str = ""
    waiting: tuple[str, ...] = ()
    running: str = ""
    reviews: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookDeliveryShown:
    """One thing that came. `status` is accepted, waiting, ignored, refused or pinged, `reason` a sentence, `said` the
    sender's own id, `operation` the deploy that came of it."""

    id: str
    at: float
    event: str
    status: str
    reason: str
    branch: str
    commit: str
    said: str
    operation: str


def list_deploy_hooks(context: Context, request: ListDeployHooks, act: Act) -> tuple[DeployHookShown, ...]:
    """By name."""
    app = context.store.app(request.app)
    return tuple(_shown(context, hook) for hook in context.store.deploy_hooks(app.id))


def add_deploy_hook(context: Context, request: AddDeployHook, act: Act) -> DeployHookShown:
    """Raises UsageError for what cannot be, Denied for a repository that the server may not reach, Conflict for a name
    that is taken."""
    app = context.store.app(request.app)
    if len(context.store.deploy_hooks(app.id)) >= MOST_HOOKS:
        raise UsageError(f"an app has {MOST_HOOKS} deploy hooks at most")
    _check(context, request)
    _check_reviews(context, app, request.provider, request.reviews)
    hook = DeployHook(
        id=secrets.token_hex(24), app_id=app.id, name=request.name or request.provider,
        provider=Provider(request.provider), source=Secret(request.url), branch=request.branch, paths=request.paths,
        secret=Secret(request.secret or secrets.token_urlsafe(32)),
        repository=repository_of(request.provider, request.url),
        wait=request.wait or bool(request.checks), checks=request.checks,
        created_at=context.clock.now(), created_by=act.actor, reviews=request.reviews,
    )  # fmt: skip
    _check_what(hook)
    context.store.add_deploy_hook(hook)
    return _shown(context, hook, secret=hook.secret.reveal())


def show_deploy_hook(context: Context, request: ShowDeployHook, act: Act) -> DeployHookShown:
    """Raises NotFound."""
    return _shown(context, found(context, request.app, request.hook))


def change_deploy_hook(context: Context, request: ChangeDeployHook, act: Act) -> DeployHookShown:
    """Raises NotFound, UsageError for what cannot be, and Conflict for an app that has no review apps."""
    if request.wait is False and request.checks:
        raise UsageError("checks are to be waited for, and not to be", hint="name the checks alone")
    if not (changes := _changes(request)):
        raise UsageError("it says nothing that is to be changed", hint="paas deploy-hooks set --help")
    with held(context, found(context, request.app, request.hook)):
        hook = found(context, request.app, request.hook)
        changed = replace(hook, **changes)
        _check_what(changed)
        if request.reviews is not None:
            _check_reviews(context, context.store.app(hook.app_id), hook.provider.value, request.reviews)
        context.store.save_deploy_hook(changed)
        if changed.branch != hook.branch:
            state = replace(context.store.hook_state(hook.id), waiting=(), pending=None, left=None)
            context.store.save_hook_state(hook.id, state)
        return _shown(context, changed, secret="" if request.secret is None else changed.secret.reveal())


def remove_deploy_hook(context: Context, request: RemoveDeployHook, act: Act) -> DeployHookShown:
    """Raises NotFound."""
    hook = found(context, request.app, request.hook)
    context.store.delete_deploy_hook(hook.id)
    return _shown(context, hook)


def list_hook_deliveries(context: Context, request: ListHookDeliveries, act: Act) -> tuple[HookDeliveryShown, ...]:
    """Newest first. Raises NotFound."""
    hook = found(context, request.app, request.hook)
    return tuple(_delivery(one) for one in context.store.hook_deliveries(hook.id, request.limit))


def redeliver_hook(context: Context, request: RedeliverHook, act: Act) -> HookDeliveryShown:
    """Raises NotFound, and UsageError for one that was refused: nothing of it was kept."""
    hook = found(context, request.app, request.hook)
    before = context.store.hook_delivery(hook.id, request.delivery)
    if not before.notice:
        raise UsageError("it was refused, so nothing of it was kept", hint="have the git host send it again")
    return _delivery(again(context, hook, before))


def found(context: Context, app_name: str, name: str) -> DeployHook:
    """The hook of that name. Raises NotFound naming those there are."""
    app = context.store.app(app_name)
    hooks = context.store.deploy_hooks(app.id)
    for hook in hooks:
        if hook.name == name:
            return hook
    known = ", ".join(hook.name for hook in hooks) or "none"
    raise NotFound(f"{app.name} has no deploy hook {name!r}", hint=f"its deploy hooks: {known}")


def path_of(hook: DeployHook) -> str:
    """Its address on the server."""
    return f"/deploy-hooks/{hook.id}"


def _changes(request: ChangeDeployHook) -> dict[str, Any]:
    given = {name: getattr(request, name) for name in ("branch", "paths", "reviews")}
    changes = {name: value for name, value in given.items() if value is not None}
    if request.checks is not None or request.wait is not None:
        changes |= {"checks": request.checks or (), "wait": request.wait or bool(request.checks)}
    if request.secret is not None:
        changes["secret"] = Secret(request.secret or secrets.token_urlsafe(32))
    return changes


def _check(context: Context, request: AddDeployHook) -> None:
    if request.name and not NAME.fullmatch(request.name):
        raise UsageError(f"{request.name!a} cannot name a hook", hint="lower-case letters, digits and dashes")
    if "#" in request.url:
        raise UsageError("the URL names the repository alone", hint="name the branch: --branch NAME")
    check_address(request.url, Policy.of(context.settings.egress_allow, context.settings.subnets))


def _check_what(hook: DeployHook) -> None:
    """What it does, and with which secret."""
    if not SECRET.fullmatch(hook.secret.reveal()):
        raise UsageError("the secret has 16 to 200 letters, digits and signs", hint="leave it out: one is made")
    if not is_ref(hook.branch):
        raise UsageError(f"{hook.branch!a} cannot name a branch")
    for path in hook.paths:
        if not path or path.startswith("/") or not path.isprintable():
            raise UsageError(f"{path!a} is no pattern for files", hint="for example: web/**, *.md, lib/")
        if any("**" in part and part != "**" for part in path.split("/")):
            raise UsageError(f"{path!a}: ** stands for folders, alone between slashes", hint="for example: web/**/*.js")
    if not all(name and name.isprintable() for name in hook.checks):
        raise UsageError("a check has a name")


def _check_reviews(context: Context, app: App, provider: str, reviews: str) -> None:
    if not reviews:
        return
    if provider == "signed":
        raise UsageError("a signed hook tells of no pull requests", hint="paas reviews open BRANCH does the same")
    if context.store.review_policy(app.id) is None:
        raise Conflict(f"{app.name} has no review apps", hint=f"paas reviews enable -a {app.name}")


def _shown(context: Context, hook: DeployHook, *, secret: str = "") -> DeployHookShown:
    state = context.store.hook_state(hook.id)
    domain = context.settings.platform_domain
    return DeployHookShown(
        name=hook.name, provider=hook.provider.value, path=path_of(hook),
        url=f"https://{domain}{path_of(hook)}" if domain else "", source=redacted(hook.source.reveal()),
        repository=hook.repository, branch=hook.branch, paths=hook.paths, wait=hook.wait, checks=hook.checks,
        created_at=hook.created_at, created_by=hook.created_by, secret=secret,
        waiting=state.waiting, running=state.running, reviews=hook.reviews,
    )  # fmt: skip


def _delivery(one: HookDelivery) -> HookDeliveryShown:
    return HookDeliveryShown(
        id=one.id, at=one.at, event=one.event, status=one.status, reason=one.reason, branch=one.branch,
        commit=one.commit, said=one.said, operation=one.operation,
    )  # fmt: skip
