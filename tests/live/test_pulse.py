"""One reader for all listeners."""

import asyncio
from collections.abc import Collection, Mapping

from django.db import OperationalError

from tests.live.running import LONG, run
from towns.live.pulse import Pulse

QUICK = 0.001


class World:
    """Stamps that tests change, and what was asked for."""

    def __init__(self) -> None:
        self.stamps = {"fleet": "1", "town:a": "1"}
        self.asked: list[frozenset[str]] = []
        self.broken = False

    def read(self, topics: Collection[str]) -> Mapping[str, str]:
        self.asked.append(frozenset(topics))
        if self.broken:
            self.broken = False
            raise OperationalError("the database is away")
        return {topic: self.stamps[topic] for topic in topics if topic in self.stamps}


def test_it_works() -> None:
    world = World()

    async def story() -> None:
        async with Pulse(world.read, period=QUICK).listening(["town:a"]) as listener:
            assert await listener.changed(LONG), "the first reading is news"
            assert dict(listener.stamps) == {"town:a": "1"}
            world.stamps["town:a"] = "2"
            assert await listener.changed(LONG)
            assert dict(listener.stamps) == {"town:a": "2"}

    run(story())


def test_what_others_listen_to_is_no_news() -> None:
    world = World()

    async def story() -> None:
        pulse = Pulse(world.read, period=QUICK)
        async with pulse.listening(["town:a"]) as town, pulse.listening(["fleet"]) as fleet:
            assert await town.changed(LONG)
            assert await fleet.changed(LONG)
            world.stamps["fleet"] = "2"
            assert await fleet.changed(LONG)
            assert not await town.changed(0)

    run(story())


def test_a_thousand_listeners_are_one_reading() -> None:
    world = World()

    async def story() -> None:
        pulse = Pulse(world.read, period=LONG)
        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(listen(pulse))

    async def listen(pulse: Pulse) -> None:
        async with pulse.listening(["town:a"]) as listener:
            await listener.changed(LONG)

    run(story())
    assert len(world.asked) == 1


def test_it_rests_while_nobody_listens_and_goes_on_for_the_next() -> None:
    world = World()

    async def story() -> None:
        pulse = Pulse(world.read, period=QUICK)
        async with pulse.listening(["town:a"]) as listener:
            await listener.changed(LONG)
        assert pulse._beating is not None
        await pulse._beating
        read = len(world.asked)
        async with pulse.listening(["fleet"]) as listener:
            assert await listener.changed(LONG)
        assert world.asked[read] == {"fleet"}

    run(story())


def test_a_database_that_is_away_for_a_moment_ends_nothing() -> None:
    world = World()
    world.broken = True

    async def story() -> None:
        async with Pulse(world.read, period=QUICK).listening(["fleet"]) as listener:
            assert await listener.changed(LONG)

    run(story())
    assert len(world.asked) >= 2
