"""Messages in words: what staff and owners read."""

from datetime import timedelta

import pytest

from tests.alerts.conftest import after, open_one, resolve
from tests.factories import make_town, make_user
from towns.alerts.letters import Letter, letter
from towns.models import Alert, Town

pytestmark = pytest.mark.django_db
URL = "https://ops.example.test/"


def to_staff(*alerts: Alert, news: str = "opened", digest: str = "") -> Letter:
    return letter(alerts, news=news, audience="staff", digest=digest, url=URL)


def to_owner(*alerts: Alert, news: str = "opened") -> Letter:
    return letter(alerts, news=news, audience="owner", url=URL)


def storm(count: int, **fields: str) -> list[Alert]:
    return [open_one(make_town(region="ams", image="town:41"), **fields) for _ in range(count)]


def test_it_works(mill: Town) -> None:
    alert = open_one(mill)
    told = to_staff(alert)
    assert told.subject == "[Gastown Ops] CRITICAL ann/mill: restart failed"
    assert told.body.split("\n\n") == [
        "See why it does not come back: manage.py town show ann/mill",
        "ann/mill: restart failed. It does not answer.",
        "Region ams, image registry.test/town:41\nSince 2026-02-17 12:00:00 UTC",
        f"{URL}admin/towns/alert/{alert.pk}/change/\n",
    ]


def test_many_are_told_by_what_they_share() -> None:
    told = to_staff(*storm(12), digest="under:region:ams")
    assert told.subject == (
        "[Gastown Ops] CRITICAL 12 towns: restart failed (while region ams is down)"
    )
    assert "By region: ams 12" in told.body
    assert "By image: town:41 12" in told.body
    assert "and 2 more" in told.body
    assert f"{URL}admin/towns/alert/?state=open&cause=restart_failed" in told.body


def test_several_causes_are_counted() -> None:
    told = to_staff(*storm(2), *storm(1, cause="start_failed"))
    assert "3 towns: restart failed, start failed" in told.subject
    assert "restart failed: 2\nstart failed: 1" in told.body


def test_the_end_tells_how_long_it_took(mill: Town) -> None:
    alert = open_one(mill)
    resolve(alert, after(600))
    alert.refresh_from_db()
    told = to_staff(alert, news="resolved")
    assert told.subject == "[Gastown Ops] Resolved: ann/mill: restart failed"
    assert told.body.startswith("Nothing to do: restart succeeded.\n\n")
    assert "From 2026-02-17 12:00:00 UTC until 2026-02-17 12:10:00 UTC, 10 min" in told.body


def test_owners_read_no_commands_and_no_addresses_of_ours(mill: Town) -> None:
    mill.last_backup_at = after(0) - timedelta(minutes=4)
    mill.save()
    told = to_owner(open_one(mill))
    assert told.subject == "Your town mill stopped answering, and restarting it did not help"
    assert "Its last backup was made on 2026-02-17 11:56:00 UTC." in told.body
    for ours in ("manage.py", URL, "registry.test", "ams"):
        assert ours not in told.body


def test_an_owner_of_many_is_told_of_them_by_name() -> None:
    ann = make_user("ann")
    told = to_owner(*(open_one(make_town(owner=ann, name=name)) for name in ("mill", "pond")))
    assert told.subject.startswith("2 of your towns: stopped answering")
    assert "mill\npond" in told.body


def test_no_line_break_reaches_a_subject() -> None:
    """A header that holds one is no header."""
    alert = open_one(subject="image:a\nBcc: all@example.test", cause="platform_down")
    assert "\n" not in to_staff(alert).subject


def test_a_cause_without_words_of_its_own_is_told_by_its_name(mill: Town) -> None:
    assert to_staff(open_one(mill, cause="odd_thing")).subject.endswith("ann/mill: odd thing")
