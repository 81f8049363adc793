"""Pure: Traefik's Prometheus text → counters per app."""

from __future__ import annotations

import re
from collections import defaultdict

from paas.model.route import Traffic
from paas.routers.traefik import render

_LINE = re.compile(r"(traefik_router_requests_total|traefik_router_request_duration_seconds_sum)\{([^}]*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def traffic(text: str) -> tuple[Traffic, ...]:
    """Requests by status class (`2xx` …) and the seconds they took, sorted by app id."""
    requests: dict[str, dict[str, int]] = defaultdict(dict)
    seconds: dict[str, float] = defaultdict(float)
    for metric, labels, value in _LINE.findall(text):
        facts = dict(_LABEL.findall(labels))
        app_id = render.app_of(facts.get("router", ""))
        if not app_id:
            continue
        if metric.endswith("_sum"):
            seconds[app_id] += float(value)
        else:
            status = f"{facts.get('code', '0')[:1]}xx"
            requests[app_id][status] = requests[app_id].get(status, 0) + int(float(value))
    return tuple(
        Traffic(app_id=app_id, requests=dict(sorted(requests[app_id].items())), seconds=seconds[app_id])
        for app_id in sorted(requests)
    )
