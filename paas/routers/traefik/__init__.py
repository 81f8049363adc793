"""Leads requests to replicas through a Traefik of the platform's own, by its file provider.

`render.py`, `static.py`, `live.py`, `metrics.py` and `access_log.py` are pure; `folder.py`, `container.py`, `api.py`,
`served.py` and `ports.py` each touch one thing; `router.py` puts them in order.
"""

from paas.routers.traefik.router import TraefikRouter, problem

__all__ = ["TraefikRouter", "problem"]
