"""Review apps: an app for a branch or a pull request of another app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le, MaxLen

from paas.requests.base import Name, Request

Branch = Annotated[str, MaxLen(250)]
Seconds = Annotated[float, Ge(60), Le(90 * 86_400)]


class ShowReviewPolicy(Request):
    """Whether an app has review apps, and which."""

    path, permission = "/apps/{app}/review-policy", "viewer"
    app: Name


class EnableReviews(Request):
    """Have review apps, or have them otherwise. `config` are config vars of their own, `inherit` those of the app that
    come along; `seed` is a backup's id or `latest`, `upload` a dump that was sent."""

    method, path, permission = "PUT", "/apps/{app}/review-policy", "operator"
    app: Name
    ttl: Seconds = 5 * 86_400
    most: Annotated[int, Ge(1), Le(100)] = 10
    memory: Annotated[int, Ge(0)] = 0
    cpus: Annotated[float, Ge(0), Le(1024)] = 0.0
    replicas: Annotated[int, Ge(1), Le(100)] = 1
    inherit: Annotated[tuple[Name, ...], MaxLen(200)] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    source: Annotated[str, MaxLen(2000)] = ""
    seed: Annotated[str, MaxLen(100)] = ""
    upload: str = ""
    addons: bool = True


class DisableReviews(Request):
    """Open no more of them. Those there are stay until their time is over."""

    method, path, permission = "DELETE", "/apps/{app}/review-policy", "operator"
    app: Name


class ListReviews(Request):
    """The review apps of an app."""

    path, permission = "/apps/{app}/reviews", "viewer"
    app: Name


class ShowReview(Request):
    """One of them, by the name of its app."""

    path, permission = "/apps/{app}/reviews/{review}", "viewer"
    app: Name
    review: Name


class OpenReview(Request):
    """Make the review app of a branch or a pull request, or deploy it anew. `commit` is what is deployed (empty: the
    branch as it is then). `fork`: the code is a stranger's. `hook` is the deploy hook whose repository it is from."""

    method, path, permission, shape = "POST", "/apps/{app}/reviews", "deployer", "operation"
    app: Name
    branch: Branch = ""
    pull_request: Annotated[int, Ge(0), Le(10**9)] = 0
    commit: Annotated[str, MaxLen(64)] = ""
    fork: bool = False
    hook: Annotated[str, MaxLen(63)] = ""


class ExtendReview(Request):
    """Let a review app live longer: `seconds` from now on."""

    method, path, permission = "POST", "/apps/{app}/reviews/{review}/extend", "deployer"
    app: Name
    review: Name
    seconds: Seconds


class CloseReview(Request):
    """Take a review app away, with its addons; `backup` keeps a last dump of each."""

    method, path, permission, shape = "DELETE", "/apps/{app}/reviews/{review}", "deployer", "operation"
    app: Name
    review: Name
    backup: bool = False
