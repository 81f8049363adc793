"""Config and domains: checked before anything changes, one release for several changes, none for none."""

from __future__ import annotations

import pytest

from paas.errors import Conflict, NotFound, UsageError
from paas.model import names
from paas.model.app import Attachment, ReleaseStatus
from paas.model.route import Certificate
from paas.model.secret import Secret
from paas.requests.config import ChangeConfig, ChangeDomains, ListDomains, ShowConfig
from paas.usecases.config import change_config, show_config
from paas.usecases.domains import change_domains, list_domains
from tests.unit.usecases.parts import Parts


def config(platform: Parts) -> dict[str, str]:
    return dict(show_config(platform.context, ShowConfig(app="shop"), platform.act).config)


def test_several_changes_are_one_release_and_one_rolling_restart(platform: Parts) -> None:
    app = platform.app(web=2)
    platform.release(app)
    change_config(platform.context, ChangeConfig(app="shop", set={"A": "1", "B": "2"}), platform.act)
    answer = change_config(platform.context, ChangeConfig(app="shop", set={"C": "3"}, unset=("A",)), platform.act)
    assert answer.release == 3
    assert config(platform) == {"B": "2", "C": "3"}
    assert platform.running(app) == {"web v3": 2}
    assert platform.store.release(app.id, 3).description == "config: set C, unset A"


def test_values_come_back_as_they_were_set_whatever_is_in_them(platform: Parts) -> None:
    platform.app()
    values = {
        "NEWLINE": "a\nb",
        "QUOTE": "\"'`",
        "DOLLAR": "$(id) ${X}",
        "BRACES": "{{ 7*7 }}",
        "EMPTY": "",
        "U": "é😀",
    }
    change_config(platform.context, ChangeConfig(app="shop", set=values), platform.act)
    assert config(platform) == values


def test_nothing_to_change_is_no_release(platform: Parts) -> None:
    platform.release(platform.app())
    change_config(platform.context, ChangeConfig(app="shop", set={"A": "1"}), platform.act)
    answer = change_config(platform.context, ChangeConfig(app="shop", set={"A": "1"}, unset=("GONE",)), platform.act)
    assert (answer.changed, answer.release) == (False, 2)


def test_before_the_first_deploy_it_is_a_release_that_runs_nothing(platform: Parts) -> None:
    app = platform.app()
    answer = change_config(platform.context, ChangeConfig(app="shop", set={"A": "1"}), platform.act)
    assert not answer.runs
    assert platform.store.release(app.id, 1).status is ReleaseStatus.SUCCEEDED
    assert platform.engine.calls == []
    platform.release(app)
    assert config(platform) == {"A": "1"}
    assert change_config(platform.context, ChangeConfig(app="shop", set={"A": "2"}), platform.act).runs


@pytest.mark.parametrize(
    ("given", "unset"),
    [
        ({"GOOD": "1", "a b": "1"}, ()),
        ({"GOOD": "1", "PORT": "1"}, ()),
        ({"GOOD": "1", "PAAS_APP": "1"}, ()),
        ({"GOOD": "1", "NUL": "a\0b"}, ()),
        ({"GOOD": "1", "BIG": "x" * (names.MAX_VALUE + 1)}, ()),
        ({"GOOD": "1"}, ("1A",)),
        ({"GOOD": "1"}, ("GOOD",)),
        ({f"K{number}": "x" * 100_000 for number in range(11)}, ()),
    ],
)
def test_one_wrong_key_or_value_and_nothing_changes(
    platform: Parts, given: dict[str, str], unset: tuple[str, ...]
) -> None:
    app = platform.app()
    with pytest.raises(UsageError) as caught:
        change_config(platform.context, ChangeConfig(app="shop", set=given, unset=unset), platform.act)
    assert caught.value.hint
    assert "xxxx" not in caught.value.message
    assert platform.store.releases(app.id) == ()


def test_a_key_that_an_addon_binds_is_not_changed_by_hand(platform: Parts) -> None:
    from dataclasses import replace

    from paas.model.app import Addon, ReleaseKind
    from paas.usecases.releases import change_release

    app = platform.app()
    platform.store.add_addon(
        Addon(id="dd", name="db", kind="postgres", version="17", image="i", volume="v", created_at=1)
    )
    platform.store.attach(Attachment(addon_id="dd", app_id=app.id, alias="DATABASE"))
    change_release(
        platform.context, app, platform.act, kind=ReleaseKind.ADDON, description="attach",
        change=lambda base: replace(base, addons=("DATABASE",), config={"DATABASE_URL": Secret("postgresql://")}),
    )  # fmt: skip
    for request in (
        ChangeConfig(app="shop", set={"DATABASE_URL": "x"}),
        ChangeConfig(app="shop", unset=("DATABASE_URL",)),
    ):
        with pytest.raises(Conflict, match="DATABASE_URL"):
            change_config(platform.context, request, platform.act)


def test_no_value_reaches_an_event(platform: Parts) -> None:
    platform.release(platform.app())
    change_config(platform.context, ChangeConfig(app="shop", set={"KEY": "s3cret"}), platform.act)
    kept = [event for _, event in platform.store.events(limit=100)]
    assert "s3cret" not in str([*platform.events, *kept])
    assert "KEY" in str(kept)


# --- domains -------------------------------------------------------------------------------------------------------


def test_domains_change_the_route_and_restart_nothing(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.engine.calls.clear()
    change_domains(platform.context, ChangeDomains(app="shop", add=("WWW.Example.com.", "b.example")), platform.act)
    change_domains(platform.context, ChangeDomains(app="shop", remove=("b.example",)), platform.act)
    assert platform.router.observe()[0].hosts == ("shop.localhost", "www.example.com")
    assert platform.engine.calls == []


def test_the_list_starts_with_the_default_host_and_says_what_has_tls(platform: Parts) -> None:
    platform.release(platform.app())
    platform.store.put_certificate(
        Certificate(host="*.example.com", chain="c", key=Secret("k"), names=("*.example.com",))
    )
    change_domains(platform.context, ChangeDomains(app="shop", add=("a.example.com", "a.b.example.com")), platform.act)
    lines = list_domains(platform.context, ListDomains(app="shop"), platform.act)
    assert [(line.url, line.default) for line in lines] == [
        ("http://shop.localhost", True),
        ("https://a.example.com", False),
        ("http://a.b.example.com", False),
    ]


def test_a_domain_of_another_app_is_refused_and_makes_no_release(platform: Parts) -> None:
    platform.app()
    other = platform.app("other", "ffffffff")
    change_domains(platform.context, ChangeDomains(app="shop", add=("a.example",)), platform.act)
    with pytest.raises(Conflict, match="belongs to shop"):
        change_domains(platform.context, ChangeDomains(app="other", add=("a.example",)), platform.act)
    assert platform.store.releases(other.id) == ()


@pytest.mark.parametrize("host", ["shop.localhost", "other.localhost"])
def test_hosts_that_app_names_lead_to_are_refused(platform: Parts, host: str) -> None:
    platform.app()
    with pytest.raises(Conflict):
        change_domains(platform.context, ChangeDomains(app="shop", add=(host,)), platform.act)


def test_removing_a_domain_that_is_not_there_says_which_are(platform: Parts) -> None:
    platform.app()
    change_domains(platform.context, ChangeDomains(app="shop", add=("a.example",)), platform.act)
    with pytest.raises(NotFound) as caught:
        change_domains(platform.context, ChangeDomains(app="shop", remove=("b.example",)), platform.act)
    assert "a.example" in caught.value.hint


def test_adding_what_is_there_is_no_release(platform: Parts) -> None:
    platform.app()
    request = ChangeDomains(app="shop", add=("a.example",))
    assert change_domains(platform.context, request, platform.act).changed
    assert not change_domains(platform.context, request, platform.act).changed
