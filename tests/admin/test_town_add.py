"""Making a town in the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import make_town, make_user
from towns.admin.town_forms import TownAddForm
from towns.models import Operation, Town
from towns.words import Status

pytestmark = pytest.mark.django_db
ADD = "/admin/towns/town/add/"
FORM = {"owner_name": "carol", "name": "mill", "region": "ams", "idle_timeout_minutes": 60}


def test_it_works(admin: Client) -> None:
    make_user("carol")
    answer = admin.post(ADD, FORM)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    operation, town = Operation.objects.get(), Town.objects.get()
    assert (operation.kind, operation.actor, operation.town) == ("provision", "root", town)
    assert (str(town), town.region, town.idle_timeout_minutes) == ("carol/mill", "ams", 60)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("owner_name", "nobody", "There is no user “nobody”. Add the user first."),
        ("name", "No!", "A town&#x27;s name has 1 to 40 characters"),
        ("region", "moon", "three-letter codes"),
        ("idle_timeout_minutes", "3", "The idle timeout is 5 to 480 minutes, not 3."),
    ],
)
def test_what_can_not_be_is_told(admin: Client, field: str, value: str, told: str) -> None:
    make_user("carol")
    assert told in admin.post(ADD, {**FORM, field: value}).content.decode()
    assert not Town.objects.exists()
    assert User.objects.count() == 2


def test_a_name_that_is_taken_is_told(admin: Client) -> None:
    make_town(owner=make_user("carol"), name="mill")
    text = admin.post(ADD, FORM).content.decode()
    assert "carol already has a town named mill. Choose another name." in text
    assert 'value="mill"' in text
    assert Town.objects.count() == 1


def test_the_name_of_a_destroyed_town_is_free(admin: Client) -> None:
    make_town(
        owner=make_user("carol"),
        name="mill",
        status=Status.DESTROYED,
        destroyed_at=timezone.now(),
    )
    assert admin.post(ADD, FORM).status_code == 302


def test_a_name_that_is_taken_at_this_very_moment_is_told(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_town(owner=make_user("carol"), name="mill")
    monkeypatch.setattr(TownAddForm, "clean", lambda form: form.cleaned_data)
    text = admin.post(ADD, FORM, follow=True).content.decode()
    assert "Not made: carol already has a town named mill. Choose another name." in text


def test_it_needs_its_permission(staff: Callable[..., Client]) -> None:
    make_user("carol")
    assert staff("view_town", "change_town").post(ADD, FORM).status_code == 403
    assert staff("view_town", "add_town").post(ADD, FORM).status_code == 302
