"""Alerts: one open per subject and cause; what is to be told is written together with it."""

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.alerts.conftest import OPS, WEBHOOK, after, open_one, resolve
from tests.factories import NOW, make_town
from towns import alerts
from towns.alerts import opening, outbox
from towns.alerts.opening import new_alert
from towns.models import Alert, Delivery, Town

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staff")]


def written() -> list[tuple[str, str, str, str]]:
    return list(
        Delivery.objects.order_by("pk").values_list("news", "channel", "recipient", "audience")
    )


def test_it_works(mill: Town) -> None:
    with override_settings(**WEBHOOK):
        open_one(mill)
    assert written() == [
        ("opened", "email", OPS, "staff"),
        ("opened", "webhook", "hooks.example.test", "staff"),
        ("opened", "email", "ann@example.test", "owner"),
    ]


def test_one_is_open_per_town_and_cause(mill: Town) -> None:
    assert open_one(mill) == open_one(mill)
    assert Alert.objects.count() == 1
    assert len(written()) == 2


def test_owners_are_not_told_of_warnings(mill: Town) -> None:
    open_one(mill, severity="warning")
    assert written() == [("opened", "email", OPS, "staff")]


def test_an_owner_who_is_staff_is_told_once_as_staff(mill: Town) -> None:
    with override_settings(GASTOWN_STAFF_EMAILS=["Ann@Example.test", " "]):
        open_one(mill)
    assert written() == [("opened", "email", "Ann@Example.test", "staff")]


def test_an_owner_without_an_address_is_not_told(mill: Town) -> None:
    mill.owner.email = ""
    open_one(mill)
    assert written() == [("opened", "email", OPS, "staff")]


def test_nothing_is_posted_unsigned(mill: Town) -> None:
    with override_settings(**{**WEBHOOK, "GASTOWN_ALERT_WEBHOOK_SECRET": ""}):
        open_one(mill, severity="warning")
    assert written() == [("opened", "email", OPS, "staff")]


def test_no_key_in_the_webhooks_address_is_kept(mill: Town) -> None:
    """Invariant 11."""
    with override_settings(
        **{**WEBHOOK, "GASTOWN_ALERT_WEBHOOK_URL": "https://me:pw@hooks.test/T0K3N?key=1"}
    ):
        open_one(mill)
    assert Delivery.objects.get(channel="webhook").recipient == "hooks.test"


def test_resolved_alerts_are_kept_and_a_new_one_can_open(mill: Town) -> None:
    open_one(mill)
    closed = alerts.resolve_alerts(
        town=mill, causes=["restart_failed"], resolution="ok", now=after(1)
    )
    assert closed == 1
    assert open_one(mill, now=after(2)).opened_at == after(2)
    assert Alert.objects.count() == 2


def test_what_is_resolved_is_news_to_all_who_may_hear_that_it_opened(mill: Town) -> None:
    alert = open_one(mill)
    Delivery.objects.filter(audience="owner").update(state="given_up")
    resolve(alert, after(60))
    resolve(alert, after(61))
    assert written()[2:] == [("resolved", "email", OPS, "staff")]


def test_the_news_stands_or_falls_with_what_it_is_about(mill: Town) -> None:
    with transaction.atomic():
        open_one(mill)
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
    alert = open_one(mill)
    with transaction.atomic():
        resolve(alert, after(1))
        transaction.set_rollback(True)
    assert not Delivery.objects.filter(news="resolved").exists()


def test_a_death_while_the_news_is_written_leaves_no_alert_behind(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert that nobody is told of is worse than none: what opens it comes again."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> bool:
        raise Killed

    monkeypatch.setattr(outbox, "write_opened", die)
    with pytest.raises(Killed):
        open_one(mill)
    with pytest.raises(Killed):
        alerts.open_many([new_alert(mill.pk, "x", severity="warning", message="m", now=NOW)])
    assert not Alert.objects.exists()
    monkeypatch.undo()
    alert = open_one(mill)
    monkeypatch.setattr(outbox, "write_resolved", die)
    with pytest.raises(Killed):
        resolve(alert, after(1))
    alert.refresh_from_db()
    assert alert.resolved_at is None


def storm(count: int) -> list[Alert]:
    return [
        new_alert(make_town().pk, "disk_critical", severity="critical", message="Full.", now=NOW)
        for _ in range(count)
    ]


def test_many_are_opened_and_resolved_in_a_fixed_number_of_statements() -> None:
    costs = []
    for count in (2, 20):  # SQLite takes some fifty rows in one statement
        fresh = storm(count)
        with CaptureQueriesContext(connection) as opening, transaction.atomic():
            alerts.open_many(fresh)
        ids = list(Alert.objects.filter(resolved_at=None).values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as resolving, transaction.atomic():
            alerts.resolve_many(ids, resolution="it is over", now=after(60))
        assert Delivery.objects.filter(alert__in=ids).count() == 4 * count
        costs.append((len(opening), len(resolving)))
    assert costs[0] == costs[1]
    assert max(costs[0]) <= 9, "with the savepoints"


def test_many_that_are_open_already_are_not_told_again(mill: Town) -> None:
    known = open_one(mill, cause="disk_critical")
    fresh = [
        new_alert(mill.pk, "disk_critical", severity="critical", message="Full.", now=after(5)),
        *storm(1),
    ]
    alerts.open_many(fresh)
    assert Alert.objects.count() == 2
    assert Delivery.objects.filter(alert=known).count() == 2
    assert Delivery.objects.count() == 4


def test_none_at_all_costs_nothing() -> None:
    with CaptureQueriesContext(connection) as captured:
        alerts.open_many([])
        alerts.resolve_many([], resolution="x", now=NOW)
    assert len(captured) == 0


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({"subject": "fleet", "cause": "platform_down"}, 1),
        ({"subject": "sweep:health", "cause": "sweep_late", "severity": "warning"}, 1),
        ({}, 0),
    ],
)
def test_a_messenger_is_called_on_commit_for_what_is_due_at_once(
    mill: Town,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: object,
    fields: dict[str, str],
    called: int,
) -> None:
    calls: list[str] = []
    monkeypatch.setattr("django_q.tasks.async_task", calls.append)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture has no type
        alert = open_one(None if fields else mill, **fields)
        assert calls == []
    assert calls == ["towns.tasks.deliver_alerts"] * called
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture has no type
        resolve(alert, after(60))
    assert calls == ["towns.tasks.deliver_alerts"] * (2 * called)


def test_one_that_becomes_critical_is_told_to_its_owner_too(mill: Town) -> None:
    """Staff heard of it when it was a warning: they are not told twice."""
    open_one(mill, severity="warning")
    worse = open_one(mill, now=after(60), message="Now it is down.")
    assert (Alert.objects.count(), Alert.objects.get().severity) == (1, "critical")
    assert (worse.severity, Alert.objects.get().message) == ("critical", "Now it is down.")
    assert written() == [
        ("opened", "email", OPS, "staff"),
        ("opened", "email", "ann@example.test", "owner"),
    ]
    open_one(mill, severity="warning", now=after(120))
    assert Alert.objects.get().severity == "critical", "it is as bad as it was"
    assert len(written()) == 2


def test_one_that_is_resolved_at_that_very_moment_is_opened_anew(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_one(mill)
    see = opening._see_again

    def too_late(alert: Alert, *args: object) -> bool:
        monkeypatch.undo()
        resolve(first, after(1))
        return see(alert, *args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(opening, "_see_again", too_late)
    assert open_one(mill, now=after(2)) != first
    assert Alert.objects.filter(resolved_at=None).count() == 1
