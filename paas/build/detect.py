"""What an app is and how to build it: files + what the stack offers → manifest, build plan, and why. Pure.

Who wins: a buildpack named by the caller > by `paas.toml` > by `app.json` > a Dockerfile the manifest names > the
buildpack the `web` command speaks for > the first in order that knows the folder.
Processes: `paas.toml` > Procfile > the buildpack's own `web`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paas.build import buildpacks, manifest, procfile
from paas.build.buildpacks import Buildpack, Offers, Options
from paas.build.environments import effective
from paas.build.files import Files
from paas.errors import ConfigError, NothingDetected
from paas.model.build import BuildPlan, Process, Reason
from paas.model.manifest import Manifest

PROCFILE = "Procfile"


@dataclass(frozen=True, slots=True)
class Examined:
    """One buildpack that was asked: what it found (none: it is not its kind of app), and whether it was chosen."""

    buildpack: str
    looked_for: tuple[str, ...]
    reasons: tuple[Reason, ...]
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that a source says: its manifest, the build plan, and every buildpack that was asked."""

    manifest: Manifest
    plan: BuildPlan
    examined: tuple[Examined, ...]


def inspect(
    files: Files,
    *,
    offers: Offers,
    buildpack: str = "",
    packs: Sequence[Buildpack] | None = None,
    environment: str = "",
) -> Inspection:
    """Look at an app as it is in an environment. `packs` None: those bundled and on PAAS_BUILDPACK_PATH.

    Raises ConfigError naming file and line or key, NothingDetected listing what was looked for.
    """
    found, warnings = manifest.read(files)
    packs = buildpacks.load() if packs is None else packs
    try:
        options = Options(offers=offers, manifest=effective(found, environment), procfile=_procfile(files))
        return _inspected(files, options, packs, buildpack, warnings)
    except ConfigError as error:
        # What is wrong may stand in the environment, but is found where it comes together.
        if environment in found.environments:
            error.details = (*error.details, f"as the environment {environment} has it")
        raise


def _inspected(
    files: Files, options: Options, packs: Sequence[Buildpack], buildpack: str, warnings: tuple[str, ...]
) -> Inspection:
    said = options.manifest
    pack, why, examined = _chosen(files, options, packs, buildpack)
    plan = pack.plan(files, options)
    plan = replace(
        plan,
        processes=_processes(files, plan, options),
        reasons=(*([why] if why else []), *plan.reasons, *_named(options)),
        warnings=(*warnings, *plan.warnings, *_unused(plan, said)),
        port=said.port or plan.port,
    )
    return Inspection(_for_build(said, plan), plan, examined)


def _procfile(files: Files) -> tuple[Process, ...]:
    if not files.has(PROCFILE):
        return ()
    return procfile.parse(files.text(PROCFILE, procfile.LIMIT), PROCFILE)


# --- which buildpack -----------------------------------------------------------------------------------------------


def _chosen(
    files: Files, options: Options, packs: Sequence[Buildpack], name: str
) -> tuple[Buildpack, Reason | None, tuple[Examined, ...]]:
    """The buildpack, why it and no other (None: it is the first that fits), and what each one found."""
    forced = _forced(files, options, name)
    found = {pack.name: pack.detect(files, options) for pack in packs}
    fitting = [pack for pack in packs if found[pack.name]]
    why: Reason | None = None
    if forced:
        pack, why = buildpacks.named(forced[0], packs), forced[1]
    elif fitting:
        pack, why = _spoken_for(fitting, options.web)
    else:
        raise _nothing(files, packs)
    examined = tuple(Examined(one.name, one.looked_for, found[one.name], chosen=one.name == pack.name) for one in packs)
    return pack, why, examined


def _forced(files: Files, options: Options, name: str) -> tuple[str, Reason] | None:
    if name:
        return name, Reason("--buildpack", f"says {name}")
    said = options.manifest.buildpack
    if said:
        return said, Reason("paas.toml" if _in_toml(files) else "app.json", f"says buildpack {said}")
    if options.manifest.dockerfile:
        return "dockerfile", Reason("paas.toml", f"names {options.manifest.dockerfile}")
    return None


def _in_toml(files: Files) -> bool:
    return files.has(manifest.TOML) and "buildpack" in files.text(manifest.TOML, manifest.LIMIT)


def _spoken_for(fitting: list[Buildpack], web: str) -> tuple[Buildpack, Reason | None]:
    """Among several that fit, the one whose command starts `web`; a Dockerfile always stands for itself."""
    words = web.split()
    word = next((word for word in words if "=" not in word and word not in ("exec", "env")), "")
    for pack in fitting if fitting[0].commands else []:
        if word in pack.commands and pack is not fitting[0]:
            return pack, Reason(PROCFILE, f"web starts {word}: this is a {pack.name} app")
    return fitting[0], None


def _nothing(files: Files, packs: Sequence[Buildpack]) -> NothingDetected:
    if not files.paths:
        return NothingDetected("no app found: the folder has no files", hint="name the folder of the app")
    looked = tuple(f"{pack.name}: {', '.join(pack.looked_for)}" for pack in packs)
    here = ", ".join(files.names()[:12]) or ", ".join(files.paths[:6])
    return NothingDetected(
        "no buildpack knows this app",
        hint="is this the right folder? Add one of these files, or a Dockerfile",
        details=("looked for", *(f"  {line}" for line in looked), f"found {here}"),
    )


# --- processes -----------------------------------------------------------------------------------------------------


def _processes(files: Files, plan: BuildPlan, options: Options) -> tuple[Process, ...]:
    """All process types with their commands. Raises ConfigError when none of them is `web`."""
    given = {process.name: process.command for process in plan.processes}
    found = {process.name: process.command for process in options.procfile}
    found = {**{name: text for name, text in given.items() if name not in found}, **found}
    for name, said in options.manifest.processes.items():
        if said.command is not None:
            found[name] = said.command
        elif name not in found:
            raise ConfigError(
                f"process {name!r} has no command",
                where=f"paas.toml: processes.{name}" if files.has(manifest.TOML) else f"app.json: formation.{name}",
                hint=f"known: {', '.join(found) or 'none'}; give it a command here or in the Procfile",
            )
    if "web" not in found:
        raise _no_web(files, plan)
    return tuple(Process(name, text) for name, text in found.items())


def _named(options: Options) -> tuple[Reason, ...]:
    """That the Procfile says what runs."""
    if not options.procfile:
        return ()
    return (Reason(PROCFILE, f"says what runs: {', '.join(process.name for process in options.procfile)}"),)


def _no_web(files: Files, plan: BuildPlan) -> ConfigError:
    there = files.has(PROCFILE)
    return ConfigError(
        f"names no web process, and the {plan.buildpack} buildpack found none by itself"
        if there
        else f"this is a {plan.buildpack} app, but nothing in it says how to start its web process",
        where=PROCFILE if there else "",
        hint="add `web: COMMAND` to the Procfile; the command listens on 0.0.0.0:$PORT",
        details=tuple(f"{reason.file}: {reason.text}" if reason.file else reason.text for reason in plan.reasons),
    )


# --- what the build needs to know ----------------------------------------------------------------------------------


def _for_build(said: Manifest, plan: BuildPlan) -> Manifest:
    """The manifest with what only an own Dockerfile takes left out for others: their build args are in the plan."""
    return said if plan.dockerfile else replace(said, target="", build_args={}, dockerfile="")


def _unused(plan: BuildPlan, said: Manifest) -> tuple[str, ...]:
    if plan.dockerfile:
        taken = {"build.command": said.build_command, "build.packages": said.packages, "static_dir": said.static_dir}
        return tuple(f"paas.toml: {key} is not used with an own Dockerfile" for key, value in taken.items() if value)
    return ("paas.toml: build.target is not used without an own Dockerfile",) if said.target else ()
