"""Who may what: every request, what it is about, and the role it takes there. A new request needs a row here.

    on="app"        the app in the field `app`; also what stands behind `{app}` in an address
    on="addon"      the app that owns the addon in `addon`
    on="operation"  the app of the operation in `operation`
    on="team"       the team in `team`
    on="everyone"   nothing: everyone gets what is theirs, as far as their role on the platform is `role`
    on="platform"   nothing: people with `role` on the platform
    on="anyone"     no login is needed

`fields` are the other fields it cannot be without. `makes`: whoever may make apps may also name one that does not
exist. `whole`: not with a token that has limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paas.requests import (
    addons,
    alerts,
    apps,
    autoscale,
    config,
    cron,
    deploy_hooks,
    deploys,
    git,
    logins,
    metrics,
    notifications,
    people,
    pipelines,
    platform,
    processes,
    recommend,
    reviews,
    runs,
    sessions,
    sleep,
)
from paas.requests.base import Request

ROLES = ("viewer", "deployer", "operator", "owner")


@dataclass(frozen=True)
class Row:
    request: type[Request]
    on: str
    role: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    makes: bool = False
    whole: bool = False


IMAGE = {"image": "whoami:1"}

ROWS = (
    # apps
    Row(apps.ListApps, "everyone", "viewer"),
    Row(apps.CreateApp, "everyone", "deployer", {"name": "fresh"}),
    Row(apps.CreateApp, "team", "viewer", {"name": "fresh"}),
    Row(apps.CloneApp, "app", "operator", {"name": "fresh"}),
    Row(apps.ShowApp, "app", "viewer"),
    Row(apps.RenameApp, "app", "owner", {"name": "other"}),
    Row(apps.SetEnvironment, "app", "operator", {"environment": "staging"}),
    Row(apps.DestroyApp, "app", "owner", {"confirm": "x"}),
    # deploys
    Row(deploys.DeployApp, "app", "deployer", {"source": IMAGE}, makes=True),
    Row(deploys.DeployApp, "app", "deployer", {"source": IMAGE, "create": False}),
    Row(deploys.SetUpApp, "app", "deployer", {"url": "https://example.com/a.git"}, makes=True),
    Row(deploys.PlanApp, "app", "deployer"),
    Row(deploys.PlanApp, "app", "deployer", {"source": IMAGE}, makes=True),
    Row(deploys.ListReleases, "app", "viewer"),
    Row(deploys.ShowRelease, "app", "viewer", {"number": 1}),
    Row(deploys.Rollback, "app", "deployer"),
    # pipelines
    Row(pipelines.ListPipelines, "everyone", "viewer"),
    Row(pipelines.ShowPipeline, "everyone", "viewer", {"pipeline": "way"}),
    Row(pipelines.DestroyPipeline, "everyone", "viewer", {"pipeline": "way"}),
    Row(pipelines.AddToPipeline, "app", "operator", {"pipeline": "way", "stage": "staging"}),
    Row(pipelines.RemoveFromPipeline, "app", "operator"),
    Row(pipelines.PromoteApp, "app", "deployer"),
    Row(pipelines.DiffPipeline, "app", "viewer"),
    # review apps
    Row(reviews.ShowReviewPolicy, "app", "viewer"),
    Row(reviews.EnableReviews, "app", "operator"),
    Row(reviews.DisableReviews, "app", "operator"),
    Row(reviews.ListReviews, "app", "viewer"),
    Row(reviews.ShowReview, "app", "viewer", {"review": "x"}),
    Row(reviews.OpenReview, "app", "deployer", {"branch": "better"}),
    Row(reviews.ExtendReview, "app", "deployer", {"review": "x", "seconds": 3600}),
    Row(reviews.CloseReview, "app", "deployer", {"review": "x"}),
    # processes
    Row(processes.ListReplicas, "app", "viewer"),
    Row(processes.Scale, "app", "operator", {"counts": {"web": 1}}),
    Row(processes.SetLimits, "app", "operator"),
    Row(processes.Restart, "app", "operator"),
    Row(processes.ReadLogs, "app", "viewer"),
    Row(processes.ReadLogs, "app", "viewer", {"source": "build"}),
    Row(processes.ReadLogs, "app", "viewer", {"source": "router"}),
    Row(processes.ListEvents, "app", "viewer"),
    # runs and schedules
    Row(runs.StartRun, "app", "operator", {"command": ("true",)}),
    Row(runs.ListRuns, "app", "viewer"),
    Row(runs.ShowRun, "app", "viewer", {"run": "ab12"}),
    Row(runs.ReadRunLogs, "app", "viewer", {"run": "ab12"}),
    Row(runs.StopRun, "app", "operator", {"run": "ab12"}),
    Row(cron.ListCron, "app", "viewer"),
    Row(cron.ShowCron, "app", "viewer", {"job": "tidy"}),
    Row(cron.RunCron, "app", "operator", {"job": "tidy"}),
    Row(cron.PauseCron, "app", "operator", {"job": "tidy"}),
    Row(cron.ResumeCron, "app", "operator", {"job": "tidy"}),
    Row(alerts.ListAlerts, "app", "viewer"),
    Row(sleep.ShowSleep, "app", "viewer"),
    Row(sleep.SetSleep, "app", "operator", {"after": 1800}),
    Row(sleep.UnsetSleep, "app", "operator"),
    Row(sleep.SleepNow, "app", "operator"),
    Row(sleep.WakeApp, "app", "operator"),
    Row(metrics.ShowMetrics, "app", "viewer"),
    Row(metrics.ScrapeMetrics, "everyone", "viewer"),
    Row(recommend.RecommendSizes, "app", "viewer"),
    # autoscaling
    Row(autoscale.ListAutoscale, "app", "viewer"),
    Row(autoscale.SetAutoscale, "app", "operator", {"process": "web", "table": {}}),
    Row(autoscale.UnsetAutoscale, "app", "operator", {"process": "web"}),
    Row(autoscale.PauseAutoscale, "app", "operator", {"process": "web"}),
    Row(autoscale.ExplainAutoscale, "app", "viewer"),
    Row(autoscale.RecordedLoad, "app", "viewer"),
    # deploy hooks
    Row(deploy_hooks.ListDeployHooks, "app", "deployer"),
    Row(deploy_hooks.AddDeployHook, "app", "operator", {"provider": "github", "url": "https://example.com/a.git"}),
    Row(deploy_hooks.ChangeDeployHook, "app", "operator", {"hook": "x", "reviews": "own"}),
    Row(deploy_hooks.ShowDeployHook, "app", "deployer", {"hook": "x"}),
    Row(deploy_hooks.RemoveDeployHook, "app", "operator", {"hook": "x"}),
    Row(deploy_hooks.ListHookDeliveries, "app", "deployer", {"hook": "x"}),
    Row(deploy_hooks.RedeliverHook, "app", "deployer", {"hook": "x", "delivery": "y"}),
    # config, domains, certificates
    Row(config.ShowConfig, "app", "deployer"),
    Row(config.ChangeConfig, "app", "deployer"),
    Row(config.ListDomains, "app", "viewer"),
    Row(config.ChangeDomains, "app", "operator"),
    Row(config.ListCertificates, "platform", "operator"),
    Row(config.PutCertificate, "platform", "operator", {"chain": "x", "key": "y"}),
    Row(config.RequestCertificates, "platform", "operator"),
    Row(config.DeleteCertificate, "platform", "operator", {"host": "x.example.com"}),
    # addons
    Row(addons.ListAddonKinds, "everyone", "viewer"),
    Row(addons.ListAddons, "everyone", "viewer"),
    Row(addons.ListAddons, "app", "viewer"),
    Row(addons.CreateAddon, "platform", "operator", {"kind": "postgres"}),
    Row(addons.CreateAddon, "app", "operator", {"kind": "postgres"}),
    Row(addons.ShowAddon, "addon", "viewer"),
    Row(addons.ShowCredentials, "addon", "operator"),
    Row(addons.AttachAddon, "addon", "operator", {"app": "mine"}),
    Row(addons.AttachAddon, "app", "operator", {"addon": "mine-db"}),
    Row(addons.DetachAddon, "addon", "operator", {"app": "mine"}),
    Row(addons.DetachAddon, "app", "operator", {"addon": "mine-db"}),
    Row(addons.DestroyAddon, "addon", "owner", {"confirm": "x"}),
    Row(addons.ListBackups, "addon", "viewer"),
    Row(addons.BackupAddon, "addon", "operator"),
    Row(addons.RestoreAddon, "addon", "owner", {"confirm": "x"}),
    Row(addons.FetchBackup, "addon", "operator", {"backup": "20260101T000000Z"}),
    # sessions and git
    Row(sessions.RunCommand, "app", "operator", {"command": ["ls"]}),
    Row(sessions.ExecCommand, "app", "operator", {"command": ["ls"]}),
    Row(sessions.AddonShell, "addon", "operator"),
    Row(git.GitSession, "app", "deployer", {"service": "receive-pack"}, makes=True),
    Row(git.GitSession, "app", "deployer", {"service": "upload-pack"}),
    Row(git.ShowBranch, "app", "viewer"),
    Row(git.SetBranch, "app", "deployer", {"branch": "main"}),
    Row(git.ListKeys, "everyone", "viewer"),
    Row(git.AddKey, "everyone", "viewer", {"name": "laptop", "public": "x"}, whole=True),
    Row(git.RemoveKey, "everyone", "viewer", {"name": "laptop"}, whole=True),
    # the platform
    Row(platform.PlatformUp, "platform", "owner"),
    Row(platform.PlatformDown, "platform", "owner"),
    Row(platform.PlatformStatus, "everyone", "viewer"),
    Row(platform.PlatformLogs, "platform", "owner"),
    Row(platform.Doctor, "platform", "operator"),
    Row(platform.ListOperations, "everyone", "viewer"),
    Row(platform.ListOperations, "app", "viewer"),
    Row(platform.WatchOperation, "operation", "viewer"),
    # notifications
    Row(notifications.ListNotifications, "app", "operator"),
    Row(notifications.ListNotifications, "platform", "operator"),
    Row(notifications.AddNotification, "app", "operator", {"name": "hook", "kind": "webhook"}),
    Row(notifications.AddNotification, "platform", "operator", {"name": "hook", "kind": "webhook"}),
    Row(notifications.TestNotification, "app", "operator", {"target": "x"}),
    Row(notifications.TestNotification, "platform", "operator", {"target": "x"}),
    Row(notifications.RemoveNotification, "app", "operator", {"target": "x"}),
    Row(notifications.RemoveNotification, "platform", "operator", {"target": "x"}),
    Row(notifications.ListNotificationDeliveries, "app", "operator", {"target": "x"}),
    Row(notifications.ListNotificationDeliveries, "platform", "operator", {"target": "x"}),
    # people
    Row(people.WhoAmI, "everyone", "viewer"),
    Row(people.ListUsers, "everyone", "viewer"),
    Row(people.AddUser, "platform", "owner", {"name": "fresh"}),
    Row(people.ChangeUser, "platform", "owner", {"user": "bob", "role": "owner"}),
    Row(people.RemoveUser, "platform", "owner", {"user": "bob", "confirm": "bob"}),
    Row(people.ListTeams, "everyone", "viewer"),
    Row(people.CreateTeam, "platform", "owner", {"name": "fresh"}),
    Row(people.DestroyTeam, "team", "owner", {"confirm": "x"}),
    Row(people.ShowTeam, "team", "viewer"),
    Row(people.PutTeamMember, "team", "owner", {"user": "bob"}),
    Row(people.RemoveTeamMember, "team", "owner", {"user": "bob"}),
    Row(people.ListMembers, "app", "viewer"),
    Row(people.PutMember, "app", "owner", {"user": "bob"}),
    Row(people.RemoveMember, "app", "owner", {"user": "bob"}),
    Row(people.LeaveApp, "app", "viewer", whole=True),
    Row(people.ListAudit, "platform", "owner"),
    Row(people.ListAudit, "app", "owner"),
    Row(people.VerifyAudit, "platform", "owner"),
    # ways in
    Row(logins.CreateInvite, "platform", "owner", {"name": "fresh"}, whole=True),
    Row(logins.CreateInvite, "app", "owner", {"name": "fresh"}, whole=True),
    Row(logins.CreateInvite, "team", "owner", {"name": "fresh"}, whole=True),
    Row(logins.ListInvites, "everyone", "viewer"),
    Row(logins.RevokeInvite, "everyone", "viewer", {"invite": "x"}, whole=True),
    Row(logins.AcceptInvite, "anyone", "viewer", {"code": "x"}),
    Row(logins.ListTokens, "everyone", "viewer"),
    Row(logins.CreateToken, "everyone", "viewer", {"name": "ci"}, whole=True),
    Row(logins.RotateToken, "everyone", "viewer", {"token": "x"}, whole=True),
    Row(logins.RevokeToken, "everyone", "viewer", {"token": "x"}, whole=True),
    Row(logins.Logout, "everyone", "viewer"),
)

ROUTES = {
    "GET /health": "open to anyone, says the version",
    "GET /openapi.json": "everyone with a login",
    "PUT /uploads": "who may deploy anything; what it makes is for whoever made it",
    "POST /uploads": "the same",
    "GET /uploads/{upload}": "whoever began it",
    "PATCH /uploads/{upload}": "whoever began it",
    "POST /uploads/{upload}": "whoever began it",
    "GET /git/{app}.git/info/refs": "as GitSession",
    "POST /git/{app}.git/{service}": "as GitSession",
    "POST /deploy-hooks/{hook_id}": "who signs with the hook's secret: tests/unit/server/test_deploy_hooks.py",
}
"""Routes of the server that are not made from requests, each with who may."""
