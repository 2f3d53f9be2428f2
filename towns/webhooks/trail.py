"""Who did what to a webhook: in its history in the admin, and in the log."""

import logging

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType

from towns.history import Actor
from towns.models import WebhookEndpoint

MADE, CHANGED, REMOVED = ADDITION, CHANGE, DELETION
SHOWN = 20
log = logging.getLogger(__name__)


def note(endpoint: WebhookEndpoint, flag: int, what: str, *, actor: Actor) -> None:
    """Note it, in the caller's transaction. `what` is a sentence without secrets. What an actor
    without an account does, who is at a shell, is in the log alone."""
    if actor.user_id is not None:
        LogEntry.objects.create(
            user_id=actor.user_id,
            content_type=ContentType.objects.get_for_model(WebhookEndpoint),
            object_id=str(endpoint.pk),
            object_repr=endpoint.name,
            action_flag=flag,
            change_message=f"{what} By {actor.name}.",
        )
    log.info("webhook %s (%s): %s By %s.", endpoint.name, endpoint.pk, what, actor.name)


def latest(endpoint: WebhookEndpoint) -> list[LogEntry]:
    """What was done to it, the newest first."""
    kind = ContentType.objects.get_for_model(WebhookEndpoint)
    found = LogEntry.objects.filter(content_type=kind, object_id=str(endpoint.pk))
    return list(found.order_by("-action_time", "-pk")[:SHOWN])
