"""Between the model's values and rows of the tables, both ways. Pure but for sealing.

A row that cannot be read is a PlatformError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import RowMapping

from paas.errors import PlatformError
from paas.model.alert import Alert
from paas.model.app import Addon, App, Attachment, Operation, ProcessSpec, Release, ReleaseKind, ReleaseStatus, Source
from paas.model.cron import CronJob, Missed, Overlap
from paas.model.custom_signal import Combine, CustomSignal
from paas.model.events import Event
from paas.model.route import Certificate
from paas.model.scripts import Scripts
from paas.model.service import HealthCheck, HealthKind, Limits
from paas.store import scaling_rows
from paas.store.crypto import Vault

P = ParamSpec("P")
T = TypeVar("T")
Values = dict[str, Any]

SIMPLE = ("buildpack", "port", "drain", "deploy_timeout", "release_timeout")
"""Fields of a release that go into its document as they are."""


def readable(read: Callable[P, T]) -> Callable[P, T]:
    """`read`, raising PlatformError where the row holds what no version of paas wrote."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlatformError(
                f"the store holds something unreadable ({read.__name__}: {type(error).__name__})",
                hint="the store is damaged: `paas doctor` names its last good copy",
            ) from error

    return reading


def app_values(app: App) -> Values:
    return {
        "id": app.id, "name": app.name, "created_at": app.created_at, "wanted": app.wanted,
        "formation": dict(app.formation),
    }  # fmt: skip


@readable
def app(row: RowMapping) -> App:
    return App(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        wanted=row["wanted"],
        formation={str(process): int(count) for process, count in row["formation"].items()},
    )


def release_values(release: Release, vault: Vault) -> Values:
    return {
        "app_id": release.app_id, "number": release.number, "kind": release.kind.value,
        "status": release.status.value, "created_at": release.created_at, "actor": release.actor,
        "description": release.description, "image": release.image, "image_ref": release.image_ref,
        "failure": release.failure, "document": _document(release),
        "sealed": vault.seal(release.config, release.app_id, f"config {release.number}"),
    }  # fmt: skip


@readable
def release(row: RowMapping, vault: Vault) -> Release:
    document = row["document"]
    return Release(
        app_id=row["app_id"], number=row["number"], kind=ReleaseKind(row["kind"]), created_at=row["created_at"],
        actor=row["actor"], description=row["description"], status=ReleaseStatus(row["status"]),
        image=row["image"], image_ref=row["image_ref"], failure=row["failure"],
        source=Source(**_known(Source, document["source"])) if document["source"] else None,
        processes=tuple(_process(item) for item in document["processes"]),
        requires=tuple(document.get("requires", ())),
        domains=tuple(document["domains"]), addons=tuple(document["addons"]),
        since={str(process): int(number) for process, number in document["since"].items()},
        cron=tuple(_job(item) for item in document.get("cron", ())),
        signals=tuple(_signal(item) for item in document.get("signals", ())),
        alerts=tuple(Alert(**_known(Alert, item)) for item in document.get("alerts", ())),
        scripts={name: Scripts(**_known(Scripts, item)) for name, item in document.get("scripts", {}).items()},
        config=vault.unseal(row["sealed"], row["app_id"], f"config {row['number']}"),
        **{name: document[name] for name in SIMPLE if name in document},
    )  # fmt: skip


def addon_values(addon: Addon, vault: Vault) -> Values:
    return {
        "id": addon.id, "name": addon.name, "kind": addon.kind, "version": addon.version, "image": addon.image,
        "volume": addon.volume, "created_at": addon.created_at, "owner_app": addon.owner_app,
        "sealed": vault.seal(addon.secrets, addon.id, "addon"),
    }  # fmt: skip


@readable
def addon(row: RowMapping, vault: Vault) -> Addon:
    plain = {key: value for key, value in row.items() if key != "sealed"}
    return Addon(**plain, secrets=vault.unseal(row["sealed"], row["id"], "addon"))


@readable
def attachment(row: RowMapping) -> Attachment:
    return Attachment(addon_id=row["addon_id"], app_id=row["app_id"], alias=row["alias"])


def certificate_values(certificate: Certificate, vault: Vault) -> Values:
    return {
        "host": certificate.host, "chain": certificate.chain, "names": list(certificate.names),
        "issuer": certificate.issuer, "not_after": certificate.not_after,
        "sealed": vault.seal({"key": certificate.key}, certificate.host, "certificate"),
    }  # fmt: skip


@readable
def certificate(row: RowMapping, vault: Vault) -> Certificate:
    return Certificate(
        host=row["host"],
        chain=row["chain"],
        names=tuple(row["names"]),
        issuer=row["issuer"],
        not_after=row["not_after"],
        key=vault.unseal(row["sealed"], row["host"], "certificate")["key"],
    )


@readable
def operation(row: RowMapping) -> Operation:
    return Operation(**{**_known(Operation, row), "others": tuple(row["others"])})


@readable
def event(row: RowMapping) -> tuple[int, Event]:
    found = Event(kind=row["kind"], message=row["message"], app=row["app"], at=row["at"], data=dict(row["data"]))
    return int(row["serial"]), found


def _document(release: Release) -> Values:
    return {
        "source": asdict(release.source) if release.source else None,
        "processes": [asdict(process) for process in release.processes],
        "domains": list(release.domains),
        "addons": list(release.addons),
        "requires": list(release.requires),
        "since": dict(release.since),
        "cron": [asdict(job) for job in release.cron],
        "signals": [asdict(signal) for signal in release.signals],
        "alerts": [asdict(alert) for alert in release.alerts],
        "scripts": {name: asdict(one) for name, one in release.scripts.items()},
        **{name: getattr(release, name) for name in SIMPLE},
    }


def _job(item: Mapping[str, Any]) -> CronJob:
    ways = {"overlap": Overlap(item["overlap"]), "missed": Missed(item["missed"])}
    return CronJob(**{**_known(CronJob, item), **ways})


def _signal(item: Mapping[str, Any]) -> CustomSignal:
    return CustomSignal(**{**_known(CustomSignal, item), "combine": Combine(item["combine"])})


def _process(item: Mapping[str, Any]) -> ProcessSpec:
    health = _known(HealthCheck, item["health"])
    return ProcessSpec(
        **{
            **_known(ProcessSpec, item),
            "limits": Limits(**_known(Limits, item["limits"])),
            "health": HealthCheck(**{**health, "kind": HealthKind(health["kind"])}),
            "autoscale": scaling_rows.rules(item.get("autoscale")),
        }
    )


def _known(kind: type, values: Mapping[Any, Any]) -> Values:
    """The values that are fields of `kind` today: an older version may have written more."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in values.items() if key in names}
