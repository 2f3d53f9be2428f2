"""Webhooks: for staff, for machines with `webhooks:write`, and for owners through those."""

import json
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja import Status as Answer

from towns.api.access import ApiRequest, Caller
from towns.api.idempotency import once
from towns.api.paging import WEBHOOK_DELIVERIES, WEBHOOKS, Page, Paging
from towns.api.problems import Problem, invalid, not_found
from towns.api.versions import etag_of, is_known, matching_webhook
from towns.api.webhook_shapes import (
    NewWebhook,
    WebhookChange,
    WebhookDeliveryOut,
    WebhookMade,
    WebhookOut,
)
from towns.models import WebhookDelivery, WebhookEndpoint
from towns.posting import webhook_host
from towns.presenting import iso
from towns.scopes import Scope
from towns.webhooks import endpoints
from towns.webhooks.secrets import secret_of

router = Router(tags=["webhooks"])
PENDING = WebhookDelivery.State.PENDING


@router.get("/webhooks", response=Page[WebhookOut], summary="List webhooks")
def list_webhooks(request: ApiRequest, paging: Query[Paging]) -> dict[str, Any]:
    """Those that the caller may see, with how they do."""
    rows, cursor = WEBHOOKS.page(_counted(_seen(request.auth, "view")), paging)
    return {"items": [_facts(one) for one in rows], "next_cursor": cursor}


@router.post("/webhooks", response={201: WebhookMade}, summary="Make a webhook")
def create_webhook(request: ApiRequest, body: NewWebhook) -> HttpResponse:
    """It hears of what happens from now on. The secret is in this answer and in no other, but for
    one to the same `Idempotency-Key`."""
    caller = request.auth
    _seen(caller, "add")

    def act() -> tuple[int, dict[str, Any]]:
        made = endpoints.create_webhook(
            body.name,
            body.url,
            kinds=body.kinds,
            owner=_owner(caller, body.owner),
            actor=caller.actor,
            now=timezone.now(),
        )
        return 201, _shown(made.endpoint.pk)

    return _with_secret(once(request, caller, act))


@router.get(
    "/webhooks/{uuid:webhook_id}", response={200: WebhookOut, 304: None}, summary="Show a webhook"
)
def show_webhook(
    request: ApiRequest, response: HttpResponse, webhook_id: UUID
) -> Answer[dict[str, Any] | None]:
    """How it does. With `If-None-Match` 304 if nothing is new."""
    webhook = _found(request.auth, webhook_id, "view")
    facts = _shown(webhook.pk)
    response["ETag"] = tag = etag_of(webhook, facts)
    response["Cache-Control"] = "private, no-cache"
    return Answer(304, None) if is_known(request, tag) else Answer(200, facts)


@router.patch("/webhooks/{uuid:webhook_id}", response=WebhookOut, summary="Change a webhook")
def change_webhook(
    request: ApiRequest, response: HttpResponse, webhook_id: UUID, body: WebhookChange
) -> dict[str, Any]:
    """Change it, disable it, enable it again. With `If-Match` only if it is still as it was seen;
    else 412."""
    webhook = _found(request.auth, webhook_id, "change")
    changes = body.model_dump(exclude_unset=True)
    for name, value in changes.items():
        if value is None:
            raise invalid(name, "This can't be null.")
    if not changes:
        raise Problem(422, "Nothing to change was given.", "invalid")
    with matching_webhook(request, webhook.pk):
        webhook = endpoints.change_webhook(
            webhook.pk, changes, actor=request.auth.actor, now=timezone.now()
        )
    facts = _shown(webhook.pk)
    response["ETag"] = etag_of(webhook, facts)
    return facts


@router.delete("/webhooks/{uuid:webhook_id}", response={204: None}, summary="Remove a webhook")
def remove_webhook(request: ApiRequest, webhook_id: UUID) -> Answer[None]:
    """It hears of nothing more. With `If-Match` only if it is still as it was seen; else 412."""
    webhook = _found(request.auth, webhook_id, "delete")
    actor, now = request.auth.actor, timezone.now()
    with matching_webhook(request, webhook.pk):
        if not endpoints.remove_webhook(webhook.pk, actor=actor, now=now):
            raise not_found("webhook")
    return Answer(204, None)


@router.post(
    "/webhooks/{uuid:webhook_id}/secret", response=WebhookMade, summary="Replace its secret"
)
def replace_secret(request: ApiRequest, webhook_id: UUID) -> HttpResponse:
    """Give it another secret. For a day what is sent is signed with the old one as well."""
    caller = request.auth
    webhook = _found(caller, webhook_id, "change")

    def act() -> tuple[int, dict[str, Any]]:
        with matching_webhook(request, webhook.pk):
            endpoints.replace_secret(webhook.pk, actor=caller.actor, now=timezone.now())
        return 200, _shown(webhook.pk)

    return _with_secret(once(request, caller, act))


class DeliveryFilter(Schema):
    """Which deliveries."""

    state: WebhookDelivery.State | None = None


@router.get(
    "/webhooks/{uuid:webhook_id}/deliveries",
    response=Page[WebhookDeliveryOut],
    summary="What it was told",
)
def deliveries(
    request: ApiRequest, webhook_id: UUID, filters: Query[DeliveryFilter], paging: Query[Paging]
) -> dict[str, Any]:
    """Each event, whether it arrived, and if not why."""
    webhook = _found(request.auth, webhook_id, "view")
    found = webhook.deliveries.select_related("event")
    if filters.state is not None:
        found = found.filter(state=filters.state)
    rows, cursor = WEBHOOK_DELIVERIES.page(found, paging)
    items = [
        {
            "id": one.pk,
            "event": one.event_id,
            "kind": one.event.kind,
            "town": one.event.town_id,
            "message_id": one.message_id,
            "state": one.state,
            "attempts": one.attempts,
            "last_error": one.last_error,
            "in_doubt": one.in_doubt,
            "created_at": iso(one.created_at),
            "due_at": iso(one.due_at) if one.state == PENDING else None,
            "ended_at": iso(one.ended_at),
        }
        for one in rows
    ]
    return {"items": items, "next_cursor": cursor}


def _seen(caller: Caller, what: str) -> QuerySet[WebhookEndpoint]:
    """The webhooks that the caller may see, change, …; Problem 403 if they may with none."""
    found = endpoints.standing().select_related("owner")
    if caller.token is not None and not caller.is_machine:
        caller.needs(Scope.WEBHOOKS)
        return found.filter(owner=caller.user)
    caller.require(f"{what}_webhookendpoint")
    return found


def _found(caller: Caller, pk: UUID, what: str) -> WebhookEndpoint:
    found = _seen(caller, what).filter(pk=pk).first()
    if found is None:
        raise not_found("webhook")
    return found


def _owner(caller: Caller, username: str | None) -> User | None:
    """Whose towns it hears of; None for the whole fleet."""
    if caller.token is not None and not caller.is_machine:
        if username not in (None, caller.user.get_username()):
            raise invalid("owner", "Leave it out: you act for another owner.")
        return caller.user
    if username is None:
        return None
    return endpoints.owner_called(username)


def _counted(rows: QuerySet[WebhookEndpoint]) -> QuerySet[WebhookEndpoint]:
    return rows.annotate(waiting=endpoints.waiting())


def _shown(pk: UUID) -> dict[str, Any]:
    return _facts(_counted(WebhookEndpoint.objects.select_related("owner")).get(pk=pk))


def _facts(webhook: Any) -> dict[str, Any]:
    """A webhook that was `_counted`."""
    return {
        "id": str(webhook.pk),
        "name": webhook.name,
        "host": webhook_host(webhook.url),
        "kinds": webhook.kinds,
        "owner": None if webhook.owner is None else webhook.owner.get_username(),
        "enabled": webhook.enabled,
        "disabled_why": webhook.disabled_why,
        "disabled_at": iso(webhook.disabled_at),
        "failures": webhook.failures,
        "paused_until": iso(webhook.paused_until),
        "last_sent_at": iso(webhook.last_sent_at),
        "waiting": webhook.waiting,
        "created_at": iso(webhook.created_at),
        "created_by": webhook.created_by,
    }


def _with_secret(answer: HttpResponse) -> HttpResponse:
    """The answer with the secret, which is kept with no idempotency key: it is derived anew."""
    if answer.status_code < 400:
        body = json.loads(answer.content)
        body["secret"] = secret_of(WebhookEndpoint.objects.get(pk=body["id"]))
        answer.content = json.dumps(body).encode()
    return answer
