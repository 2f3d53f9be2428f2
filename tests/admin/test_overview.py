"""The admin's front page."""

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import page, queries
from tests.factories import make_operation, make_town
from towns import automation
from towns.history import Actor
from towns.models import Alert, Freeze
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def test_it_works(admin: Client) -> None:
    town = make_town(name="mill", status=Status.ERROR, status_reason="no capacity in iad")
    text = page(admin, "/admin/")
    assert f"/admin/towns/town/{town.pk}/change/" in text
    assert "error: no capacity in iad" in text
    assert 'data-refresh="15" data-live="fleet=1"' in text
    assert text.count("<svg viewBox") == 3


def test_a_new_installation_is_told_how_to_begin(admin: Client) -> None:
    text = page(admin, "/admin/")
    assert "There are no towns yet" in text
    assert "manage.py town create OWNER/NAME" in text


def test_what_holds_automation_back_is_above_all(admin: Client) -> None:
    make_town()
    actor = Actor("alice", automatic=False)
    automation.freeze(Freeze.Scope.ALL, reason="storm at Fly", actor=actor, now=timezone.now())
    text = page(admin, "/admin/")
    assert "Frozen (all) by alice: storm at Fly" in text
    assert text.index("storm at Fly") < text.index("Needs attention")


def test_who_may_not_see_towns_is_told_whom_to_ask(staff: Callable[..., Client]) -> None:
    make_town(name="mill", status=Status.ERROR)
    text = page(staff(), "/admin/")
    assert "Ask an administrator" in text
    assert "mill" not in text


def test_the_side_bar_counts_open_alerts_for_those_who_may_see_them(
    admin: Client, staff: Callable[..., Client]
) -> None:
    now = timezone.now()
    for number in range(101):
        Alert.objects.create(
            cause=f"c{number}",
            subject="fleet",
            severity="warning",
            message="look",
            opened_at=now,
            seen_at=now,
        )
    assert "99+" in page(admin, "/admin/")
    assert "99+" not in page(staff("view_town"), "/admin/")


def test_it_costs_the_same_for_every_fleet(admin: Client) -> None:
    make_operation(make_town(status=Status.ERROR), OperationKind.START)
    few = queries(admin, "/admin/")
    for _ in range(20):
        town = make_town(status=Status.UNHEALTHY)
        make_operation(town, OperationKind.BACKUP, deadline_at=timezone.now())
    cache.clear()
    assert queries(admin, "/admin/") == few
    assert few <= 26
