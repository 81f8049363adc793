"""One line a number: what was measured, the baseline of the same run, their ratio, and the bound it should keep."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """Collects and prints the lines; `missed` holds the names of the numbers over their bound."""

    missed: list[str] = field(default_factory=list)

    def section(self, title: str) -> None:
        """A heading."""
        print(f"\n{title}\n{'-' * len(title)}", flush=True)

    def ratio(self, name: str, ours: Sequence[float], baseline: Sequence[float], bound: float, unit: str = "s") -> None:
        """Medians of both, and ours / baseline against the bound."""
        mine, theirs = statistics.median(ours), statistics.median(baseline)
        self._line(name, f"{mine:.3f} {unit}", f"baseline {theirs:.3f} {unit}", mine / theirs, bound, "x")
        best, least = min(ours), min(baseline)
        self.note(f"the best of each: {best:.3f} {unit}, baseline {least:.3f} {unit}: {best / least:.2f}x")

    def difference(self, name: str, ours: Sequence[float], baseline: Sequence[float], bound: float) -> None:
        """Medians of both, and the seconds ours takes more."""
        mine, theirs = statistics.median(ours), statistics.median(baseline)
        self._line(name, f"{mine:.3f} s", f"baseline {theirs:.3f} s", mine - theirs, bound, " s more")

    def count(self, name: str, value: float, bound: float, unit: str) -> None:
        """A plain number against its bound."""
        self._line(name, "", "", value, bound, f" {unit}")

    def note(self, text: str) -> None:
        """A remark."""
        print(f"  {text}", flush=True)

    def _line(self, name: str, ours: str, baseline: str, value: float, bound: float, unit: str) -> None:
        good = value <= bound
        if not good:
            self.missed.append(name)
        facts = "  ".join(part for part in (ours, baseline) if part)
        shown = f"{value:.2f}".rstrip("0").rstrip(".")
        print(f"  {'ok  ' if good else 'MISS'}  {name}: {shown}{unit} (at most {bound:g}{unit})  {facts}", flush=True)


def interleaved(runs: int, *jobs: Callable[[], float]) -> list[list[float]]:
    """Each job `runs` times, turn by turn, so that a noisy moment meets all of them."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(runs):
        for index, job in enumerate(jobs):
            times[index].append(job())
    return times
