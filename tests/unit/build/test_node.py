"""What the node buildpack makes of an app's files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from paas.errors import ConfigError
from tests.unit.build.parts import dockerfile, look, web


def package(**content: Any) -> str:
    return json.dumps({"name": "x", **content})


@pytest.mark.parametrize(
    ("content", "files", "command"),
    [
        ({"scripts": {"start": "node server.js --x"}}, {}, "node server.js --x"),
        ({"scripts": {"start": "node a.js", "prestart": "x"}}, {}, "npm run start"),
        ({"scripts": {"start": "node $npm_package_main"}}, {"yarn.lock": ""}, "yarn run start"),
        ({"main": "./lib/it.js"}, {"lib/it.js": ""}, "node lib/it.js"),
        ({"main": "it"}, {"it.js": ""}, "node it.js"),
        ({"main": "a b.js"}, {"a b.js": ""}, "node 'a b.js'"),
        ({"main": "gone.js"}, {"server.js": ""}, "node server.js"),
        ({}, {"index.js": ""}, "node index.js"),
    ],
)
def test_start_then_main_then_a_usual_name_is_run(content: Any, files: dict[str, str], command: str) -> None:
    assert web(look({"package.json": package(**content), **files})) == command


def test_nothing_to_start_is_told() -> None:
    with pytest.raises(ConfigError, match="start its web process") as caught:
        look({"package.json": package()})
    assert any("no start script" in line for line in caught.value.details)


@pytest.mark.parametrize(
    ("files", "said", "line"),
    [
        ({"package-lock.json": "{}"}, {}, "npm ci --include=prod --omit=dev"),
        ({"npm-shrinkwrap.json": "{}"}, {}, "npm ci --include=prod --omit=dev"),
        ({"yarn.lock": ""}, {}, "yarn install --non-interactive --production=true --frozen-lockfile"),
        ({"pnpm-lock.yaml": ""}, {}, "pnpm install --prod=true --package-import-method=copy --frozen-lockfile"),
        ({}, {}, "npm install --include=prod --omit=dev"),
        ({"package-lock.json": "{}", "yarn.lock": ""}, {}, "--frozen-lockfile"),
        ({"package-lock.json": "{}", "yarn.lock": ""}, {"packageManager": "npm@10.9.0"}, "npm ci "),
        ({"yarn.lock": ""}, {"packageManager": "yarn@4.5.0"}, "yarn install --immutable"),
        ({"pnpm-lock.yaml": ""}, {"packageManager": "pnpm@9.1.0+sha512.abc"}, "--global --force pnpm@9.1.0"),
    ],
)  # fmt: skip
def test_the_lock_file_and_package_manager_choose_the_install(files: dict[str, str], said: Any, line: str) -> None:
    text = dockerfile(look({"package.json": package(main="a.js", **said), "a.js": "", **files}))
    assert line in text


def test_of_several_lock_files_the_documented_one_counts_and_a_warning_says_so() -> None:
    locks = {"package-lock.json": "{}", "yarn.lock": "", "pnpm-lock.yaml": ""}
    found = look({"package.json": package(main="a.js"), "a.js": "", **locks})
    assert found.plan.values["manager"] == "pnpm"
    assert any("pnpm-lock.yaml counts" in warning for warning in found.plan.warnings)


@pytest.mark.parametrize("manager", ["bun@1.0.0", "npm", "pnpm@9; id", "pnpm@latest", 3, "npm@$(id)"])
def test_a_package_manager_that_is_not_known_is_refused(manager: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        look({"package.json": package(main="a.js", packageManager=manager), "a.js": ""})
    assert caught.value.where == "package.json: packageManager"


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("package.json", '{\n"a": 1\n"b": 2}', "package.json:3"),
        ("package.json", "[]", "package.json"),
        ("package.json", '{"a":' * 100_000, "package.json"),
        ("package-lock.json", "<<<<<<< HEAD\n", "package-lock.json:1"),
    ],
)
def test_broken_json_is_refused_with_its_line(name: str, text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look({"package.json": package(main="a.js"), "a.js": "", name: text})
    assert caught.value.where == where


def test_a_code_only_change_re_runs_no_install() -> None:
    files = {"package.json": package(main="a.js", dependencies={"x": "1"}), "a.js": "", "package-lock.json": "{}"}
    text = dockerfile(look(files))
    assert text.index("npm ci") < text.index('COPY --chown=1000:1000 ["./", "/app/"]')
    built = dockerfile(look({**files, "package.json": package(main="a.js", scripts={"build": "tsc"})}))
    assert built.index("npm ci --include=dev") < built.index('COPY ["./", "/app/"]') < built.index("npm run build")


def test_what_only_building_needs_is_pruned() -> None:
    content = package(main="a.js", scripts={"build": "tsc"}, devDependencies={"typescript": "5"})
    for lock, line in (
        ("package-lock.json", "npm prune --omit=dev"),
        ("yarn.lock", "yarn install --non-interactive --production --ignore-scripts"),
        ("pnpm-lock.yaml", "pnpm prune --prod"),
    ):
        text = dockerfile(look({"package.json": content, "a.js": "", lock: "{}"}))
        assert text.index("npm run build" if lock == "package-lock.json" else "run build") < text.index(line)


@pytest.mark.parametrize(
    ("said", "files"),
    [
        ({"scripts": {"postinstall": "prisma generate"}}, {}),
        ({"workspaces": ["a"]}, {}),
        ({"dependencies": {"a": "file:./a"}}, {}),
        ({}, {"pnpm-workspace.yaml": ""}),
        ({}, {"patches/x.patch": ""}),
    ],
)
def test_an_install_that_needs_the_source_gets_it_first_and_says_so(said: Any, files: dict[str, str]) -> None:
    found = look({"package.json": package(main="a.js", **said), "a.js": "", "package-lock.json": "{}", **files})
    text = dockerfile(found)
    assert text.index('COPY ["./", "/app/"]') < text.index("npm ci")
    assert any("source is copied before" in reason.text for reason in found.plan.reasons)


VITE = {"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}


@pytest.mark.parametrize(
    ("said", "files", "folder", "spa"),
    [
        (VITE, {}, "dist", True),
        ({**VITE, "scripts": {"build": "x", "start": "vite --host"}}, {}, "dist", True),
        (VITE, {"vite.config.ts": "export default { build: { outDir: './out/web' } }"}, "out/web", True),
        ({"scripts": {"build": "x", "start": "react-scripts start"}, "dependencies": {"react-scripts": "5"}}, {},
         "build", True),
        ({"scripts": {"build": "ng build", "start": "ng serve"}, "dependencies": {"@angular/core": "19"}},
         {"angular.json": json.dumps({"projects": {"shop": {"architect": {"build": {
             "builder": "@angular/build:application", "options": {"outputPath": "dist/shop"}}}}}})},
         "dist/shop/browser", True),
        ({"scripts": {"build": "astro build"}, "dependencies": {"astro": "5"}}, {}, "dist", False),
        (VITE, {"paas.toml": "static_dir = 'elsewhere'\nspa = false"}, "elsewhere", False),
    ],
)  # fmt: skip
def test_a_single_page_build_is_served_as_files(said: Any, files: dict[str, str], folder: str, spa: bool) -> None:
    found = look({"package.json": package(**said), **files})
    assert (found.plan.values["site"], web(found)) == (folder, "serve-files --spa" if spa else "serve-files")
    assert found.plan.runtimes["run"].name == "static"
    assert found.plan.runtimes["build"].name == "node"
    assert f"COPY --from=build --chown=1000:1000 /app/{folder}/ /app/" in dockerfile(found)


@pytest.mark.parametrize(
    "said",
    [
        {**VITE, "scripts": {"build": "vite build", "start": "node server.js"}},
        {**VITE, "scripts": {"build": "vite build", "start": "next start"}, "dependencies": {"next": "15"}},
    ],
)
def test_a_build_with_a_server_of_its_own_is_no_site(said: Any) -> None:
    assert web(look({"package.json": package(**said)})) == said["scripts"]["start"]


def test_an_output_folder_outside_the_app_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        look({"package.json": package(**VITE), "vite.config.js": "build: { outDir: '../../etc' }"})
    assert caught.value.where == "vite.config.js"


@pytest.mark.parametrize(
    ("files", "version", "source"),
    [
        ({".nvmrc": "20"}, "20", ".nvmrc"),
        ({".node-version": "v20.1.0", ".nvmrc": "22"}, "20", ".node-version"),
        ({}, "20", "package.json: engines.node"),
    ],
)
def test_the_node_version_is_read_from_the_file_that_says_it(files: dict[str, str], version: str, source: str) -> None:
    found = look({"package.json": package(main="a.js", engines={"node": "20.x"}), "a.js": "", **files})
    assert (found.plan.runtimes["run"].version, found.plan.runtimes["run"].source) == (version, source)


def test_committed_node_modules_are_left_out_with_a_warning() -> None:
    found = look({"package.json": package(main="a.js"), "a.js": "", "node_modules/x/index.js": ""})
    assert any("node_modules/ is part of the source" in warning for warning in found.plan.warnings)
    text = dockerfile(found)
    assert 'RUN ["rm", "-rf", "/app/node_modules"]' in text
    assert 'COPY --chown=1000:1000 ["./"' not in text


DEV = ("nodemon", "tsx", "ts-node", "typescript", "cross-env", "@nestjs/cli", "@swc-node/register", "odd")


@pytest.mark.parametrize(
    ("start", "scripts", "lacking"),
    [
        ("nodemon server.js", {}, "nodemon"),
        ("NODE_ENV=production cross-env A=b nodemon server.js", {}, "cross-env nodemon"),
        ("tsc && node dist/server.js", {}, "tsc"),
        ("npx --yes tsx server.ts", {}, "tsx"),
        ("./node_modules/.bin/nest start", {}, "nest"),
        ("node -r ts-node/register server.ts", {}, "ts-node"),
        ("node --import=tsx server.ts", {}, "tsx"),
        ("node --require @swc-node/register server.ts", {}, "@swc-node/register"),
        ("npm run serve", {"serve": "npm run again", "again": "npm run serve; tsx a.ts"}, "tsx"),
        ("yarn serve", {"preserve": "tsc"}, "tsc"),
        ("strange server.js", {}, "strange"),
        ("node server.js nodemon", {}, ""),
        ("node ./tsx/server.js", {}, ""),
        ("node -r dotenv/config server.js", {}, ""),
        ("express server.js", {}, ""),
        ("", {}, ""),
    ],
)
def test_a_start_by_what_only_development_has_is_told(start: str, scripts: dict[str, str], lacking: str) -> None:
    said = package(
        scripts={"start": start, **scripts} if start else scripts, main="server.js",
        dependencies={"express": "1", "dotenv": "1"}, devDependencies=dict.fromkeys((*DEV, "express"), "1"),
    )  # fmt: skip
    lock = json.dumps({"packages": {"node_modules/odd": {"dev": True, "bin": {"strange": "cli.js"}}}})
    found = look({"package.json": said, "package-lock.json": lock, "server.js": ""}).plan.warnings
    told = [text.partition(" is what web starts")[0] for text in found if "devDependencies" in text]
    assert " ".join(told) == lacking


def test_a_procfile_that_starts_by_what_only_development_has_is_told() -> None:
    files = {"package.json": package(devDependencies={"nodemon": "1"}), "Procfile": "web: npx nodemon a.js\n"}
    assert any("nodemon is what web starts" in text for text in look(files).plan.warnings)
    kept = look({**files, "yarn.lock": "", ".yarnrc.yml": ""})
    assert not any("nodemon" in text for text in kept.plan.warnings), "Yarn 2 and later keeps them"


@pytest.mark.parametrize("lock", [{"packages": []}, {"packages": {"node_modules/odd": 1}}, {"packages": None}])
def test_a_lock_file_of_another_shape_says_nothing_of_programs(lock: object) -> None:
    said = package(scripts={"start": "odd"}, devDependencies={"odd": "1"})
    found = look({"package.json": said, "package-lock.json": json.dumps(lock)}).plan.warnings
    assert any("odd is what web starts" in text for text in found)
