"""Orphans in the admin: seen by all staff, decided by those who may."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from tests.admin.conftest import page, queries
from tests.factories import NOW, make_town
from towns.models import Orphan

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/orphan/"
_FIELDS: dict[str, Any] = {
    "kind": "volume",
    "cause": "old_volume",
    "region": "ams",
    "size_gb": 50,
    "reason": "Old volume of generation 1.",
    "made_at": NOW,
    "first_seen_at": NOW,
    "last_seen_at": NOW,
}


def make_orphan(number: int = 1, **fields: Any) -> Orphan:
    return Orphan.objects.create(**{**_FIELDS, "fly_id": f"vol_{number}", **fields})


def confirm(client: Client, typed: str, *orphans: Orphan, **fields: str) -> Any:
    ids = ",".join(str(one.pk) for one in orphans)
    return client.post(f"{LIST}confirm/", {"orphans": ids, "typed": typed, **fields})


def messages(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_it_works(admin: Client) -> None:
    orphan = make_orphan(town=make_town())
    for path in (LIST, f"{LIST}{orphan.pk}/change/"):
        text = page(admin, path)
        assert "Old volume of generation 1." in text
        assert "50 GB" in text
    answer = confirm(admin, "vol_1", orphan)
    assert "Confirmed: volume vol_1" in messages(answer)
    orphan.refresh_from_db()
    assert (orphan.state, orphan.confirmed_by, orphan.discard) == ("confirmed", "root", False)
    assert orphan.town is not None
    assert orphan.town.events.get().kind == "orphan_confirmed"


def test_the_menu_leads_to_a_page_that_changes_nothing(admin: Client) -> None:
    orphan = make_orphan()
    form = {"action": "confirm_action", "_selected_action": str(orphan.pk)}
    text = admin.post(LIST, form).content.decode()
    assert "Nothing is destroyed at once." in text
    assert "Type its id: vol_1" in text
    assert "vol_1" in page(admin, f"{LIST}confirm/?orphans={orphan.pk}")
    orphan.refresh_from_db()
    assert orphan.state == "reported"


@pytest.mark.parametrize("typed", ["", "yes", "vol_2", "1"])
def test_its_id_has_to_be_typed(admin: Client, typed: str) -> None:
    orphan = make_orphan()
    answer = confirm(admin, typed, orphan)
    assert "errorlist" in answer.content.decode()
    orphan.refresh_from_db()
    assert orphan.state == "reported"


def test_many_need_their_number(admin: Client) -> None:
    orphans = [make_orphan(1), make_orphan(2)]
    confirm(admin, "vol_1", *orphans)
    assert not Orphan.objects.filter(state="confirmed").exists()
    confirm(admin, "2", *orphans)
    assert Orphan.objects.filter(state="confirmed").count() == 2


@pytest.mark.parametrize("ids", ["", "all", "999999"])
def test_an_empty_selection_does_nothing(admin: Client, ids: str) -> None:
    make_orphan()
    answer = admin.post(f"{LIST}confirm/", {"orphans": ids, "typed": "1"})
    assert "nothing was done" in messages(answer)
    assert not Orphan.objects.filter(state="confirmed").exists()


def test_deciding_needs_its_permission(staff: Callable[..., Client]) -> None:
    orphan = make_orphan()
    without = staff("view_orphan", "destroy_town", "discard_town")
    assert confirm(without, "vol_1", orphan).status_code == 403
    assert "confirm_action" not in page(without, LIST)
    allowed = staff("view_orphan", "confirm_orphan")
    assert "confirm_action" in page(allowed, LIST)
    confirm(allowed, "vol_1", orphan, discard="on")
    orphan.refresh_from_db()
    assert (orphan.state, orphan.discard) == ("confirmed", False), "discarding needs its own"


def test_discarding_needs_its_permission(staff: Callable[..., Client]) -> None:
    orphan = make_orphan()
    confirm(staff("view_orphan", "confirm_orphan", "discard_town"), "vol_1", orphan, discard="on")
    orphan.refresh_from_db()
    assert orphan.discard


def test_what_is_not_ours_is_refused(admin: Client) -> None:
    orphan = make_orphan(cause="foreign")
    assert "never touched" in messages(confirm(admin, "vol_1", orphan))
    orphan.refresh_from_db()
    assert orphan.state == "reported"


def test_a_confirmation_can_be_taken_back(admin: Client) -> None:
    orphan = make_orphan(town=make_town())
    confirm(admin, "vol_1", orphan)
    form = {"action": "keep_action", "_selected_action": str(orphan.pk)}
    assert "Kept: volume vol_1" in messages(admin.post(LIST, form))
    orphan.refresh_from_db()
    assert (orphan.state, orphan.confirmed_by) == ("reported", "")
    assert "Refused" in messages(admin.post(LIST, form))


def test_the_list_costs_a_fixed_number_of_queries(admin: Client) -> None:
    for number in range(3):
        make_orphan(number, town=make_town())
    few = queries(admin, LIST)
    for number in range(3, 30):
        make_orphan(number, town=make_town())
    assert queries(admin, LIST) == few
