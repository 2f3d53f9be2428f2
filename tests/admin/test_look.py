"""What our templates put into the theme's pages."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import page
from tests.factories import make_town
from towns.models import Alert

pytestmark = pytest.mark.django_db
TOWNS = "/admin/towns/town/"


def test_the_badge_of_alerts_is_there_when_one_is_open(admin: Client) -> None:
    assert "ops-badge" not in page(admin, TOWNS)
    now = timezone.now()
    alert = {"cause": "x", "severity": "warning", "message": "x", "opened_at": now, "seen_at": now}
    Alert.objects.create(subject="fleet", **alert)
    assert '<span class="ops-badge">1</span>' in page(admin, TOWNS)


def test_a_page_without_a_row_of_its_own_has_its_title(admin: Client) -> None:
    town = make_town()
    for path, title in (
        (f"{TOWNS}act/destroy/?towns={town.pk}", "Destroy: 1 town"),
        (f"{TOWNS}add/", "Add town"),
        ("/admin/towns/freeze/freeze/", "Freeze automation"),
    ):
        assert f'<h2 class="ops-title">{title}</h2>' in page(admin, path)
    assert "ops-title" not in page(admin, f"{TOWNS}{town.pk}/change/")


def test_a_town_is_named_as_it_is(admin: Client) -> None:
    town: Any = make_town(name="mill")
    text = page(admin, f"{TOWNS}{town.pk}/change/")
    assert f">{town}</a>" in text
    assert str(town).capitalize() not in text


def test_showing_all_is_offered_where_not_all_is_shown(admin: Client) -> None:
    make_town(name="mill")
    assert "Show all" not in page(admin, TOWNS)
    assert "Show all" in page(admin, f"{TOWNS}?q=mill")


def test_an_empty_list_says_why(admin: Client) -> None:
    text = page(admin, TOWNS)
    assert "There is no town yet." in text
    assert ">Add town</a>" in text
    make_town(name="mill")
    text = page(admin, f"{TOWNS}?status__exact=error")
    assert "No town is like that." in text
    assert ">Show all</a>" in text
