"""The use cases of certificates, on a platform of memory parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from paas.errors import NotFound, RouterError, UsageError
from paas.model.route import Certificate, Route
from paas.requests.config import DeleteCertificate, ListCertificates, PutCertificate
from paas.usecases.certificates import delete_certificate, list_certificates, put_certificate
from tests.unit.routers.authority import issued
from tests.unit.usecases.parts import Parts, parts


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path)
    hosts = {"0a0a0a0a": ("shop.localhost", "www.example.com", "a.b.example.com"), "0b0b0b0b": ("blog.example.org",)}
    for app_id, found in hosts.items():
        made.router.apply(Route(app_id=app_id, app_name=f"app-{app_id}", hosts=found, servers=("10.0.0.1:1",)))
    return made


def put(platform: Parts, *hosts: str, days: float = 90) -> None:
    pair = issued(*hosts, days=days)
    put_certificate(platform.context, PutCertificate(chain=pair.pem, key=pair.key_pem), platform.act)


def secured(platform: Parts) -> dict[str, tuple[str, ...]]:
    return {route.app_id: route.tls_hosts for route in platform.router.observe()}


def test_apps_with_its_hosts_answer_by_https(platform: Parts) -> None:
    put(platform, "*.example.com", "example.com")
    assert secured(platform) == {"0a0a0a0a": ("www.example.com",), "0b0b0b0b": ()}
    assert [one.host for one in platform.router.served] == ["*.example.com"]


def test_a_new_one_takes_the_place_of_those_it_covers(platform: Parts) -> None:
    put(platform, "www.example.com")
    put(platform, "blog.example.org")
    put(platform, "example.com", "www.example.com")
    assert {one.host for one in platform.store.certificates()} == {"example.com", "blog.example.org"}
    assert secured(platform) == {"0a0a0a0a": ("www.example.com",), "0b0b0b0b": ("blog.example.org",)}


def test_a_refused_pair_changes_nothing(platform: Parts) -> None:
    put(platform, "www.example.com")
    before = platform.router.served
    with pytest.raises(UsageError):
        put_certificate(
            platform.context,
            PutCertificate(chain=issued("www.example.com").pem, key=issued("www.example.com").key_pem),
            platform.act,
        )
    assert platform.store.certificates() == before == platform.router.served


@pytest.mark.parametrize("hosts", [("www.example.com",), ("a.b.example.com",), ("www.example.com", "a.b.example.com")])
def test_what_cannot_be_routed_is_taken_back(platform: Parts, hosts: tuple[str, ...]) -> None:
    put(platform, "www.example.com", "blog.example.org")
    before = platform.store.certificates()
    platform.router.broken = True
    # The first app of the two has a host that changes, unless the certificate is for what it has already.
    if hosts == ("www.example.com",):
        platform.router.broken = False
        platform.router.apply(Route(app_id="0c0c0c0c", app_name="late", hosts=("late.example.net",), servers=()))
        platform.router.broken = True
        hosts = ("late.example.net",)
    with pytest.raises(RouterError):
        put(platform, *hosts)
    assert platform.store.certificates() == before == platform.router.served


def test_deleting_it_ends_https_for_its_hosts(platform: Parts) -> None:
    put(platform, "www.example.com")
    line = delete_certificate(platform.context, DeleteCertificate(host="WWW.example.com"), platform.act)
    assert "http only" in line.message
    assert secured(platform)["0a0a0a0a"] == ()
    assert platform.store.certificates() == platform.router.served == ()


def test_https_stays_where_another_certificate_covers_the_host(platform: Parts) -> None:
    put(platform, "*.example.com")
    put(platform, "www.example.com")
    delete_certificate(platform.context, DeleteCertificate(host="www.example.com"), platform.act)
    assert secured(platform)["0a0a0a0a"] == ("www.example.com",)


def test_deleting_one_that_is_not_there_names_those_that_are(platform: Parts) -> None:
    put(platform, "www.example.com")
    with pytest.raises(NotFound) as caught:
        delete_certificate(platform.context, DeleteCertificate(host="nope.example.com"), platform.act)
    assert "www.example.com" in caught.value.hint


def test_a_list_says_how_long_each_lasts_and_whom_it_serves_and_never_the_key(platform: Parts) -> None:
    put(platform, "www.example.com", days=30)
    put(platform, "nobody.example.net", days=200)
    expired = Certificate(host="z.example.com", chain="", key=platform.store.certificates()[0].key, not_after=1.0)
    platform.store.put_certificate(expired)
    nobody, www, old = list_certificates(platform.context, ListCertificates(), platform.act)
    assert (www.status, www.days, www.apps) == ("expiring", 20, ("app-0a0a0a0a",))
    assert (nobody.status, nobody.apps) == ("valid", ())
    assert "paas domains add" in nobody.message
    assert old.status == "expired"
    assert "PRIVATE" not in repr((nobody, www, old))
