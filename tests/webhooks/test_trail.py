"""Who did what to a webhook can be learned later."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from tests.admin.conftest import admin, page
from tests.factories import make_user
from tests.webhooks.conftest import after, happen, make_webhook
from towns.history import Actor
from towns.models import Town, WebhookDelivery
from towns.webhooks.endpoints import change_webhook, remove_webhook, replace_secret, try_again

__all__ = ["admin"]  # a fixture
pytestmark = pytest.mark.django_db


@pytest.fixture
def eve() -> Actor:
    """Somebody who acts through a token."""
    return Actor("eve via deploys", user_id=make_user("eve", is_staff=True).pk)


def told() -> list[str]:
    return list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))


def test_it_works(eve: Actor, admin: Client) -> None:
    made = make_webhook(actor=eve)
    pk = made.endpoint.pk
    url = "https://other.example.test/T0KEN?key=s3cret"
    change_webhook(pk, {"url": url, "kinds": ["stop_succeeded"]}, actor=eve, now=after(1))
    change_webhook(pk, {"enabled": False}, actor=eve, now=after(2))
    change_webhook(
        pk, {"enabled": True, "skip_missed": True, "name": "hers"}, actor=eve, now=after(3)
    )
    replace_secret(pk, actor=eve, now=after(4))
    assert told() == [
        "Made, for hooks.example.test. By eve via deploys.",
        "Changed: its address is at other.example.test; it hears of stop_succeeded. "
        "By eve via deploys.",
        "Changed: it is disabled. By eve via deploys.",
        "Changed: its name is hers; it is enabled; what it missed is skipped. By eve via deploys.",
        "Its secret was replaced. By eve via deploys.",
    ]
    text = page(admin, f"/admin/towns/webhookendpoint/{pk}/change/")
    assert "its address is at other.example.test" in text
    assert "s3cret" not in text
    assert remove_webhook(pk, actor=eve, now=after(5))
    assert not remove_webhook(pk, actor=eve, now=after(6))
    assert told()[5:] == ["Removed. By eve via deploys."]


def test_what_is_not_skipped_is_not_told_as_skipped(eve: Actor) -> None:
    pk = make_webhook().endpoint.pk
    change_webhook(pk, {"kinds": [], "skip_missed": False}, actor=eve, now=after(1))
    assert told() == ["Changed: it hears of all events. By eve via deploys."]


def test_what_was_not_done_leaves_no_trace(eve: Actor) -> None:
    make_webhook(name="taken")
    pk = make_webhook().endpoint.pk
    with pytest.raises(Exception, match="Choose another name"):
        change_webhook(pk, {"name": "taken"}, actor=eve, now=after(1))
    assert told() == []


def test_trying_again_is_told_once_for_each_webhook(eve: Actor, mill: Town) -> None:
    endpoint = make_webhook().endpoint
    given_up = {"state": "given_up", "created_at": after(0), "due_at": after(0)}
    gone = [
        WebhookDelivery.objects.create(endpoint=endpoint, event=happen(mill), **given_up).pk
        for _ in range(2)
    ]
    assert try_again(gone, actor=eve, now=after(1)) == 2
    assert told() == ["2 deliveries that were given up are tried again. By eve via deploys."]
    assert try_again(gone, actor=eve, now=after(1)) == 0
    assert len(told()) == 1
