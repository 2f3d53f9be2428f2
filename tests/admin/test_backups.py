"""Backups in the admin."""

import pytest
from django.test import Client

from tests.admin.conftest import page
from tests.factories import NOW, make_operation, make_town
from towns.models import Backup
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/backup/"


def test_it_works(admin: Client) -> None:
    town = make_town()
    operation = make_operation(town, OperationKind.BACKUP)
    backup = Backup.objects.create(
        town=town,
        snapshot="20260217T120000Z",
        created_at=NOW,
        verified_at=NOW,
        bytes=812_000_000,
        files=1290,
        operation=operation,
    )
    for path in (LIST, f"{LIST}{backup.pk}/change/"):
        text = page(admin, path)
        for shown in (str(town), "20260217T120000Z", "812 MB in 1290 files"):
            assert shown in text, shown
    assert f"operation/{operation.pk}/" in text


def test_those_in_r2_and_those_that_are_gone(admin: Client) -> None:
    for name, gone_at in (("here", None), ("away", NOW)):
        Backup.objects.create(
            town=make_town(name=name), snapshot="20260217T120000Z", created_at=NOW, gone_at=gone_at
        )
    for state, shown, hidden in (("open", "/here", "/away"), ("over", "/away", "/here")):
        text = page(admin, f"{LIST}?state={state}")
        assert shown in text
        assert hidden not in text
