"""The table of all commands: where each lives and its one line of help. Nothing is imported until one is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`module` under `paas.cli` holds a Typer `app`; `group`: the app itself, else its command of that name."""

    module: str
    help: str
    group: bool = False


SECTIONS: dict[str, dict[str, Command]] = {
    "Build and deploy": {
        "deploy": Command("deploy", "Deploy a folder, git URL, archive or image."),
        "plan": Command("deploy", "Show what a deploy would do, and why; change nothing."),
        "init": Command("source", "Write a paas.toml for the app in a folder."),
        "detect": Command("source", "Say which buildpack fits a folder, and why."),
        "dockerfile": Command("source", "Print the Dockerfile that a folder would be built with."),
        "check": Command("source", "Check the files of an app without deploying it."),
        "watch": Command("operations", "Follow an operation from its start."),
        "operations": Command("operations", "List what the server did and does."),
    },
    "git": {
        "git": Command("git", "Clone an app; add the remote that `git push` deploys to.", group=True),
        "keys": Command("keys", "Show, add and remove SSH keys that may push.", group=True),
        "hooks": Command("hooks", "Have a repository of yours deploy what is pushed to it.", group=True),
        "deploy-hooks": Command("deploy_hooks", "Deploy what is pushed to GitHub, GitLab, Gitea.", group=True),
        "git-credential": Command("git_credential", "What git asks for the password of a server elsewhere."),
        "git-shell": Command("git_shell", "What sshd runs for a key that may push."),
    },
    "Apps": {
        "apps": Command("apps", "List all apps."),
        "create": Command("apps", "Make a new, empty app."),
        "clone": Command("apps", "Make a new app that runs what another one runs."),
        "info": Command("apps", "Show one app."),
        "open": Command("apps", "Open an app in the browser."),
        "rename": Command("apps", "Give an app another name."),
        "environment": Command("apps", "Show or say which environment of its files counts for an app."),
        "destroy": Command("apps", "Take an app away; its databases stay."),
    },
    "Running": {
        "ps": Command("ps", "Show, scale and restart processes.", group=True),
        "scale": Command("ps", "Set the number of replicas: web=3 worker=1."),
        "autoscale": Command("autoscale", "Have the number of replicas follow the load; try rules before.", group=True),
        "alerts": Command("alerts", "Show what is told once it lasts, and how it is."),
        "sleep": Command("sleep", "Have an app run nothing while nobody asks.", group=True),
        "limits": Command("ps", "Set memory, CPU and pids limits of a process."),
        "restart": Command("ps", "Start all replicas anew, with no gap."),
        "logs": Command("logs", "Show what apps, router and builds say."),
        "metrics": Command("metrics", "Show CPU, memory, requests and latency over time."),
        "recommend": Command("recommend", "Propose limits and replicas that fit what was used."),
        "events": Command("logs", "Show what happened to an app, and who did it."),
        "run": Command("run", "Run a command in a new container of the app."),
        "exec": Command("run", "Run a command inside a running replica."),
        "runs": Command("runs", "Show, follow and stop commands that run once.", group=True),
        "cron": Command("cron", "Show and run scheduled jobs.", group=True),
    },
    "Releases and settings": {
        "releases": Command("releases", "List and show releases.", group=True),
        "pipelines": Command("pipelines", "Promote what runs from stage to stage.", group=True),
        "reviews": Command("reviews", "An app for each branch or pull request.", group=True),
        "rollback": Command("releases", "Go back to an earlier release, config included."),
        "config": Command("config", "Show and change config vars.", group=True),
        "domains": Command("domains", "Show and change the hosts of an app.", group=True),
        "certs": Command("certs", "Show, add and remove certificates.", group=True),
    },
    "Databases": {
        "addons": Command("addons", "Create, attach and destroy backing services.", group=True),
        "db": Command("db", "Shell, backups and restores of a database.", group=True),
    },
    "People": {
        "login": Command("login", "Log in to a server, by an invite or a token."),
        "logout": Command("login", "End a login."),
        "whoami": Command("login", "Show who you are on the server, and what you may."),
        "contexts": Command("contexts", "Choose which server commands go to.", group=True),
        "members": Command("members", "Show and change who may what on an app.", group=True),
        "teams": Command("teams", "Show and change teams.", group=True),
        "users": Command("users", "Show, add and remove users.", group=True),
        "invites": Command("invites", "Let people in.", group=True),
        "tokens": Command("tokens", "Make, rotate and revoke tokens for programs.", group=True),
        "sessions": Command("login_sessions", "Show and end logins.", group=True),
        "audit": Command("audit", "Show who did what."),
    },
    "The platform": {
        "up": Command("platform", "Have the platform run; safe to repeat."),
        "down": Command("platform", "Stop server and router; apps and data stay."),
        "status": Command("platform", "Show how the platform is."),
        "notifications": Command("notifications", "Tell of deploys and crashes: webhook, chat, mail.", group=True),
        "doctor": Command("platform", "Check everything the platform stands on."),
        "completion": Command("completion", "Print the completion script of a shell."),
    },
}

COMMANDS: dict[str, Command] = {name: one for section in SECTIONS.values() for name, one in section.items()}

SPELLINGS: dict[str, tuple[str, ...]] = {
    "apps:clone": ("clone",),
    "apps:create": ("create",),
    "apps:destroy": ("destroy",),
    "apps:delete": ("destroy",),
    "apps:info": ("info",),
    "apps:list": ("apps",),
    "apps:open": ("open",),
    "apps:rename": ("rename",),
    "fork": ("clone",),
    "ps:autoscale": ("autoscale",),
    "ps:autoscale:enable": ("autoscale", "set"),
    "ps:autoscale:disable": ("autoscale", "unset"),
    "ps:exec": ("exec",),
    "ps:resize": ("limits",),
    "ps:type": ("limits",),
    "config:add": ("config", "set"),
    "config:remove": ("config", "unset"),
    "config:show": ("config", "list"),
    "releases:info": ("releases", "show"),
    "releases:rollback": ("rollback",),
    "certs:update": ("certs", "add"),
    "addons:add": ("addons", "create"),
    "addons:services": ("addons", "kinds"),
    "addons:plans": ("addons", "kinds"),
    "addons:remove": ("addons", "destroy"),
    "logs:platform": ("logs", "--platform"),
    "run:inside": ("exec",),
    "pg": ("db",),
    "pg:psql": ("db", "shell"),
    "backup": ("db", "backup"),
    "backups": ("db", "backups"),
    "pg:backups": ("db", "backups"),
    "pg:backups:capture": ("db", "backup"),
    "pg:backups:restore": ("db", "restore"),
    "pg:backups:download": ("db", "download"),
    "psql": ("db", "shell"),
    "tail": ("logs", "--follow"),
    "access": ("members",),
    "access:add": ("members", "add"),
    "access:update": ("members", "add"),
    "access:remove": ("members", "remove"),
    "sharing": ("members",),
    "apps:leave": ("members", "leave"),
    "auth:login": ("login",),
    "auth:logout": ("logout",),
    "auth:whoami": ("whoami",),
    "authorizations": ("tokens",),
    "authorizations:create": ("tokens", "create"),
    "authorizations:revoke": ("tokens", "revoke"),
    "authorizations:rotate": ("tokens", "rotate"),
}
"""Other ways to say a command. Any other `a:b` is `a b`."""


def spelled(arguments: list[str]) -> list[str]:
    """The arguments with the command written as this program knows it: `ps:scale web=3` → `ps scale web=3`."""
    if not arguments or arguments[0].startswith("-"):
        return arguments
    first, rest = arguments[0], arguments[1:]
    if first == "help":
        return [*spelled(rest), "--help"]
    if first in SPELLINGS:
        return [*SPELLINGS[first], *rest]
    if ":" in first and all(part.replace("-", "").isalnum() for part in first.split(":")):
        return [*first.split(":"), *rest]
    return arguments
