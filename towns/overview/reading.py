"""The whole overview, read at once."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from towns.overview.attention import Attention, read_attention
from towns.overview.day import recent_day_charts
from towns.overview.fleet import Fleet, read_fleet
from towns.overview.work import (
    Platform,
    Restarts,
    SweepState,
    UnderWay,
    read_platforms,
    read_restarts,
    read_sweeps,
    read_under_way,
)
from towns.readable import utc
from towns.replay.wrong_stops import WrongStops, recent_wrong_stop_rate
from towns.standing import Standing, read_standing

WRONG_STOP_DAYS = 7


@dataclass(frozen=True, slots=True)
class Overview:
    """What the admin's front page shows."""

    now: datetime
    fleet: Fleet
    attention: Attention
    standing: Standing
    sweeps: list[SweepState]
    under_way: UnderWay
    restarts: Restarts
    platforms: list[Platform]
    wrong_stops: WrongStops
    charts: list[SafeString]

    @property
    def frozen(self) -> list[str]:
        """What holds automation back now, in sentences."""
        halts = [one for one in (self.standing.freeze, self.standing.recovery) if one is not None]
        return [
            *(f"Frozen ({one.scope}) by {one.actor}: {one.reason}" for one in halts),
            *(
                f"The breaker of {one.scope} is {one.state}: {one.reason}"
                for one in self.standing.breakers.values()
            ),
            *(
                f"Maintenance of {one.scope} until {utc(one.until)}: {one.reason}"
                for one in self.standing.windows
                if one.since <= self.now < one.until
            ),
        ]


def read_overview(now: datetime) -> Overview:
    """Read it; the number of statements is the same for any fleet."""
    return Overview(
        now=now,
        fleet=read_fleet(now),
        attention=read_attention(now),
        standing=read_standing(now),
        sweeps=read_sweeps(now),
        under_way=read_under_way(now),
        restarts=read_restarts(now),
        platforms=read_platforms(),
        wrong_stops=recent_wrong_stop_rate(now, WRONG_STOP_DAYS),
        charts=recent_day_charts(now),
    )
