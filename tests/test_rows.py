"""One row by its key: what is read and changed is what a QuerySet would read and change."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext

from tests.factories import make_operation, make_town
from towns.models import Operation, Town
from towns.rows import read_row, reload_row, update_row
from towns.words import OperationKind

NOW = datetime(2026, 2, 17, 12, 0, 0, 123456, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("lock", [False, True])
def test_a_row_is_read_as_it_is(lock: bool) -> None:
    town = make_town(name="one", health={"disk": {"é": None}}, last_checked_at=NOW)
    make_town(name="another")
    for _ in range(2):  # the second time by the statement that was kept
        found = read_row(Town, town.pk, lock=lock)
        assert found == town
        assert model_to_dict(found) == model_to_dict(Town.objects.get(pk=town.pk))
        assert (found.health, found.last_checked_at) == ({"disk": {"é": None}}, NOW)


def test_an_integer_is_a_key_as_well() -> None:
    user = User.objects.create(username="one")
    assert read_row(User, user.pk).username == "one"


def test_an_unknown_key_is_told() -> None:
    unknown = uuid4()
    with pytest.raises(Town.DoesNotExist, match=str(unknown)):
        read_row(Town, unknown)


@pytest.mark.skipif(
    not connection.features.has_select_for_update, reason="SQLite locks the whole database"
)
def test_a_lock_is_one() -> None:
    town = make_town()
    with CaptureQueriesContext(connection) as queries:
        read_row(Town, town.pk, lock=True)
    assert "FOR NO KEY UPDATE" in queries[0]["sql"]


@pytest.mark.django_db(transaction=True)
def test_a_lock_needs_a_transaction() -> None:
    town = make_town()
    with pytest.raises(TransactionManagementError, match="Town"):
        read_row(Town, town.pk, lock=True)
    with transaction.atomic():
        assert read_row(Town, town.pk, lock=True) == town


def test_a_row_is_read_again_in_place_and_keeps_what_it_belongs_to() -> None:
    town = make_town()
    owner = town.owner
    Town.objects.filter(pk=town.pk).update(generation=7)
    with CaptureQueriesContext(connection) as queries:
        reload_row(town)
        assert (town.generation, town.owner) == (7, owner)
    assert len(queries) == 1
    other = User.objects.create(username="other")
    Town.objects.filter(pk=town.pk).update(owner=other)
    reload_row(town)
    assert town.owner == other


def test_a_row_is_changed_where_all_is_equal() -> None:
    town = make_town()
    operation, other = (
        make_operation(town, OperationKind.STOP),
        make_operation(make_town(name="other"), OperationKind.STOP),
    )
    mine = {"id": operation.pk, "lease_number": operation.lease_number, "state": "open"}
    new = {"learned": {"é": [1, None]}, "due_at": NOW, "lease_until": None, "message": "it's 5 %"}
    assert update_row(Operation, mine, new)
    operation.refresh_from_db()
    assert {name: getattr(operation, name) for name in new} == new
    other.refresh_from_db()
    assert other.learned == {}


def test_a_row_that_differs_is_left_alone() -> None:
    operation = make_operation(make_town(), OperationKind.STOP)
    lost = {"id": operation.pk, "lease_number": operation.lease_number + 1}
    assert not update_row(Operation, lost, {"message": "mine"})
    operation.refresh_from_db()
    assert operation.message == ""
