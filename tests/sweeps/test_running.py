"""Runners: they work through the chunks that are free, each stored by itself."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from django.test import override_settings

from tests.factories import NOW, make_town
from tests.sweeps.fakes import FakeFleet
from tests.world.probing import AtOnce
from towns.models import HealthCheck, Sweep, SweepChunk, Town
from towns.probe import Probe
from towns.services.protocols import Probing
from towns.services.sandbox import SandboxAddress
from towns.sweeps import chunks, running, storing
from towns.sweeps.health import begin_sweep, sweep_fleet
from towns.sweeps.running import Runner, pace
from towns.sweeps.tally import Tally

pytestmark = pytest.mark.django_db


@pytest.fixture
def begun(settings: Any) -> Sweep:
    """A sweep of three towns, each a chunk."""
    settings.GASTOWN_SWEEP_CHUNK_SIZE = 1
    for _ in range(3):
        make_town()
    sweep = begin_sweep(NOW, NOW)
    assert sweep is not None
    return sweep


class Held(AtOnce):
    """Gives batches back the last one first, as one does whose first one hangs."""

    most = 0

    def begin(self, key: int, addresses: Sequence[SandboxAddress]) -> None:
        super().begin(key, addresses)
        Held.most = max(Held.most, self.under_way)

    def take(self, seconds: float | None = None) -> tuple[int, list[Probe]] | None:
        return self._done.pop()


def hanging(fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def probing(*, concurrency: int) -> AbstractContextManager[Probing]:
        return nullcontext(Held(lambda asked: fleet.sandboxes.probe_many(asked, concurrency=1)))

    Held.most = 0
    monkeypatch.setattr(fleet.sandboxes, "probing", probing)


def test_it_works(fleet: FakeFleet, begun: Sweep) -> None:
    stored: list[Tally] = []
    Runner(begun, fleet.services, stored=stored.append).run()
    assert [dict(tally.results) for tally in stored] == [{"ok": 1}] * 3
    assert not begun.chunks.filter(finished_at=None).exists()


def test_a_chunk_that_waits_for_its_town_holds_up_no_other(
    fleet: FakeFleet, begun: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging(fleet, monkeypatch)
    order: list[int] = []
    finish = chunks.finish

    def noting(chunk_id: int, *given: Any) -> bool:
        order.append(SweepChunk.objects.get(pk=chunk_id).number)
        return finish(chunk_id, *given)

    monkeypatch.setattr(chunks, "finish", noting)
    Runner(begun, fleet.services).run()
    assert order == [2, 1, 0]


def test_sockets_that_are_free_are_for_the_next_chunk(
    fleet: FakeFleet, begun: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a chunk to be complete before the next one is asked."""

    def ask(asked: Sequence[SandboxAddress]) -> list[Probe]:
        return fleet.sandboxes.probe_many(asked, concurrency=1)

    class Waits(AtOnce):
        looks = 0

        def begin(self, key: int, addresses: Sequence[SandboxAddress]) -> None:
            self.waiting = 0 if self.under_way else 1
            super().begin(key, addresses)

        def take(self, seconds: float | None = None) -> tuple[int, list[Probe]] | None:
            """The first town hangs until all the others were asked."""
            self.looks += 1
            assert self.looks < 20, "the others were never asked"
            self.waiting = 0
            return super().take() if len(fleet.sandboxes.asked) == 3 else None

    monkeypatch.setattr(fleet.sandboxes, "probing", lambda **_: nullcontext(Waits(ask)))
    Runner(begun, fleet.services).run()
    assert HealthCheck.objects.count() == 3


def test_so_many_chunks_are_in_memory_and_no_more(
    fleet: FakeFleet, begun: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging(fleet, monkeypatch)
    monkeypatch.setattr(running, "MOST_UNDER_WAY", 2)
    Runner(begun, fleet.services).run()
    assert Held.most == 2
    assert HealthCheck.objects.count() == 3


def test_what_another_one_holds_is_left_to_it(fleet: FakeFleet, begun: Sweep) -> None:
    chunks.claim(begun, "another", NOW)
    Runner(begun, fleet.services).run()
    assert [one.number for one in begun.chunks.filter(finished_at=None)] == [0]
    assert len(fleet.sandboxes.asked) == 2


def test_whoever_lost_its_lease_meanwhile_stores_nothing(fleet: FakeFleet, begun: Sweep) -> None:
    """It was away for longer than that: another one counts the failure, and it is counted once."""
    for town in Town.objects.all():
        fleet.break_town(town)
    slow = Runner(begun, fleet.services)

    def overtaken() -> None:
        fleet.sandboxes.while_asking = lambda: None
        fleet.clock.advance(31)
        Runner(begun, fleet.services).run()

    fleet.sandboxes.while_asking = overtaken
    slow.run()
    assert set(Town.objects.values_list("consecutive_failures", flat=True)) == {1}
    assert HealthCheck.objects.count() == 3
    assert [one["results"] for one in begun.chunks.values_list("counts", flat=True)] == [
        {"failed": 1}
    ] * 3


def test_one_that_cannot_be_stored_stops_no_other(
    fleet: FakeFleet, begun: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begun.chunks.get(number=0)
    store = storing.store

    def fails(observations: Any, **given: Any) -> Any:
        if observations[0].town.pk == first.first_town:
            raise RuntimeError("no such thing")
        return store(observations, **given)

    monkeypatch.setattr(running, "store", fails)
    runner = Runner(begun, fleet.services)
    runner.run()
    assert [str(error) for error in runner.errors] == ["no such thing"]
    assert [one.number for one in begun.chunks.filter(finished_at=None)] == [0]
    monkeypatch.setattr(running, "store", store)
    fleet.clock.advance(31)
    Runner(begun, fleet.services).run()
    assert HealthCheck.objects.count() == 3


def test_a_sweep_by_hand_tells_what_went_wrong(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_town()

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(running, "store", fails)
    with pytest.raises(RuntimeError, match="no such thing"):
        sweep_fleet(NOW, fleet.services)


def test_a_sweep_by_hand_says_that_workers_have_the_rest(fleet: FakeFleet, begun: Sweep) -> None:
    chunks.claim(begun, "a worker", NOW)
    report = sweep_fleet(NOW, fleet.services)
    assert report.results == {"ok": 2}
    assert report.note == "Workers have the rest of this sweep under way."


def test_enough_is_enough_but_what_was_begun_is_stored(fleet: FakeFleet, begun: Sweep) -> None:
    turns = iter([False, True])
    Runner(begun, fleet.services).run(enough=lambda: next(turns, True))
    assert begun.chunks.filter(finished_at=None).count() == 2


def test_towns_that_were_stopped_meanwhile_are_not_asked(fleet: FakeFleet, begun: Sweep) -> None:
    Town.objects.update(machine_id="")
    Runner(begun, fleet.services).run()
    assert fleet.sandboxes.asked == []
    assert not begun.chunks.filter(finished_at=None).exists()


@pytest.mark.parametrize(
    ("towns", "runners", "per_second"),
    [(5, 1, 100), (5, 2, 50), (6000, 1, 100), (100_000, 1, 1667), (100_000, 4, 417), (5, 0, 100)],
)
def test_a_sweep_is_spread_over_a_third_of_its_period(
    towns: int, runners: int, per_second: float
) -> None:
    sweep = Sweep(kind="health", slot=NOW, towns=towns)
    with override_settings(GASTOWN_HEALTH_PERIOD_SECONDS=180):
        assert round(pace(sweep, runners)) == per_second


def test_who_took_too_long_does_not_take_its_own_chunk_again(
    fleet: FakeFleet, begun: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging(fleet, monkeypatch)
    fleet.sandboxes.while_asking = lambda: fleet.clock.advance(31)
    runner = Runner(begun, fleet.services)
    runner.run()
    assert len(fleet.sandboxes.asked) == 3


def test_a_runner_keeps_its_leases(
    fleet: FakeFleet, begun: Sweep, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.GASTOWN_LEASE_SECONDS = 0
    renewed: list[list[int]] = []
    monkeypatch.setattr(chunks, "renew", lambda held, *_: renewed.append(list(held)))
    monkeypatch.setattr(running, "MOST_UNDER_WAY", 2)
    hanging(fleet, monkeypatch)
    Runner(begun, fleet.services).run()
    first = begun.chunks.get(number=0).pk
    assert first in renewed[0]
