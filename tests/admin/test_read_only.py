"""What all lists of rows share that only the project itself writes."""

from typing import Any

import pytest
from django.conf import settings
from django.db.models import Model
from django.test import Client

from tests.admin.conftest import awake_town, page, queries
from tests.factories import NOW, make_drill, make_operation, make_town
from towns import addresses, alerts, automation, history
from towns.history import Actor
from towns.models import Backup, Delivery, HealthCheck, HealthHour, Orphan, Sweep
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
MODELS = (
    "operation",
    "lifecycleevent",
    "healthcheck",
    "healthhour",
    "alert",
    "delivery",
    "backup",
    "drill",
    "sweep",
    "freeze",
    "orphan",
)


def live(number: int) -> dict[str, Model]:
    """A row of each kind, by the model's name in addresses."""
    town = make_town()
    minute = NOW.replace(minute=number)
    automation.thaw("all", actor=Actor("ann"), now=NOW)
    alert = alerts.open_alert(
        cause="stop_failed", town=town, severity="warning", message="it failed", now=NOW
    )
    return {
        "operation": make_operation(town, OperationKind.STOP, step="await_stopped"),
        "lifecycleevent": history.record(town, "changed", actor=Actor("ann"), now=NOW),
        "healthcheck": HealthCheck.objects.create(town=town, checked_at=NOW, result="ok"),
        "healthhour": HealthHour.objects.create(
            town=town, hour=NOW, checks=20, ok=19, failed=1, unknown=0, downtime_seconds=180
        ),
        "alert": alert,
        "delivery": Delivery.objects.create(
            alert=alert,
            news="opened",
            channel="email",
            recipient="ops@example.test",
            audience="staff",
            created_at=NOW,
            due_at=NOW,
        ),
        "backup": Backup.objects.create(town=town, snapshot="20260217T120000Z", created_at=NOW),
        "drill": make_drill(town, result="ok"),
        "sweep": Sweep.objects.create(kind="health", slot=minute, started_at=minute),
        "orphan": Orphan.objects.create(
            fly_id=f"vol_{number}",
            kind="volume",
            cause="old_volume",
            town=town,
            first_seen_at=NOW,
            last_seen_at=NOW,
        ),
        "freeze": automation.freeze("all", reason="window", actor=Actor("ann"), now=NOW),
    }


@pytest.fixture
def rows() -> dict[str, Model]:
    return live(0)


@pytest.mark.parametrize("model", MODELS)
def test_it_works(admin: Client, rows: dict[str, Model], model: str) -> None:
    page(admin, f"/admin/towns/{model}/")
    page(admin, f"/admin/towns/{model}/{rows[model].pk}/change/")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("term", ["x", "mill/x", "%", "00000000-0000-0000-0000-000000000000"])
def test_any_word_can_be_searched_for(
    admin: Client, rows: dict[str, Model], model: str, term: str
) -> None:
    page(admin, f"/admin/towns/{model}/?q={term}")


@pytest.mark.parametrize("model", MODELS)
def test_none_is_added_changed_or_deleted(
    admin: Client, rows: dict[str, Model], model: str
) -> None:
    pk, fields = rows[model].pk, {"reason": "x", "message": "x", "post": "yes"}
    before = type(rows[model])._default_manager.values()[0]
    for path in ("add/", f"{pk}/change/", f"{pk}/delete/"):
        assert admin.post(f"/admin/towns/{model}/{path}", fields).status_code == 403, path
    form = {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
    admin.post(f"/admin/towns/{model}/", form)
    assert type(rows[model])._default_manager.values()[0] == before


@pytest.mark.parametrize("model", MODELS)
def test_a_list_costs_a_fixed_number_of_queries(admin: Client, model: str) -> None:
    for number in range(5):
        live(number)
    few = queries(admin, f"/admin/towns/{model}/")
    for number in range(5, 30):
        live(number)
    assert queries(admin, f"/admin/towns/{model}/") == few


@pytest.mark.parametrize("model", MODELS)
def test_seeing_needs_its_permission(staff: Any, rows: dict[str, Model], model: str) -> None:
    address = f"/admin/towns/{model}/"
    assert staff("view_town").get(address).status_code == 403
    assert staff(f"view_{model}").get(address).status_code == 200


def test_no_secret_is_on_any_page(admin: Client, rows: dict[str, Model]) -> None:
    """Invariant 11."""
    town = awake_town()
    make_operation(town, OperationKind.PROVISION, step="ensure_volume")
    paths = ["/admin/towns/town/", f"/admin/towns/town/{town.pk}/change/"]
    paths += [f"/admin/towns/town/act/destroy/?towns={town.pk}"]
    for model in MODELS:
        paths += [f"/admin/towns/{model}/", f"/admin/towns/{model}/{rows[model].pk}/change/"]
    names = ("FLY_API_TOKEN", "R2_SECRET_ACCESS_KEY", "INTERNAL_API_SECRET")
    secrets = [addresses.town_key(town)] + [getattr(settings, f"GASTOWN_{n}") for n in names]
    assert all(secrets)
    for path in paths:
        text = page(admin, path)
        for secret in secrets:
            assert secret not in text, path
