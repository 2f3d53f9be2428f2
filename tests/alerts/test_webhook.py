"""The signed webhook: what is posted, how it is signed, and what its answers mean."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from uuid import UUID

import pytest
import requests
import responses
from django.test import override_settings
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from tests.alerts.conftest import HOOK, WEBHOOK, after, open_one, resolve
from tests.factories import make_town
from towns.alerts import deliver_alerts
from towns.models import Delivery, Town
from towns.posting import key_of, signature

pytestmark = pytest.mark.django_db
SECRET = WEBHOOK["GASTOWN_ALERT_WEBHOOK_SECRET"].encode()


@pytest.fixture
def hook() -> Iterator[responses.RequestsMock]:
    """The webhook alone is set for staff."""
    with (
        override_settings(**WEBHOOK, GASTOWN_STAFF_EMAILS=[]),
        responses.RequestsMock(assert_all_requests_are_fired=False) as mock,
    ):
        yield mock


def bodies(hook: responses.RequestsMock) -> list[bytes]:
    found = [call.request.body for call in hook.calls]
    assert all(isinstance(body, bytes) for body in found)
    return found  # type: ignore[return-value]  # as was just seen


def headers(hook: responses.RequestsMock, name: str) -> list[str]:
    return [str(call.request.headers[name]) for call in hook.calls]


def told(mill: Town) -> Delivery:
    """The one delivery, after a round."""
    open_one(mill, severity="warning")
    deliver_alerts(after(120))
    return Delivery.objects.get()


def test_it_works(mill: Town, hook: responses.RequestsMock) -> None:
    hook.post(HOOK, status=204)
    alert = open_one(mill)
    deliver_alerts(after(60))
    [body], [call] = bodies(hook), hook.calls
    found = json.loads(body)
    assert (found["type"], found["timestamp"]) == ("alert.opened", "2026-02-17T12:00:00Z")
    data = found["data"]
    assert data["headline"] == "CRITICAL ann/mill: restart failed"
    assert (data["count"], data["severity"], data["causes"]) == (1, "critical", ["restart_failed"])
    assert (data["regions"], data["images"]) == ({"ams": 1}, {"registry.test/town:41": 1})
    assert data["alert_ids"] == [alert.pk]
    [told] = data["alerts"]
    assert (told["town"], told["town_name"]) == (str(mill.pk), "ann/mill")
    assert call.request.headers["content-type"] == "application/json"
    delivery = Delivery.objects.get(channel="webhook")
    assert (delivery.state, delivery.sent_at) == ("sent", after(60))
    assert UUID(call.request.headers["webhook-id"]) == delivery.message_id
    assert call.request.headers["webhook-timestamp"] == str(int(after(60).timestamp()))


def test_the_signature_is_hmac_sha256_of_id_timestamp_and_body(
    mill: Town, hook: responses.RequestsMock
) -> None:
    """As a receiver checks it, from what it gets alone."""
    hook.post(HOOK, status=200)
    told(mill)
    [call], [body] = hook.calls, bodies(hook)
    signed = f"{call.request.headers['webhook-id']}.{call.request.headers['webhook-timestamp']}."
    mac = hmac.new(SECRET, signed.encode() + body, hashlib.sha256).digest()
    assert call.request.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, spec: the key is after whsec_."""
    key = key_of("whsec_plJ3nmyCDGBKInavdOK15jsl")
    assert key == base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    signed = signature(key, "msg_loFOjxBNrRLzqYUf", 1731705121, body)
    assert signed == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_a_secret_that_says_whsec_and_is_no_base64_is_told_of() -> None:
    with pytest.raises(ValueError, match="no base64"):
        key_of("whsec_%%%")


def test_a_repeat_has_the_same_id_and_body_and_a_timestamp_of_its_own(
    mill: Town, hook: responses.RequestsMock
) -> None:
    hook.post(HOOK, status=503)
    hook.post(HOOK, status=200)
    told(mill)
    assert Delivery.objects.get().state == "pending"
    assert deliver_alerts(after(180)) == 1
    assert len(set(headers(hook, "webhook-id"))) == 1
    assert len(set(bodies(hook))) == 1
    assert headers(hook, "webhook-timestamp") == [
        str(int(after(seconds).timestamp())) for seconds in (120, 180)
    ]
    assert len(set(headers(hook, "webhook-signature"))) == 2
    deliver_alerts(after(90_000))
    assert len(hook.calls) == 2


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 429, 500, 503])
def test_what_is_no_success_is_tried_again_and_followed_nowhere(
    mill: Town, hook: responses.RequestsMock, status: int
) -> None:
    hook.post(HOOK, status=status, headers={"location": "https://elsewhere.test/"})
    row = told(mill)
    assert (row.state, row.in_doubt, row.attempts) == ("pending", False, 1)
    assert row.last_error == f"hooks.example.test answered {status}."
    assert row.due_at == after(180)
    assert len(hook.calls) == 1


def test_410_ends_it_for_good(mill: Town, hook: responses.RequestsMock) -> None:
    hook.post(HOOK, status=410)
    assert told(mill).state == "given_up"


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ReadTimeout("no answer"),
        requests.exceptions.ConnectionError("Connection aborted."),
    ],
)
def test_an_answer_that_is_lost_leaves_a_doubt(
    mill: Town, hook: responses.RequestsMock, error: Exception
) -> None:
    hook.post(HOOK, body=error)
    row = told(mill)
    assert (row.state, row.in_doubt) == ("pending", True)


def test_one_that_never_connected_leaves_none_and_spares_the_others(
    hook: responses.RequestsMock,
) -> None:
    refused = NewConnectionError(HTTPConnection("hooks.example.test"), "refused")
    error = requests.exceptions.ConnectionError(MaxRetryError(None, HOOK, refused))  # type: ignore[arg-type]  # no pool is needed
    hook.post(HOOK, body=error)
    for number in range(3):
        open_one(make_town(), cause=f"cause-{number}")
    deliver_alerts(after(120))
    assert len(hook.calls) == 1, "a channel that is down is asked once a round"
    assert not Delivery.objects.filter(in_doubt=True).exists()


def test_no_error_shows_more_of_the_address_than_its_host(
    mill: Town, hook: responses.RequestsMock
) -> None:
    """Invariant 11: keys are in its path and query."""
    hook.post(HOOK, body=requests.exceptions.ConnectionError(f"{HOOK} went away"))
    row = told(mill)
    assert "s3cret" not in row.last_error
    assert "T0KEN" not in row.last_error


def test_what_many_share_is_in_one_document(hook: responses.RequestsMock) -> None:
    hook.post(HOOK, status=200)
    opened = [open_one(make_town(region="ams")) for _ in range(12)]
    deliver_alerts(after(120))
    [body] = bodies(hook)
    data = json.loads(body)["data"]
    assert (data["count"], data["regions"]) == (12, {"ams": 12})
    assert data["alert_ids"] == [alert.pk for alert in opened]
    assert len(data["alerts"]) == 10
    assert data["headline"] == "CRITICAL 12 towns: restart failed"


def test_the_end_is_posted_as_resolved(mill: Town, hook: responses.RequestsMock) -> None:
    hook.post(HOOK, status=200)
    alert = open_one(mill)
    deliver_alerts(after(60))
    resolve(alert, after(300))
    deliver_alerts(after(420))
    opened, resolved = (json.loads(body) for body in bodies(hook))
    assert (opened["type"], resolved["type"]) == ("alert.opened", "alert.resolved")
    assert resolved["timestamp"] == "2026-02-17T12:05:00Z"
    assert resolved["data"]["alerts"][0]["resolution"] == "restart succeeded"
    assert len(set(headers(hook, "webhook-id"))) == 2


def test_a_webhook_that_is_set_no_more_is_given_up(
    mill: Town, hook: responses.RequestsMock
) -> None:
    open_one(mill, severity="warning")
    with override_settings(GASTOWN_ALERT_WEBHOOK_URL=""):
        deliver_alerts(after(120))
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == ("given_up", "No webhook is set any more.")
