"""Follows the events of the store, keeps what is to be told for each target, and tells it: each target in a thread of
its own while something waits, so that a slow one delays nobody. At least once, with an id that stays the same.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from paas.egress import http, mail
from paas.egress.mail import MailServer
from paas.egress.policy import Policy
from paas.errors import NotFound, PaasError
from paas.model.events import Event
from paas.model.notification import Happened, Notification, Target, TargetKind
from paas.model.secret import Secret
from paas.settings import Settings
from paas.usecases.context import Context
from paas.webhooks import outgoing
from paas.webhooks.signature import standard_headers

PERIOD = 1.0
"""Seconds between two looks at the events."""
AT_ONCE = 500
"""Events of one look."""
OURS = "notification.disabled"

log = logging.getLogger("paas.notify")


@dataclass(frozen=True, slots=True)
class Told:
    """How one try ended. `refused`: the target answers, but not to this."""

    answer: str
    delivered: bool = False
    refused: bool = False
    gone: bool = False


Send = Callable[[Target, Notification], Told]


@dataclass(slots=True)
class Notifier:
    """`step` is called again and again. One a server."""

    context: Context
    send: Send | None = None
    _idle_at: int | None = None
    """The revision of the store at which there was nothing to do."""
    _busy: dict[str, threading.Thread] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> None:
        """Read on in the events, then see to the targets for which something waits. Nothing is read again while
        nothing waits and nothing is written."""
        revision = self.context.store.revision()
        if self._idle_at == revision:
            return
        self.follow()
        self._idle_at = None if self.tell() else revision

    def follow(self) -> None:
        """Keep what is to be told of all events since the last look. What happened before the first look is not."""
        store, read = self.context.store, self.context.store.notified()
        if read < 0:
            newest = store.events(limit=1)
            store.queue_notifications(newest[-1][0] if newest else 0, ())
            return
        while happened := store.happened(read, AT_ONCE):
            targets = store.targets()
            names = {app.id: app.name for app in store.apps()} if targets else {}
            coming = [one for event in happened for one in self._of(event, targets, names)] if targets else []
            read = happened[-1].serial
            store.queue_notifications(read, coming)

    def tell(self) -> bool:
        """Begin with every target that has something waiting and is not being told right now. Whether any has."""
        waited_for, now = self.context.store.targets_waited_for(), self.context.clock.now()
        if not waited_for:
            return False
        for target in self.context.store.targets():
            if target.id in waited_for and not target.disabled and target.retry_at <= now:
                self._begin(target)
        return True

    def wait(self, seconds: float) -> None:
        """Wait until nobody is being told, that long at most."""
        with self._guard:
            threads = tuple(self._busy.values())
        for thread in threads:
            thread.join(seconds)

    def _of(self, happened: Happened, targets: tuple[Target, ...], names: dict[str, str]) -> list[Notification]:
        event = happened.event
        topic = outgoing.topic(event, self._verb(happened))
        if not topic:
            return []
        told = outgoing.facts(event) | ({"actor": outgoing.sentence(happened.actor)} if happened.actor else {})
        return [
            Notification(
                id=f"msg_{happened.serial}_{target.id}", target_id=target.id, at=event.at, topic=topic,
                message=outgoing.sentence(event.message), app=names.get(happened.app_id, event.app), facts=told,
            )
            for target in targets
            if outgoing.wanted(target, topic, happened.app_id) and not _about(happened, target)
        ]  # fmt: skip

    def _verb(self, happened: Happened) -> str:
        if happened.event.kind != "error" or not happened.operation_id:
            return ""
        try:
            return self.context.store.operation(happened.operation_id).verb
        except NotFound:
            return ""

    def _begin(self, target: Target) -> None:
        with self._guard:
            if target.id in self._busy:
                return
            thread = threading.Thread(target=self._drain, args=(target,), name=f"notify-{target.name}", daemon=True)
            self._busy[target.id] = thread
        thread.start()

    def _drain(self, target: Target) -> None:
        """Tell it all that waits, oldest first, until it fails."""
        try:
            while (one := self.context.store.next_notification(target.id)) is not None:
                target, went_on = self._try(target, one)
                if not went_on:
                    return
        except Exception:
            log.exception("the target %s could not be told", target.name)
        finally:
            with self._guard:
                self._busy.pop(target.id, None)

    def _try(self, target: Target, one: Notification) -> tuple[Target, bool]:
        """One try; the target as it is then, and whether the next may be tried at once."""
        told = self._told(target, one)
        tried = replace(one, attempts=one.attempts + 1, answer=told.answer)
        if told.delivered:
            self._end(tried, "delivered")
            if target.failures:
                target = replace(target, failures=0, retry_at=0.0)
                self.context.store.save_target(target)
            return target, True
        if tried.attempts >= (outgoing.REFUSALS if told.refused else len(outgoing.BACKOFF) + 1):
            self._end(tried, "failed")
        else:
            self.context.store.save_notification(tried)
        return self._failed(target, told), False

    def _told(self, target: Target, one: Notification) -> Told:
        """A bug of ours is one more failure: it waits like the others, and does not fill the log."""
        try:
            return (self.send or self._send)(target, one)
        except Exception as error:
            log.exception("the target %s could not be told", target.name)
            return Told(f"internal error ({type(error).__name__})")

    def _failed(self, target: Target, told: Told) -> Target:
        failures = target.failures + 1
        target = replace(target, failures=failures, retry_at=self.context.clock.now() + outgoing.delay(failures))
        if told.gone or failures > len(outgoing.BACKOFF):
            target = replace(target, disabled=f"{failures} tries failed, the last one: {told.answer}")
            self._tell_disabled(target, told.answer)
        self.context.store.save_target(target)
        return target

    def _tell_disabled(self, target: Target, answer: str) -> None:
        message = f"notifications to {target.name} are disabled: {answer}"
        now = self.context.clock.now()
        self.context.store.add_event(
            Event(kind=OURS, message=message, at=now, data={"target": target.name}), target.app_id
        )

    def _end(self, one: Notification, status: str) -> None:
        self.context.store.save_notification(replace(one, status=status, ended_at=self.context.clock.now()))

    def _send(self, target: Target, one: Notification) -> Told:
        return sent(self.context, target, one)


def _about(happened: Happened, target: Target) -> bool:
    """Whether it is about the target itself."""
    event = happened.event
    return event.kind == OURS and (happened.app_id, event.data.get("target")) == (target.app_id, target.name)


def sent(context: Context, target: Target, one: Notification) -> Told:
    """One try. Never raises; what it says holds neither an address nor a secret."""
    settings = context.settings
    policy = Policy.of(settings.egress_allow, settings.subnets)
    try:
        if target.kind is TargetKind.EMAIL:
            server = mail_server(target)
            refused = mail.send(
                server, outgoing.mail(one, target, settings.instance), policy=policy, tls=trust(settings)
            )
            return Told(f"handed in{_but_for(refused)}", delivered=True)
        return _posted(context, target, one, policy)
    except PaasError as error:
        return Told(error.message)
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        about_it = isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
        return Told(outgoing.sentence(f"{error.smtp_code} {said}"), refused=about_it and error.smtp_code >= 500)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        said = ", ".join(map(str, codes))
        # 4xx asks for patience: greylisting servers take it some minutes later.
        return Told(f"every recipient was refused: {said}", refused=all(code >= 500 for code in codes))
    except smtplib.SMTPException as error:
        return Told(outgoing.sentence(str(error)) or type(error).__name__)
    except OSError as error:
        return Told(outgoing.sentence(getattr(error, "strerror", None) or str(error)) or type(error).__name__)


def _but_for(refused: Mapping[str, int]) -> str:
    """Recipients that do not get it. It is not tried again: the others would get it twice."""
    return "".join(f", but refused for {recipient}: {code}" for recipient, code in refused.items())


def mail_server(target: Target) -> MailServer:
    """Where its mail is handed in."""
    kept = target.mail
    security = kept["security"]
    return MailServer(
        host=kept["host"], port=int(kept["port"]), user=kept.get("user", ""),
        security="tls" if security == "tls" else "none" if security == "none" else "starttls",
        password=target.secrets.get("password", Secret("")),
    )  # fmt: skip


def trust(settings: Settings) -> ssl.SSLContext:
    """The authorities that this machine trusts, and those of the company."""
    context = ssl.create_default_context()
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    return context


def _posted(context: Context, target: Target, one: Notification, policy: Policy) -> Told:
    settings = context.settings
    headers = {"Content-Type": "application/json", "User-Agent": "paas"}
    if target.kind is TargetKind.SLACK:
        body = outgoing.slack_body(one, settings.instance)
    else:
        body = outgoing.webhook_body(one, settings.instance)
        headers |= standard_headers(target.secrets["secret"], one.id, context.clock.now(), body)
    answer = http.post(target.secrets["url"].reveal(), body, headers, policy=policy, tls=trust(settings))
    if 200 <= answer.status < 300:
        return Told(str(answer.status), delivered=True)
    said = outgoing.sentence(f"{answer.status} {answer.text[:200]}")
    if 300 <= answer.status < 400:
        return Told(f"{answer.status}: redirects are not followed", refused=True)
    # 408, 425 and 429 ask for patience; 410 for good-bye. The rest of 4xx is about what was sent.
    patient = answer.status in (408, 425, 429) or answer.status >= 500
    return Told(said, refused=not patient, gone=answer.status == 410)
