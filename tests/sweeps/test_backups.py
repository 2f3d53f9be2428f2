"""The sweep of backups: verified in R2, alerted, asked for anew; constant work."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.world import World
from tests.world.asking import ask, ask_and_settle, causes
from tests.world.things import Folder, Latest, TownData
from towns import automation, history
from towns.automation import FLEET
from towns.history import Actor
from towns.models import Alert, Backup, Breaker, Operation, Sweep, Town
from towns.services.errors import Unavailable
from towns.sweeps.backups import BackupsReport, due_towns, sweep_backups
from towns.words import Status

pytestmark = pytest.mark.django_db
HOUR = 3600


@pytest.fixture
def world() -> World:
    return World()


def look(world: World, *towns: Town) -> BackupsReport:
    """Sweep these now, or the fleet."""
    return sweep_backups(world.services, towns=towns or None)


def seen(world: World, town: Town) -> Town:
    """A town whose backups were looked at and found well."""
    assert look(world, town).results["ok"] == 1
    town.refresh_from_db()
    return town


def hang(world: World, town: Town) -> None:
    """Its sandbox makes no backups any more."""
    world.process(town).alive = False


def shrink(world: World, town: Town) -> str:
    """Its next snapshot is held back; returns which."""
    volume = world.volume(town)
    assert volume.data is not None
    volume.data = TownData(volume.data.marks, volume.data.size // 10)
    world.advance(world.process(town).interval + 10)
    newest = world.snapshots(town)[0]
    assert newest.held
    return newest.timestamp


def test_it_works(world: World) -> None:
    town = world.running_town()
    assert town.last_snapshot == ""
    report = look(world, town)
    assert dict(report.results) == {"ok": 1, "skipped": 0}
    newest = world.snapshots(town)[0]
    town.refresh_from_db()
    assert (town.last_snapshot, town.last_backup_at) == (newest.timestamp, newest.created_at)
    assert town.backups_checked_at == world.now
    backup = Backup.objects.get(town=town)
    assert (backup.snapshot, backup.verified_at) == (newest.timestamp, world.now)
    assert (backup.bytes, backup.files, backup.generation) == (newest.data.size, 3, 1)
    assert causes(town) == set()


def test_looking_again_refreshes_and_marks_what_was_rotated(world: World) -> None:
    town = seen(world, world.running_town())
    first = town.last_snapshot
    world.advance(HOUR)
    seen(world, town)
    assert town.last_snapshot > first
    rotated = Backup.objects.get(town=town, snapshot=first)
    assert rotated.gone_at == world.now
    assert Backup.objects.get(town=town, gone_at=None).snapshot == town.last_snapshot


def test_a_snapshot_that_a_backup_verified_while_r2_was_asked_is_not_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What R2 said before is older than what the backup has seen; the next look mends it."""
    town = seen(world, world.running_town())
    survey = world.r2.survey_many

    def late(*args: object, **kwargs: object) -> object:
        monkeypatch.undo()
        found = survey(*args, **kwargs)  # type: ignore[arg-type]  # handed on
        ask_and_settle(world, town, "backup")
        return found

    monkeypatch.setattr(world.r2, "survey_many", late)
    look(world, town)
    made_meanwhile = world.snapshots(town)[0].timestamp
    world.advance(world.process(town).interval + 10)
    look(world, town)
    assert made_meanwhile in {one.timestamp for one in world.snapshots(town)[1:]}
    assert Backup.objects.get(town=town, snapshot=made_meanwhile).gone_at is None


def test_last_backup_at_is_what_r2_shows_whatever_the_sandbox_said(world: World) -> None:
    town = seen(world, world.running_town())
    true = town.last_backup_at
    assert true is not None
    Town.objects.update(last_backup_at=true + timedelta(minutes=2))  # as a health check reported
    assert seen(world, town).last_backup_at == true


def test_what_was_heard_since_it_was_asked_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = seen(world, world.running_town())
    survey = world.r2.survey_many

    def late(*args: object, **kwargs: object) -> object:
        found = survey(*args, **kwargs)  # type: ignore[arg-type]  # handed on
        Town.objects.update(last_snapshot="20270101T000000Z", last_backup_at=world.now)
        return found

    monkeypatch.setattr(world.r2, "survey_many", late)
    look(world, town)
    town.refresh_from_db()
    assert (town.last_snapshot, town.last_backup_at) == ("20270101T000000Z", world.now)


# Broken


def missing_file(world: World, town: Town) -> None:
    world.snapshots(town)[0].missing_file = True


def no_pointer(world: World, town: Town) -> None:
    world.r2.live(town.pk).latest = None


def vanished(world: World, town: Town) -> None:
    del world.r2.live(town.pk).snapshots[world.snapshots(town)[0].timestamp]


def moved_back(world: World, town: Town) -> None:
    older = world.snapshots(town)[1].timestamp
    world.r2.live(town.pk).latest = Latest(older, 1, "etag")


def everything(world: World, town: Town) -> None:
    world.r2.folders[f"gastown/{town.pk}/"] = Folder()


BREAKS: list[tuple[Callable[[World, Town], None], str, str]] = [
    (missing_file, "config.tar is missing", "warning"),
    (no_pointer, "no latest.json", "warning"),
    (vanished, "its manifest is missing", "warning"),
    (moved_back, "was there before", "warning"),
    (everything, "no latest.json", "critical"),
]


@pytest.mark.parametrize(
    ("breaks", "says", "severity"), BREAKS, ids=[one[0].__name__ for one in BREAKS]
)
def test_what_is_broken_alerts(
    world: World, breaks: Callable[[World, Town], None], says: str, severity: str
) -> None:
    town = seen(world, world.running_town())
    world.advance(310)
    seen(world, town)
    hang(world, town)
    breaks(world, town)
    before = (town.last_snapshot, town.last_backup_at)
    report = look(world, town)
    assert report.results["broken"] == 1
    alert = Alert.objects.get(town=town, cause="backup_broken")
    assert says in alert.message
    assert alert.severity == severity
    town.refresh_from_db()
    assert (town.last_snapshot, town.last_backup_at) == before


def test_it_closes_when_a_good_one_is_seen_and_not_before(world: World) -> None:
    town = seen(world, world.running_town())
    missing_file(world, town)
    look(world, town)
    world.faults.r2_down = True
    look(world, town)
    assert causes(town) == {"backup_broken"}
    world.faults.clear()
    world.settle()
    look(world, town)
    assert causes(town) == set()


def test_losing_the_last_fallback_makes_it_critical(world: World) -> None:
    town = seen(world, world.running_town())
    world.advance(310)
    seen(world, town)
    hang(world, town)
    missing_file(world, town)
    look(world, town)
    world.settle()
    [alert] = Alert.objects.filter(cause="backup_broken")
    assert alert.severity == "warning"
    vanished_too = [one.timestamp for one in world.snapshots(town)[1:]]
    for name in vanished_too:
        del world.r2.live(town.pk).snapshots[name]
    look(world, town)
    alert.refresh_from_db()
    assert alert.severity == "critical"
    assert alert.deliveries.filter(audience="owner").count() == 1, "its owner hears of it now"
    assert "No older verified snapshot" in alert.message


# Stale


def test_a_running_town_without_a_fresh_snapshot_alerts_and_is_asked(world: World) -> None:
    town = seen(world, world.running_town())
    hang(world, town)
    world.advance(16 * 60)
    report = look(world, town)
    assert report.results["stale"] == 1
    assert report.asked == [str(town)]
    alert = Alert.objects.get(town=town, cause="backup_stale")
    assert alert.severity == "warning"
    operation = Operation.objects.get(town=town, kind="backup")
    assert (operation.actor, operation.automatic) == ("sweep:backups", True)


def test_it_closes_when_a_newer_good_one_is_seen(world: World) -> None:
    town = seen(world, world.running_town())
    process = world.process(town)
    hang(world, town)
    world.advance(16 * 60)
    look(world, town)
    process.alive = True
    process.sync()
    world.settle()
    look(world, town)
    assert causes(town) == set()


def test_a_town_that_has_just_woken_has_its_time(world: World) -> None:
    town = world.stopped_town()
    world.advance(HOUR)
    assert look(world, town).results["ok"] == 1, "who sleeps can't back up"
    ask(world, town, "start")
    world.settle()
    hang(world, town)
    town.refresh_from_db()
    assert look(world, town).results["ok"] == 1
    world.advance(16 * 60)
    town.refresh_from_db()
    assert look(world, town).results["stale"] == 1


def test_that_a_stale_town_was_stopped_and_woken_is_no_evidence(world: World) -> None:
    town = seen(world, world.running_town())
    process = world.process(town)
    automation.freeze("all", reason="no asking", actor=Actor("ann"), now=world.now)
    hang(world, town)
    world.advance(16 * 60)
    look(world, town)
    for status, awake_since in ((Status.STOPPED, None), (Status.RUNNING, world.now)):
        locked = history.lock_town(town.pk)
        locked.awake_since = awake_since
        history.change_status(
            locked,
            status,
            kind="test",
            actor=Actor.shell(),
            now=world.now,
            also=("awake_since",),
        )
        town.refresh_from_db()
        assert look(world, town).results["ok"] == 1, "it has had no time yet"
        assert causes(town) == {"backup_stale"}, status
    process.alive = True
    process.sync()
    world.advance(60)
    look(world, town)
    assert causes(town) == set()


def test_it_is_asked_at_most_once_in_half_an_hour(world: World) -> None:
    town = seen(world, world.running_town())
    hang(world, town)
    world.advance(16 * 60)
    for _ in range(9):
        look(world, town)
        world.settle(300)
        world.advance(300)
    assert Operation.objects.filter(town=town, kind="backup").count() <= 3


@pytest.mark.parametrize("how", ["frozen", "held", "breaker"])
def test_automation_that_is_halted_asks_for_nothing_but_sees(world: World, how: str) -> None:
    town = seen(world, world.running_town())
    hang(world, town)
    world.advance(16 * 60)
    if how == "frozen":
        automation.freeze("all", reason="window", actor=Actor("ann"), now=world.now)
    elif how == "held":
        Town.objects.update(hold_reason="a look into it")
    else:
        Breaker.objects.create(scope=FLEET, state="open", reason="down", opened_at=world.now)
    assert look(world, town).asked == []
    assert causes(town) == {"backup_stale"}


# R2 can't be asked


def test_r2_that_is_away_is_one_piece_of_news_and_proves_nothing(world: World) -> None:
    towns = [seen(world, world.running_town(name)) for name in ("alpha", "beta")]
    world.faults.r2_down = True
    world.advance(HOUR)
    report = look(world, *towns)
    assert report.unhandled == 2
    assert [causes(town) for town in towns] == [set(), set()]
    assert Alert.objects.get(resolved_at=None).subject == FLEET
    world.faults.clear()
    look(world, *towns)
    assert not Alert.objects.filter(subject=FLEET, resolved_at=None).exists()


def test_one_town_that_is_unknown_is_no_news(world: World) -> None:
    towns = [seen(world, world.running_town(name)) for name in ("alpha", "beta")]
    world.faults.fail("r2.survey", Unavailable("503"))
    report = look(world, *towns)
    assert (report.results["unknown"], report.results["ok"]) == (1, 1)
    assert not Alert.objects.exists()


# Held


def test_a_held_snapshot_alerts_and_is_kept_as_held(world: World) -> None:
    town = seen(world, world.running_town())
    name = shrink(world, town)
    report = look(world, town)
    assert report.results["held"] == 1
    alert = Alert.objects.get(town=town, cause="backup_held")
    assert name in alert.message
    assert Backup.objects.get(town=town, snapshot=name).held
    town.refresh_from_db()
    assert town.last_snapshot < name


# Whom it looks at


def test_what_an_operation_owns_is_left_alone(world: World) -> None:
    town = seen(world, world.running_town())
    missing_file(world, town)
    ask(world, town, "destroy")
    assert look(world, town).results == {"skipped": 1}
    assert causes(town) == set()


def test_an_operation_that_begins_meanwhile_makes_it_void(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = seen(world, world.running_town())
    missing_file(world, town)
    survey = world.r2.survey_many

    def late(*args: object, **kwargs: object) -> object:
        found = survey(*args, **kwargs)  # type: ignore[arg-type]  # handed on
        ask(world, town, "destroy")
        return found

    monkeypatch.setattr(world.r2, "survey_many", late)
    assert look(world, town).results["broken"] == 0
    assert causes(town) == set()


def test_who_was_looked_at_longest_ago_comes_first(world: World) -> None:
    towns = [world.running_town(name) for name in ("alpha", "beta", "gamma", "delta")]
    with override_settings(GASTOWN_BACKUPS_PER_SWEEP=2):
        first = due_towns(world.now)
        look(world)
        second = due_towns(world.now)
    assert len(first) == len(second) == 2
    assert {town.pk for town in first + second} == {town.pk for town in towns}


def test_towns_in_doubt_come_before_their_turn(world: World) -> None:
    towns = [seen(world, world.running_town(name)) for name in ("alpha", "beta", "gamma")]
    last = towns[-1]
    missing_file(world, last)
    hang(world, last)
    look(world, last)
    world.settle()
    look(world, last)
    with override_settings(GASTOWN_BACKUPS_PER_SWEEP=2):
        assert last.pk == due_towns(world.now)[0].pk


def test_an_empty_fleet_is_swept_too(world: World) -> None:
    report = sweep_backups(world.services, slot=world.now)
    assert Sweep.objects.get(kind="backups").finished_at is not None
    assert report.unhandled == 0


def test_a_slot_is_swept_once(world: World) -> None:
    world.running_town()
    slot = world.now
    assert sweep_backups(world.services, slot=slot).results["ok"] == 1
    assert "swept already" in sweep_backups(world.services, slot=slot).note


def test_a_dry_run_changes_nothing(world: World) -> None:
    town = seen(world, world.running_town())
    missing_file(world, town)
    report = sweep_backups(world.services, slot=world.now, dry_run=True)
    assert [one.result for one in report.findings] == ["broken"]
    assert not Alert.objects.exists()
    assert not Sweep.objects.exists()
    assert not Operation.objects.filter(kind__in=("backup", "drill")).exists()


def test_it_costs_a_fixed_number_of_statements(world: World) -> None:
    """Whatever is wrong with how many towns, but for those that are asked for a backup."""

    def cost(towns: list[Town]) -> int:
        for town in towns:
            hang(world, town)
            missing_file(world, town)
        world.advance(16 * 60)
        automation.freeze("all", reason="no asking", actor=Actor("ann"), now=world.now)
        with CaptureQueriesContext(connection) as captured:
            look(world, *towns)
        automation.thaw("all", actor=Actor("ann"), now=world.now)
        return len(captured)

    few = [seen(world, world.running_town(name)) for name in ("alpha", "beta")]
    many = [seen(world, world.running_town(f"town-{number}")) for number in range(8)]
    assert cost(few) == cost(many) <= 17
