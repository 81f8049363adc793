"""Runs that are only remembered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paas.errors import Conflict
from paas.interfaces import Clock
from paas.model.runs import ObservedRun
from paas.model.service import LogLine, ServiceSpec

if TYPE_CHECKING:
    from paas.engines.memory import Behaviour


@dataclass(slots=True)
class Kept:
    """A run: what it was begun with, and how it is."""

    spec: ServiceSpec
    seen: ObservedRun


class MemoryRuns:
    """The part of the memory engine that is a `RunEngine`. A run ends as its image's Behaviour says: after `lasts`
    seconds with the exit code `once`, or by `finish_run`."""

    behaviours: Mapping[str, Behaviour]
    calls: list[str]
    _clock: Clock
    _lock: threading.RLock
    _runs: dict[str, Kept]

    def begin_run(self, spec: ServiceSpec) -> None:
        with self._lock:
            self._reach()
            if spec.run in self._runs:
                raise Conflict(f"run {spec.run} was begun already")
            self.calls.append(f"begin {spec.process}")
            seen = ObservedRun(
                id=spec.run, app_id=spec.app_id, running=True, started_at=self._clock.now(), memory=spec.limits.memory
            )
            self._runs[spec.run] = Kept(spec, seen)

    def runs(self, app_id: str = "") -> tuple[ObservedRun, ...]:
        with self._lock:
            self._reach()
            for kept in self._runs.values():
                does = self._does(kept.spec.image)
                over = does.lasts is not None and self._clock.now() >= kept.seen.started_at + does.lasts
                if kept.seen.running and over:
                    self.finish_run(kept.spec.run, does.once)
            found = [kept.seen for _, kept in sorted(self._runs.items())]
            return tuple(one for one in found if app_id in ("", one.app_id))

    def run_logs(self, run_id: str, lines: int = 0, *, follow: bool = False) -> Iterator[LogLine]:
        with self._lock:
            kept = self._runs.get(run_id)
            said = self._does(kept.spec.image).says if kept else ()
            at = kept.seen.started_at if kept else 0.0
        return iter([LogLine(at=at, text=text, process="run") for text in (said[-lines:] if lines else said)])

    def stop_run(self, run_id: str, grace: float) -> None:
        with self._lock:
            if (kept := self._runs.get(run_id)) and kept.seen.running:
                self.finish_run(run_id, 143)

    def remove_run(self, run_id: str) -> None:
        with self._lock:
            self._runs.pop(run_id, None)

    def finish_run(self, run_id: str, exit_code: int, *, oom: bool = False) -> None:
        """Let it end."""
        with self._lock:
            kept = self._runs[run_id]
            now = self._clock.now()
            kept.seen = replace(kept.seen, running=False, exit_code=exit_code, oom=oom, ended_at=now)

    def _forget_runs(self, app_id: str) -> None:
        self._runs = {key: kept for key, kept in self._runs.items() if kept.spec.app_id != app_id}

    def _does(self, image: str) -> Behaviour:
        from paas.engines.memory import Behaviour

        return self.behaviours.get(image) or Behaviour()

    def _reach(self) -> None:
        raise NotImplementedError
