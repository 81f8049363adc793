"""Review apps on disk."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select

from paas.model.people import Role, highest
from paas.model.reviews import Cap, Review, ReviewPolicy, ReviewStatus
from paas.model.secret import Secret
from paas.store import words
from paas.store.crypto import Vault
from paas.store.file import first, rows_of
from paas.store.rows import readable
from paas.store.sql_people import SqlPeople
from paas.store.tables import apps
from paas.store.tables_reviews import review_policies, reviews

PLACE = "reviews"
SOURCE = "/source"
"""No config var has such a name."""
POLICY = ("created_at", "created_by", "ttl", "most", "inherit", "seed", "addons")
COLUMNS = ("app_id", "parent_id", "name", "key", "status", "expires_at")


class SqlReviews(SqlPeople):
    """A `ReviewStore`. Who may what follows from it, so its changes are changes of people."""

    def put_review_policy(self, policy: ReviewPolicy) -> None:
        with self._write() as db:
            if first(db, select(apps.c.id).where(apps.c.id == policy.app_id)) is None:
                raise words.no_app(policy.app_id, ())
            db.execute(delete(review_policies).where(review_policies.c.app_id == policy.app_id))
            db.execute(insert(review_policies).values(**_policy_values(policy, self._vault)))

    def delete_review_policy(self, app_id: str) -> None:
        with self._write() as db:
            db.execute(delete(review_policies).where(review_policies.c.app_id == app_id))

    def review_policy(self, app_id: str) -> ReviewPolicy | None:
        with self._read() as db:
            row = first(db, select(review_policies).where(review_policies.c.app_id == app_id))
            return _policy(row, self._vault) if row is not None else None

    def put_review(self, review: Review) -> None:
        with self._changing() as db:
            same = (reviews.c.parent_id == review.parent_id) & (reviews.c.key == review.key)
            other = first(db, select(reviews.c.name).where(same, reviews.c.app_id != review.app_id))
            if other is not None:
                raise words.review_taken(review.what, other["name"])
            db.execute(delete(reviews).where(reviews.c.app_id == review.app_id))
            db.execute(insert(reviews).values(**_values(review)))

    def delete_review(self, app_id: str) -> None:
        with self._changing() as db:
            db.execute(delete(reviews).where(reviews.c.app_id == app_id))

    def review(self, app_id: str) -> Review | None:
        with self._read() as db:
            row = first(db, select(reviews).where(reviews.c.app_id == app_id))
            return _review(row) if row is not None else None

    def reviews(self, parent_id: str = "") -> tuple[Review, ...]:
        query = select(reviews).order_by(reviews.c.name, reviews.c.app_id)
        with self._read() as db:
            found = rows_of(db, query.where(reviews.c.parent_id == parent_id) if parent_id else query)
            return tuple(_review(row) for row in found)

    def roles(self, user_id: str) -> dict[str, Role]:
        found = super().roles(user_id)
        with self._read() as db:
            pairs = [(row["app_id"], row["parent_id"]) for row in rows_of(db, select(reviews))]
        return with_reviews(found, pairs)


def with_reviews(roles: dict[str, Role], pairs: list[tuple[str, str]]) -> dict[str, Role]:
    """The roles, with those on parents as roles on their review apps. `pairs` are the ids of app and parent."""
    found = dict(roles)
    for app_id, parent_id in pairs:
        if role := highest((roles.get(parent_id, ""), roles.get(app_id, ""))):
            found[app_id] = role
    return found


def _policy_values(policy: ReviewPolicy, vault: Vault) -> dict[str, Any]:
    document = {name: getattr(policy, name) for name in POLICY}
    document |= {"inherit": list(policy.inherit), "cap": asdict(policy.cap)}
    sealed = vault.seal({**policy.config, SOURCE: policy.source}, policy.app_id, PLACE)
    return {"app_id": policy.app_id, "document": document, "sealed": sealed}


@readable
def _policy(row: RowMapping, vault: Vault) -> ReviewPolicy:
    document = row["document"]
    config = vault.unseal(row["sealed"], row["app_id"], PLACE)
    source = config.pop(SOURCE, Secret(""))
    known = {name: document[name] for name in POLICY} | {"inherit": tuple(document["inherit"])}
    return ReviewPolicy(app_id=row["app_id"], config=config, source=source, cap=Cap(**document["cap"]), **known)


def _values(review: Review) -> dict[str, Any]:
    values = {one.name: getattr(review, one.name) for one in fields(review)}
    values |= {"cap": asdict(review.cap), "status": review.status.value}
    document = {name: value for name, value in values.items() if name not in COLUMNS}
    return {name: values[name] for name in COLUMNS} | {"document": document}


@readable
def _review(row: RowMapping) -> Review:
    known = {**row["document"], **{name: row[name] for name in COLUMNS}}
    known |= {"cap": Cap(**known["cap"]), "status": ReviewStatus(known["status"])}
    return Review(**known)
