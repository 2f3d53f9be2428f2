"""Following the history: each event once, in whatever order transactions commit."""

import pytest

from tests.factories import NOW, make_town
from tests.webhooks.conftest import ANN, after, anew, happen, make_webhook
from towns.models import LifecycleEvent, Town, WebhookDelivery
from towns.webhooks import following
from towns.webhooks.endpoints import change_webhook, remove_webhook
from towns.webhooks.following import GRACE, follow_history

pytestmark = pytest.mark.django_db
LATER = GRACE.total_seconds()


def late(town: Town, pk: int) -> LifecycleEvent:
    """An event that becomes visible long after its id was given."""
    return LifecycleEvent.objects.create(pk=pk, town=town, at=NOW, kind="late", actor="ann")


def heard() -> list[int]:
    return list(WebhookDelivery.objects.order_by("event_id").values_list("event_id", flat=True))


def test_it_works(mill: Town) -> None:
    happen(mill)
    make_webhook()
    events = [happen(mill).pk, happen(mill).pk]
    assert follow_history(after(60)) == 2
    assert heard() == events, "what was before it is not told"
    assert follow_history(after(120)) == 0


def test_an_owner_s_hears_of_their_towns_alone(mill: Town) -> None:
    make_webhook(owner=mill.owner)
    happen(make_town())
    mine = happen(mill)
    follow_history(after(60))
    assert heard() == [mine.pk]


def test_one_hears_of_the_kinds_that_it_wants(mill: Town) -> None:
    make_webhook(kinds=["stop_succeeded", "start_succeeded"])
    for kind in ("changed", "stop_succeeded", "stop_started"):
        happen(mill, kind)
    follow_history(after(60))
    assert [one.event.kind for one in WebhookDelivery.objects.all()] == ["stop_succeeded"]


def test_an_event_that_commits_late_is_told_all_the_same(mill: Town) -> None:
    made = make_webhook()
    first = happen(mill)
    gap = first.pk + 100
    late(mill, gap + 1)
    assert follow_history(after(60)) == 2
    late(mill, gap)
    assert follow_history(after(120)) == 1
    assert heard() == [first.pk, gap, gap + 1]
    assert anew(made.endpoint).settled < gap


def test_what_is_settled_is_not_looked_at_again(mill: Town) -> None:
    made = make_webhook()
    newest = happen(mill).pk
    follow_history(after(0))
    follow_history(after(LATER - 1))
    assert anew(made.endpoint).settled < newest
    follow_history(after(LATER))
    assert anew(made.endpoint).settled == newest


def test_what_came_after_the_mark_has_its_own_time(mill: Town) -> None:
    """The mark is the newest id of its moment: one given later may still be under way."""
    made = make_webhook()
    first = happen(mill).pk
    follow_history(after(0))
    late(mill, first + 10)
    follow_history(after(LATER))
    assert anew(made.endpoint).settled == first
    late(mill, first + 5)
    assert follow_history(after(LATER + 1)) == 1


def test_rows_are_bounded(mill: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ROOM", 3)
    made = make_webhook()
    events = [happen(mill).pk for _ in range(5)]
    assert follow_history(after(0)) == 3
    assert follow_history(after(60)) == 0, "they wait in the history"
    WebhookDelivery.objects.update(state="sent")
    assert follow_history(after(LATER)) == 2
    assert heard() == events
    assert anew(made.endpoint).settled == events[-1]


def test_a_backlog_is_not_looked_through_again_and_again(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ROOM", 3)
    made = make_webhook()
    events = [happen(mill).pk for _ in range(7)]
    for moment in (0, LATER, LATER + 60):
        follow_history(after(moment))
        WebhookDelivery.objects.update(state="sent")
    assert heard() == events
    assert anew(made.endpoint).settled == events[-1]


def test_one_that_is_disabled_goes_on_from_where_it_stopped(mill: Town) -> None:
    made = make_webhook()
    change_webhook(made.endpoint.pk, {"enabled": False}, actor=ANN, now=after(0))
    missed = happen(mill).pk
    assert follow_history(after(60)) == 0
    change_webhook(made.endpoint.pk, {"enabled": True}, actor=ANN, now=after(100))
    assert follow_history(after(120)) == 1
    assert heard() == [missed]


def test_what_was_missed_can_be_skipped(mill: Town) -> None:
    made = make_webhook()
    happen(mill)
    follow_history(after(0))
    change_webhook(made.endpoint.pk, {"enabled": False}, actor=ANN, now=after(1))
    happen(mill)
    change_webhook(
        made.endpoint.pk, {"enabled": True, "skip_missed": True}, actor=ANN, now=after(2)
    )
    assert follow_history(after(60)) == 0
    assert not WebhookDelivery.objects.filter(state="pending").exists()


def test_one_that_is_removed_hears_of_nothing(mill: Town) -> None:
    made = make_webhook()
    happen(mill)
    follow_history(after(0))
    assert remove_webhook(made.endpoint.pk, actor=ANN, now=after(1))
    assert not remove_webhook(made.endpoint.pk, actor=ANN, now=after(1))
    happen(mill)
    assert follow_history(after(60)) == 0
    assert WebhookDelivery.objects.get().last_error == "The webhook was removed."
    make_webhook()  # its name is free again
