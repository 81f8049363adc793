"""Pure: settings → Traefik's static configuration. What is here needs a restart of Traefik when it changes."""

from __future__ import annotations

import hashlib
from typing import Any

import yaml

from paas.routers.traefik import acme, metrics
from paas.settings import Settings

INSIDE = "/paas"
"""Where the platform's `traefik` folder stands in the container."""

ISSUED = "/issued"
"""Where the one folder stands that Traefik may write to: certificates it got, and their keys."""

DYNAMIC = "routes/routes.yml"
"""The dynamic file, below INSIDE. Traefik is given the one file: nothing else in the folder can disturb it."""

THROTTLE = "20ms"
"""Between two loads of the dynamic file; 10 to 100 ms measure the same, the default of 2 s is felt at every deploy."""

_LOGGED = (
    "ClientHost", "Duration", "DownstreamContentSize", "DownstreamStatus", "RequestHost", "RequestMethod",
    "RequestPath", "RetryAttempts", "RouterName", "ServiceAddr", "StartUTC",
)  # fmt: skip


def document(settings: Settings) -> dict[str, Any]:
    """The static configuration as data."""
    return {
        **_resolvers(settings),
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "entryPoints": {
            "web": _entry_point(settings, settings.http_port),
            "websecure": _entry_point(settings, settings.https_port),
            # API, ping and metrics: this machine only.
            "traefik": {"address": f"127.0.0.1:{settings.traefik_port}", "http": _http()},
        },
        "api": {"insecure": True, "dashboard": False, "disableDashboardAd": True},
        "ping": {"entryPoint": "traefik"},
        "metrics": {
            "prometheus": {
                "entryPoint": "traefik", "addEntryPointsLabels": False, "addRoutersLabels": True,
                "addServicesLabels": False, "buckets": list(metrics.BUCKETS),
            }
        },
        "log": {"level": _level(settings), "format": "json"},
        "accessLog": {
            "format": "json",
            "fields": {
                "defaultMode": "drop",
                "names": dict.fromkeys(_LOGGED, "keep"),
                # Queries carry tokens; a log is no place for them.
                "queryParameters": {"defaultMode": "drop"},
                "headers": {"defaultMode": "drop", "names": {"X-Request-Id": "keep"}},
            },
        },
        "providers": {
            "providersThrottleDuration": THROTTLE,
            "file": {"filename": f"{INSIDE}/{DYNAMIC}", "watch": True},
        },
        "experimental": {"localPlugins": {"request": {"moduleName": "paas/request"}}},
    }  # fmt: skip


def text(settings: Settings) -> str:
    """The static configuration as YAML."""
    return yaml.dump(document(settings), Dumper=yaml.CSafeDumper, sort_keys=True)


def _level(settings: Settings) -> str:
    """That of the settings; that a renewal failed Traefik says at the level info."""
    level = settings.log_level.upper().replace("WARNING", "WARN")
    return "INFO" if level != "DEBUG" and acme.automatic(settings) else level


def _resolvers(settings: Settings) -> dict[str, Any]:
    """Where certificates come from by themselves; nothing when they do not."""
    if acme.automatic(settings) is None:
        return {}
    challenges: dict[str, dict[str, Any]] = {
        "http": {"httpChallenge": {"entryPoint": "web"}},
        "tls": {"tlsChallenge": {}},
        "dns": {"dnsChallenge": {"provider": settings.acme_dns, **_asked_dns(settings)}},
    }
    asked = {
        "caServer": settings.acme_directory,
        "storage": f"{ISSUED}/{issued_file(settings)}",
        **({"email": settings.acme_email} if settings.acme_email else {}),
        **challenges[settings.acme],
    }
    return {"certificatesResolvers": {acme.RESOLVER: {"acme": asked}}}


def _asked_dns(settings: Settings) -> dict[str, Any]:
    """Name servers of one's own are asked alone: those that the public name system has may say something else there."""
    servers = settings.acme_dns_servers.replace(",", " ").split()
    return {"resolvers": servers, "propagation": {"requireAllRNS": True, "disableANSChecks": True}} if servers else {}


def issued_file(settings: Settings) -> str:
    """Each authority has a file of its own: an account is known to one only."""
    return f"acme-{hashlib.sha256(settings.acme_directory.encode()).hexdigest()[:12]}.json"


SLOW = 3600
"""Seconds a request to a platform with a host of its own may take to arrive: a push of a gigabyte at 300 kB/s."""


def _entry_point(settings: Settings, port: int) -> dict[str, Any]:
    patience = max(settings.request_timeout, SLOW if settings.platform_domain else 0)
    proxies = settings.trusted_proxies.replace(",", " ").split()
    return {
        "address": f"{_host(settings.bind)}:{port}",
        "http": {**_http(), "maxHeaderBytes": 65536},
        # Traefik sets X-Forwarded-* itself; what a client sends of them counts for nothing.
        "forwardedHeaders": {"insecure": False, **({"trustedIPs": proxies} if proxies else {})},
        "transport": {
            # A whole request, body included, has to arrive within this: it ends slow-sending attackers, and lets
            # a gigabyte in at 4 MB/s. Answers and upgraded connections may last for ever.
            "respondingTimeouts": {"readTimeout": f"{patience}s", "writeTimeout": "0s", "idleTimeout": "75s"},
            "lifeCycle": {"graceTimeOut": "10s"},
        },
    }


def _http() -> dict[str, Any]:
    return {
        # `X_Forwarded_For` and the like reach CGI and WSGI apps as the header that Traefik vouches for.
        "aliasHeadersStrategy": "delete",
        # Encoded characters are the app's business (`/files/a%2Fb`), except one that no path can mean.
        "encodedCharacters": {
            "allowEncodedSlash": True, "allowEncodedBackSlash": True, "allowEncodedNullCharacter": False,
            "allowEncodedSemicolon": True, "allowEncodedPercent": True, "allowEncodedQuestionMark": True,
            "allowEncodedHash": True,
        },
    }  # fmt: skip


def _host(bind: str) -> str:
    return f"[{bind}]" if ":" in bind and not bind.startswith("[") else bind
