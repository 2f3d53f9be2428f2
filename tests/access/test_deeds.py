"""Every deed in the admin is tried by everybody, and answers and changes what the table says."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.test import RequestFactory
from django.urls import resolve

from tests.access.deeds import DEEDS
from tests.access.people import Scene, make_scene
from towns.admin import confirm
from towns.admin.town_actions import ACTIONS

pytestmark = pytest.mark.django_db
STAFF = ("viewer", "operator", "admin")
STRANGERS = ("nobody", "owner", "other", "token")
LOOKS = ("towns/bulkrun/<int:pk>/result.csv",)
"""Pages of our own that change nothing, whatever is sent to them."""
DECISIONS = ("begin", "pause", "go-on", "cancel")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(confirm, "sweep_now", lambda *_: None)  # it would ask a sandbox
    return make_scene()


def everything() -> set[tuple[str, str]]:
    """All rows that somebody could have changed."""
    models = [
        model
        for app in ("towns", "auth", "axes", "django_q", "otp_totp")
        for model in apps.get_app_config(app).get_models()
    ]
    return {
        (model.__name__, repr(row))
        for model in models
        for row in model._default_manager.values_list()
    }


def attempt(scene: Scene, role: str, path: str, form: dict[str, str]) -> str:
    """The answer, and `+` if something changed by it; it is undone."""
    before, point = everything(), transaction.savepoint()
    client = scene.clients[role]
    cookies = deepcopy(client.cookies)
    try:
        status = client.post(path, form).status_code
        return f"{status}{'+' if everything() != before else ''}"
    finally:
        transaction.savepoint_rollback(point)
        client.cookies = cookies  # a changed password gives them another session


def filled(text: str, scene: Scene) -> str:
    for name, value in scene.ids.items():
        text = text.replace(f"{{{name}}}", str(value))
    return re.sub(r"\{.*\}", "0", text)  # of which there is none


def test_deeds(scene: Scene) -> None:
    wrong = []
    for path, form, expected in DEEDS:
        address = "/admin/" + filled(path, scene)
        sent = {name: filled(value, scene) for name, value in form.items()}
        told = " ".join(attempt(scene, role, address, sent) for role in STAFF)
        if told != expected:
            wrong.append((path, form, f"{told}, not {expected}"))
    assert not wrong, "\n".join(map(str, wrong))


def test_strangers_do_nothing(scene: Scene) -> None:
    wrong = []
    for path, form, _ in DEEDS:
        address = "/admin/" + filled(path, scene)
        sent = {name: filled(value, scene) for name, value in form.items()}
        told = {attempt(scene, role, address, sent) for role in STRANGERS}
        if told != {"302"}:
            wrong.append((path, form, told))
    assert not wrong, "\n".join(map(str, wrong))


def possible() -> Iterator[tuple[str, str]]:
    """Every deed that the admin offers anybody: the address, and the action of a list."""
    request: Any = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("root")
    for model, one in admin.site._registry.items():
        base = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        if one.has_add_permission(request):
            yield f"{base}add/", ""
        if one.has_change_permission(request):
            yield f"{base}<path:object_id>/change/", ""
        if one.has_delete_permission(request):
            yield f"{base}<path:object_id>/delete/", ""
        for action in one.get_actions(request):
            yield base, action
        theirs = {str(url.pattern) for url in admin.ModelAdmin(model, admin.site).get_urls()}
        for pattern in (str(url.pattern) for url in one.get_urls()):
            if pattern not in theirs and f"{base}{pattern}".removeprefix("admin/") not in LOOKS:
                yield f"{base}{pattern}", ""


def test_no_deed_is_left_out(scene: Scene) -> None:
    tried = {
        (resolve("/admin/" + filled(path, scene)).route, form.get("action", ""))
        for path, form, _ in DEEDS
    }
    assert set(possible()) - tried == set()
    paths = [path for path, _, _ in DEEDS]
    for name in ACTIONS:
        assert f"towns/town/act/{name}/" in paths
    for decision in DECISIONS:
        assert any(path.endswith(f"/{decision}") for path in paths), decision
