"""What is told of certificates: before one ends, and when one that should come by itself does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paas.model.events import Event
from paas.model.route import Certificate, Requested
from paas.model.secret import Secret
from paas.requests.config import ListCertificates
from paas.usecases.certificate_watch import AGAIN, DAY, CertificateWatch
from paas.usecases.certificates import list_certificates
from tests.unit.usecases.parts import Parts, parts


def certificate(platform: Parts, days: float, host: str = "shop.example.com") -> Certificate:
    end = platform.context.clock.now() + days * DAY
    return Certificate(host=host, chain="c", key=Secret("k"), names=(host,), issuer="i", not_after=end)


def told(platform: Parts, kind: str = "certificate.") -> list[Event]:
    return [event for _, event in platform.context.store.events() if event.kind.startswith(kind)]


@pytest.mark.parametrize(
    ("days", "said"),
    [(22, None), (20.9, "ends in 20 days"), (6.5, "ends in 6 days"), (0.5, "ends in 0 days"), (-1, "has ended")],
)
def test_a_certificate_that_ends_soon_is_told(platform: Parts, days: float, said: str | None) -> None:
    platform.context.store.put_certificate(certificate(platform, days))
    CertificateWatch(platform.context)()
    assert [said in event.message for event in told(platform) if said] == ([True] if said else [])
    assert len(told(platform)) == (1 if said else 0)


def test_it_is_told_once_a_threshold_also_by_the_next_server(platform: Parts) -> None:
    one = certificate(platform, 20)
    platform.context.store.put_certificate(one)
    watch = CertificateWatch(platform.context)
    watch()
    watch()
    CertificateWatch(platform.context)()
    assert len(told(platform)) == 1
    platform.context.store.put_certificate(replace(one, not_after=one.not_after - 14 * DAY))
    CertificateWatch(platform.context)()
    assert [event.data["days"] for event in told(platform)] == [21, 7]


def test_a_refused_request_is_told_once_and_says_what_stays(platform: Parts) -> None:
    asked = Requested(host="a.example.com", why="acme: 403", failed_at=platform.context.clock.now())
    old = Requested(
        host="b.example.com", certificate=certificate(platform, 25, "b.example.com"), why="refused", failed_at=1.0
    )
    platform.router.asked = (asked, old)
    watch = CertificateWatch(platform.context)
    watch()
    watch()
    first, second = told(platform, "certificate.failed")
    assert (first.data["host"], first.message) == ("a.example.com", "no certificate for a.example.com: acme: 403")
    assert second.message.endswith("the one before stays in use")


def test_one_that_came_is_told(platform: Parts) -> None:
    platform.router.asked = (Requested(host="a.example.com"),)
    watch = CertificateWatch(platform.context)
    watch()
    platform.router.asked = (Requested(host="a.example.com", certificate=certificate(platform, 80, "a.example.com")),)
    watch()
    watch()
    assert [event.kind for event in told(platform)] == ["certificate.issued"]


def test_what_failed_is_asked_for_again_later_and_later(platform: Parts) -> None:
    platform.router.asked = (Requested(host="a.example.com", why="no", failed_at=1.0),)
    watch = CertificateWatch(platform.context)
    watch()
    assert platform.router.again == 0
    platform.clock.sleep(AGAIN)
    watch()
    assert platform.router.again == 1
    platform.clock.sleep(AGAIN)
    watch()
    assert platform.router.again == 1
    platform.clock.sleep(AGAIN)
    watch()
    assert platform.router.again == 2


@pytest.mark.parametrize(
    ("host", "unused"),
    [("paas.example.com", False), ("*.apps.example.com", False), ("*.example.com", False), ("else.example.org", True)],
)
def test_a_certificate_of_the_platforms_own_hosts_is_not_said_to_serve_nobody(
    tmp_path: Path, host: str, unused: bool
) -> None:
    platform = parts(tmp_path, platform_domain="paas.example.com", domain="apps.example.com")
    platform.context.store.put_certificate(certificate(platform, 60, host))
    [line] = list_certificates(platform.context, ListCertificates(), platform.act)
    assert ("no app answers" in line.message) == unused
