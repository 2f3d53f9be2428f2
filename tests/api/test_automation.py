"""What holds automation back, in the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.api.conftest import JsonClient
from tests.factories import make_town, make_user
from towns import automation
from towns.models import Breaker, Freeze, MaintenanceWindow

pytestmark = pytest.mark.django_db
SHOWN = ["breakers", "freezes", "windows"]


@pytest.fixture
def operator(sign_in: Any) -> JsonClient:
    """May press the red button."""
    client: JsonClient = sign_in(
        make_user("olga", is_staff=True, permissions=("freeze_automation",))
    )
    return client


def test_it_works(operator: JsonClient) -> None:
    found = operator.send(
        "post", "/automation/freeze", {"reason": "Fly has an incident", "minutes": 30}
    )
    assert found.status_code == 200
    [freeze] = found.json()["freezes"]
    assert (freeze["scope"], freeze["reason"], freeze["actor"]) == (
        "all",
        "Fly has an incident",
        "olga",
    )
    assert Freeze.objects.get().until is not None
    assert automation.frozen(timezone.now()) is not None
    assert operator.send("post", "/automation/thaw").json()["freezes"] == []
    assert Freeze.objects.get().thawed_by == "olga"


def test_all_that_stands_is_shown(operator: JsonClient) -> None:
    now = timezone.now()
    Breaker.objects.create(scope="region:ams", state="open", reason="61 % fail", opened_at=now)
    operator.send("post", "/automation/freeze", {"scope": "recovery", "reason": "x"})
    body = {"scope": "region:ams", "reason": "new hosts", "minutes": 60}
    assert operator.send("post", "/automation/windows", body).status_code == 201
    found = operator.get("/api/v1/automation").json()
    assert sorted(found) == SHOWN
    assert [one["scope"] for name in SHOWN for one in found[name]] == [
        "region:ams",
        "recovery",
        "region:ams",
    ]


def test_a_window_of_a_town_is_planned_ahead_and_ended(operator: JsonClient) -> None:
    town, now = make_town(), timezone.now()
    body = {
        "scope": f"town:{town}",
        "reason": "upgrade",
        "since": (now + timedelta(hours=1)).isoformat(),
        "until": (now + timedelta(hours=2)).isoformat(),
    }
    [shown] = operator.send("post", "/automation/windows", body).json()["windows"]
    assert shown["scope"] == f"town:{town.pk}"
    path = f"/automation/windows/{shown['id']}/end"
    assert operator.send("post", path).json()["windows"] == []
    assert operator.send("post", path).status_code == 404
    assert MaintenanceWindow.objects.get().ended_by == "olga"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("freeze", {}),
        ("freeze", {"reason": " "}),
        ("freeze", {"reason": "x", "scope": "towns"}),
        ("freeze", {"reason": "x", "minutes": 0}),
        ("freeze", {"reason": "x", "minutes": 10**12}),
        ("thaw", {"scope": "towns"}),
        ("windows", {"scope": "fleet", "reason": "x"}),
        ("windows", {"scope": "fleet", "reason": "x", "minutes": 0}),
        ("windows", {"scope": "town:nobody", "reason": "x", "minutes": 5}),
        (
            "windows",
            {"scope": "fleet", "reason": "x", "minutes": 5, "until": "2030-01-01T00:00Z"},
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    operator: JsonClient, path: str, body: dict[str, Any]
) -> None:
    assert operator.send("post", f"/automation/{path}", body).status_code == 422
    assert not Freeze.objects.exists()
    assert not MaintenanceWindow.objects.exists()


@pytest.mark.parametrize("path", ["freeze", "thaw", "windows", "windows/1/end"])
def test_the_button_needs_the_permission_of_the_admin(
    client: JsonClient, staff: JsonClient, path: str
) -> None:
    body = {"freeze": {"reason": "x"}, "windows": {"scope": "fleet", "reason": "x", "minutes": 5}}
    for caller in (client, staff):
        answer = caller.send("post", f"/automation/{path}", body.get(path, {}))
        assert answer.status_code == 403, answer.json()
    assert not Freeze.objects.exists()
    assert not MaintenanceWindow.objects.exists()


def test_looking_is_for_staff(client: JsonClient, sign_in: Any) -> None:
    assert client.get("/api/v1/automation").status_code == 403
    viewer = sign_in(make_user(is_staff=True, permissions=("view_freeze",)))
    assert viewer.get("/api/v1/automation").status_code == 200


def test_an_idempotent_freeze_is_one_freeze(operator: JsonClient) -> None:
    for _ in range(2):
        headers = {"Idempotency-Key": "one"}
        operator.send("post", "/automation/freeze", {"reason": "x"}, **headers)
    assert Freeze.objects.count() == 1
