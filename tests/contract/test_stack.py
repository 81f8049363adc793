"""One suite for both stacks: what they offer, answer and ask the builder for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from paas.errors import ConfigError
from paas.interfaces import Builder, Stack
from paas.model.build import Runtime
from paas.model.events import Event, silent
from paas.settings import Settings
from paas.stacks import DebianStack, OfficialStack, archive, choose, making
from paas.stacks.making import MakingStack
from tests.unit.stacks.memory import MemoryBuilder

RUNTIMES = ("python", "node", "static", "postgres", "redis")


@pytest.fixture
def builder() -> MemoryBuilder:
    return MemoryBuilder()


@pytest.fixture(params=[DebianStack, OfficialStack], ids=["debian", "official"])
def stack(request: pytest.FixtureRequest, builder: MemoryBuilder, monkeypatch: pytest.MonkeyPatch) -> MakingStack:
    def filesystem(suite: str, where: archive.Mirror) -> Iterator[bytes]:
        yield b""

    monkeypatch.setattr(archive, "root_filesystem", filesystem)
    monkeypatch.setattr(making, "ca_image", lambda settings, builder, emit: "paas-base/ca:0123456789ab")
    made: MakingStack = request.param(Settings(), builder, {"HTTPS_PROXY": "http://proxy.corp:3128"})
    return made


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_has_a_default_that_is_its_first_offer(stack: MakingStack, runtime: str) -> None:
    base = stack.answer(Runtime(runtime))
    assert base.version == stack.offers(runtime)[0]
    assert base.image == f"paas-base/{runtime}:{base.version}"


def test_both_stacks_have_the_same_defaults_and_postgres() -> None:
    debian, official = DebianStack(Settings(), MemoryBuilder(), {}), OfficialStack(Settings(), MemoryBuilder(), {})
    for runtime in ("python", "node", "postgres", "redis"):
        assert debian.offers(runtime)[0] == official.offers(runtime)[0]
        assert set(debian.offers(runtime)) <= set(official.offers(runtime))


def test_a_version_it_cannot_give_is_an_error_that_lists_those_it_can(stack: MakingStack) -> None:
    with pytest.raises(ConfigError, match=r"^\.python-version: python >=2\.7,<3 is not available$") as caught:
        stack.answer(Runtime("python", "2.7", requested=">=2.7,<3", source=".python-version"))
    assert ", ".join(stack.offers("python")) in caught.value.hint


def test_a_runtime_it_does_not_know_is_an_error(stack: MakingStack) -> None:
    assert stack.offers("cobol") == ()
    with pytest.raises(ConfigError, match="has no cobol"):
        stack.answer(Runtime("cobol"))


def test_answering_touches_nothing(stack: MakingStack, builder: MemoryBuilder) -> None:
    for runtime in RUNTIMES:
        stack.answer(Runtime(runtime))
    assert (builder.built, builder.names) == ([], {})


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_preparing_makes_both_images_once(stack: MakingStack, builder: MemoryBuilder, runtime: str) -> None:
    base = stack.answer(Runtime(runtime))
    stack.prepare(base, silent)
    assert builder.find(base.image)
    assert builder.find(base.build_image)
    count = len(builder.built)
    events: list[Event] = []
    stack.prepare(base, events.append)
    assert (len(builder.built), events) == (count, [])


def test_a_changed_recipe_is_made_again_and_takes_the_name(
    stack: MakingStack, builder: MemoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = stack.answer(Runtime("static"))
    stack.prepare(base, silent)
    before = builder.names[base.image].id
    versions = {**stack.versions["static"]}
    versions[base.version] = replace(
        versions[base.version], template=f"{stack.name}/python.Dockerfile.j2", values={"version": "3"}
    )
    monkeypatch.setattr(type(stack), "versions", {"static": versions})
    stack.prepare(base, silent)
    assert builder.names[base.image].id != before


def test_a_name_that_something_else_took_is_given_back_without_a_build(
    stack: MakingStack, builder: MemoryBuilder
) -> None:
    base = stack.answer(Runtime("static"))
    stack.prepare(base, silent)
    right, count = builder.names[base.image].id, len(builder.built)
    builder.tag("sha256:other", base.image)
    stack.prepare(base, silent)
    assert (builder.names[base.image].id, len(builder.built)) == (right, count)


@pytest.mark.parametrize("runtime", ["python", "node"])
def test_no_final_image_has_the_ca_or_a_proxy(stack: MakingStack, builder: MemoryBuilder, runtime: str) -> None:
    stack.prepare(stack.answer(Runtime(runtime)), silent)
    assert builder.built
    for built in builder.built:
        stages = re.split(r"^FROM ", built.dockerfile, flags=re.MULTILINE)[1:]
        by_name = {stage.split("\n")[0].split(" AS ")[-1]: stage for stage in stages}
        chain = [built.target]
        while (parent := by_name[chain[-1]].split(" ")[0]) in by_name:
            chain.append(parent)
        assert not [name for name in chain if "ca.pem" in by_name[name] or "ARG" in by_name[name]]
        assert "ca.pem" in built.dockerfile


def test_the_environment_is_passed_as_arguments_not_as_text(stack: MakingStack, builder: MemoryBuilder) -> None:
    stack.prepare(stack.answer(Runtime("python")), silent)
    assert builder.built
    for built in builder.built:
        assert "proxy.corp" not in built.dockerfile
        assert built.build_args["HTTPS_PROXY"] == "http://proxy.corp:3128"


@pytest.mark.parametrize("runtime", ["python", "node", "static"])
def test_apps_get_a_user_with_the_same_ids_everywhere(stack: MakingStack, runtime: str) -> None:
    recipes = list(stack.recipes(stack.answer(Runtime(runtime))))
    assert recipes
    for recipe in recipes:
        assert "groupadd --gid 1000 app" in recipe.render()
        assert "useradd --uid 1000 --gid app" in recipe.render()


def test_postgres_starts_the_same_way_in_both(stack: MakingStack, builder: MemoryBuilder) -> None:
    stack.prepare(stack.answer(Runtime("postgres")), silent)
    (built,) = [one for one in builder.built if "postgres" in one.ref]
    assert list(built.files) == ["entrypoint.sh"]
    for line in ("USER postgres", "STOPSIGNAL SIGINT", 'ENTRYPOINT ["postgres-entrypoint"]'):
        assert line in built.dockerfile


def test_the_official_stack_pulls_from_the_registry_that_is_set() -> None:
    stack = OfficialStack(Settings(registry="mirror.corp:5000"), MemoryBuilder(), {})
    (recipe,) = stack.recipes(stack.answer(Runtime("postgres")))
    assert "FROM mirror.corp:5000/library/postgres:17 AS run" in recipe.render()


def test_without_a_setting_the_engine_knows_the_registry() -> None:
    stack = OfficialStack(Settings(), MemoryBuilder(), {})
    (recipe,) = stack.recipes(stack.answer(Runtime("postgres")))
    assert "FROM library/postgres:17 AS run" in recipe.render()


@pytest.mark.parametrize(
    ("setting", "answers", "chosen", "asked"),
    [
        ("auto", True, "official", ["library/python"]),
        ("auto", False, "debian", ["library/python"]),
        ("official", False, "official", []),
        ("debian", True, "debian", []),
    ],
)
def test_the_registry_decides_unless_the_setting_does(
    builder: MemoryBuilder, setting: str, answers: bool, chosen: str, asked: list[str]
) -> None:
    builder.registry = answers
    stack: Stack = choose(Settings(stack=setting), builder)
    assert (stack.name, builder.asked) == (chosen, asked)


def test_the_registry_that_is_set_is_the_one_asked(builder: MemoryBuilder) -> None:
    choose(Settings(stack="auto", registry="mirror.corp:5000"), builder)
    assert builder.asked == ["mirror.corp:5000/library/python"]


def test_a_stack_that_does_not_exist_is_an_error_of_the_setting(builder: Builder) -> None:
    with pytest.raises(ConfigError, match=r"^PAAS_STACK: 'slackware' is no stack"):
        choose(Settings(stack="slackware"), builder)
