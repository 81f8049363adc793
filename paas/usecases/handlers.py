"""Which function answers which request. That every request has its line is a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paas.interfaces import Terminal
from paas.requests.addons import (
    AttachAddon,
    BackupAddon,
    CreateAddon,
    DestroyAddon,
    DetachAddon,
    FetchBackup,
    ListAddonKinds,
    ListAddons,
    ListBackups,
    RestoreAddon,
    ShowAddon,
    ShowCredentials,
)
from paas.requests.apps import CreateApp, DestroyApp, ListApps, RenameApp, ShowApp
from paas.requests.autoscale import (
    ExplainAutoscale,
    ListAutoscale,
    PauseAutoscale,
    RecordedLoad,
    SetAutoscale,
    UnsetAutoscale,
)
from paas.requests.base import Request
from paas.requests.config import (
    ChangeConfig,
    ChangeDomains,
    DeleteCertificate,
    ListCertificates,
    ListDomains,
    PutCertificate,
    ShowConfig,
)
from paas.requests.deploy_hooks import (
    AddDeployHook,
    ListDeployHooks,
    ListHookDeliveries,
    RedeliverHook,
    RemoveDeployHook,
    ShowDeployHook,
)
from paas.requests.cron import ListCron, PauseCron, ResumeCron, RunCron, ShowCron
from paas.requests.deploys import DeployApp, ListReleases, PlanApp, Rollback, ShowRelease
from paas.requests.git import AddKey, GitSession, ListKeys, RemoveKey
from paas.requests.logins import (
    AcceptInvite,
    CreateInvite,
    CreateToken,
    ListInvites,
    ListTokens,
    Logout,
    RevokeInvite,
    RevokeToken,
    RotateToken,
)
from paas.requests.metrics import ScrapeMetrics, ShowMetrics
from paas.requests.notifications import (
    AddNotification,
    ListNotificationDeliveries,
    ListNotifications,
    RemoveNotification,
    TestNotification,
)
from paas.requests.people import (
    AddUser,
    ChangeUser,
    CreateTeam,
    DestroyTeam,
    LeaveApp,
    ListAudit,
    ListMembers,
    ListTeams,
    ListUsers,
    PutMember,
    PutTeamMember,
    RemoveMember,
    RemoveTeamMember,
    RemoveUser,
    ShowTeam,
    VerifyAudit,
    WhoAmI,
)
from paas.requests.platform import (
    Doctor,
    ListOperations,
    PlatformDown,
    PlatformLogs,
    PlatformStatus,
    PlatformUp,
)
from paas.requests.processes import ListEvents, ListReplicas, ReadLogs, Restart, Scale, SetLimits
from paas.requests.recommend import RecommendSizes
from paas.requests.runs import ListRuns, ReadRunLogs, ShowRun, StartRun, StopRun
from paas.requests.sessions import AddonShell, ExecCommand, RunCommand
from paas.requests.sleep import SetSleep, ShowSleep
from paas.usecases import (
    addons,
    apps,
    audit,
    autoscale,
    backups,
    certificates,
    config,
    cron,
    deploy,
    deploy_hooks,
    doctor,
    domains,
    git,
    history,
    keys,
    logs,
    metrics,
    notifications,
    people,
    platform,
    processes,
    recommend,
    releases,
    restart,
    runs,
    sessions,
    sleep,
    tokens,
)
from paas.usecases.context import Act, Context

REVEALING = frozenset({ShowCredentials, FetchBackup})
"""Requests that change nothing and are noted all the same: they hand out passwords or data."""

Handler = Callable[[Context, Any, Act], object]
SessionHandler = Callable[[Context, Any, Act, Terminal], int]

HANDLERS: Mapping[type[Request], Handler] = {
    ListApps: apps.list_apps,
    CreateApp: apps.create_app,
    ShowApp: apps.show_app,
    RenameApp: apps.rename_app,
    DestroyApp: apps.destroy_app,
    DeployApp: deploy.deploy_app,
    PlanApp: deploy.plan_app,
    ListReleases: releases.list_releases,
    ShowRelease: releases.show_release,
    Rollback: releases.rollback,
    ListReplicas: processes.list_replicas,
    Scale: processes.scale,
    SetLimits: processes.set_limits,
    Restart: restart.restart,
    ListAutoscale: autoscale.list_autoscale,
    SetAutoscale: autoscale.set_autoscale,
    UnsetAutoscale: autoscale.unset_autoscale,
    PauseAutoscale: autoscale.pause_autoscale,
    ExplainAutoscale: autoscale.explain_autoscale,
    RecordedLoad: autoscale.recorded_load,
    ReadLogs: logs.read_logs,
    ListEvents: history.list_events,
    StartRun: runs.start_run,
    ListRuns: runs.list_runs,
    ShowRun: runs.show_run,
    ReadRunLogs: runs.read_run_logs,
    StopRun: runs.stop_run,
    ListCron: cron.list_cron,
    ShowCron: cron.show_cron,
    RunCron: cron.run_cron,
    PauseCron: cron.pause_cron,
    ResumeCron: cron.resume_cron,
    ShowSleep: sleep.show_sleep,
    SetSleep: sleep.set_sleep,
    ShowMetrics: metrics.show_metrics,
    ScrapeMetrics: metrics.scrape_metrics,
    RecommendSizes: recommend.recommend_sizes,
    ShowConfig: config.show_config,
    ChangeConfig: config.change_config,
    ListDomains: domains.list_domains,
    ChangeDomains: domains.change_domains,
    PlatformUp: platform.platform_up,
    PlatformDown: platform.platform_down,
    PlatformStatus: platform.platform_status,
    PlatformLogs: logs.platform_logs,
    Doctor: doctor.doctor,
    ListCertificates: certificates.list_certificates,
    PutCertificate: certificates.put_certificate,
    DeleteCertificate: certificates.delete_certificate,
    ListAddonKinds: addons.list_addon_kinds,
    ListAddons: addons.list_addons,
    CreateAddon: addons.create_addon,
    ShowAddon: addons.show_addon,
    ShowCredentials: addons.show_credentials,
    AttachAddon: addons.attach_addon,
    DetachAddon: addons.detach_addon,
    DestroyAddon: addons.destroy_addon,
    ListBackups: backups.list_backups,
    BackupAddon: backups.backup_addon,
    RestoreAddon: backups.restore_addon,
    FetchBackup: backups.fetch_backup,
    ListOperations: history.list_operations,
    ListKeys: keys.list_keys,
    AddKey: keys.add_key,
    ListNotifications: notifications.list_notifications,
    AddNotification: notifications.add_notification,
    TestNotification: notifications.test_notification,
    RemoveNotification: notifications.remove_notification,
    ListNotificationDeliveries: notifications.list_notification_deliveries,
    ListDeployHooks: deploy_hooks.list_deploy_hooks,
    AddDeployHook: deploy_hooks.add_deploy_hook,
    ShowDeployHook: deploy_hooks.show_deploy_hook,
    RemoveDeployHook: deploy_hooks.remove_deploy_hook,
    ListHookDeliveries: deploy_hooks.list_hook_deliveries,
    RedeliverHook: deploy_hooks.redeliver_hook,
    RemoveKey: keys.remove_key,
    WhoAmI: people.who_am_i,
    ListUsers: people.list_users,
    AddUser: people.add_user,
    ChangeUser: people.change_user,
    RemoveUser: people.remove_user,
    ListTeams: people.list_teams,
    CreateTeam: people.create_team,
    ShowTeam: people.show_team,
    DestroyTeam: people.destroy_team,
    PutTeamMember: people.put_team_member,
    RemoveTeamMember: people.remove_team_member,
    ListMembers: people.list_members,
    PutMember: people.put_member,
    RemoveMember: people.remove_member,
    LeaveApp: people.leave_app,
    CreateInvite: tokens.create_invite,
    ListInvites: tokens.list_invites,
    RevokeInvite: tokens.revoke_invite,
    AcceptInvite: tokens.accept_invite,
    ListTokens: tokens.list_tokens,
    CreateToken: tokens.create_token,
    RotateToken: tokens.rotate_token,
    RevokeToken: tokens.revoke_token,
    Logout: tokens.logout,
    ListAudit: audit.list_audit,
    VerifyAudit: audit.verify_audit,
}

SESSIONS: Mapping[type[Request], SessionHandler] = {
    RunCommand: sessions.run_command,
    ExecCommand: sessions.exec_command,
    AddonShell: addons.addon_shell,
    GitSession: git.git_session,
}
