"""Watches the certificates that are served: tells before one ends, and when one that comes by itself does not come.

Events, in the log of the platform: `certificate.expires` 21, 7 and 1 days before the end of one (its own, or one whose
renewal fails), `certificate.failed` when a request for one fails, each once per reason and day, `certificate.issued`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from paas.model.events import Event
from paas.model.route import Certificate, Requested
from paas.usecases.context import Context

DAYS = (21, 7, 1)
DAY = 86_400.0
AGAIN, LONGEST = 900.0, 6 * 3600.0
"""Seconds until what failed is asked for once more: doubled each time, and at most."""
LOOKED_BACK = 2000
"""Events read at the start, to tell nothing twice."""

Told = tuple[str, str, str]


@dataclass(slots=True)
class CertificateWatch:
    """One look a call. What was told is read back from the events at the first."""

    context: Context
    _told: set[Told] | None = None
    _waiting: set[str] = field(default_factory=set)
    _pause: float = 0.0
    _next: float = 0.0

    def __call__(self) -> None:
        """Look at all of them; what is new is written as events."""
        if self._told is None:
            self._told = set(map(_key, (event for _, event in self.context.store.events(limit=LOOKED_BACK))))
        requested = self.context.router.requested()
        for certificate in (*self.context.store.certificates(), *(o.certificate for o in requested if o.certificate)):
            self._ending(certificate)
        for one in requested:
            self._failing(one)
        self._came(requested)
        self._ask_again(requested)

    def _ending(self, certificate: Certificate) -> None:
        left = certificate.not_after - self.context.clock.now()
        due = [days for days in DAYS if left < days * DAY]
        if not due:
            return
        days = max(0, int(left // DAY))
        said = f"ends in {days} days" if left > 0 else "has ended: browsers refuse it"
        self._tell(
            "certificate.expires",
            f"the certificate of {certificate.host} {said}",
            {"host": certificate.host, "not_after": certificate.not_after, "days": min(due)},
        )

    def _failing(self, asked: Requested) -> None:
        if not asked.why:
            return
        kept = "; the one before stays in use" if asked.certificate else ""
        day = int(asked.failed_at // DAY)
        self._tell(
            "certificate.failed",
            f"no certificate for {asked.host}: {asked.why}{kept}",
            {"host": asked.host, "why": asked.why, "day": day},
        )

    def _came(self, requested: tuple[Requested, ...]) -> None:
        for one in requested:
            if one.certificate is not None and one.host in self._waiting:
                facts = {"host": one.host, "not_after": one.certificate.not_after}
                self._tell("certificate.issued", f"{one.host} has a certificate of {one.certificate.issuer}", facts)
        self._waiting = {one.host for one in requested if one.certificate is None}

    def _ask_again(self, requested: tuple[Requested, ...]) -> None:
        """Traefik asks again for what it could not have only when its configuration changes."""
        now = self.context.clock.monotonic()
        if not any(one.why for one in requested):
            self._pause = self._next = 0.0
        elif not self._pause:
            self._pause, self._next = AGAIN, now + AGAIN
        elif now >= self._next:
            self._pause = min(2 * self._pause, LONGEST)
            self._next = now + self._pause
            self.context.router.request_again()

    def _tell(self, kind: str, message: str, data: dict[str, object]) -> None:
        event = Event(kind=kind, message=message, at=self.context.clock.now(), data=data)
        assert self._told is not None
        if _key(event) not in self._told:
            self._told.add(_key(event))
            self.context.store.add_event(event)


def _key(event: Event) -> Told:
    """What makes two events the same news."""
    facts = event.data
    rest = ("why", "day") if event.kind == "certificate.failed" else ("not_after", "days")
    return event.kind, str(facts.get("host", "")), " ".join(str(facts.get(name, "")) for name in rest)
