"""Days as the real sweeps and flows live and record them, over a virtual clock."""

import random
from contextlib import suppress
from datetime import datetime, timedelta

from tests.world import World
from towns import actions, interactions
from towns.actions import NotAllowed
from towns.flows.driver import drive_once
from towns.history import Actor
from towns.models import Town
from towns.sweeps.health import sweep_fleet
from towns.sweeps.idle import sweep_idle
from towns.words import InteractionKind, Status

PERIOD = 180
OWNER = Actor("ada")


class Days:
    """A fleet that lives slot after slot; who comes, works and fails is said by the test."""

    def __init__(self, names: tuple[str, ...] = ("alpha",)) -> None:
        self.world = World()
        self.towns = [self.world.running_town(name) for name in names]
        self.begun = self.world.now

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.world.now

    def town(self, number: int = 0) -> Town:
        """A town as it is now."""
        return Town.objects.select_related("owner").get(pk=self.towns[number].pk)

    def visit(self, number: int = 0) -> None:
        """Its owner looks at the dashboard."""
        town = self.town(number)
        interactions.visit(town, actor=OWNER, kind=InteractionKind.VISIT, now=self.now)

    def work(self, polecats: int, number: int = 0) -> None:
        """So many polecats work from now on, if it runs."""
        if self.town(number).status == Status.RUNNING:
            self.world.process(self.town(number)).polecats_active = polecats

    def mute(self, number: int = 0) -> None:
        """It answers nothing any more, until it is restarted."""
        if self.town(number).status == Status.RUNNING:
            self.world.process(self.town(number)).mute = True

    def connect(self, number: int = 0) -> None:
        """Somebody writes through a WebSocket, and is gone again."""
        if self.town(number).status == Status.RUNNING:
            interactions.websocket_message(self.town(number), self.now)

    def choose(self, number: int, minutes: int) -> None:
        """Its owner chooses an idle timeout, and has it kept awake for as long."""
        until = self.now + timedelta(minutes=minutes)
        changes = {"idle_timeout_minutes": minutes, "keep_awake_until": until}
        actions.change_town(self.town(number).pk, changes, actor=OWNER, now=self.now)

    def stop(self, number: int = 0) -> None:
        """Its owner stops it."""
        with suppress(NotAllowed):
            actions.request_stop(self.town(number).pk, actor=OWNER, now=self.now)

    def slots(self, count: int) -> None:
        """Let so many sweeps pass, with all that follows from them."""
        for _ in range(count):
            sweep_fleet(self.now, self.world.services)
            sweep_idle(self.world.services, slot=self.now)
            for _ in range(9):
                self.world.advance(PERIOD / 9)
                while drive_once(self.world.services):
                    pass

    def minutes(self, count: int) -> None:
        """The same by the minutes."""
        self.slots(count * 60 // PERIOD)


def live_by_chance(days: Days, hours: int, seed: int) -> None:
    """Owners come, connect, choose and stop, polecats work, and towns fall silent."""
    rng = random.Random(seed)
    for _ in range(hours * 3600 // PERIOD):
        for number in range(len(days.towns)):
            if rng.random() < 0.06:
                days.visit(number)
            if rng.random() < 0.1:
                days.work(rng.choice((0, 0, 1)), number)
            if rng.random() < 0.01:
                days.mute(number)
            if rng.random() < 0.04:
                days.connect(number)
            if rng.random() < 0.02:
                days.choose(number, rng.choice((10, 30, 45)))
            if rng.random() < 0.01:
                days.stop(number)
        days.slots(1)
