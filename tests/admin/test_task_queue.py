"""The task queue in the admin."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task
from django_q.tasks import async_task

from tests.admin.conftest import page
from tests.factories import make_user

pytestmark = pytest.mark.django_db
FAILURES, QUEUE = "/admin/django_q/failure/", "/admin/django_q/ormq/"
ERROR = "Traceback: 1\\nOperationalError: the disk is full"


def fail(name: str) -> Task:
    """A sweep that failed."""
    now = timezone.now()
    return Task.objects.create(
        id=name,
        name=name,
        func="towns.tasks.sweep_health",
        args=("a",),
        kwargs={"slot": "x"},
        started=now,
        stopped=now,
        success=False,
        result=ERROR.replace("\\n", "\n"),
    )


def test_it_works(admin: Client) -> None:
    fail("one")
    text = page(admin, FAILURES)
    assert "OperationalError: the disk is full" in text
    assert "Traceback" not in text, "the list tells the last line"
    assert "Traceback" in page(admin, f"{FAILURES}one/change/")
    form = {"action": "resubmit", "_selected_action": ["one"]}
    assert "1 in the queue again." in admin.post(FAILURES, form, follow=True).content.decode()
    assert not Task.objects.exists()
    waiting = OrmQ.objects.get()
    assert (waiting.func(), waiting.args(), waiting.kwargs()["slot"]) == (
        "towns.tasks.sweep_health",
        ("a",),
        "x",
    )
    assert "towns.tasks.sweep_health" in page(admin, QUEUE)
    assert "slot" in page(admin, f"{QUEUE}{waiting.pk}/change/")


def test_who_only_looks_runs_nothing_again(client: Client) -> None:
    fail("one")
    viewer = make_user(is_staff=True)
    viewer.groups.add(Group.objects.get(name="Viewer"))
    client.force_login(viewer)
    assert "Run the selected tasks again" not in page(client, FAILURES)
    client.post(FAILURES, {"action": "resubmit", "_selected_action": ["one"]})
    assert Task.objects.exists()
    assert not OrmQ.objects.exists()


def test_schedules_follow_the_settings_and_are_changed_by_nobody(admin: Client) -> None:
    one = Schedule.objects.get(func="towns.tasks.sweep_health")
    path = f"/admin/django_q/schedule/{one.pk}/change/"
    assert one.func in page(admin, path)
    assert admin.post(path, {"func": "os.system"}).status_code == 403
    assert one.name in page(admin, "/admin/django_q/schedule/")


def test_what_waits_can_be_thrown_away(admin: Client) -> None:
    async_task("towns.tasks.sweep_health")
    path = f"{QUEUE}{OrmQ.objects.get().pk}/delete/"
    assert admin.post(path, {"post": "yes"}).status_code == 302
    assert not OrmQ.objects.exists()
