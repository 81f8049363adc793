"""Addons, their credentials and backups."""

from __future__ import annotations

from paas.requests.base import Name, Request


class ListAddonKinds(Request):
    """The kinds of addon this installation carries, with versions."""

    path, everyone = "/addon-kinds", True


class ListAddons(Request):
    """Addons that one may see; of one app when given."""

    path, everyone = "/addons", True
    app: str = ""


class CreateAddon(Request):
    """A backing service with its own volume, attached to `app` when given: its URL becomes a config var."""

    method, path, permission, shape = "POST", "/addons", "operator", "operation"
    kind: Name
    app: str = ""
    name: str = ""
    alias: str = ""
    version: str = ""


class ShowAddon(Request):
    """One addon: state, version, size, attachments, backups; with `credentials` its URL."""

    path, permission = "/addons/{addon}", "viewer"
    addon: Name


class ShowCredentials(Request):
    """The addon's URL with its password."""

    path, permission = "/addons/{addon}/credentials", "operator"
    addon: Name


class AttachAddon(Request):
    """Bind an addon to one more app (a config release there)."""

    method, path, permission, shape = "POST", "/addons/{addon}/attach", "operator", "operation"
    addon: Name
    app: Name
    alias: str = ""


class DetachAddon(Request):
    """Unbind an addon from an app (a config release there); its data stays."""

    method, path, permission, shape = "POST", "/addons/{addon}/detach", "operator", "operation"
    addon: Name
    app: Name


class DestroyAddon(Request):
    """Take an addon and its data away, after a last backup (`backup=False` skips it)."""

    method, path, permission, shape = "DELETE", "/addons/{addon}", "owner", "operation"
    addon: Name
    confirm: str
    backup: bool = True


class ListBackups(Request):
    """Backups of an addon, newest first; also of one that is gone, by its name."""

    path = "/addons/{addon}/backups"
    addon: Name


class BackupAddon(Request):
    """A dump, kept in the platform's backup folder."""

    method, path, permission, shape = "POST", "/addons/{addon}/backups", "operator", "operation"
    addon: Name


class RestoreAddon(Request):
    """Put a backup (its id, or an uploaded dump) into an addon. It replaces what is there: `confirm` is its name."""

    method, path, permission, shape = "POST", "/addons/{addon}/restore", "owner", "operation"
    addon: Name
    confirm: str
    backup: str = ""
    upload: str = ""


class FetchBackup(Request):
    """The bytes of a backup, base64 in `output` events' data is not used: the server streams the file."""

    path, permission, shape = "/addons/{addon}/backups/{backup}/content", "operator", "stream"
    addon: Name
    backup: Name
