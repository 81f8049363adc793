"""Closes review apps whose time is over, announces it before, and finishes what a killed server left half closed.

Each is closed in a thread of its own: its `predestroy`, or whatever else holds it, may take as long as its files say,
and other people's review apps end meanwhile.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from paas.errors import PaasError
from paas.model.events import logged
from paas.model.people import owner
from paas.model.reviews import DAY, Review, ReviewStatus
from paas.requests.reviews import CloseReview
from paas.usecases.audit import note
from paas.usecases.context import Act, Context
from paas.usecases.review_app import changed
from paas.usecases.review_policy import seed_file
from paas.usecases.reviews import close, tell, try_turn

PERIOD = 15.0
"""Seconds between two looks."""
AGAIN, LONGEST = 60.0, 3600.0
"""Seconds until the next try of one that could not be closed: after the first failure, and at most."""
MOST_AT_ONCE = 4
"""Review apps of one app that are closed at once."""

log = logging.getLogger("paas.reviews")
_noted = logged(log)


@dataclass(slots=True)
class _Trouble:
    pause: float
    at: float
    words: str


@dataclass(slots=True)
class ReviewWatch:
    """One per server; a call looks at every review app."""

    context: Context
    _trouble: dict[str, _Trouble] = field(default_factory=dict)
    _closing: dict[str, str] = field(default_factory=dict)
    """The parents of those being closed, by id. Each thread changes its own entry alone, also of `_trouble`."""

    def __call__(self) -> None:
        """One look. One that cannot be closed keeps no other from it, and is tried again, less and less often."""
        there = self.context.store.reviews()
        parents = {app.id for app in self.context.store.apps()}
        for gone in set(self._trouble) - {one.app_id for one in there}:
            self._trouble.pop(gone, None)
        for review in there:
            if why := self._end(review, parents):
                self._begin(review, why)
            elif self._soon(review):
                self._warn(review)
        self._tidy()

    def _end(self, review: Review, apps: set[str]) -> str:
        """Why it ends now; empty: it does not."""
        if review.status is ReviewStatus.CLOSING:
            return "it was being closed"
        if review.parent_id not in apps:
            return "the app it belonged to is gone"
        if review.app_id not in apps and review.served:
            return "its app was destroyed"
        return "its time is over" if review.expires_at <= self.context.clock.now() else ""

    def _soon(self, review: Review) -> bool:
        """A day before its end, or when three quarters of a shorter time are over."""
        left = review.expires_at - self.context.clock.now()
        whole = review.expires_at - review.opened_at
        return not review.warned and left <= min(DAY, whole / 4)

    def _warn(self, review: Review) -> None:
        left = review.expires_at - self.context.clock.now()
        message = f"{review.name} goes in {_in_words(left)}; to keep it: paas reviews extend {review.name} --by 5d"
        changed(self.context, review, warned=True)
        tell(self.context, review, "review.expires", message, self._act(), hours=int(left // 3600))

    def _begin(self, review: Review, why: str) -> None:
        """Close it, unless that is being done, is to be tried later, or is done to as many as may."""
        closing, trouble = self._closing, self._trouble.get(review.app_id)
        if review.app_id in closing or list(closing.values()).count(review.parent_id) >= MOST_AT_ONCE:
            return
        if trouble and self.context.clock.monotonic() < trouble.at:
            return
        closing[review.app_id] = review.parent_id

        def work() -> None:
            try:
                self._close(review, why, trouble)
            except Exception:
                log.exception("closing %s met a bug", review.name)
            finally:
                closing.pop(review.app_id)

        threading.Thread(target=work, name=f"review-{review.name}", daemon=True).start()

    def _close(self, review: Review, why: str, trouble: _Trouble | None) -> None:
        with try_turn(self.context, review) as mine:
            latest = self.context.store.review(review.app_id) if mine else None
            if latest is None or latest.expires_at != review.expires_at:
                return  # somebody works on it, or has just let it live longer
            try:
                self._closed(latest, why)
            except Exception as error:
                self._failed(latest, trouble, error)

    def _closed(self, review: Review, why: str) -> None:
        if review.status is not ReviewStatus.CLOSING and why == "its time is over":
            tell(self.context, review, "review.expired", f"{review.name} has had its time", self._act())
        parent = next((app for app in self.context.store.apps() if app.id == review.parent_id), None)
        if parent is not None:
            note(self.context, owner("server"), CloseReview, parent, {"review": review.name})
        close(self.context, review, why, self._act())
        self._trouble.pop(review.app_id, None)

    def _failed(self, review: Review, before: _Trouble | None, error: Exception) -> None:
        if not isinstance(error, PaasError):
            log.error("closing %s met a bug", review.name, exc_info=error)
        words = error.message if isinstance(error, PaasError) else type(error).__name__
        if before is None or before.words != words:
            tell(self.context, review, "review.failed", f"{review.name} cannot be closed: {words}", self._act())
        pause = min(2 * before.pause, LONGEST) if before else AGAIN
        self._trouble[review.app_id] = _Trouble(pause, self.context.clock.monotonic() + pause, words)

    def _tidy(self) -> None:
        """Dumps of apps that have no review apps any more."""
        for path in (self.context.settings.home / "seeds").glob("*.dump"):
            if self.context.store.review_policy(path.stem) is None:
                seed_file(self.context.settings, path.stem).unlink(missing_ok=True)

    def _act(self) -> Act:
        return Act("server", _noted)


def _in_words(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{seconds / 3600:.0f} hours" if minutes >= 120 else "a minute" if minutes == 1 else f"{minutes} minutes"
