"""What a sandbox tells after a sync."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import make_town
from towns import addresses
from towns.models import Town

pytestmark = pytest.mark.django_db


def send(town: Town, key: str | None = None, **fields: Any) -> Any:
    body = {
        "town_id": str(town.pk),
        "snapshot": "20260217T120000Z",
        "generation": town.generation,
        "files": 4,
        "bytes": 1000,
        "created_at": timezone.now().isoformat(),
        "held": False,
        **fields,
    }
    headers = {"x-internal-api-key": addresses.town_key(town) if key is None else key}
    return Client().post(
        "/api/gastown/heartbeat", body, content_type="application/json", headers=headers
    )


def test_it_works() -> None:
    town = make_town()
    assert send(town).json() == {"noted": True}
    town.refresh_from_db()
    assert town.last_snapshot == "20260217T120000Z"
    assert town.last_backup_at is not None


def test_it_is_no_interaction() -> None:
    town = make_town()
    before = town.last_interaction_at
    send(town)
    town.refresh_from_db()
    assert town.last_interaction_at == before


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_key_and_an_unknown_town_get_the_same_answer(key: str) -> None:
    town = make_town()
    wrong = send(town, key)
    unknown = send(town, town_id="00000000-0000-0000-0000-000000000000")
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.json() == unknown.json()


def test_another_towns_key_is_refused() -> None:
    assert send(make_town(), addresses.town_key(make_town())).status_code == 403


def test_it_only_goes_forward() -> None:
    town = make_town(last_backup_at=timezone.now())
    earlier = (timezone.now() - timedelta(hours=1)).isoformat()
    assert send(town, created_at=earlier).json() == {"noted": False}


def test_a_clock_that_is_11_minutes_ahead_is_refused_with_a_sentence() -> None:
    town = make_town()
    ahead = (timezone.now() + timedelta(minutes=11)).isoformat()
    answer = send(town, created_at=ahead)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("created_at is 11 min in the future")


@pytest.mark.parametrize("name", ["99991231T235959Z", "20991231T000000Z"])
def test_a_snapshot_that_is_ahead_of_our_clock_is_refused_and_stored_nowhere(name: str) -> None:
    town = make_town()
    answer = send(town, snapshot=name)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"Snapshot {name} is ahead of our clock")
    town.refresh_from_db()
    assert (town.last_snapshot, town.last_backup_at) == ("", None)


@pytest.mark.parametrize(
    "name", ["20260231T120000Z", "99999999T999999Z", "00000101T000000Z", "20260217T250000Z", ""]
)
def test_a_snapshot_of_no_date_is_refused(name: str) -> None:
    town = make_town()
    answer = send(town, snapshot=name)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/snapshot"
    town.refresh_from_db()
    assert (town.last_snapshot, town.last_backup_at) == ("", None)


def test_a_clock_that_is_a_minute_ahead_is_borne_but_nothing_is_backed_up_in_the_future() -> None:
    town = make_town()
    ahead = timezone.now() + timedelta(minutes=1)
    answer = send(town, created_at=ahead.isoformat(), snapshot=f"{ahead:%Y%m%dT%H%M%SZ}")
    assert answer.json() == {"noted": True}
    town.refresh_from_db()
    assert town.last_backup_at is not None
    assert town.last_backup_at <= timezone.now()


def test_a_time_without_its_offset_is_refused() -> None:
    answer = send(make_town(), created_at="2026-02-17T12:00:00")
    assert answer.status_code == 422
    assert "with its offset" in answer.json()["detail"]


def test_gitpod_4671_an_older_generation_is_not_noted() -> None:
    town = make_town(generation=2)
    assert send(town, generation=1).json() == {"noted": False}


def test_a_held_snapshot_is_not_the_newest_good_one() -> None:
    assert send(make_town(), held=True).json() == {"noted": False}


def test_malformed_json_is_one_clear_line() -> None:
    town = make_town()
    answer = Client().post(
        "/api/gastown/heartbeat",
        "{nonsense",
        content_type="application/json",
        headers={"x-internal-api-key": addresses.town_key(town)},
    )
    assert (answer.status_code, answer.json()["detail"]) == (400, "The body is not valid JSON.")
