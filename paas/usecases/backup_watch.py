"""Says so when an addon has had no backup for too long. Nothing else notices a backup that is never taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from paas.model.app import Addon
from paas.model.events import Event, silent
from paas.requests.addons import ListBackups
from paas.usecases.backups import list_backups
from paas.usecases.context import Act, Context

PERIOD = 300.0
"""Seconds between two looks."""
REMINDER = 24 * 3600.0
"""Seconds after which the same silence is told again."""
LOOKED_BACK = 2000
"""Events that are looked through for what was told before the server started."""


@dataclass(slots=True)
class BackupWatch:
    """Called again and again."""

    context: Context
    _told: dict[str, float] | None = field(default=None)

    def __call__(self) -> None:
        """One look at every addon."""
        hours = self.context.settings.backup_silence
        if hours <= 0:
            return
        if self._told is None:
            self._told = self._told_before()
        now = self.context.clock.now()
        for addon in self.context.store.addons():
            since = self._since(addon)
            if now - since >= hours * 3600 and now - self._told.get(addon.id, 0.0) >= REMINDER:
                self._told[addon.id] = now
                self._tell(addon, since)

    def _since(self, addon: Addon) -> float:
        """Its last backup, or when it was made."""
        taken = [
            line.at
            for line in list_backups(self.context, ListBackups(addon=addon.name), Act("server", silent))
            if line.addon_id == addon.id
        ]
        return max([addon.created_at, *taken])

    def _told_before(self) -> dict[str, float]:
        events = self.context.store.events(limit=LOOKED_BACK)
        return {str(event.data.get("addon_id")): event.at for _, event in events if event.kind == "backup.silence"}

    def _tell(self, addon: Addon, since: float) -> None:
        now = self.context.clock.now()
        hours = int((now - since) // 3600)
        message = (
            f"addon {addon.name} has had no backup for {hours} hours; take one: paas db backup --addon {addon.name}"
        )
        data = {"addon": addon.name, "addon_id": addon.id, "hours": hours}
        event = Event(kind="backup.silence", message=message, at=now, data=data)
        self.context.store.add_event(event, addon.owner_app)
