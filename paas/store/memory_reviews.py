"""Review apps in memory."""

from __future__ import annotations

from paas.model.people import Role
from paas.model.reviews import Review, ReviewPolicy
from paas.store import words
from paas.store.memory_parts import transaction
from paas.store.memory_people import MemoryPeople, changing
from paas.store.sql_reviews import with_reviews


class MemoryReviews(MemoryPeople):
    """A `ReviewStore` of dictionaries."""

    @transaction
    def put_review_policy(self, policy: ReviewPolicy) -> None:
        if policy.app_id not in self.state.apps:
            raise words.no_app(policy.app_id, ())
        self.state.review_policies[policy.app_id] = policy

    @transaction
    def delete_review_policy(self, app_id: str) -> None:
        self.state.review_policies.pop(app_id, None)

    def review_policy(self, app_id: str) -> ReviewPolicy | None:
        return self.state.review_policies.get(app_id)

    @changing
    def put_review(self, review: Review) -> None:
        for other in self.reviews(review.parent_id):
            if other.key == review.key and other.app_id != review.app_id:
                raise words.review_taken(review.what, other.name)
        self.state.reviews[review.app_id] = review

    @changing
    def delete_review(self, app_id: str) -> None:
        self.state.reviews.pop(app_id, None)

    def review(self, app_id: str) -> Review | None:
        return self.state.reviews.get(app_id)

    def reviews(self, parent_id: str = "") -> tuple[Review, ...]:
        found = [one for one in list(self.state.reviews.values()) if one.parent_id == (parent_id or one.parent_id)]
        return tuple(sorted(found, key=lambda one: (one.name, one.app_id)))

    def roles(self, user_id: str) -> dict[str, Role]:
        return with_reviews(super().roles(user_id), [(one.app_id, one.parent_id) for one in self.reviews()])
