"""Making, changing, halting and removing webhooks."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from towns import alerts
from towns.changes import InvalidChange
from towns.guarded_http import is_public
from towns.history import Actor
from towns.models import LifecycleEvent, WebhookDelivery, WebhookEndpoint
from towns.posting import webhook_host
from towns.tokens import ACCOUNT
from towns.webhooks.secrets import secret_of
from towns.webhooks.trail import CHANGED, MADE, REMOVED, note

KINDS_AT_MOST = 50
SKIP = "skip_missed"
"""No field: the wish to forget what it has not heard of."""
DISABLED = "webhook_disabled"
"""The cause of the alert about a webhook that we have given up."""
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0]")


@dataclass(frozen=True, slots=True)
class Made:
    """A webhook and its secret, which is shown just now."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


def create_webhook(
    name: str,
    url: str,
    *,
    actor: Actor,
    now: datetime,
    owner: User | None = None,
    kinds: Collection[str] = (),
) -> Made:
    """Make one, which hears of what happens from now on. InvalidChange says which of the wishes
    can't be."""
    endpoint = WebhookEndpoint(
        name=validated_name(name),
        url=validated_url(url),
        kinds=validated_kinds(kinds),
        owner=owner,
        created_at=now,
        created_by=actor.name,
        secret_at=now,
        settled=newest_event(),
    )
    try:
        with transaction.atomic():
            endpoint.save(force_insert=True)
            note(endpoint, MADE, f"Made, for {webhook_host(url)}.", actor=actor)
    except IntegrityError:
        raise _taken(name) from None
    return Made(endpoint, secret_of(endpoint))


def waiting() -> Coalesce:
    """How many deliveries of an endpoint wait, counted among those alone."""
    pending = WebhookDelivery.objects.filter(
        endpoint=OuterRef("pk"), state=WebhookDelivery.State.PENDING
    )
    counted = pending.order_by().values("endpoint").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


def change_webhook(
    pk: UUID, changes: Mapping[str, Any], *, actor: Actor, now: datetime
) -> WebhookEndpoint:
    """Change its name, url, kinds, or whether it is enabled; what isn't named stays. InvalidChange
    says which can't be; WebhookEndpoint.DoesNotExist if it is gone.

    Enabled again it hears of what it missed, unless `skip_missed` says that it shall not.
    """
    fields: dict[str, Any] = {}
    if "name" in changes:
        fields["name"] = validated_name(changes["name"])
    if "url" in changes:  # it is another receiver: what was known of the old one is of no use
        fields |= {"url": validated_url(changes["url"]), "failures": 0, "paused_until": None}
    if "kinds" in changes:
        fields["kinds"] = validated_kinds(changes["kinds"])
    try:
        with transaction.atomic():
            endpoint = standing().select_for_update().get(pk=pk)
            if changes.get(SKIP):
                skip_missed(endpoint, now)
            if "enabled" in changes and changes["enabled"] != endpoint.enabled:
                fields |= _switched(endpoint, changes["enabled"], now)
            for each, value in fields.items():
                setattr(endpoint, each, value)
            endpoint.save(update_fields=[*fields, "settled", "mark", "marked_at"])
            note(endpoint, CHANGED, _told(endpoint, changes), actor=actor)
    except IntegrityError:
        raise _taken(changes["name"]) from None
    return endpoint


def _told(endpoint: WebhookEndpoint, changes: Mapping[str, Any]) -> str:
    """What was changed, in a sentence; of an address its host alone."""
    parts = {
        "name": f"its name is {endpoint.name}",
        "url": f"its address is at {webhook_host(endpoint.url)}",
        "kinds": f"it hears of {', '.join(endpoint.kinds) or 'all events'}",
        "enabled": "it is enabled" if endpoint.enabled else "it is disabled",
        SKIP: "what it missed is skipped",
    }
    told = [
        text for name, text in parts.items() if name in changes and (name != SKIP or changes[SKIP])
    ]
    return f"Changed: {'; '.join(told)}."


def replace_secret(pk: UUID, *, actor: Actor, now: datetime) -> Made:
    """Give it another secret; the one before signs too for a day."""
    with transaction.atomic():
        standing().select_for_update().get(pk=pk)
        WebhookEndpoint.objects.filter(pk=pk).update(
            secret_version=F("secret_version") + 1, secret_at=now
        )
        endpoint = WebhookEndpoint.objects.get(pk=pk)
        note(endpoint, CHANGED, "Its secret was replaced.", actor=actor)
    return Made(endpoint, secret_of(endpoint))


def remove_webhook(pk: UUID, *, actor: Actor, now: datetime) -> bool:
    """Have it hear of nothing more; False if there is none. Its row goes when those of its
    deliveries are pruned."""
    with transaction.atomic():
        endpoint = standing().select_for_update().filter(pk=pk).first()
        if endpoint is None:
            return False
        WebhookEndpoint.objects.filter(pk=pk).update(removed_at=now, enabled=False)
        note(endpoint, REMOVED, "Removed.", actor=actor)
        _end_pending(pk, "The webhook was removed.", now)
        alerts.resolve_alerts(
            causes=[DISABLED], subject=subject_of(pk), resolution="it was removed", now=now
        )
    return True


def disable(endpoint: WebhookEndpoint, why: str, now: datetime) -> None:
    """Give it up, and tell staff: whoever listens there hears nothing more until somebody looks.
    What waits goes on waiting."""
    with transaction.atomic():
        if (
            not standing()
            .filter(pk=endpoint.pk, enabled=True)
            .update(enabled=False, disabled_why=why[:300], disabled_at=now)
        ):
            return
        alerts.open_alert(
            cause=DISABLED,
            severity="warning",
            subject=subject_of(endpoint.pk),
            message=f"The webhook {endpoint.name} is disabled. {why}",
            now=now,
        )


def try_again(delivery_ids: Collection[int], *, actor: Actor, now: datetime) -> int:
    """Have deliveries that were given up tried anew; returns how many."""
    with transaction.atomic():
        found = WebhookDelivery.objects.select_for_update().filter(
            pk__in=delivery_ids, state=WebhookDelivery.State.GIVEN_UP, endpoint__removed_at=None
        )
        chosen = list(found.values_list("pk", "endpoint_id"))
        counts = Counter(endpoint for _, endpoint in chosen)
        for endpoint in standing().filter(pk__in=counts):
            what = f"{counts[endpoint.pk]} deliveries that were given up are tried again."
            note(endpoint, CHANGED, what, actor=actor)
        return WebhookDelivery.objects.filter(pk__in=[pk for pk, _ in chosen]).update(
            state=WebhookDelivery.State.PENDING, due_at=now, attempts=0, ended_at=None
        )


def skip_missed(endpoint: WebhookEndpoint, now: datetime) -> None:
    """Forget what it has not heard of yet. The caller holds its row's lock, and saves it."""
    _end_pending(endpoint.pk, "It was skipped on demand.", now)
    endpoint.settled, endpoint.mark, endpoint.marked_at = newest_event(), None, None


def standing() -> QuerySet[WebhookEndpoint]:
    """The webhooks that are not removed."""
    return WebhookEndpoint.objects.filter(removed_at=None)


def owner_called(username: str) -> User:
    """The owner of that name; InvalidChange if there is none."""
    found = User.objects.filter(username=username, is_staff=False).first()
    if found is None or username.startswith(ACCOUNT):
        raise InvalidChange("owner", f"There is no owner {username}.")
    return found


def newest_event() -> int:
    """The id of the newest event that can be seen; 0 if there is none."""
    return LifecycleEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0


def subject_of(pk: UUID) -> str:
    """What an alert about it is about."""
    return f"webhook:{pk}"


def validated_name(name: str) -> str:
    """The name, without what surrounds it."""
    name = name.strip()
    if not 0 < len(name) <= 60 or not name.isprintable():
        raise InvalidChange("name", "A webhook's name has 1 to 60 characters, on one line.")
    return name


def validated_kinds(kinds: Collection[str]) -> list[str]:
    """The kinds, sorted and once each."""
    for kind in kinds:
        if not _KIND.fullmatch(kind):
            told = f"{kind[:40]!r} is no kind of event: those are words such as stop_succeeded."
            raise InvalidChange("kinds", told)
    if len(set(kinds)) > KINDS_AT_MOST:
        told = f"Those are too many kinds: at most {KINDS_AT_MOST}, or none for all."
        raise InvalidChange("kinds", told)
    return sorted(set(kinds))


def validated_url(url: str) -> str:
    """The address, if webhooks may be sent there. What its name leads to is looked at each time."""
    if len(url) > 500 or _UNPRINTABLE.search(url):
        raise InvalidChange("url", "An address has at most 500 characters, and no blanks.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, 0
    if not host or port == 0 or parts.scheme not in ("https", "http"):
        told = "That is no address. Write one such as https://hooks.example.com/gastown."
        raise InvalidChange("url", told)
    if parts.username is not None or parts.password is not None or parts.fragment:
        told = "Leave out user, password and fragment: calls are signed, which says who we are."
        raise InvalidChange("url", told)
    if parts.scheme == "http" and not settings.DEBUG:
        raise InvalidChange("url", "Webhooks are sent over https only.")
    if not settings.GASTOWN_WEBHOOK_PRIVATE and _is_private(host):
        raise InvalidChange("url", "That is a private address, where webhooks are not sent.")
    return url


def _is_private(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:  # a name: what it leads to is looked at when something is sent
        return host.rstrip(".").rpartition(".")[2] in ("localhost", "internal", "local")
    return not is_public(host)


def _switched(endpoint: WebhookEndpoint, enabled: bool, now: datetime) -> dict[str, Any]:
    if not enabled:
        return {
            "enabled": False,
            "disabled_why": "It was disabled on demand.",
            "disabled_at": now,
        }
    waiting = endpoint.deliveries.filter(state=WebhookDelivery.State.PENDING, claim=None)
    waiting.update(due_at=now, attempts=0)
    alerts.resolve_alerts(
        causes=[DISABLED],
        subject=subject_of(endpoint.pk),
        resolution="it was enabled again",
        now=now,
    )
    return {
        "enabled": True,
        "disabled_why": "",
        "disabled_at": None,
        "failures": 0,
        "paused_until": None,
    }


def _end_pending(pk: UUID, why: str, now: datetime) -> None:
    WebhookDelivery.objects.filter(
        endpoint_id=pk, state=WebhookDelivery.State.PENDING, claim=None
    ).update(state=WebhookDelivery.State.GIVEN_UP, last_error=why, ended_at=now)


def _taken(name: str) -> InvalidChange:
    return InvalidChange("name", f"There is a webhook {name} already. Choose another name.")
