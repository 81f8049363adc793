"""Who somebody is, by what they show: a token, an SSH key's name, an invite. What they may is read anew each time
something changed."""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from paas.errors import NotFound, NotLoggedIn
from paas.model.people import EVERYTHING, Access, Actor, Token, User, digest_of, owner, split_secret
from paas.usecases.context import Context

PREFIX = "paas"
"""Begins every token, so that scanners for leaked secrets can know it."""
MOST_KNOWN = 1000
TOUCH_EVERY = 60.0
"""Seconds between two notes that a token was used."""


@dataclass(slots=True)
class _Known:
    token: Token
    access: Access
    name: str
    changes: int
    touched: float = 0.0


@dataclass(slots=True)
class Logins:
    """Turns what is shown into an Actor. Remembers the tokens that were good lately, as long as nothing changes."""

    context: Context
    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def by_token(self, text: str, peer: str = "") -> Actor:
        """The actor of a token. Raises NotLoggedIn, with the same words whatever is wrong with it."""
        token_id, secret = split_secret(PREFIX, text)
        known = self._known_token(token_id)
        # compared also where there is no such token: both take the same time
        good = hmac.compare_digest(digest_of(secret), known.token.digest if known else digest_of(""))
        if known is None or not good or self._expired(known.token):
            raise not_logged_in()
        self._touch(known, peer)
        return _actor(known, peer)

    def recently_good(self, text: str) -> bool:
        """Whether this very token was good a while ago: its owner must not suffer from others' guesses."""
        token_id, secret = split_secret(PREFIX, text)
        known = self._known.get(token_id)
        return known is not None and hmac.compare_digest(digest_of(secret), known.token.digest)

    def by_acting(self, said: str, user: str) -> Actor:
        """Who a program of the server's own user says it goes on for; else the platform's owner, so named in records.

        Raises NotLoggedIn for a token, or for a key's owner, that is there no more.
        """
        kind, _, name = said.partition(" ")
        if kind == "token" and name:
            return self._by_token_id(name)
        if kind == "key" and name:
            return self._by_key(name)
        return owner(said or user, "socket")

    def again(self, actor: Actor) -> Actor:
        """The same actor as of now. Raises NotLoggedIn when there is none any more."""
        if actor.token_id:
            return replace(self._by_token_id(actor.token_id), peer=actor.peer)
        return self._by_key(actor.key) if actor.key else actor

    def _by_token_id(self, token_id: str) -> Actor:
        known = self._known_token(token_id)
        if known is None or self._expired(known.token):
            raise not_logged_in()
        return _actor(known, "")

    def _by_key(self, name: str) -> Actor:
        whose = next((one for one in self.context.store.key_owners() if one.name == name), None)
        if whose is None:
            if ":" in name:  # a user's key, `bob:laptop`
                raise not_logged_in()
            return Actor(name=f"key {name}", via="key", key=name)
        user = self.context.store.user(whose.user_id)
        return Actor(name=user.name, via="key", user_id=user.id, key=name, access=access_of(self.context, user))

    def _known_token(self, token_id: str) -> _Known | None:
        changes = self.context.store.people_changes()
        with self._guard:
            known = self._known.get(token_id)
        if known is not None and known.changes == changes:
            return known
        fresh = self._read(token_id, changes)
        with self._guard:
            self._known.pop(token_id, None)
            if fresh is not None:
                fresh.touched = known.touched if known else 0.0
                self._known[token_id] = fresh
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return fresh

    def _read(self, token_id: str, changes: int) -> _Known | None:
        """None for no token; also where its user went meanwhile."""
        if not token_id:
            return None
        store = self.context.store
        try:
            token = store.token(token_id)
            user = store.user(token.user_id) if token.user_id else None
        except NotFound:
            return None
        access = access_of(self.context, user) if user else _of_no_user(token)
        only = None if token.apps is None else _with_reviews(self.context, token.apps)
        limited = replace(access, most=token.role, only=only)
        return _Known(token, limited, user.name if user else name_of(token), changes)

    def _expired(self, token: Token) -> bool:
        return bool(token.expires_at) and token.expires_at <= self.context.clock.now()

    def _touch(self, known: _Known, peer: str) -> None:
        now = self.context.clock.now()
        if now - known.touched >= TOUCH_EVERY:
            known.touched = now
            self.context.store.touch_token(known.token.id, now, peer)


def access_of(context: Context, user: User) -> Access:
    """What a user may, as of now."""
    if user.role == "owner":
        return EVERYTHING
    teams = {one.team_id: one.role for one in context.store.memberships(user_id=user.id)}
    return Access(platform=user.role, apps=context.store.roles(user.id), teams=teams)


def _with_reviews(context: Context, app_ids: tuple[str, ...]) -> frozenset[str]:
    """A token for some apps is one for their review apps."""
    return frozenset((*app_ids, *(one.app_id for one in context.store.reviews() if one.parent_id in app_ids)))


def not_logged_in() -> NotLoggedIn:
    """One sentence for every cause: who guesses learns nothing."""
    return NotLoggedIn("not logged in", hint="paas login URL, or set PAAS_TOKEN; a token may have expired")


def name_of(token: Token) -> str:
    """Who acts by a token of no user. No user is called so."""
    return f"token {token.name}"


def _of_no_user(token: Token) -> Access:
    """A token that a platform owner made for no user: its role counts on every app it is for."""
    if token.apps is None and token.role == "owner":
        return EVERYTHING
    return Access(platform="viewer" if token.apps is not None else token.role, everywhere=token.role)


def _actor(known: _Known, peer: str) -> Actor:
    token = known.token
    return Actor(name=known.name, via="token", user_id=token.user_id, token_id=token.id, peer=peer, access=known.access)
