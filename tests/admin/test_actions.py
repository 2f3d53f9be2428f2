"""Actions on towns in the admin: the confirmation page, and what follows it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import queries
from tests.factories import make_operation, make_town, make_user
from tests.sweeps.fakes import FakeFleet
from towns.admin import confirm
from towns.admin.town_actions import ACTIONS
from towns.models import HealthCheck, Operation, Town
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
LIST = "/admin/towns/town/"
READY: dict[str, dict[str, Any]] = {
    "start": {"status": Status.STOPPED, "desired_state": "stopped"},
    "stop": {},
    "restart": {},
    "recover": {"status": Status.ERROR},
    "backup": {},
    "drill": {"last_snapshot": "20260217T120000Z"},
    "sweep": {},
    "restore": {"status": Status.DESTROYED, "destroyed_at": timezone.now()},
    "destroy": {},
}


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    """Sandboxes that answer."""
    fleet = FakeFleet()
    monkeypatch.setattr(confirm, "default_services", lambda: fleet.services)
    return fleet


def confirmed(client: Client, action: str, *towns: Town, **fields: str) -> Any:
    form = {"towns": ",".join(str(town.pk) for town in towns), "confirmed": "yes", **fields}
    return client.post(f"{LIST}act/{action}/", form)


def messages(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def typed(action: str, town: Town) -> dict[str, str]:
    return {"typed": town.name} if action == "destroy" else {}


@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "sweep"])
def test_it_works(admin: Client, action: str) -> None:
    town = make_town(**READY[action])
    answer = confirmed(admin, action, town, reason="for a test", **typed(action, town))
    assert answer.status_code == 302, answer.content.decode()[:1000]
    operation = Operation.objects.get()
    assert (operation.kind, operation.actor, operation.reason) == (action, "root", "for a test")


def test_sweep_now_asks_the_town(admin: Client, outside: FakeFleet) -> None:
    town, broken = make_town(), make_town()
    outside.break_town(broken)
    answer = confirmed(admin, "sweep", town, broken)
    assert "1 ok, 1 failed" in messages(answer) or "1 failed, 1 ok" in messages(answer)
    assert HealthCheck.objects.count() == 2


@pytest.mark.parametrize("action", ACTIONS)
def test_the_menu_leads_to_a_page_that_changes_nothing(admin: Client, action: str) -> None:
    town = make_town(**READY[action])
    form = {"action": action, "_selected_action": str(town.pk)}
    answer = admin.post(f"{LIST}?life=all", form)
    text = answer.content.decode()
    assert "What will happen" in text
    assert str(town) in text
    assert not Operation.objects.exists()
    assert not HealthCheck.objects.exists()


def test_the_page_says_who_is_skipped_and_why(admin: Client) -> None:
    runs, stopped = make_town(), make_town(status=Status.STOPPED)
    text = admin.get(f"{LIST}act/stop/?towns={runs.pk},{stopped.pk}").content.decode()
    assert "Skipped" in text
    assert "is stopped already" in text


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_needs_its_own_permission(staff: Callable[..., Client], action: str) -> None:
    town = make_town(**READY[action])
    others = [f"{name}_town" for name in ACTIONS if name != action]
    without = staff("view_town", *others)
    assert confirmed(without, action, town, **typed(action, town)).status_code == 403
    assert f'value="{action}"' not in without.get(f"{LIST}?life=all").content.decode()
    allowed = staff("view_town", f"{action}_town")
    assert f'value="{action}"' in allowed.get(f"{LIST}?life=all").content.decode()
    assert confirmed(allowed, action, town, **typed(action, town)).status_code == 302


def test_destroy_needs_the_name_typed(admin: Client) -> None:
    town = make_town(name="mill")
    answer = confirmed(admin, "destroy", town, typed="Mill")
    assert "Nothing was done" in answer.content.decode()
    assert not Operation.objects.exists()


def test_destroying_many_needs_their_number(admin: Client) -> None:
    towns = [make_town(), make_town()]
    confirmed(admin, "destroy", *towns, typed="3")
    assert not Operation.objects.exists()
    confirmed(admin, "destroy", *towns, typed="2")
    assert Operation.objects.count() == 2


def test_destroy_tells_what_is_at_stake(admin: Client) -> None:
    town = make_town(health={"disk_used": 1_200_000_000, "polecats_active": 2})
    text = admin.get(f"{LIST}act/destroy/?towns={town.pk}").content.decode()
    assert "1.2 GB" in text
    assert "Last verified backup" in text
    assert "restored for 30 days" in text


def test_discarding_needs_its_permission(staff: Callable[..., Client]) -> None:
    town = make_town()
    plain = staff("view_town", "destroy_town")
    confirmed(plain, "destroy", town, typed=town.name, discard="on")
    assert Operation.objects.get().params == {}
    other = make_town()
    careful = staff("view_town", "destroy_town", "discard_town")
    confirmed(careful, "destroy", other, typed=other.name, discard="on")
    assert Operation.objects.get(town=other).params == {"discard": True}


def test_an_empty_selection_does_nothing(admin: Client) -> None:
    """Google's Diskerase: an empty selection never means everything."""
    make_town()
    answer = confirmed(admin, "stop")
    assert "nothing was done" in messages(answer)
    assert not Operation.objects.exists()


def test_exactly_the_towns_that_were_shown_are_acted_on(admin: Client) -> None:
    shown = make_town()
    make_town()
    confirmed(admin, "stop", shown)
    assert [operation.town for operation in Operation.objects.all()] == [shown]


def test_what_has_changed_meanwhile_is_refused_with_the_reason(admin: Client) -> None:
    town = make_town()
    make_operation(town, OperationKind.DESTROY)
    answer = confirmed(admin, "stop", town)
    assert f"Refused: {town} can't stop now: destroy is under way." in messages(answer)
    assert Operation.objects.count() == 1


def test_a_word_that_is_no_id_is_a_404(admin: Client) -> None:
    assert admin.get(f"{LIST}act/stop/?towns=all").status_code == 404
    assert admin.get(f"{LIST}act/nonsense/?towns=").status_code == 404


def test_what_is_refused_does_not_keep_the_others_from_it(admin: Client) -> None:
    runs, stopped = make_town(), make_town(status=Status.STOPPED)
    answer = confirmed(admin, "stop", runs, stopped)
    assert "Stop: requested for 1 town" in messages(answer)
    assert f"Refused: {stopped} is stopped already." in messages(answer)
    assert Operation.objects.get().town == runs


def test_giving_a_volume_up_is_for_one_town(admin: Client) -> None:
    towns = [make_town(status=Status.ERROR), make_town(status=Status.ERROR)]
    one = admin.get(f"{LIST}act/recover/?towns={towns[0].pk}").content.decode()
    assert "Give up its volume" in one
    both = admin.get(f"{LIST}act/recover/?towns={towns[0].pk},{towns[1].pk}").content.decode()
    assert "Give up its volume" not in both
    confirmed(admin, "recover", *towns, from_backup="on")
    assert [operation.params for operation in Operation.objects.all()] == [{}, {}]


def test_a_volume_is_given_up(admin: Client) -> None:
    confirmed(admin, "recover", make_town(status=Status.ERROR), from_backup="on")
    assert Operation.objects.get().params == {"from_backup": True}


def test_discarding_is_for_one_town(admin: Client) -> None:
    towns = [make_town(), make_town()]
    confirmed(admin, "destroy", *towns, typed="2", discard="on")
    assert [operation.params for operation in Operation.objects.all()] == [{}, {}]


@pytest.mark.parametrize("action", ACTIONS)
def test_50_towns_cost_no_more_queries_than_5(admin: Client, action: str) -> None:
    towns = [make_town(**READY[action]) for _ in range(50)]
    for town in towns[::2]:
        make_operation(town, OperationKind.BACKUP)

    def cost(number: int) -> int:
        ids = ",".join(str(town.pk) for town in towns[:number])
        return queries(admin, f"{LIST}act/{action}/?towns={ids}")

    assert cost(50) == cost(5)


def test_too_many_at_once_are_refused(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirm, "TOWNS_AT_ONCE", 1)
    answer = confirmed(admin, "stop", make_town(), make_town())
    assert "At most 1 towns at once; nothing was done." in messages(answer)
    assert not Operation.objects.exists()


def test_a_name_is_told_as_it_is(admin: Client, outside: FakeFleet) -> None:
    """Django's page makes the first letter of a message a capital."""
    town = make_town(name="mill", owner=make_user("alice"))
    outside.break_town(town)
    confirmed(admin, "sweep", town)
    assert "Alice/mill" not in admin.get(LIST).content.decode()
