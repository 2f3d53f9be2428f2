"""`manage.py prune_history` and retained backups, on a server without a lifecycle engine."""

import pytest
from django.conf import settings

from tests.commands.conftest import Call
from tests.world import World
from tests.world.asking import ask, ask_and_settle
from towns.models import Backup, Town
from towns.services.errors import Unavailable
from towns.services.r2 import live_prefix, retained_prefix

pytestmark = pytest.mark.django_db
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def no_engine(world: World) -> None:
    """Nobody but the command expires anything."""
    world.r2.retention_days = 10_000


def kept(world: World, town: Town) -> bool:
    return world.services.r2.newest_verified(retained_prefix(str(town.pk))) is not None


def gone(town: Town) -> bool:
    return Backup.objects.get(town=town, kind=Backup.Kind.RETAINED).gone_at is not None


def test_it_expires_them_a_day_after_their_thirty(call: Call, world: World) -> None:
    town = world.destroyed_town()
    world.advance((settings.GASTOWN_RETENTION_DAYS + 1) * DAY - 60)
    assert call("prune_history", "--json").json["retained_objects"] == 0
    assert (kept(world, town), gone(town)) == (True, False)
    world.advance(120)
    assert call("prune_history", "--json").json["retained_objects"] == 3
    assert (kept(world, town), gone(town)) == (False, True)
    assert call("prune_history", "--json").json["retained_objects"] == 0


def test_a_dry_run_counts_them(call: Call, world: World) -> None:
    town = world.destroyed_town()
    world.advance(32 * DAY)
    assert call("prune_history", "--json", "--dry-run").json["retained_objects"] == 3
    assert (kept(world, town), gone(town)) == (True, False)


def test_the_live_backups_of_a_town_that_sleeps_for_long_stay(call: Call, world: World) -> None:
    town = world.stopped_town()
    world.advance(400 * DAY)
    assert call("prune_history", "--json").json["retained_objects"] == 0
    assert world.services.r2.newest_verified(live_prefix(str(town.pk))) is not None


def test_a_restore_begun_at_the_last_moment_has_its_backup(call: Call, world: World) -> None:
    town = world.destroyed_town()
    assert town.destroyed_at is not None
    age = (world.now - town.destroyed_at).total_seconds()
    world.advance(settings.GASTOWN_RETENTION_DAYS * DAY - age - 60)
    ask(world, town, "restore")
    world.advance(300)
    assert call("prune_history").code == 0
    world.settle()
    town.refresh_from_db()
    assert town.status == "running"


def test_after_them_a_restore_is_told_that_it_has_expired(call: Call, world: World) -> None:
    town = world.destroyed_town()
    world.advance(32 * DAY)
    call("prune_history")
    with pytest.raises(Exception, match="expired"):
        ask_and_settle(world, town, "restore")


def test_r2_that_does_not_answer_is_told_and_holds_up_nothing_else(
    call: Call, world: World
) -> None:
    world.destroyed_town()
    world.faults.fail("r2.expire_retained", Unavailable("R2 did not answer."), times=1)
    ended = call("prune_history", "--json")
    assert ended.code == 1
    assert "Retained backups could not be expired: R2 did not answer." in ended.err
    assert call("prune_history").code == 0
