"""Follows a build line by line: emits what happens, and keeps what an error message will need.

One class per builder of the Engine. Neither does any input or output of its own but `emit`.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paas.images import trace
from paas.model.events import Emit, Event

_KEPT = 400
"""Output lines kept in memory; the live ones have been emitted by then."""

_OWN_STEPS = re.compile(r"\[internal\]|exporting |importing cache|copy /context|resolve image config|writing image")
_LONG = 240
"""Characters of a step that are shown; one that writes a file holds the whole of it."""
_OWN_BASE = re.compile(r"(?<=FROM )\S+/(?=paas-base/)")
"""The registry that the Engine writes before the names of images that were made here and come from none."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Progress:
    """What is known so far. `step` is the latest or failing step's name, `image` the id once there is one.

    `moved` is a folder that the app's files were put into: it is taken out of what people read.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.moved = ""
        self.step = ""
        self.image = ""
        self.error = ""

    @property
    def output(self) -> Sequence[str]:
        """The last output lines, of the failing step where it is known."""
        return ()

    @property
    def cached(self) -> bool:
        """Whether every step was found in the cache."""
        return False

    def feed(self, line: Mapping[str, Any]) -> None:
        """Take one JSON line of the Engine's answer."""
        aux = line.get("aux")
        if isinstance(aux, dict) and str(aux.get("ID", "")).startswith("sha256:"):
            self.image = str(aux["ID"])
        if "error" in line or "errorDetail" in line:
            detail = line.get("errorDetail")
            said = str((detail or {}).get("message") or line.get("error") or "the build failed")
            self.error = re.sub(rf'(?<=["/ ]){re.escape(self.moved)}/', "", said) if self.moved else said

    def named(self, name: str) -> str:
        """The step as the Dockerfile has it: in one line that can be read, without the folder that only the tar has."""
        text = _OWN_BASE.sub("", " ".join(name.split()))
        if self.moved and re.search(r"(\]|Step \S+ :) (COPY|ADD) ", text, re.IGNORECASE):
            text = re.sub(rf"(?<=[ \"]){re.escape(self.moved)}/(?=\S)", "", text)
        return text if len(text) <= _LONG else f"{text[:_LONG]}…"

    def _say(self, text: str, stream: str, **data: object) -> None:
        self._emit(Event(kind="output", message=text, data={"stream": stream, **data}))


@dataclass(slots=True)
class _Step:
    name: str
    cached: bool = False
    begun: bool = False
    ended: bool = False
    error: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    rest: dict[int, str] = field(default_factory=dict)
    decoders: dict[int, codecs.IncrementalDecoder] = field(default_factory=dict)


class Trace(Progress):
    """BuildKit's. A step is announced when it begins and told to be done (seconds) or CACHED."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(emit)
        self._steps: dict[str, _Step] = {}
        self._latest: _Step | None = None
        self.seen = False

    @property
    def output(self) -> Sequence[str]:
        failing = next((step for step in self._steps.values() if step.error and step.lines), self._latest)
        return tuple(failing.lines) if failing else ()

    @property
    def cached(self) -> bool:
        own = [step for step in self._steps.values() if not _is_internal(step.name) and _does_work(step.name)]
        return all(step.cached for step in own)

    def feed(self, line: Mapping[str, Any]) -> None:
        """Take one line; a trace that cannot be read is passed over, the build goes on without it."""
        super().feed(line)
        if line.get("id") != "moby.buildkit.trace":
            return
        try:
            found = trace.decode(base64.b64decode(str(line.get("aux", ""))))
        except (ValueError, binascii.Error):
            return
        self.seen = True
        for item in found:
            if isinstance(item, trace.Vertex):
                self._vertex(item)
            else:
                self._log(item)

    def _vertex(self, vertex: trace.Vertex) -> None:
        step = self._steps.setdefault(vertex.digest, _Step(self.named(vertex.name)))
        step.cached = step.cached or vertex.cached
        if vertex.error and "context canceled" not in vertex.error:
            step.error = vertex.error
            self.step = step.name
        quiet = _is_internal(step.name)
        if vertex.started and not step.begun:
            step.begun = True
            if not quiet and not vertex.cached:
                self._latest = step
                self.step = self.step if self.error else step.name
                self._say(step.name, "step", state="begun")
        if vertex.completed and not step.ended:
            self._flush(step)
            step.ended = True
            if not quiet:
                self._ended(step, vertex)

    def _ended(self, step: _Step, vertex: trace.Vertex) -> None:
        seconds = max(0.0, vertex.completed - vertex.started)
        if step.error:
            state, text = "failed", "FAILED"
        elif step.cached:
            state, text = "cached", "CACHED"
        else:
            state, text = "done", f"{seconds:.1f} s"
        self._say(f"{step.name} {text}", "step", state=state, seconds=round(seconds, 3))

    def _log(self, log: trace.Log) -> None:
        step = self._steps.setdefault(log.vertex, _Step(""))
        self._latest = step
        decoder = step.decoders.setdefault(log.stream, codecs.getincrementaldecoder("utf-8")("replace"))
        text = step.rest.pop(log.stream, "") + decoder.decode(log.data)
        *lines, rest = text.split("\n")
        if rest:
            step.rest[log.stream] = rest
        for line in lines:
            self._line(step, line, log.stream)

    def _flush(self, step: _Step) -> None:
        for stream, rest in list(step.rest.items()):
            self._line(step, rest, stream)
        step.rest.clear()

    def _line(self, step: _Step, line: str, stream: int) -> None:
        text = _clean(line)
        step.lines.append(text)
        self._say(text, "stderr" if stream == 2 else "stdout", step=step.name)


class Classic(Progress):
    """The classic builder's: plain text, `Step 3/7 : RUN …`, ` ---> Using cache`."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(emit)
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._steps = 0
        self._from_cache = 0

    @property
    def output(self) -> Sequence[str]:
        return tuple(self._lines)

    @property
    def cached(self) -> bool:
        return self._steps == self._from_cache

    def feed(self, line: Mapping[str, Any]) -> None:
        """Take one line."""
        super().feed(line)
        for text in str(line.get("stream", "")).split("\n"):
            self._text(_clean(text))

    def _text(self, text: str) -> None:
        step = re.match(r"Step (\d+)/(\d+) : (.*)", text)
        if step:
            self.step = self.named(text)
            self._lines.clear()
            self._steps += not step[3].upper().startswith("FROM")
            self._say(self.step, "step", state="begun")
        elif text == " ---> Using cache":
            self._from_cache += 1
            self._say(f"{self.step} CACHED", "step", state="cached")
        elif text and not re.match(r" ---> |Removing intermediate container |Successfully (built|tagged) ", text):
            self._lines.append(text)
            self._say(text, "stdout", step=self.step)


def _is_internal(name: str) -> bool:
    return not name or bool(_OWN_STEPS.match(name))


def _does_work(name: str) -> bool:
    return " FROM " not in name


def _clean(line: str) -> str:
    """What a terminal would show: the text after the last carriage return, without colours."""
    return _ANSI.sub("", line.rstrip("\r").rsplit("\r", 1)[-1])
