"""Words of the router: which hosts lead to which servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paas.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What one app's hosts lead to. `servers` are `ip:port`, sorted; none: an honest 503 page.

    `hosts` come out of `names.host_name`, so they are safe in a rule; `*.example.com` matches one label.
    `tls_hosts` are those of them with a certificate: for them http redirects to https.
    `health_path` empty: Traefik does not ask the servers itself. `waker` is the `ip:port` they lead to while there are
    no servers because the app sleeps; empty: it does not.
    """

    app_id: str
    app_name: str
    hosts: tuple[str, ...]
    servers: tuple[str, ...]
    tls_hosts: tuple[str, ...] = ()
    health_path: str = ""
    health_interval: float = 5.0
    health_timeout: float = 3.0
    waker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate chain (PEM) and its key for a host. `not_after` is Unix time, `names` the hosts it covers."""

    host: str
    chain: str
    key: Secret
    names: tuple[str, ...] = ()
    issuer: str = ""
    not_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A host whose certificate the router gets by itself. `certificate` (without its key) None: not there yet. `why`
    is what the last request failed with, at `failed_at` (Unix time); empty: none failed since the last success."""

    host: str
    certificate: Certificate | None = None
    why: str = ""
    failed_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Counters since the router started, for one app: requests by status class (`2xx`), and seconds spent.

    `buckets` are how many were answered within so many seconds (upper bound → count, each counting all below it too;
    infinity: all). Upgraded connections, which last, are not among them.
    """

    app_id: str
    requests: dict[str, int]
    seconds: float
    buckets: Mapping[float, int] = field(default_factory=dict)
