"""`/webhooks`."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from tests.api.conftest import JsonClient
from tests.factories import make_town, make_user
from towns import history
from towns.history import Actor
from towns.models import IdempotentRequest, WebhookDelivery, WebhookEndpoint
from towns.scopes import Scope
from towns.tokens import create_token
from towns.webhooks.following import follow_history

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/T0KEN?key=s3cret"
NEW = {"name": "billing", "url": URL}
MAY = tuple(f"{what}_webhookendpoint" for what in ("view", "add", "change", "delete"))


@pytest.fixture
def staff(sign_in: Callable[[User], JsonClient]) -> JsonClient:
    """Staff who may do everything with webhooks."""
    return sign_in(make_user("sam", is_staff=True, permissions=MAY))


def bearer(*scopes: Scope, owner: str = "") -> dict[str, str]:
    """The headers of a machine, which may act for an owner."""
    made = create_token("machine", scopes, actor=Actor.shell(), now=timezone.now())
    acting = {"X-Gastown-User": owner} if owner else {}
    return {"Authorization": f"Bearer {made.secret}", **acting}


def test_it_works(staff: JsonClient) -> None:
    answer = staff.send("post", "/webhooks", {**NEW, "kinds": ["stop_succeeded"]})
    assert answer.status_code == 201
    made = answer.json()
    assert made["secret"].startswith("whsec_")
    assert (made["host"], made["owner"], made["created_by"]) == ("hooks.example.com", None, "sam")
    path = f"/webhooks/{made['id']}"
    shown = staff.send("get", path)
    assert shown.json() == {name: value for name, value in made.items() if name != "secret"}
    assert staff.send("get", "/webhooks").json()["items"] == [shown.json()]
    changed = staff.send("patch", path, {"kinds": [], "enabled": False}).json()
    assert (changed["kinds"], changed["enabled"]) == ([], False)
    assert staff.send("delete", path).status_code == 204
    assert staff.send("get", path).status_code == 404
    assert staff.send("get", "/webhooks").json()["items"] == []


def test_only_what_one_has_seen_is_changed(staff: JsonClient) -> None:
    path = f"/webhooks/{staff.send('post', '/webhooks', NEW).json()['id']}"
    tag = staff.send("get", path)["ETag"]
    WebhookEndpoint.objects.update(failures=2, last_sent_at=timezone.now())
    changed = staff.send("patch", path, {"name": "books"}, **{"If-Match": tag})
    assert changed.status_code == 200, "a delivery is no change"
    assert changed["ETag"] == staff.send("get", path)["ETag"] != tag
    for method, where, body in (
        ("patch", path, {"name": "mine"}),
        ("delete", path, None),
        ("post", f"{path}/secret", {}),
    ):
        stale = staff.send(method, where, body, **{"If-Match": tag})
        assert stale.status_code == 412, method
        assert stale.json()["detail"].startswith("The webhook has changed since you saw it.")
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.name, endpoint.secret_version, endpoint.removed_at) == ("books", 1, None)
    seen = {"If-Match": changed["ETag"]}
    assert staff.send("post", f"{path}/secret", {}, **seen).status_code == 200
    assert staff.send("delete", path, **seen).status_code == 412, "it has another secret"
    tag = staff.send("get", path)["ETag"]
    assert staff.send("get", path, **{"If-None-Match": tag}).status_code == 304
    assert staff.send("delete", path, **{"If-Match": tag}).status_code == 204


def test_a_repeat_makes_none_and_answers_the_same(staff: JsonClient) -> None:
    first, again = (
        staff.send("post", "/webhooks", NEW, **{"Idempotency-Key": "one"}) for _ in range(2)
    )
    assert first.json() == again.json()
    assert WebhookEndpoint.objects.count() == 1
    assert first.json()["secret"] not in str(IdempotentRequest.objects.get().body)


def test_a_new_secret_is_another_one(staff: JsonClient) -> None:
    made = staff.send("post", "/webhooks", NEW).json()
    renewed = staff.send("post", f"/webhooks/{made['id']}/secret").json()
    assert renewed["secret"] != made["secret"]


def test_no_answer_shows_more_of_the_address_than_its_host(staff: JsonClient) -> None:
    made = staff.send("post", "/webhooks", NEW)
    shown = staff.send("get", f"/webhooks/{made.json()['id']}")
    for answer in (made, shown):
        assert "T0KEN" not in answer.content.decode()
        assert "s3cret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "hooks.example.com"}, "That is no address."),
        ({"url": "ftp://hooks.example.com"}, "That is no address."),
        ({"url": "http://hooks.example.com"}, "https only"),
        ({"url": "https://ann:pw@hooks.example.com"}, "Leave out user"),
        ({"url": "https://hooks.example.com/#x"}, "Leave out user"),
        ({"url": "https://127.0.0.1/"}, "private address"),
        ({"url": "https://[fdaa::3]/"}, "private address"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "private address"),
        ({"url": "https://169.254.169.254/latest"}, "private address"),
        ({"url": "https://top1.nearest.of.towns.internal/"}, "private address"),
        ({"url": "https://hooks.example.com/a b"}, "no blanks"),
        ({"url": "https://[::1"}, "That is no address."),
        ({"name": " "}, "1 to 60 characters"),
        ({"kinds": ["Stop!"]}, "no kind of event"),
        ({"owner": "nobody"}, "There is no owner nobody."),
    ],
)
def test_what_it_can_not_be_is_told(staff: JsonClient, given: Any, told: str) -> None:
    with override_settings(DEBUG=False):
        answer = staff.send("post", "/webhooks", {**NEW, **given})
    assert answer.status_code == 422, answer.content
    assert told in answer.json()["detail"]
    assert not WebhookEndpoint.objects.exists()


def test_a_private_address_is_taken_where_a_setting_says_so(staff: JsonClient) -> None:
    with override_settings(GASTOWN_WEBHOOK_PRIVATE=True):
        given = {**NEW, "url": "https://10.0.0.1/"}
        assert staff.send("post", "/webhooks", given).status_code == 201


def test_a_name_is_taken_once(staff: JsonClient) -> None:
    staff.send("post", "/webhooks", NEW)
    again = staff.send("post", "/webhooks", NEW)
    assert again.json()["detail"] == "There is a webhook billing already. Choose another name."
    other = staff.send("post", "/webhooks", {**NEW, "name": "other"}).json()
    renamed = staff.send("patch", f"/webhooks/{other['id']}", {"name": "billing"})
    assert renamed.status_code == 422


def test_nothing_and_null_change_nothing(staff: JsonClient) -> None:
    made = staff.send("post", "/webhooks", NEW).json()
    for given in ({}, {"kinds": None}):
        assert staff.send("patch", f"/webhooks/{made['id']}", given).status_code == 422


def test_what_it_was_told_is_listed(staff: JsonClient) -> None:
    made = staff.send("post", "/webhooks", NEW).json()
    town = make_town()
    for _ in range(3):
        history.record(town, "changed", actor=Actor("ann"), now=timezone.now())
    follow_history(timezone.now())
    path = f"/webhooks/{made['id']}/deliveries"
    page = staff.send("get", f"{path}?limit=2").json()
    rest = staff.send("get", f"{path}?limit=2&cursor={page['next_cursor']}").json()
    found = page["items"] + rest["items"]
    assert [one["id"] for one in found] == list(
        WebhookDelivery.objects.values_list("pk", flat=True)
    )
    assert (found[0]["state"], found[0]["kind"], found[0]["town"]) == (
        "pending",
        "changed",
        str(town.pk),
    )
    assert staff.send("get", f"{path}?state=sent").json()["items"] == []
    assert staff.send("get", f"/webhooks/{made['id']}").json()["waiting"] == 3


def test_an_owner_has_theirs_through_a_machine(owner: User, staff: JsonClient) -> None:
    fleets = staff.send("post", "/webhooks", NEW).json()
    machine = JsonClient(headers=bearer(Scope.WEBHOOKS, Scope.OWNERS, owner="alice"))
    mine = machine.send("post", "/webhooks", NEW)
    assert mine.status_code == 201, "names are each owner's own"
    assert mine.json()["owner"] == "alice"
    assert [one["id"] for one in machine.send("get", "/webhooks").json()["items"]] == [
        mine.json()["id"]
    ]
    for method, path in (("get", ""), ("delete", ""), ("post", "/secret"), ("get", "/deliveries")):
        refused = machine.send(method, f"/webhooks/{fleets['id']}{path}")
        assert refused.status_code == 404, path
    other = machine.send("post", "/webhooks", {**NEW, "name": "x", "owner": "bob"})
    assert other.status_code == 422


def test_a_machine_needs_the_scope() -> None:
    machine = JsonClient(headers=bearer(Scope.READ, Scope.OWNERS))
    told = "The token machine lacks the scope webhooks:write. Use one that has it."
    assert machine.send("get", "/webhooks").json()["detail"] == told
    acting = machine.send("get", "/webhooks", **{"X-Gastown-User": "alice"})
    assert acting.json()["detail"] == told


def test_owners_themselves_may_not(client: JsonClient) -> None:
    for method in ("get", "post"):
        answer = client.send(method, "/webhooks", NEW)
        assert (answer.status_code, answer.json()["detail"]) == (403, "Only staff may do that.")


def test_the_list_costs_the_same_for_every_number(
    staff: JsonClient, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        staff.send("post", "/webhooks", {**NEW, "name": f"hook-{number}"})
    with django_assert_num_queries(5):
        staff.send("get", "/webhooks")
