"""What is kept of pipelines."""

from __future__ import annotations

from typing import Protocol

from paas.model.pipeline import Place


class PipelineStore(Protocol):
    """Places of apps in pipelines. Each method is one transaction."""

    def put_place(self, place: Place) -> None:
        """One per app; replaces the one before. Raises NotFound without the app."""

    def delete_places(self, app_ids: tuple[str, ...]) -> None:
        """Idempotent."""

    def places(self, pipeline: str = "") -> tuple[Place, ...]:
        """Of a pipeline, or all; by pipeline, then by stage in its order, then by app id."""
