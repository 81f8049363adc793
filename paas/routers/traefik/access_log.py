"""Pure: lines of Traefik's output (JSON) → log lines for people."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from paas.interfaces import LogQuery
from paas.model.service import LogLine
from paas.routers.traefik import render


def line(raw: str, at: float, app_id: str, query: LogQuery) -> LogLine | None:
    """The line as text, if it is one that was asked for: the app's access log, or with no app the router's own log."""
    if app_id and f'"app-{app_id}' not in raw:
        return None
    facts = _facts(raw)
    if facts is None:
        # Traefik prints plain text when it cannot even start; that is the router's own.
        return None if app_id else LogLine(at=at, text=raw, source="router", process="router", stream="stderr")
    is_access = "RequestMethod" in facts
    if not app_id:
        return None if is_access else LogLine(at=at, text=_own(facts), source="router", process="router")
    if not is_access or render.app_of(str(facts.get("RouterName", ""))) != app_id:
        return None
    if query.process not in ("", "router") or query.replica:
        return None
    return LogLine(at=at, text=_access(facts), source="router", process="router")


def stamp(text: str) -> float:
    """Unix time of the Engine's own time stamp (`2026-11-23T03:17:26.565838977Z`); 0 when it is none."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    try:
        seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
        return seconds + (float(f"0.{rest}") if rest else 0.0)
    except ValueError:
        return 0.0


def _facts(raw: str) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _access(facts: dict[str, Any]) -> str:
    parts = [
        f"{facts.get('RequestMethod')} {facts.get('RequestHost')}{facts.get('RequestPath')}",
        str(facts.get("DownstreamStatus")),
        f"{float(facts.get('Duration') or 0) / 1e6:.0f}ms",
        f"{facts.get('DownstreamContentSize') or 0}B",
        f"client={facts.get('ClientHost')}",
    ]
    # No server: the platform itself answered (a redirect, or the page of an app that does not run).
    parts += [f"server={facts['ServiceAddr']}"] if facts.get("ServiceAddr") else []
    parts += [f"retries={facts['RetryAttempts']}"] if facts.get("RetryAttempts") else []
    parts += [f"id={facts['request_X-Request-Id']}"] if facts.get("request_X-Request-Id") else []
    return " ".join(parts)


def _own(facts: dict[str, Any]) -> str:
    message = " ".join(str(facts.get("message", "")).split())
    rest = {key: value for key, value in facts.items() if key not in ("level", "time", "message")}
    return " ".join([str(facts.get("level", "")).upper(), message, *(f"{key}={value}" for key, value in rest.items())])
