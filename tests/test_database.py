"""What the database itself refuses, whoever asks: invariants 1 and 7, and names."""

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from tests.factories import NOW, make_operation, make_town, make_user
from towns import history
from towns.history import Actor
from towns.models import LifecycleEvent, Town
from towns.words import OperationKind, OperationState, Status

pytestmark = pytest.mark.django_db


def refused(change: Callable[[], object]) -> bool:
    try:
        with transaction.atomic():
            change()
    except DatabaseError:
        return True
    return False


def test_a_town_has_one_operation_under_way() -> None:
    town = make_town()
    first = make_operation(town, OperationKind.BACKUP)
    assert refused(lambda: make_operation(town, OperationKind.STOP))
    first.state = OperationState.SUCCEEDED
    first.save()
    make_operation(town, OperationKind.STOP)


def test_a_status_changes_only_with_its_event() -> None:
    town = make_town()
    change = Town.objects.filter(pk=town.pk).update
    assert refused(lambda: change(status=Status.STOPPED))
    other = make_town()
    event = history.new_event(
        other, "stop_done", actor=Actor("x"), now=NOW, to_status=Status.STOPPED
    )
    event.save()
    assert refused(lambda: change(status=Status.STOPPED, status_event=event)), "another town's"
    history.change_status(town, Status.STOPPED, kind="stop_done", actor=Actor("x"), now=NOW)
    assert refused(lambda: change(status=Status.RUNNING)), "an event serves once"
    town.refresh_from_db()
    assert town.status == Status.STOPPED


def test_other_fields_need_no_event() -> None:
    town = make_town()
    assert Town.objects.filter(pk=town.pk).update(name="new") == 1


def test_names_are_unique_among_the_living_of_an_owner() -> None:
    owner = make_user()
    make_town(owner=owner, name="mill", status=Status.DESTROYED, destroyed_at=NOW)
    make_town(owner=owner, name="mill", status=Status.DESTROYED, destroyed_at=NOW)
    make_town(owner=owner, name="mill")
    make_town(name="mill")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_town(owner=owner, name="mill")


def test_a_status_that_is_none_is_refused() -> None:
    assert refused(lambda: make_town(status="asleep"))


def test_a_destroyed_town_has_its_time() -> None:
    assert refused(lambda: make_town(status=Status.DESTROYED))


def test_migrations_are_complete() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_migrations_go_down_and_up_with_rows_in_the_tables() -> None:
    town = make_town()
    history.record(town, "changed", actor=Actor("x"), now=NOW)
    call_command("migrate", "towns", "0001", verbosity=0)
    call_command("migrate", "towns", verbosity=0)
    assert LifecycleEvent.objects.count() == 1
    assert refused(lambda: Town.objects.update(status=Status.STOPPED)), "the trigger is back"
    assert "towns_taskslot" in connection.introspection.table_names()
