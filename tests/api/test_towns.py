"""Towns in the API: list, show, create, change."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from tests.api.conftest import JsonClient
from tests.factories import make_operation, make_town
from towns.models import Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
NAMES = [
    "id",
    "name",
    "owner",
    "region",
    "status",
    "status_reason",
    "desired_state",
    "stop_reason",
    "machine_id",
    "volume_id",
    "last_heartbeat_at",
    "last_checked_at",
    "last_interaction_at",
    "last_backup_at",
    "consecutive_failures",
    "idle_timeout_minutes",
    "auto_stop",
    "keep_awake_until",
    "idle_stop_at",
    "last_interaction_kind",
    "awake_because",
    "destroyed_at",
    "restore_until",
    "health",
    "operation",
    "created_at",
]


def asleep(**fields: object) -> Town:
    values: dict[str, object] = {"status": Status.STOPPED, "stop_reason": "idle"}
    return make_town(**{**values, "desired_state": "stopped", **fields})


def test_it_works(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner, name="harbour")
    found = client.send("get", f"/towns/{town.pk}").json()
    assert sorted(found) == sorted(NAMES)
    assert (found["id"], found["name"], found["owner"]) == (str(town.pk), "harbour", "alice")
    assert found["created_at"].endswith("Z")
    assert found["operation"] is None


def test_the_operation_under_way_is_shown(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    operation = make_operation(town, OperationKind.BACKUP)
    found = client.send("get", f"/towns/{town.pk}").json()["operation"]
    assert sorted(found) == sorted(
        [
            "id",
            "kind",
            "step",
            "attempt",
            "started_at",
            "next_attempt_at",
        ]
    )
    assert (found["id"], found["kind"]) == (str(operation.pk), "backup")


def test_others_get_a_404(stranger: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    answer = stranger.send("get", f"/towns/{town.pk}")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "There is no such town."


def test_nobody_gets_a_401() -> None:
    answer = JsonClient().send("get", f"/towns/{make_town().pk}")
    assert (answer.status_code, answer.json()["detail"]) == (401, "Sign in first.")


def test_staff_see_every_town(staff: JsonClient, owner: User) -> None:
    assert staff.send("get", f"/towns/{make_town(owner=owner).pk}").status_code == 200


def test_a_visit_counts_and_wakes_an_idle_town(client: JsonClient, owner: User) -> None:
    town = asleep(owner=owner, last_interaction_at=timezone.now() - timedelta(days=1))
    found = client.send("get", f"/towns/{town.pk}").json()
    assert (found["status"], found["operation"]["kind"]) == ("starting", "start")
    assert found["last_interaction_kind"] == "visit"


def test_coder_12012_a_peek_changes_nothing(client: JsonClient, owner: User) -> None:
    before = timezone.now() - timedelta(days=1)
    town = asleep(owner=owner, last_interaction_at=before)
    for path in ("", "/events", "/operations", "/health", "/backups"):
        client.get(f"/api/v1/towns/{town.pk}{path}?peek=1")
    town.refresh_from_db()
    assert (town.status, town.last_interaction_at) == (Status.STOPPED, before)


def test_coder_12304_staff_views_and_lists_change_nothing(
    staff: JsonClient, client: JsonClient, owner: User
) -> None:
    before = timezone.now() - timedelta(days=1)
    town = asleep(owner=owner, last_interaction_at=before)
    staff.send("get", f"/towns/{town.pk}")
    staff.send("get", f"/towns/{town.pk}/events")
    client.send("get", "/towns")
    town.refresh_from_db()
    assert (town.status, town.last_interaction_at) == (Status.STOPPED, before)


def test_kilo_3376_a_visit_leaves_a_town_that_a_person_stopped(
    client: JsonClient, owner: User
) -> None:
    town = asleep(owner=owner, stop_reason="person")
    assert client.send("get", f"/towns/{town.pk}").json()["status"] == "stopped"
    assert not Operation.objects.exists()


@override_settings(GASTOWN_AUTO_RESUME="always")
def test_where_that_is_wanted_a_visit_always_wakes(client: JsonClient, owner: User) -> None:
    town = asleep(owner=owner, stop_reason="person")
    assert client.send("get", f"/towns/{town.pk}").json()["status"] == "starting"


def test_a_thousand_visits_make_one_start(client: JsonClient, owner: User) -> None:
    town = asleep(owner=owner)
    for _ in range(30):
        client.send("get", f"/towns/{town.pk}")
    assert Operation.objects.count() == 1


def test_owners_list_their_own(client: JsonClient, staff: JsonClient, owner: User) -> None:
    mine, other = make_town(owner=owner), make_town()
    assert [one["id"] for one in client.send("get", "/towns").json()["items"]] == [str(mine.pk)]
    all_ids = {one["id"] for one in staff.send("get", "/towns").json()["items"]}
    assert all_ids == {str(mine.pk), str(other.pk)}


def test_lists_are_filtered(client: JsonClient, owner: User) -> None:
    make_town(owner=owner, name="a", region="ams")
    make_town(owner=owner, name="b", status=Status.STOPPED)
    make_town(owner=owner, name="c", status=Status.DESTROYED, destroyed_at=timezone.now())

    def names(query: str) -> set[str]:
        return {one["name"] for one in client.get(f"/api/v1/towns{query}").json()["items"]}

    assert names("") == {"a", "b"}
    assert names("?status=destroyed") == {"c"}
    assert names("?region=ams") == {"a"}
    assert names("?name=b") == {"b"}
    assert client.get("/api/v1/towns?status=nonsense").status_code == 422


def test_lists_come_in_pages(client: JsonClient, owner: User) -> None:
    for _ in range(5):
        make_town(owner=owner)
    seen, cursor = [], ""
    while True:
        page = client.get(f"/api/v1/towns?limit=2{cursor}").json()
        seen += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == 5
    assert client.get("/api/v1/towns?cursor=nonsense").status_code == 422


def test_a_list_costs_a_fixed_number_of_queries(
    client: JsonClient, owner: User, django_assert_max_num_queries: object
) -> None:
    for _ in range(30):
        make_operation(make_town(owner=owner), OperationKind.BACKUP)
    with django_assert_max_num_queries(5):  # type: ignore[operator]  # a fixture of pytest-django
        client.send("get", "/towns")


def test_a_town_is_created(client: JsonClient, owner: User) -> None:
    body = {"name": "mill", "region": "ams", "idle_timeout_minutes": 60}
    answer = client.send("post", "/towns", body)
    assert answer.status_code == 201
    found = answer.json()
    assert (found["status"], found["operation"]["kind"]) == ("provisioning", "provision")
    assert Town.objects.get(owner=owner).idle_timeout_minutes == 60


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"name": "No!"}, 422, "lower-case"),
        ({"name": "a", "region": "Amsterdam"}, 422, "three-letter"),
        ({"name": "a", "idle_timeout_minutes": 1}, 422, "5 to 480"),
        ({"name": "a", "machine_id": "x"}, 422, "no such field"),
        ({}, 422, "required"),
        ({"name": "a", "owner": "bob"}, 403, "Only staff"),
    ],
)
def test_a_senseless_town_is_refused_with_a_sentence(
    client: JsonClient, body: dict[str, object], status: int, word: str
) -> None:
    answer = client.send("post", "/towns", body)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert word in answer.json()["detail"]
    assert not Town.objects.exists()


def test_malformed_json_is_one_clear_line(client: JsonClient) -> None:
    answer = client.post("/api/v1/towns", data='{"name": ', content_type="application/json")
    assert (answer.status_code, answer.json()["detail"]) == (400, "The body is not valid JSON.")


def test_a_name_that_is_taken_is_a_409(client: JsonClient, owner: User) -> None:
    make_town(owner=owner, name="mill")
    answer = client.send("post", "/towns", {"name": "mill"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "alice already has a town named mill. Choose another name."


def test_a_name_is_free_again_after_a_destroy(client: JsonClient, owner: User) -> None:
    make_town(owner=owner, name="mill", status=Status.DESTROYED, destroyed_at=timezone.now())
    assert client.send("post", "/towns", {"name": "mill"}).status_code == 201


def test_staff_create_for_an_owner(staff: JsonClient, owner: User) -> None:
    assert staff.send("post", "/towns", {"name": "a", "owner": "alice"}).status_code == 201
    assert staff.send("post", "/towns", {"name": "a", "owner": "nobody"}).status_code == 422


def test_settings_are_changed_and_kept_in_history(client: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    found = client.send("patch", f"/towns/{town.pk}", {"idle_timeout_minutes": 60}).json()
    assert found["idle_timeout_minutes"] == 60
    assert town.events.get().data == {"idle_timeout_minutes": {"from": 30, "to": 60}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "running"}, 422),
        ({"idle_timeout_minutes": 4}, 422),
        ({"auto_stop": None}, 422),
        ({}, 422),
        ({"hold_reason": "x"}, 403),
        ({"hold_until": None}, 403),
        ({"clear_restarts": True}, 403),
    ],
)
def test_what_owners_may_not_change_is_refused(
    client: JsonClient, owner: User, body: dict[str, object], status: int
) -> None:
    town = make_town(owner=owner)
    assert client.send("patch", f"/towns/{town.pk}", body).status_code == status


def test_a_hold_ends_by_itself(staff: JsonClient, owner: User) -> None:
    town, now = make_town(owner=owner), timezone.now()
    path, soon, later = f"/towns/{town.pk}", now + timedelta(hours=1), now + timedelta(hours=2)
    assert staff.send("patch", path, {"hold_until": soon.isoformat()}).status_code == 422
    body = {"hold_reason": "look", "hold_until": soon.isoformat()}
    assert staff.send("patch", path, body).status_code == 200
    assert staff.send("patch", path, {"hold_until": later.isoformat()}).status_code == 200
    town.refresh_from_db()
    assert (town.hold_reason, town.hold_until) == ("look", later)
    assert staff.send("patch", path, {"hold_until": None}).status_code == 200
    town.refresh_from_db()
    assert (town.hold_reason, town.hold_until) == ("look", None)


def test_staff_hold_a_town(staff: JsonClient, owner: User) -> None:
    town = make_town(owner=owner)
    assert staff.send("patch", f"/towns/{town.pk}", {"hold_reason": "look"}).status_code == 200
    town.refresh_from_db()
    assert town.hold_reason == "look"


def test_no_secret_is_in_any_answer(client: JsonClient, owner: User) -> None:
    """Invariant 11."""
    from towns import addresses

    town = make_town(owner=owner)
    for path in ("/towns", f"/towns/{town.pk}", f"/towns/{town.pk}/events"):
        text = client.send("get", path).content.decode()
        for secret in (addresses.town_key(town), "r2-secret-for-tests", "fly-token-for-tests"):
            assert secret not in text
