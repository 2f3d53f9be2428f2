"""Webhooks in the admin."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import page, queries
from tests.factories import make_town, make_user
from tests.webhooks.conftest import happen, make_webhook
from towns.models import WebhookDelivery, WebhookEndpoint
from towns.webhooks.following import follow_history

pytestmark = pytest.mark.django_db
LIST, TOLD = "/admin/towns/webhookendpoint/", "/admin/towns/webhookdelivery/"
URL = "https://hooks.example.com/T0KEN?key=s3cret"


def secret_in(text: str) -> str:
    found = re.search(r"whsec_[\w+/=]{40,}", text)
    assert found is not None
    return found.group()


def act(client: Client, action: str, path: str = LIST) -> str:
    """The page after an action on all rows."""
    model = WebhookEndpoint if path == LIST else WebhookDelivery
    ids = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)]
    form = {"action": action, "_selected_action": ids}
    return client.post(path, form, follow=True).content.decode()


def test_it_works(admin: Client) -> None:
    make_user("ann")
    assert "only the host is shown" in page(admin, f"{LIST}add/")
    kinds = "stop_succeeded start_succeeded"
    form = {"name": "billing", "url": URL, "kinds": kinds, "owner": "ann"}
    answer = admin.post(f"{LIST}add/", form)
    secret = secret_in(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    webhook = WebhookEndpoint.objects.get()
    assert (webhook.kinds, str(webhook.owner), webhook.created_by) == (
        ["start_succeeded", "stop_succeeded"],
        "ann",
        "root",
    )
    for path in (LIST, f"{LIST}{webhook.pk}/change/"):
        text = page(admin, path)
        assert "hooks.example.com" in text
        assert "those of ann" in text
        for hidden in (secret, "T0KEN", "s3cret"):
            assert hidden not in text


def test_what_it_can_not_be_is_told(admin: Client) -> None:
    for given, told in (
        ({"url": "https://10.0.0.1/"}, "private address"),
        ({"owner": "nobody"}, "There is no owner nobody."),
        ({"kinds": "Stop!"}, "no kind of event"),
        ({"name": ""}, "This field is required"),
    ):
        form = {"name": "billing", "url": URL, **given}
        assert told in admin.post(f"{LIST}add/", form).content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_a_secret_is_replaced_after_asking(admin: Client) -> None:
    made = make_webhook()
    path = f"{LIST}{made.endpoint.pk}/secret/"
    assert path in page(admin, f"{LIST}{made.endpoint.pk}/change/")
    assert "For a day" in page(admin, path)
    renewed = secret_in(admin.post(path).content.decode())
    assert renewed != made.secret


def test_halting_and_removing(admin: Client) -> None:
    make_webhook(now=timezone.now())
    assert "Disabled: billing." in act(admin, "disable")
    assert "nothing was done" in act(admin, "disable")
    assert "disabled on demand" in page(admin, f"{LIST}{WebhookEndpoint.objects.get().pk}/change/")
    happen(make_town())
    assert "Enabled: billing." in act(admin, "enable_from_now")
    assert follow_history(timezone.now()) == 0, "what it missed is skipped"
    act(admin, "disable")
    happen(make_town())
    assert "Enabled: billing." in act(admin, "enable")
    assert follow_history(timezone.now()) == 1
    assert "Removed: billing." in act(admin, "remove")
    assert "hooks.example.test" not in page(admin, LIST)


def test_deliveries_are_listed_and_tried_again(admin: Client) -> None:
    made = make_webhook()
    happen(make_town(owner=make_user("ann"), name="mill"), "stop_succeeded")
    follow_history(timezone.now())
    WebhookDelivery.objects.update(state="given_up", last_error="hooks.example.test answered 500.")
    text = page(admin, f"{TOLD}?endpoint__id__exact={made.endpoint.pk}")
    for told in ("stop succeeded", "ann/mill", "given up", "answered 500", "billing"):
        assert told in text
    delivery = WebhookDelivery.objects.get()
    assert str(delivery.message_id) in page(admin, f"{TOLD}{delivery.pk}/change/")
    assert "1 is tried again" in act(admin, "try_again", TOLD)
    assert WebhookDelivery.objects.get().state == "pending"


def test_it_takes_permissions(staff: Callable[..., Client]) -> None:
    made = make_webhook()
    viewer = staff("view_webhookendpoint", "view_webhookdelivery")
    assert "billing" in page(viewer, LIST)
    assert "Replace it" not in page(viewer, f"{LIST}{made.endpoint.pk}/change/")
    for path in (f"{LIST}add/", f"{LIST}{made.endpoint.pk}/secret/"):
        assert viewer.get(path).status_code == 403
    act(viewer, "disable")
    act(viewer, "remove")
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.enabled
    assert endpoint.removed_at is None


def test_the_lists_cost_the_same_for_every_number(admin: Client) -> None:
    make_webhook()
    happen(make_town())
    follow_history(timezone.now())
    before = queries(admin, LIST), queries(admin, TOLD)
    for number in range(3):
        make_webhook(name=f"hook-{number}", owner=make_user(f"user-{number}"))
        happen(make_town())
    follow_history(timezone.now())
    assert (queries(admin, LIST), queries(admin, TOLD)) == before
