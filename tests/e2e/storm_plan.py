"""How large a storm is, how fast time goes in it, and what it must show."""

from dataclasses import dataclass

MESSAGES_TO_STAFF = 12
"""A handful: more than this would be noise."""
LOST_VOLUMES = 3
KILLS_OF_THE_WORKER = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds. Everything that isn't here is as in production."""

    towns: int = 60
    fly_down: float = 120
    within: float = 900
    """From the first fault until all towns must be as desired."""
    period: int = 15
    """Of the sweeps; 180 in production."""
    patience: int = 300
    """Of an open breaker; as in production."""
    lease: int = 30
    restarts_at_once: int = 10
    sync_interval: int = 120
    downtime_of_the_worker: float = 3
    """Until whatever watches over the worker has started it again."""

    @property
    def killed(self) -> int:
        """Machines that are killed, and that Fly leaves stopped: a third."""
        return self.towns // 3

    def environment(self) -> dict[str, str]:
        """The settings in which it differs from production."""
        return {
            "GASTOWN_HEALTH_PERIOD_SECONDS": str(self.period),
            "GASTOWN_IDLE_PERIOD_SECONDS": str(self.period),
            "GASTOWN_BREAKER_PATIENCE_SECONDS": str(self.patience),
            "GASTOWN_LEASE_SECONDS": str(self.lease),
            "GASTOWN_RESTARTS_AT_ONCE": str(self.restarts_at_once),
            "GASTOWN_SYNC_INTERVAL_SECONDS": str(self.sync_interval),
            "GASTOWN_DRIVER_THREADS": "16",
            "GASTOWN_WORKERS": "3",
        }


SHORT = Plan(
    towns=12,
    fly_down=15,
    within=120,
    period=4,
    patience=8,
    lease=5,
    restarts_at_once=3,
    sync_interval=60,
    downtime_of_the_worker=1,
)
"""For CI: the same on twelve towns, with less patience everywhere."""
