"""What failing towns have in common."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from tests.admin.conftest import page
from tests.api.conftest import JsonClient
from tests.commands.conftest import Call, call, world
from tests.factories import NOW, make_town, make_user
from towns.causes import By, Failing, group_failures, grouped, number_of
from towns.words import Status

__all__ = ["call", "world"]  # fixtures


def failing(number: int, minutes: int = 0, **shared: Any) -> Failing:
    return Failing(NOW + timedelta(minutes=minutes), (f"ada/t{number}",), **shared)


def told(found: list[Failing], totals: dict[tuple[By, str], int] | None = None) -> list[str]:
    return [f"{one.by} {one.value}" for one in group_failures(found, totals)]


def test_it_works() -> None:
    """All on image v41 is seen first, although the region is the same."""
    towns = [failing(n, 3 * (n % 2), region="iad", image="v41", kind="timeout") for n in range(12)]
    totals = {(By.REGION, "iad"): 500, (By.IMAGE, "v41"): 14}
    first, *_ = groups = group_failures(towns, totals)
    assert (first.by, first.value, first.failing, first.of) == (By.IMAGE, "v41", 12, 14)
    assert first.all_of_them
    assert (first.first_since, first.last_since) == (NOW, NOW + timedelta(minutes=3))
    assert str(first) == (
        "image v41: 12 of its 14 towns fail, all that fail, since 2026-02-17 12:00:00 UTC to "
        "12:03:00"
    )
    assert [one.by for one in groups] == [By.IMAGE, By.REGION, By.KIND, By.TIME]


def test_what_most_share_comes_before_what_few_do() -> None:
    towns = [failing(n, 60 * n, region="ams", image=f"v{n}") for n in range(4)]
    towns += [failing(n, 60 * n, region="iad", image="v9") for n in range(5, 7)]
    assert told(towns) == ["region ams", "image v9", "region iad"]


@given(
    found=st.lists(
        st.builds(
            failing,
            st.integers(0, 999),
            st.integers(0, 40),
            region=st.sampled_from(["", "ams", "iad"]),
            image=st.sampled_from(["", "v1", "v2"]),
            kind=st.sampled_from(["timeout", "daemon_down"]),
        ),
        max_size=12,
    )
)
def test_every_shared_cause_is_named_once_and_who_shares_it(found: list[Failing]) -> None:
    groups = group_failures(found)
    shared = {
        (by, value): count
        for by, values in (
            (By.REGION, Counter(one.region for one in found if one.region)),
            (By.IMAGE, Counter(one.image for one in found if one.image)),
            (By.KIND, Counter(one.kind for one in found)),
        )
        for value, count in values.items()
        if count > 1
    }
    told = {(one.by, one.value): one.failing for one in groups if one.by != By.TIME}
    assert told == shared
    assert [one.failing for one in groups] == sorted((g.failing for g in groups), reverse=True)
    assert all(one.all_of_them == (one.failing == len(found)) for one in groups)
    together = [one for one in groups if one.by == By.TIME]
    assert all(one.last_since - one.first_since <= timedelta(minutes=6) for one in together)
    alone = len(found) - sum(one.failing for one in together)
    assert alone >= 0, "an episode began at one time"


def test_one_alone_shares_nothing() -> None:
    assert told([failing(1, region="ams", image="v1", host="h", kind="timeout")]) == []
    assert told([]) == []


def test_what_is_unknown_is_shared_by_nobody() -> None:
    assert told([failing(1), failing(2, minutes=60)]) == []


def test_hosts_count_where_they_are_known() -> None:
    assert told([failing(1, host="h7"), failing(2, 60, host="h7"), failing(3, 120)]) == ["host h7"]


@pytest.mark.parametrize(("minutes", "groups"), [(6, 1), (7, 0)])
def test_a_common_beginning(minutes: int, groups: int) -> None:
    assert len(group_failures([failing(1), failing(2, minutes)])) == groups


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def broken() -> None:
    for number in range(3):
        make_town(image="v41", region="iad", episode_since=at(number), failure_kind="timeout")
    make_town(status=Status.ERROR, image="v40", region="ams", episode_since=at(90))
    make_town(image="v41", region="ams")
    make_town(status=Status.STOPPED, image="v41", episode_since=at(0))
    gone = {"status": Status.DESTROYED, "destroyed_at": NOW}
    make_town(**gone, image="v41", episode_since=at(0))


@pytest.mark.django_db
@pytest.mark.usefixtures("broken")
def test_the_fleet_is_read_in_three_statements() -> None:
    with CaptureQueriesContext(connection) as captured:
        found, [first, *_] = grouped()
    assert len(captured) == 3
    assert number_of(found) == 4
    with CaptureQueriesContext(connection) as captured:
        grouped(named=False)
    assert len(captured) == 1, "the totals are kept"
    assert (first.by, first.value, first.failing, first.of) == (By.REGION, "iad", 3, 3)


@pytest.mark.django_db
def test_a_storm_is_added_up_by_the_database_and_says_the_same() -> None:
    towns = [
        make_town(
            image=f"v{n % 2}",
            region=("ams", "iad", "fra")[n % 3],
            episode_since=NOW + timedelta(milliseconds=40 * n, minutes=9 * (n % 2)),
            failure_kind="timeout",
        )
        for n in range(40)
    ]
    by_hand = [
        Failing(town.episode_since, region=town.region, image=town.image, kind=town.failure_kind)
        for town in sorted(towns, key=lambda one: one.episode_since or NOW)
        if town.episode_since
    ]
    found, groups = grouped()
    assert len(found) < len(by_hand)
    totals = {
        **{
            (By.REGION, region): count for region, count in Counter(t.region for t in towns).items()
        },
        **{(By.IMAGE, image): count for image, count in Counter(t.image for t in towns).items()},
    }
    wanted = group_failures(by_hand, totals)
    assert [replace(one, towns=()) for one in groups] == [replace(one, towns=()) for one in wanted]
    assert {len(one.towns) for one in groups} == {10}
    alike = {town.name: town.region for town in towns}
    [ams] = [one for one in groups if one.value == "ams"]
    assert {alike[name.partition("/")[2]] for name in ams.towns} == {"ams"}


@pytest.mark.django_db
def test_nobody_fails() -> None:
    make_town()
    assert grouped() == ([], [])


@pytest.mark.django_db
@pytest.mark.usefixtures("broken")
def test_it_is_shown_to_staff(call: Call) -> None:
    client = JsonClient()
    client.force_login(make_user(is_staff=True, permissions=("view_town",)))
    found = client.get("/api/v1/failures").json()
    assert found["failing"] == 4
    assert (found["groups"][0]["value"], found["groups"][0]["failing"]) == ("iad", 3)
    assert call("automation", "status", "--json").json["failures"] == found
    lines = call("automation", "status").out
    assert "failing now: 4 towns" in lines
    assert "image v41: 3 of its 4 towns fail" in lines
    assert "image v41: 3 of its 4 towns fail" in page(client, "/admin/towns/town/")


@pytest.mark.django_db
def test_owners_see_nothing_of_others() -> None:
    client = Client()
    client.force_login(make_user())
    assert client.get("/api/v1/failures").status_code == 403
