"""Drills and the freshness of backups in the admin."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import awake_town, page
from tests.factories import make_drill, make_operation, make_town
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/drill/"


def test_it_works(admin: Client) -> None:
    town = make_town()
    drill = make_drill(
        town,
        result="corrupt",
        reason="It can't be restored from snapshot 20260217T120000Z.",
        fell_back_to="20260217T115500Z",
        corrupt=["20260217T120000Z"],
        bytes=1_200_000_000,
    )
    for path in (LIST, f"{LIST}{drill.pk}/change/"):
        text = page(admin, path)
        for shown in (str(town), "20260217T120000Z", "20260217T115500Z", "corrupt", "40 s"):
            assert shown in text, f"{shown} in {path}"
    assert "1.2 GB" in page(admin, f"{LIST}{drill.pk}/change/")


def test_what_is_left_over_is_shown(admin: Client) -> None:
    make_drill(make_town(), cleaned_at=None)
    assert "being removed" in page(admin, LIST)
    town = make_town()
    operation = make_operation(town, OperationKind.DRILL, step="await_restored")
    make_drill(town, id=operation.pk, operation=operation, result="", cleaned_at=None)
    text = page(admin, LIST)
    assert "in use" in text
    assert "under way" in text


def test_a_towns_page_says_whether_its_backup_restores(admin: Client) -> None:
    town = awake_town()
    path = f"/admin/towns/town/{town.pk}/change/"
    assert "nobody knows whether its backup restores" in page(admin, path)
    make_drill(town, result="corrupt", reason="config.tar has another SHA-256")
    make_drill(town, result="", reason="", began_at=timezone.now(), finished_at=None)
    text = page(admin, path)
    assert "config.tar has another SHA-256" in text
    assert "Restore drills" in text


def test_the_list_shows_how_old_the_last_good_snapshot_is(admin: Client) -> None:
    now = timezone.now()
    awake_town(last_backup_at=now - timedelta(minutes=4), last_snapshot="20260217T120000Z")
    text = page(admin, "/admin/towns/town/")
    assert "4 min ago" in text
    assert "ops-warn" not in text


def test_one_that_is_too_old_is_marked(admin: Client) -> None:
    now = timezone.now()
    awake_town(last_backup_at=now - timedelta(minutes=40), last_snapshot="20260217T120000Z")
    text = page(admin, "/admin/towns/town/")
    assert "40 min ago" in text
    assert "stale" in text
