"""Pipelines on disk."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import RowMapping, delete, insert, select

from paas.model.pipeline import ORDER, Place, Stage
from paas.store import words
from paas.store.file import SqlFile, rows_of
from paas.store.rows import readable
from paas.store.tables import apps
from paas.store.tables_pipelines import pipeline_apps


class SqlPipelines(SqlFile):
    """A `PipelineStore`."""

    def put_place(self, place: Place) -> None:
        with self._write() as db:
            if db.execute(select(apps.c.id).where(apps.c.id == place.app_id)).first() is None:
                raise words.no_app(place.app_id, db.execute(select(apps.c.name)).scalars())
            db.execute(delete(pipeline_apps).where(pipeline_apps.c.app_id == place.app_id))
            values = {"app_id": place.app_id, "pipeline": place.pipeline, "stage": place.stage.value}
            db.execute(insert(pipeline_apps).values(**values))

    def delete_places(self, app_ids: tuple[str, ...]) -> None:
        with self._write() as db:
            db.execute(delete(pipeline_apps).where(pipeline_apps.c.app_id.in_(app_ids)))

    def places(self, pipeline: str = "") -> tuple[Place, ...]:
        query = select(pipeline_apps)
        with self._read() as db:
            found = rows_of(db, query.where(pipeline_apps.c.pipeline == pipeline) if pipeline else query)
            return in_order(_place(row) for row in found)


def in_order(places: Iterable[Place]) -> tuple[Place, ...]:
    """By pipeline, stage and app."""
    return tuple(sorted(places, key=lambda place: (place.pipeline, ORDER.index(place.stage), place.app_id)))


@readable
def _place(row: RowMapping) -> Place:
    return Place(app_id=row["app_id"], pipeline=row["pipeline"], stage=Stage(row["stage"]))
