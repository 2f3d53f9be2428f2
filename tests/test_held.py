"""Snapshots that the shrink guard holds back: accepted or dropped, by command and in the admin."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from tests.admin.conftest import page
from tests.factories import make_user
from tests.sweeps.reconcile.asking import after
from tests.world import World
from tests.world.asking import ask, causes, event
from tests.world.things import TownData
from towns import history
from towns.actions import NotAllowed
from towns.admin import backup as admin_page
from towns.held import accept_held, drop_held
from towns.history import Actor
from towns.models import Backup, Town
from towns.services.errors import Conflict
from towns.services.r2_types import live_prefix
from towns.sweeps.backups import sweep_backups

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def held(world: World) -> Backup:
    """A held snapshot that an alert tells of."""
    town = world.running_town()
    sweep_backups(world.services, towns=[town])
    volume = world.volume(town)
    assert volume.data is not None
    volume.data = TownData(volume.data.marks, volume.data.size // 10)
    world.advance(world.process(town).interval + 10)
    sweep_backups(world.services, towns=[town])
    assert causes(town) == {"backup_held"}
    return Backup.objects.get(held=True)


def again(world: World, town: Town) -> None:
    town.refresh_from_db()
    sweep_backups(world.services, towns=[town])
    town.refresh_from_db()


def test_it_works(world: World, held: Backup) -> None:
    town = held.town
    accept_held(town, held.snapshot, world.services, actor=ANN)
    latest = world.r2.live(town.pk).latest
    assert latest is not None
    assert (latest.timestamp, latest.generation) == (held.snapshot, town.generation)
    town.refresh_from_db()
    assert town.last_snapshot == held.snapshot
    assert causes(town) == set()
    assert event(town, "snapshot_accepted").actor == "ann"
    again(world, town)
    assert causes(town) == set()
    world.advance(world.process(town).interval + 10)
    again(world, town)
    assert town.last_snapshot > held.snapshot, "backups go on from it"


def test_dropped_it_is_no_news_any_more_and_nothing_moves(world: World, held: Backup) -> None:
    town = held.town
    before = world.r2.live(town.pk).latest
    drop_held(town, held.snapshot, actor=ANN, now=world.now)
    assert world.r2.live(town.pk).latest == before
    assert event(town, "snapshot_dropped").data["snapshot"] == held.snapshot
    again(world, town)
    assert causes(town) == set()
    assert held.snapshot in world.r2.live(town.pk).snapshots, "nothing is deleted at once"


def resize(world: World, town: Town, factor: float) -> None:
    """Have the town grow or shrink, and its sandbox back it up."""
    volume = world.volume(town)
    assert volume.data is not None
    volume.data = TownData(volume.data.marks, round(volume.data.size * factor))
    world.advance(2 * world.process(town).interval)


def test_those_that_follow_a_dropped_one_are_no_news_until_a_good_one_came(
    world: World, held: Backup
) -> None:
    """Each sync holds another one back while the town stays as small as it is."""
    town = held.town
    drop_held(town, held.snapshot, actor=ANN, now=world.now)
    for _ in range(3):
        resize(world, town, 1)
        again(world, town)
        assert "backup_held" not in causes(town)
    assert causes(town) == {"backup_stale"}, "that its backups stand still is news"
    resize(world, town, 10)
    world.settle()  # it was asked for a backup, too
    again(world, town)
    assert "backup_stale" not in causes(town)
    resize(world, town, 0.1)
    again(world, town)
    assert "backup_held" in causes(town)


def test_what_somebody_else_accepted_meanwhile_is_not_dropped(
    world: World, held: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, lock = held.town, history.lock_town

    def accepted_first(town_id: UUID) -> Town:
        monkeypatch.undo()
        accept_held(town, held.snapshot, world.services, actor=Actor("bob"))
        return lock(town_id)

    monkeypatch.setattr(history, "lock_town", accepted_first)
    with pytest.raises(NotAllowed, match="was accepted meanwhile"):
        drop_held(town, held.snapshot, actor=ANN, now=world.now)


def test_a_dropped_one_can_be_accepted_after_all(world: World, held: Backup) -> None:
    drop_held(held.town, held.snapshot, actor=ANN, now=world.now)
    accept_held(held.town, held.snapshot, world.services, actor=ANN)
    held.refresh_from_db()
    assert (held.held, held.dropped_at) == (False, None)


def test_only_what_is_held_is_decided_about(world: World, held: Backup) -> None:
    town = held.town
    good = Backup.objects.get(town=town, held=False, gone_at=None)
    for name in (good.snapshot, "20300101T000000Z"):
        with pytest.raises(NotAllowed, match="has no held snapshot"):
            accept_held(town, name, world.services, actor=ANN)
        with pytest.raises(NotAllowed, match="has no held snapshot"):
            drop_held(town, name, actor=ANN, now=world.now)


def test_one_that_is_not_whole_is_not_accepted(world: World, held: Backup) -> None:
    world.r2.live(held.town_id).snapshots[held.snapshot].missing_file = True
    with pytest.raises(NotAllowed, match=r"config\.tar is missing"):
        accept_held(held.town, held.snapshot, world.services, actor=ANN)


def test_the_pointer_never_moves_back(world: World, held: Backup) -> None:
    volume = world.volume(held.town)
    volume.data = TownData(("all is back",), 1_000_000)
    world.advance(world.process(held.town).interval + 10)
    latest = world.r2.live(held.town_id).latest
    assert latest is not None
    assert latest.timestamp > held.snapshot
    with pytest.raises(NotAllowed, match="nothing to accept any more"):
        accept_held(held.town, held.snapshot, world.services, actor=ANN)
    assert world.r2.live(held.town_id).latest == latest


def test_nor_where_a_good_one_came_while_it_was_verified(world: World, held: Backup) -> None:
    town, newer = held.town, "20990101T000000Z"
    good = partial(world.r2.point, live_prefix(str(town.pk)), newer, town.generation)
    after(world, "r2.verify", good)
    with pytest.raises(Conflict, match=newer):
        accept_held(town, held.snapshot, world.services, actor=ANN)
    latest = world.r2.live(town.pk).latest
    assert latest is not None
    assert latest.timestamp == newer
    held.refresh_from_db()
    assert held.held


def test_a_newer_machine_is_not_overruled(world: World, held: Backup) -> None:
    latest = world.r2.live(held.town_id).latest
    assert latest is not None
    world.r2.point(f"gastown/{held.town_id}/", latest.timestamp, 7)
    with pytest.raises(Conflict):
        accept_held(held.town, held.snapshot, world.services, actor=ANN)
    held.refresh_from_db()
    assert held.held


def test_nobody_decides_while_an_operation_owns_the_town(world: World, held: Backup) -> None:
    ask(world, held.town, "destroy")
    with pytest.raises(NotAllowed, match="destroy is under way"):
        accept_held(held.town, held.snapshot, world.services, actor=ANN)


# In the admin


@pytest.fixture
def decide(
    world: World, held: Backup, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Client, str], list[str]]:
    """Confirm a decision; returns what it says."""
    monkeypatch.setattr(admin_page, "default_services", lambda: world.services)

    def post(client: Client, decision: str) -> list[str]:
        answer = client.post(f"/admin/towns/backup/{held.pk}/decide/{decision}/")
        assert answer.status_code == 302
        return [str(message) for message in get_messages(answer.wsgi_request)]

    return post


def staff(*permissions: str) -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, permissions=permissions))
    return client


def test_staff_accept_it_on_its_page(
    held: Backup, decide: Callable[[Client, str], list[str]]
) -> None:
    client = staff("view_backup", "decide_backup")
    path = f"/admin/towns/backup/{held.pk}"
    assert f"{path}/decide/accept/" in page(client, f"{path}/change/")
    assert "much smaller" in page(client, f"{path}/decide/accept/")
    held.refresh_from_db()
    assert held.held, "looking changes nothing"
    assert decide(client, "accept") == [f"Snapshot {held.snapshot} was accepted."]
    held.refresh_from_db()
    assert not held.held
    assert f"{path}/decide/" not in page(client, f"{path}/change/")
    assert "has no held snapshot" in decide(client, "accept")[0]


def test_staff_drop_it_on_its_page(
    held: Backup, decide: Callable[[Client, str], list[str]]
) -> None:
    client = staff("view_backup", "decide_backup")
    assert decide(client, "drop") == [f"Snapshot {held.snapshot} was dropped."]
    held.refresh_from_db()
    assert held.dropped_at is not None


def test_r2_that_is_away_is_said(
    world: World, held: Backup, decide: Callable[[Client, str], list[str]]
) -> None:
    world.faults.r2_down = True
    [said] = decide(staff("view_backup", "decide_backup"), "accept")
    assert said.startswith("Not done: R2 did not answer.")


def test_it_needs_its_permission(held: Backup) -> None:
    client = staff("view_backup")
    path = f"/admin/towns/backup/{held.pk}"
    assert "/decide/" not in page(client, f"{path}/change/")
    for decision, code in (("accept", 403), ("drop", 403)):
        assert client.post(f"{path}/decide/{decision}/").status_code == code
    other = staff("view_backup", "decide_backup")
    assert other.get(f"{path}/decide/burn/").status_code == 404
