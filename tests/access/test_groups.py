"""The groups of staff follow the access table."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests.factories import make_user
from towns.access import sync_groups
from towns.access_table import GROUPS, OPERATOR, VIEWER

pytestmark = pytest.mark.django_db


def held(name: str) -> set[str]:
    rows = Group.objects.get(name=name).permissions.values_list(
        "content_type__app_label", "codename"
    )
    return {f"{app}.{codename}" for app, codename in rows}


def test_it_works() -> None:
    assert {name: held(name) for name in GROUPS} == {name: set(GROUPS[name]) for name in GROUPS}


def test_each_migrate_brings_them_back_and_leaves_other_groups_alone() -> None:
    group = Group.objects.get(name="Viewer")
    group.permissions.set(Permission.objects.filter(codename="discard_town"))
    own = Group.objects.create(name="Night shift")
    own.permissions.set(Permission.objects.filter(codename="stop_town"))
    sync_groups()
    assert held("Viewer") == set(VIEWER)
    assert held("Night shift") == {"towns.stop_town"}


def test_what_can_be_lost_is_for_admins() -> None:
    losing = {"towns.destroy_town", "towns.discard_town", "towns.confirm_orphan"}
    assert not losing & OPERATOR
    assert {one for one in VIEWER if ".view_" not in one} == set()


def test_an_admin_can_make_nobody_mightier_than_themselves() -> None:
    boss = make_user("boss", is_staff=True)
    boss.groups.add(Group.objects.get(name="Admin"))
    root = User.objects.create_superuser("root")
    clerk = make_user("clerk")
    client = Client()
    client.force_login(boss)
    form = {"username": "clerk", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    viewer = Group.objects.get(name="Viewer")
    answer = client.post(f"/admin/auth/user/{clerk.pk}/change/", {**form, "groups": [viewer.pk]})
    assert answer.status_code == 302, answer.content.decode()[:3000]
    clerk.refresh_from_db()
    assert (clerk.is_staff, clerk.is_superuser) == (True, False)
    assert list(clerk.groups.all()) == [viewer]
    strong = Group.objects.create(name="Strong")
    strong.permissions.set(Permission.objects.filter(codename="delete_session"))
    form_of_boss = {"username": "boss", "is_active": "on", "is_staff": "on", "groups": [strong.pk]}
    told = client.post(f"/admin/auth/user/{boss.pk}/change/", form_of_boss)
    assert "is not one of the available choices" in told.content.decode()
    clerk.groups.add(strong)
    assert client.post(f"/admin/auth/user/{clerk.pk}/change/", form).status_code == 403
    assert client.post(f"/admin/auth/user/{clerk.pk}/password/", {}).status_code == 403
    assert client.post(f"/admin/auth/user/{root.pk}/change/", form).status_code == 403
    assert client.post(f"/admin/auth/user/{root.pk}/password/", {}).status_code == 403
    clerk.is_active = False
    clerk.save()
    assert client.post(f"/admin/auth/user/{clerk.pk}/change/", form).status_code == 403, (
        "one that is closed can be opened again"
    )
