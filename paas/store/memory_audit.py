"""The audit log in memory."""

from __future__ import annotations

import json
from dataclasses import replace

from paas.model.audit import Record, digest_after
from paas.store.memory_parts import MemoryParts


class MemoryAudit(MemoryParts):
    """An `AuditStore`: a list that only grows."""

    def add_record(self, record: Record) -> Record:
        with self.lock:
            kept = self.state.audit
            # as JSON once, for what would not survive the disk must not survive here
            facts = json.loads(json.dumps(dict(record.facts), default=str))
            numbered = replace(record, serial=len(kept) + 1, facts=facts)
            chained = replace(numbered, digest=digest_after(numbered, kept[-1].digest if kept else ""))
            kept.append(chained)
            return chained

    def records(
        self, *, app_id: str = "", app: str = "", user: str = "", since: float = 0.0, after: int = 0, limit: int = 100
    ) -> tuple[Record, ...]:
        found = [
            one for one in list(self.state.audit)
            if one.serial > after and one.at >= since and one.app_id == (app_id or one.app_id)
            and one.app == (app or one.app) and user in ("", one.actor, one.user_id)
        ]  # fmt: skip
        if not limit:
            return tuple(found)
        return tuple(found[:limit] if after else found[-limit:])

    def last_serial(self) -> int:
        return len(self.state.audit)
