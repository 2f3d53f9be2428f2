"""Exactly one delivery per channel, as far as a sender can know: deaths, pauses, two at once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.db import connections
from django.test import override_settings

from tests.alerts.conftest import OPS, after, open_one, resolve
from tests.factories import make_town
from towns.alerts import claims, deliver, deliver_alerts, outbox
from towns.alerts.claims import LEASE_SECONDS
from towns.alerts.mail import Mailer
from towns.alerts.planning import plan
from towns.models import Delivery, Town

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staff", "server")]


class Killed(BaseException):
    """`kill -9` of the messenger."""


def around_sending(
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[], object] = lambda: None,
    then: Callable[[], object] = lambda: None,
) -> None:
    """Have something happen just before the next mail leaves, or just after, once."""
    send, left = Mailer.send, [before, then]

    def interrupted(mailer: Mailer, *args: Any, **more: Any) -> Any:
        if not left:
            return send(mailer, *args, **more)
        first, second = left
        left.clear()
        first()
        outcome = send(mailer, *args, **more)
        second()
        return outcome

    monkeypatch.setattr(Mailer, "send", interrupted)


def die() -> None:
    raise Killed


def warn(town: Town) -> None:
    """One alert, of which staff alone are told."""
    open_one(town, severity="warning")


def ids() -> list[str]:
    return [message.extra_headers["Message-ID"] for message in mail.outbox]


def test_a_death_before_it_was_sent_sends_it_once(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    warn(mill)
    around_sending(monkeypatch, before=die)
    with pytest.raises(Killed):
        deliver_alerts(after(120))
    assert deliver_alerts(after(120 + LEASE_SECONDS - 1)) == 0, "nobody knows yet that it died"
    assert deliver_alerts(after(120 + LEASE_SECONDS)) == 1
    deliver_alerts(after(90_000))
    assert len(mail.outbox) == 1
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.in_doubt) == ("sent", 2, True)


def test_a_death_between_sending_and_noting_repeats_it_under_the_same_id(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one case that no sender can exclude: the receiver drops the repeat by its id."""
    warn(mill)
    around_sending(monkeypatch, then=die)
    with pytest.raises(Killed):
        deliver_alerts(after(120))
    deliver_alerts(after(120 + LEASE_SECONDS))
    deliver_alerts(after(90_000))
    assert len(mail.outbox) == 2
    assert len(set(ids())) == 1
    assert Delivery.objects.get().state == "sent"


def test_a_message_that_kills_every_messenger_is_given_up(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    warn(mill)

    def kill(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(Mailer, "send", kill)
    with override_settings(GASTOWN_ALERT_ATTEMPTS=3):
        for number in range(3):
            with pytest.raises(Killed):
                deliver_alerts(after(120 + number * LEASE_SECONDS))
        assert deliver_alerts(after(120 + 3 * LEASE_SECONDS)) == 0
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == ("given_up", deliver.SPENT)


def test_a_messenger_that_overtakes_another_repeats_nothing(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    warn(mill)
    around_sending(monkeypatch, before=lambda: deliver_alerts(after(121)))
    assert deliver_alerts(after(120)) == 1
    assert len(mail.outbox) == 1


def test_one_that_slept_beyond_its_lease_notes_nothing(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its successor noted stands."""
    warn(mill)
    around_sending(monkeypatch, then=lambda: deliver_alerts(after(121 + LEASE_SECONDS)))
    deliver_alerts(after(120))
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.sent_at) == ("sent", 2, after(121 + LEASE_SECONDS))
    assert len(set(ids())) == 1


def test_a_digest_is_taken_whole_or_not_at_all(mill: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for town in [mill, *(make_town() for _ in range(5))]:
        warn(town)
    first = Delivery.objects.order_by("pk").first()
    assert first is not None
    real = plan

    def meanwhile(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        Delivery.objects.filter(pk=first.pk).update(lease_until=after(200), attempts=1)
        return found

    monkeypatch.setattr(deliver, "plan", meanwhile)
    assert deliver_alerts(after(120)) == 0
    assert mail.outbox == []
    assert not Delivery.objects.exclude(pk=first.pk).exclude(attempts=0).exists()


def test_the_end_waits_for_a_beginning_that_is_just_being_told(
    mill: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = open_one(mill, severity="warning")

    def over() -> None:
        resolve(alert, after(121))
        deliver_alerts(after(250))

    around_sending(monkeypatch, before=over)
    deliver_alerts(after(120))
    assert len(mail.outbox) == 1
    deliver_alerts(after(300))
    assert [message.subject.split("]")[1].strip() for message in mail.outbox] == [
        "ann/mill: restart failed",
        "Resolved: ann/mill: restart failed",
    ]


@pytest.mark.django_db(transaction=True)
def test_two_messengers_at_the_same_moment_tell_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read what waits before either takes anything."""
    for number in range(4):
        open_one(make_town(), severity="warning", cause=f"cause-{number}")
    gate, real = threading.Barrier(2), plan

    def together(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        gate.wait(30)
        return found

    monkeypatch.setattr(deliver, "plan", together)
    sent: list[int] = []

    def work() -> None:
        try:
            sent.append(deliver_alerts(after(120)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == len(mail.outbox) == 4
    assert len(set(ids())) == 4
    assert set(Delivery.objects.values_list("state", "attempts", "recipient")) == {("sent", 1, OPS)}


def test_a_claim_that_came_too_late_takes_nothing(mill: Town) -> None:
    warn(mill)
    waiting = claims.read_waiting(after(120))
    message = plan(waiting, now=after(120), rules=outbox.rules(), digests={}, down=[]).messages[0]
    assert claims.claim(message, after(120)) is not None
    assert claims.claim(message, after(121)) is None
