"""What all stores have in common: what they say when they refuse, and how many runs they keep."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from paas.errors import Conflict, NotFound, UsageError
from paas.model.runs import Run

KEPT_OF_JOB = 50
"""Ended runs kept of a scheduled job."""
KEPT_JOBS = 100
"""Jobs of an app of which any are kept: those that ran last, also when they are there no more."""
KEPT_OF_PEOPLE = 200
"""And of an app's commands that people ran."""


def no_app(wanted: str, names: Iterable[str]) -> NotFound:
    """No app of that name or id."""
    return NotFound(f"no app {wanted!r}", hint=_nearest(wanted, names, "paas apps"))


def no_addon(wanted: str, names: Iterable[str]) -> NotFound:
    """No addon of that name or id."""
    return NotFound(f"no addon {wanted!r}", hint=_nearest(wanted, names, "paas addons"))


def no_release(number: int, numbers: Iterable[int]) -> NotFound:
    """No release of that number."""
    known = sorted(numbers)
    listed = ", ".join(f"v{known_number}" for known_number in known[-20:])
    older = "… " if len(known) > 20 else ""
    return NotFound(f"no release v{number}", hint=f"there are: {older}{listed}" if known else "there is no release yet")


def no_operation(operation_id: str) -> NotFound:
    """No operation of that id."""
    return NotFound(f"no operation {operation_id!r}", hint="`paas operations` lists them")


def one_run(run_id: str, found: Sequence[Run]) -> Run:
    """The only run there is of an id, or of its beginning. Raises NotFound, UsageError."""
    if not found or not run_id:
        raise NotFound(f"no run {run_id!r}", hint="`paas runs` lists them")
    if len(found) > 1:
        raise UsageError(f"several runs begin with {run_id!r}", hint="type more of the id; `paas runs` lists them")
    return found[0]


def taken(what: str, name: str) -> Conflict:
    """The name of an app or addon is used already."""
    return Conflict(f"there is an {what} {name!r} already", hint="choose another name")


def host_taken(host: str, owner: str) -> Conflict:
    """A domain is another app's, which is not named: whoever asks may not know of it."""
    return Conflict(f"the domain {host} belongs to another app", hint="remove it there first: paas domains remove")


def alias_taken(alias: str, app: str, addon: str) -> Conflict:
    """The app has something attached under that alias."""
    return Conflict(
        f"app {app!r} has addon {addon!r} attached as {alias}", hint="attach it under another alias: --as NAME"
    )


def nobody(what: str, wanted: str) -> NotFound:
    """No user or team of that name or id. Names no others: who asks may not know them."""
    return NotFound(f"no {what} {wanted!r}", hint=f"`paas {what}s` lists them")


def name_taken(what: str, name: str) -> Conflict:
    """The name of a user or team is used already."""
    return Conflict(f"there is a {what} {name!r} already", hint="choose another name")


def last_owner(name: str) -> Conflict:
    """Nobody but the server's own user could manage the platform any more."""
    return Conflict(
        f"{name} is the last owner of the platform", hint="make somebody else one first: paas users set NAME owner"
    )


def no_token() -> NotFound:
    """No token of that id."""
    return NotFound("no such token", hint="`paas tokens` and `paas sessions` list them")


def no_invite() -> NotFound:
    """No invite of that id."""
    return NotFound("no such invite", hint="`paas invites` lists them")


def hook_taken(name: str) -> Conflict:
    """The app has a deploy hook of that name."""
    return Conflict(f"the app has a deploy hook {name!r} already", hint="choose another name: --name NAME")


def no_hook() -> NotFound:
    """No deploy hook at that address."""
    return NotFound("there is no such address")


def no_delivery(wanted: str) -> NotFound:
    """Nothing of that id is kept."""
    return NotFound(f"no delivery {wanted[:80]!r} is kept", hint="the oldest are forgotten")


def review_taken(what: str, name: str) -> Conflict:
    """The parent has a review app for it."""
    return Conflict(f"{name} is the review app of {what} already", hint=f"paas reviews show {name}")


def target_taken(name: str) -> Conflict:
    """The app, or all apps, have a target of that name."""
    return Conflict(f"there is a target {name!r} already", hint="choose another name")


def no_target(name: str, app_id: str) -> NotFound:
    """No target of that name. Names no others: who asks may not know them."""
    if not app_id:
        return NotFound(
            f"no target {name[:80]!r} of all apps", hint="`paas notifications` lists them; those of one app: -a APP"
        )
    return NotFound(f"no target {name[:80]!r}", hint="`paas notifications -a APP` lists them")


def _nearest(wanted: str, names: Iterable[str], listing: str) -> str:
    near = difflib.get_close_matches(wanted, list(names), n=1)
    return f"did you mean {near[0]!r}?" if near else f"`{listing}` lists them"
