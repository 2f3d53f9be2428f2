"""Sweeps in the admin."""

from datetime import timedelta

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW
from towns.models import Sweep

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/sweep/"


def test_it_works(admin: Client) -> None:
    sweep = Sweep.objects.create(
        kind="health",
        slot=NOW,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=4),
        towns=13,
        summary={"results": {"ok": 11}},
    )
    for path in (LIST, f"{LIST}{sweep.pk}/change/"):
        text = page(admin, path)
        for shown in ("health", "13", "4 s", "ok 11"):
            assert shown in text, shown


def test_one_under_way_says_so(admin: Client) -> None:
    Sweep.objects.create(kind="idle", slot=NOW, started_at=NOW)
    assert "under way" in page(admin, LIST)
