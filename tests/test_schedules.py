"""The schedules: there after migrate, and made again without change."""

import pytest
from django_q.models import Schedule

from towns import schedules

pytestmark = pytest.mark.django_db


def test_they_exist_after_migrate() -> None:
    assert set(Schedule.objects.values_list("name", flat=True)) == set(schedules.NAMES)


def test_the_sweeps_run_every_three_minutes_with_their_slot() -> None:
    for name in ("health sweep", "idle sweep"):
        found = Schedule.objects.get(name=name)
        assert (found.cron, found.intended_date_kwarg) == ("*/3 * * * *", "slot")
        assert found.schedule_type == Schedule.CRON


def test_setting_up_again_changes_nothing() -> None:
    before = list(Schedule.objects.order_by("pk").values())
    assert schedules.set_up() == []
    assert list(Schedule.objects.order_by("pk").values()) == before


def test_a_changed_or_doubled_schedule_is_mended() -> None:
    Schedule.objects.filter(name="health sweep").update(cron="* * * * *")
    Schedule.objects.create(name="idle sweep", func="x")
    assert schedules.set_up() == ["health sweep"]
    assert Schedule.objects.get(name="health sweep").cron == "*/3 * * * *"
    assert Schedule.objects.filter(name="idle sweep").count() == 1


@pytest.mark.parametrize(
    ("seconds", "line"),
    [(180, "*/3 * * * *"), (60, "*/1 * * * *"), (15, "*/1 * * * *"), (3600, "0 * * * *")],
)
def test_a_schedule_is_never_finer_than_a_minute(seconds: int, line: str) -> None:
    assert schedules.cron(seconds) == line
