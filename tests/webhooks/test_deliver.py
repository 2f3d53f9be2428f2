"""Telling webhooks: what is posted, what an answer means, when one is given up."""

import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import pytest
import responses
from django.test import override_settings

from tests.webhooks.conftest import ANN, URL, after, anew, happen, make_webhook
from towns.alerts.claims import LEASE_SECONDS
from towns.models import Alert, Town, WebhookDelivery, WebhookEndpoint
from towns.webhooks import claims, deliver
from towns.webhooks.claims import claim
from towns.webhooks.deliver import deliver_webhooks
from towns.webhooks.endpoints import change_webhook, replace_secret, try_again
from towns.webhooks.following import follow_history

pytestmark = pytest.mark.django_db


def header(call: Any, name: str) -> str:
    return str(call.request.headers[name])


def fits(call: Any, secret: str) -> bool:
    """As a receiver checks it, from what it gets and its secret alone."""
    signed = f"{header(call, 'webhook-id')}.{header(call, 'webhook-timestamp')}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, signed + call.request.body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}" in header(call, "webhook-signature").split(" ")


def test_it_works(mill: Town, receiver: responses.RequestsMock) -> None:
    made = make_webhook()
    receiver.post(URL, status=204)
    event = happen(mill, "stop_succeeded", reason="idle", data={"minutes": 30})
    assert deliver_webhooks(after(60)) == 1
    [call] = receiver.calls
    body = json.loads(call.request.body or b"")
    assert (body["type"], body["timestamp"]) == ("town.stop_succeeded", "2026-02-17T12:00:00Z")
    assert body["data"] == {
        "id": event.pk,
        "town": str(mill.pk),
        "town_name": "ann/mill",
        "owner": "ann",
        "at": "2026-02-17T12:00:00Z",
        "kind": "stop_succeeded",
        "from_status": "",
        "to_status": "",
        "actor": "ann",
        "automatic": False,
        "reason": "idle",
        "operation": None,
        "data": {"minutes": 30},
    }
    assert fits(call, made.secret)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.ended_at, delivery.attempts) == ("sent", after(60), 1)
    assert UUID(header(call, "webhook-id")) == delivery.message_id
    assert header(call, "webhook-timestamp") == str(int(after(60).timestamp()))
    assert deliver_webhooks(after(120)) == 0


def test_a_repeat_has_the_same_id_and_body(mill: Town, receiver: responses.RequestsMock) -> None:
    make_webhook()
    receiver.post(URL, status=503)
    receiver.post(URL, status=200)
    happen(mill)
    assert deliver_webhooks(after(60)) == 0
    delivery = WebhookDelivery.objects.get()
    assert delivery.last_error == "hooks.example.test answered 503."
    assert delivery.due_at == after(120)
    assert deliver_webhooks(after(119)) == 0
    assert deliver_webhooks(after(120)) == 1
    first, second = receiver.calls
    assert header(first, "webhook-id") == header(second, "webhook-id")
    assert first.request.body == second.request.body


def test_both_secrets_sign_for_a_day(mill: Town, receiver: responses.RequestsMock) -> None:
    old = make_webhook()
    new = replace_secret(old.endpoint.pk, actor=ANN, now=after(0))
    assert new.secret != old.secret
    receiver.post(URL, status=200)
    for moment in (60, 86_400):
        happen(mill)
        deliver_webhooks(after(moment))
    during, later = receiver.calls
    assert fits(during, old.secret)
    assert fits(during, new.secret)
    assert fits(later, new.secret)
    assert not fits(later, old.secret)


def test_an_address_that_fails_is_not_asked_once_per_event(
    mill: Town, receiver: responses.RequestsMock
) -> None:
    made = make_webhook()
    receiver.post(URL, status=500)
    for _ in range(30):
        happen(mill)
    deliver_webhooks(after(60))
    assert len(receiver.calls) == deliver.AT_ONCE
    until = anew(made.endpoint).paused_until
    assert until is not None
    deliver_webhooks(after(61))
    assert len(receiver.calls) == deliver.AT_ONCE, "it is left alone"
    deliver_webhooks(until)
    assert len(receiver.calls) == deliver.AT_ONCE + 1, "one event tries whether it is back"


def test_one_that_is_back_hears_of_all(mill: Town, receiver: responses.RequestsMock) -> None:
    made = make_webhook()
    receiver.post(URL, status=500)
    for _ in range(30):
        happen(mill)
    deliver_webhooks(after(60))
    receiver.replace(responses.POST, URL, status=200)
    assert deliver_webhooks(after(86_400)) == 30
    endpoint = anew(made.endpoint)
    assert (endpoint.failures, endpoint.paused_until) == (0, None)


@pytest.mark.parametrize("change", [{"enabled": False}, {"url": "https://other.example.test/"}])
def test_a_change_in_the_middle_of_a_round_holds_at_once(
    mill: Town,
    receiver: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
) -> None:
    made, settle = make_webhook(), claims.settle_sent

    def changing(*args: Any) -> None:
        settle(*args)
        WebhookEndpoint.objects.update(**change)

    monkeypatch.setattr(claims, "settle_sent", changing)
    receiver.post(URL, status=200)
    receiver.post("https://other.example.test/", status=200)
    for _ in range(30):
        happen(mill)
    arrived = deliver_webhooks(after(60))
    asked = [call.request.url for call in receiver.calls]
    assert asked.count(URL) == deliver.AT_ONCE
    assert arrived == (30 if "url" in change else deliver.AT_ONCE)
    assert anew(made.endpoint).failures == 0


def test_one_that_nothing_gets_through_to_is_disabled_with_an_alert(
    mill: Town, receiver: responses.RequestsMock
) -> None:
    made = make_webhook()
    receiver.post(URL, status=500)
    happen(mill)
    with override_settings(GASTOWN_WEBHOOK_ATTEMPTS=2):
        deliver_webhooks(after(60))
        assert anew(made.endpoint).enabled
        deliver_webhooks(after(86_400))
    endpoint = anew(made.endpoint)
    assert not endpoint.enabled
    assert "answered 500. 2 tries in a row got nothing through" in endpoint.disabled_why
    alert = Alert.objects.get(resolved_at=None)
    assert (alert.cause, alert.severity) == ("webhook_disabled", "warning")
    assert alert.message.startswith("The webhook billing is disabled.")
    delivery = WebhookDelivery.objects.get()
    assert delivery.state == "given_up"
    happen(mill)
    assert deliver_webhooks(after(90_000)) == 0
    receiver.replace(responses.POST, URL, status=200)
    change_webhook(endpoint.pk, {"enabled": True}, actor=ANN, now=after(90_001))
    assert not Alert.objects.filter(resolved_at=None).exists()
    assert deliver_webhooks(after(90_002)) == 1, "it hears of what it missed"
    assert try_again([delivery.pk], actor=ANN, now=after(90_003)) == 1
    assert deliver_webhooks(after(90_003)) == 1


def test_one_event_that_is_refused_again_and_again_disables_nothing(
    mill: Town, receiver: responses.RequestsMock
) -> None:
    made = make_webhook()
    poison = happen(mill, "poison")
    ends: dict[int, int] = {}
    happen(mill)

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        status = 400 if json.loads(request.body)["data"]["id"] == poison.pk else 200
        ends[status] = ends.get(status, 0) + 1
        return status, {}, ""

    receiver.add_callback(responses.POST, URL, answer)
    with override_settings(GASTOWN_WEBHOOK_ATTEMPTS=2):
        deliver_webhooks(after(60))
        happen(mill)
        deliver_webhooks(after(3600))
    assert ends == {400: 2, 200: 2}
    assert anew(made.endpoint).enabled
    assert WebhookDelivery.objects.get(event=poison).state == "given_up"


def test_410_disables_it_at_once(mill: Town, receiver: responses.RequestsMock) -> None:
    made = make_webhook()
    receiver.post(URL, status=410)
    happen(mill)
    deliver_webhooks(after(60))
    assert "it wants no more" in anew(made.endpoint).disabled_why


def test_no_error_shows_more_of_the_address_than_its_host(
    mill: Town, receiver: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 11: keys are in its path and query."""
    made = make_webhook()
    receiver.post(URL, body=RuntimeError(f"{URL} went away"))
    happen(mill)
    with override_settings(GASTOWN_WEBHOOK_ATTEMPTS=1):
        deliver_webhooks(after(60))
    told = caplog.text + WebhookDelivery.objects.get().last_error
    told += anew(made.endpoint).disabled_why + Alert.objects.get().message
    assert "RuntimeError" in told
    for secret in ("s3cret", "T0KEN", made.secret):
        assert secret not in told


def test_a_death_in_a_try_repeats_it_under_the_same_id(
    mill: Town, receiver: responses.RequestsMock
) -> None:
    make_webhook()
    receiver.post(URL, status=200)
    event = happen(mill)
    follow_history(after(60))
    [held] = claim(anew(WebhookDelivery.objects.get().endpoint_id), after(60), at_most=8)
    assert deliver_webhooks(after(59 + LEASE_SECONDS)) == 0, "nobody knows yet that it died"
    assert deliver_webhooks(after(60 + LEASE_SECONDS)) == 1
    delivery = WebhookDelivery.objects.get(event=event)
    assert (delivery.state, delivery.in_doubt) == ("sent", True)
    assert header(receiver.calls[0], "webhook-id") == str(held.message_id)


def test_what_kills_every_worker_is_given_up(mill: Town) -> None:
    make_webhook()
    happen(mill)
    follow_history(after(0))
    with override_settings(GASTOWN_WEBHOOK_ATTEMPTS=2):
        for number in range(2):
            endpoint = anew(WebhookDelivery.objects.get().endpoint_id)
            assert claim(endpoint, after(number * LEASE_SECONDS), at_most=8)
        deliver_webhooks(after(2 * LEASE_SECONDS))
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("given_up", deliver.SPENT)


def test_two_messengers_send_nothing_twice(
    mill: Town, receiver: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_webhook()
    receiver.post(URL, status=200)
    for _ in range(3):
        happen(mill)
    post = deliver._tell
    others: list[int] = []

    def overtaken(*args: Any) -> Any:
        if not others:
            others.append(0)
            others.append(deliver_webhooks(after(61)))
        return post(*args)

    monkeypatch.setattr(deliver, "_tell", overtaken)
    assert deliver_webhooks(after(60)) == 3
    assert others == [0, 0]
    assert len(receiver.calls) == 3


def test_a_round_costs_the_same_for_every_number_of_events(
    mill: Town, receiver: responses.RequestsMock, django_assert_max_num_queries: Any
) -> None:
    """A batch costs the same as one event."""
    make_webhook()
    receiver.post(URL, status=200)
    for _ in range(deliver.AT_ONCE):
        happen(mill)
    with django_assert_max_num_queries(30):
        assert deliver_webhooks(after(60)) == deliver.AT_ONCE
