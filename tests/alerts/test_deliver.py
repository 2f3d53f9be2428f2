"""Telling people, once: what is sent, to whom, and what is tried again."""

import smtplib

import pytest
from django.core import mail
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.alerts.conftest import OPS, MailServer, after, open_one, resolve, sent
from tests.factories import NOW, make_town
from towns.alerts import deliver_alerts
from towns.alerts.planning import plan
from towns.models import Alert, Delivery, Town

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staff")]
TOLD = "[Gastown Ops] CRITICAL ann/mill: restart failed"
OVER = "[Gastown Ops] Resolved: ann/mill: restart failed"
OWNER_TOLD = "Your town mill stopped answering, and restarting it did not help"


def states() -> list[tuple[str, str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("news", "audience", "state"))


def test_it_works(mill: Town) -> None:
    alert = open_one(mill)
    assert deliver_alerts(after(30)) == 2
    assert sent() == [(OPS, TOLD), ("ann@example.test", OWNER_TOLD)]
    assert Alert.objects.get().notified_at == after(30)
    resolve(alert, after(300))
    assert deliver_alerts(after(420)) == 2
    assert sent()[2:] == [(OPS, OVER), ("ann@example.test", f"Over: y{OWNER_TOLD[1:]}")]
    assert Alert.objects.get().notified_at == after(30), "when it was first told"


def test_nobody_gets_the_same_news_twice(mill: Town) -> None:
    alert = open_one(mill)
    for second in (30, 60, 3600):
        open_one(mill, now=after(second))
        deliver_alerts(after(second))
    resolve(alert, after(4000))
    for second in (4120, 4180, 90_000):
        deliver_alerts(after(second))
    assert len(sent()) == 4


def test_what_is_of_the_fleet_is_told_at_once() -> None:
    open_one(subject="region:ams", cause="platform_down", message="Half of them fail.")
    open_one(subject="sweep:health", cause="sweep_late", severity="warning", message="Late.")
    deliver_alerts(NOW)
    assert sent() == [
        (OPS, "[Gastown Ops] CRITICAL region ams: platform down"),
        (OPS, "[Gastown Ops] sweep health: sweep is late"),
    ]


@pytest.mark.parametrize(("severity", "seconds"), [("critical", 30), ("warning", 120)])
def test_what_is_of_a_town_waits_whether_it_lasts(mill: Town, severity: str, seconds: int) -> None:
    open_one(mill, severity=severity)
    assert deliver_alerts(after(seconds - 1)) == 0
    assert deliver_alerts(after(seconds)) > 0


def test_coder_20944_what_is_over_before_it_was_told_is_not_told_at_all(mill: Town) -> None:
    """The truth is checked when a message is sent."""
    resolve(open_one(mill), after(20))
    for second in (30, 140, 500):
        assert deliver_alerts(after(second)) == 0
    assert sent() == []
    assert {state for _, _, state in states()} == {"skipped"}
    assert Alert.objects.get().notified_at is None


def test_what_is_over_between_plan_and_sending_is_not_told(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = open_one(mill)
    real = plan

    def slow(*args: object, **kwargs: object) -> object:
        found = real(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came
        resolve(alert, after(29))
        return found

    monkeypatch.setattr("towns.alerts.deliver.plan", slow)
    assert deliver_alerts(after(30)) == 0
    monkeypatch.undo()
    assert deliver_alerts(after(400)) == 0
    assert sent() == []
    assert {state for _, _, state in states()} == {"skipped"}


def test_the_end_is_told_to_those_alone_who_heard_of_the_beginning(
    mill: Town, server: type[MailServer]
) -> None:
    alert = open_one(mill)
    server.fails += [None, smtplib.SMTPRecipientsRefused({"ann@example.test": (550, b"no such")})]
    deliver_alerts(after(30))
    resolve(alert, after(300))
    deliver_alerts(after(500))
    assert sent() == [(OPS, TOLD), (OPS, OVER)]


def test_a_failed_one_that_is_over_meanwhile_is_not_told(
    mill: Town, server: type[MailServer]
) -> None:
    alert = open_one(mill)
    server.opening.append(ConnectionRefusedError("no mail server"))
    deliver_alerts(after(30))
    resolve(alert, after(60))
    for second in (90, 180, 400):
        deliver_alerts(after(second))
    assert sent() == []


def test_one_that_cannot_be_sent_is_tried_again_with_back_off(
    mill: Town, server: type[MailServer]
) -> None:
    open_one(mill, severity="warning")
    tries, now = [], after(120)
    with override_settings(GASTOWN_ALERT_ATTEMPTS=7):
        for _ in range(7):
            server.opening.append(ConnectionRefusedError("nobody there"))
            deliver_alerts(now)
            row = Delivery.objects.get()
            tries.append((row.attempts, int((row.due_at - now).total_seconds()), row.state))
            assert deliver_alerts(row.due_at.replace(microsecond=0) - (after(1) - NOW)) == 0
            now = row.due_at
    assert tries[:6] == [
        (1, 60, "pending"),
        (2, 300, "pending"),
        (3, 900, "pending"),
        (4, 3600, "pending"),
        (5, 21600, "pending"),
        (6, 21600, "pending"),
    ]
    assert (tries[6][0], tries[6][2]) == (7, "given_up")
    assert Delivery.objects.get().last_error == "The mail server can't be used: nobody there"
    assert Alert.objects.get().notified_at is None


def test_a_mail_server_that_is_back_gets_it_once(mill: Town, server: type[MailServer]) -> None:
    open_one(mill, severity="warning")
    server.opening.append(ConnectionRefusedError("nobody there"))
    deliver_alerts(after(120))
    assert deliver_alerts(after(180)) == 1
    deliver_alerts(after(240))
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.last_error, row.sent_at) == ("sent", 2, "", after(180))


def test_a_server_that_is_not_there_is_asked_once_a_round(server: type[MailServer]) -> None:
    for _ in range(4):
        open_one(make_town())
    server.opening += [ConnectionRefusedError("nobody there")] * 10
    deliver_alerts(after(30))
    assert len(server.opening) == 9


def test_a_poisoned_one_does_not_stop_the_others(server: type[MailServer]) -> None:
    towns = [make_town(name=f"t{number}") for number in range(3)]
    for town in towns:
        open_one(town, severity="warning")
    server.fails.append(RuntimeError("a bug of ours"))
    assert deliver_alerts(after(120)) == 2
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["pending", "sent", "sent"]
    assert deliver_alerts(after(130)) == 0, "it is in the dead hand's lease"
    assert deliver_alerts(after(120 + 150)) == 1


def test_an_address_that_no_mail_can_have_is_given_up_at_once(
    mill: Town, server: type[MailServer]
) -> None:
    with override_settings(GASTOWN_STAFF_EMAILS=["a\nb@example.test", OPS]):
        open_one(mill, severity="warning")
    assert deliver_alerts(after(120)) == 1
    bad = Delivery.objects.get(state="given_up")
    assert bad.attempts == 1
    assert bad.last_error.startswith("No mail can be written to it: ")


def test_the_message_id_is_the_same_at_every_try(mill: Town, server: type[MailServer]) -> None:
    open_one(mill, severity="warning")
    server.then.append(smtplib.SMTPServerDisconnected("gone before its answer"))
    deliver_alerts(after(120))
    assert Delivery.objects.get().in_doubt
    deliver_alerts(after(180))
    first, again = mail.outbox
    assert first.extra_headers["Message-ID"] == again.extra_headers["Message-ID"]
    assert first.extra_headers["Message-ID"].endswith("@localhost>")
    assert first.extra_headers["Auto-Submitted"] == "auto-generated"


def test_the_end_of_one_that_may_have_been_told_is_told(
    mill: Town, server: type[MailServer]
) -> None:
    """Nobody is left believing that it is still open."""
    alert = open_one(mill, severity="warning")
    server.then.append(smtplib.SMTPServerDisconnected("gone before its answer"))
    deliver_alerts(after(120))
    resolve(alert, after(130))
    deliver_alerts(after(300))
    assert [subject for _, subject in sent()] == [
        "[Gastown Ops] ann/mill: restart failed",
        OVER,
    ]
    opening = Delivery.objects.get(news="opened")
    assert (opening.state, opening.in_doubt) == ("skipped", True)


def test_an_alert_that_was_open_before_there_was_an_outbox(mill: Town) -> None:
    for town, notified in ((mill, None), (make_town(), NOW)):
        Alert.objects.create(
            town=town,
            subject=str(town.pk),
            cause="restart_failed",
            severity="warning",
            message="m",
            opened_at=NOW,
            seen_at=NOW,
            notified_at=notified,
        )
    with override_settings(GASTOWN_STAFF_EMAILS=[]):
        deliver_alerts(after(200))
    assert not Delivery.objects.exists()
    deliver_alerts(after(600))
    assert sent() == [(OPS, "[Gastown Ops] ann/mill: restart failed")]


def test_a_round_without_news_costs_three_reads(mill: Town) -> None:
    open_one(mill)
    deliver_alerts(after(30))
    with CaptureQueriesContext(connection) as captured:
        deliver_alerts(after(60))
    assert len(captured) <= 5, "with the savepoint of what is noted on alerts"


def test_a_message_costs_a_fixed_number_of_statements() -> None:
    costs = []
    for count in (6, 60):
        for _ in range(count):
            open_one(make_town(), severity="warning", cause=f"cause-{count}")
        with CaptureQueriesContext(connection) as captured:
            assert deliver_alerts(after(120)) == 1
        costs.append(len(captured))
    assert costs[0] == costs[1]
    assert costs[0] <= 20
