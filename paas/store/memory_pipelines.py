"""Pipelines in memory."""

from __future__ import annotations

from paas.model.pipeline import Place
from paas.store import words
from paas.store.memory_parts import MemoryParts, transaction
from paas.store.sql_pipelines import in_order


class MemoryPipelines(MemoryParts):
    """A `PipelineStore` of a dictionary."""

    @transaction
    def put_place(self, place: Place) -> None:
        if place.app_id not in self.state.apps:
            raise words.no_app(place.app_id, [app.name for app in self.state.apps.values()])
        self.state.places[place.app_id] = place

    @transaction
    def delete_places(self, app_ids: tuple[str, ...]) -> None:
        for app_id in app_ids:
            self.state.places.pop(app_id, None)

    def places(self, pipeline: str = "") -> tuple[Place, ...]:
        return in_order(one for one in list(self.state.places.values()) if one.pipeline == (pipeline or one.pipeline))
