"""What Traefik's log says of certificates that could not be had, read on from where it was read last."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from paas.errors import PaasError
from paas.model.route import Certificate, Requested
from paas.routers.traefik import access_log, acme
from paas.routers.traefik.container import Container

RENEWAL = 29 * 86400.0
"""Seconds before its end at which a certificate should have been renewed: Traefik does at thirty days."""


@dataclass(slots=True)
class Refusals:
    """The last reason for each name, and when it was said. Threads may ask at once."""

    _said: dict[str, tuple[str, float]] = field(default_factory=dict)
    _last: str = ""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def read(self, container: Container) -> None:
        """Read what was said since; nothing while the Engine does not answer."""
        with self._guard:
            since = access_log.stamp(self._last) if self._last else 0.0
            try:
                for stamp, line in container.output(since=since, follow=False):
                    if stamp > self._last:
                        self._last = stamp
                        self._hear(stamp, line)
            except PaasError:
                return

    def told(self, host: str, certificate: Certificate | None) -> Requested:
        """How it stands with a host's certificate. A reason older than the certificate is none any more."""
        why, at = self._said.get(host) or self._said.get(f"*.{host.partition('.')[2]}") or ("", 0.0)
        fine = certificate is not None and certificate.not_after > time.time() + RENEWAL
        return Requested(host=host, certificate=certificate, why="" if fine else why, failed_at=0.0 if fine else at)

    def _hear(self, stamp: str, line: str) -> None:
        if found := acme.refused(line):
            for name in found.names:
                self._said[name] = (found.why, access_log.stamp(stamp))
