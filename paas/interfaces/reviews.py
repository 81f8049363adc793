"""What is kept of review apps, as a Protocol. The store is one."""

from __future__ import annotations

from typing import Protocol

from paas.model.reviews import Review, ReviewPolicy


class ReviewStore(Protocol):
    """Each method is one transaction. While a review is kept, roles on its parent are roles on its app (`roles`)."""

    def put_review_policy(self, policy: ReviewPolicy) -> None:
        """One per app; replaces the one before. It goes with the app. Raises NotFound without the app."""

    def delete_review_policy(self, app_id: str) -> None:
        """Idempotent."""

    def review_policy(self, app_id: str) -> ReviewPolicy | None:
        """None: the app has no review apps."""

    def put_review(self, review: Review) -> None:
        """One per app id; replaces the one before. It stays when its app or its parent goes. Raises Conflict when the
        parent has another one of the same key."""

    def delete_review(self, app_id: str) -> None:
        """Idempotent."""

    def review(self, app_id: str) -> Review | None:
        """By the id of its own app. None: that app is no review app."""

    def reviews(self, parent_id: str = "") -> tuple[Review, ...]:
        """Of a parent, or all, by name."""
