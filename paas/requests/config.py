"""Config vars, domains, certificates."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from annotated_types import MaxLen

from paas.requests.base import Name, Request


class ShowConfig(Request):
    """Config vars with their values: `permission` is deployer because values are secrets."""

    path, permission = "/apps/{app}/config", "deployer"
    app: Name


class ChangeConfig(Request):
    """Set and unset config vars: one release, one rolling restart."""

    method, path, permission, shape = "PATCH", "/apps/{app}/config", "deployer", "operation"
    app: Name
    set: dict[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()


class ListDomains(Request):
    """The app's hosts, the default one first."""

    path = "/apps/{app}/domains"
    app: Name


class ChangeDomains(Request):
    """Add and remove custom domains: one release, no restart."""

    method, path, permission, shape = "POST", "/apps/{app}/domains", "operator", "operation"
    app: Name
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class ListCertificates(Request):
    """Certificates: host, names, issuer, expiry. Never the key."""

    path, permission = "/certificates", "operator"


class PutCertificate(Request):
    """A certificate chain and its key (PEM), for the hosts it names."""

    method, path, permission, shape = "PUT", "/certificates", "operator", "operation"
    chain: Annotated[str, MaxLen(1_000_000)]
    key: Annotated[str, MaxLen(1_000_000)] = field(repr=False)


class RequestCertificates(Request):
    """Ask the authority at once for the certificates that it refused."""

    method, path, permission = "POST", "/certificates/requests", "operator"


class DeleteCertificate(Request):
    """Stop serving https for a host with an own certificate."""

    method, path, permission, shape = "DELETE", "/certificates/{host}", "operator", "operation"
    host: Name
