"""Chunks of a sweep: how a fleet is split, and whose hand each is in."""

import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import override_settings

from tests.factories import NOW, make_town
from towns.models import Sweep, SweepChunk
from towns.sweeps import chunks
from towns.words import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def sweep() -> Sweep:
    return Sweep.objects.create(kind="health", slot=NOW, started_at=NOW)


@pytest.fixture
def three(sweep: Sweep) -> list[int]:
    """The ids of three chunks."""
    for _ in range(3):
        make_town()
    with override_settings(GASTOWN_SWEEP_CHUNK_SIZE=1):
        chunks.split(sweep)
    return list(sweep.chunks.values_list("pk", flat=True))


@pytest.mark.parametrize(("towns", "sizes"), [(0, []), (1, [1]), (4, [2, 2]), (5, [2, 2, 1])])
def test_a_fleet_is_split_by_key_ranges(sweep: Sweep, towns: int, sizes: list[int]) -> None:
    ids = sorted(make_town().pk for _ in range(towns))
    make_town(status=Status.STOPPED)
    with override_settings(GASTOWN_SWEEP_CHUNK_SIZE=2):
        assert chunks.split(sweep) == towns
    ranges = sweep.chunks.order_by("number").values_list("number", "first_town", "last_town")
    within = [[one for one in ids if first <= one <= last] for _, first, last in ranges]
    assert [len(one) for one in within] == sizes
    assert sorted(one for part in within for one in part) == ids
    assert [number for number, _, _ in ranges] == list(range(len(sizes)))


def test_each_is_in_one_hand(sweep: Sweep, three: list[int]) -> None:
    taken = [chunks.claim(sweep, name, NOW) for name in ("a", "b", "a", "b")]
    assert [one and one.pk for one in taken] == [*three, None]
    assert chunks.runners(sweep, NOW) == 2
    assert not chunks.free(sweep, NOW).exists()


def test_what_a_lost_runner_held_is_free_when_its_lease_is_over(
    sweep: Sweep, three: list[int]
) -> None:
    chunks.claim(sweep, "lost", NOW)
    later = NOW + timedelta(seconds=settings.GASTOWN_LEASE_SECONDS)
    before = later - timedelta(microseconds=1)
    assert chunks.free(sweep, before).first() == SweepChunk.objects.get(pk=three[1])
    found = chunks.claim(sweep, "another", later)
    assert found is not None
    assert found.pk == three[0]
    assert not chunks.finish(three[0], "lost", later), "it stores nothing any more"
    assert chunks.finish(three[0], "another", later)


def test_a_lease_is_renewed_by_its_owner_alone(sweep: Sweep, three: list[int]) -> None:
    chunks.claim(sweep, "a", NOW)
    chunks.claim(sweep, "b", NOW)
    later = NOW + timedelta(seconds=20)
    chunks.renew(three, "a", later)
    until = dict(sweep.chunks.values_list("pk", "lease_until"))
    lease = timedelta(seconds=settings.GASTOWN_LEASE_SECONDS)
    assert until == {three[0]: later + lease, three[1]: NOW + lease, three[2]: None}


def test_what_is_done_is_done_once(sweep: Sweep, three: list[int]) -> None:
    chunks.claim(sweep, "a", NOW)
    assert chunks.finish(three[0], "a", NOW)
    assert not chunks.finish(three[0], "a", NOW)
    later = NOW + timedelta(hours=1)
    assert [one.pk for one in chunks.free(sweep, later)] == three[1:]


def test_a_sweep_that_was_given_up_has_nothing_to_take(sweep: Sweep, three: list[int]) -> None:
    Sweep.objects.update(finished_at=NOW)
    assert chunks.claim(sweep, "a", NOW) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_runners_that_claim_at_the_same_moment_get_different_ones() -> None:
    sweep = Sweep.objects.create(kind="health", slot=NOW, started_at=NOW)
    for _ in range(40):
        make_town()
    with override_settings(GASTOWN_SWEEP_CHUNK_SIZE=1):
        chunks.split(sweep)
    taken: list[int] = []
    ready = threading.Barrier(8)

    def claim(name: str) -> None:
        try:
            ready.wait()
            while (found := chunks.claim(sweep, name, NOW)) is not None:
                taken.append(found.pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim, args=[f"runner-{n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(set(taken))
    left = sweep.chunks.filter(lease_until=None).count()
    assert len(taken) + left == 40
    assert left < 8, "who finds the next one locked may go, but somebody has gone on"
