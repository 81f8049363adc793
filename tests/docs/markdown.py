"""The documentation as values: its pages, the code blocks in them, and the prose between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<to>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One file. `name` is its path from the top of the project."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without code blocks."""
        return _BLOCK.sub("", self.text)

    def blocks(self, *kinds: str) -> Iterator[str]:
        """The code blocks of these kinds."""
        return (found["text"] for found in _BLOCK.finditer(self.text) if found["kind"] in kinds)

    def links(self) -> Iterator[str]:
        """Where the links lead that stay inside the project."""
        return (found["to"] for found in _LINK.finditer(self.prose) if not re.match(r"\w+:", found["to"]))

    def anchors(self) -> set[str]:
        """The headings' anchors, as they are made on the web."""
        return {anchor(heading) for heading in _HEADING.findall(self.prose)}


def anchor(heading: str) -> str:
    """`## What it does` → `what-it-does`."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def pages() -> list[Page]:
    """README, CONTRIBUTING and everything in docs/."""
    return [Page(ROOT / "README.md"), Page(ROOT / "CONTRIBUTING.md"), *map(Page, sorted((ROOT / "docs").rglob("*.md")))]
