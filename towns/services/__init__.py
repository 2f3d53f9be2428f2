"""The only code that talks to the outside: typed calls, typed results, typed errors.

Code that decides gets its clock, its clients and its chance from one `Services` object, so that
a simulation can pass its own.
"""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from .protocols import R2, Clock, Fly, Sandbox
from .results import OnResult

__all__ = ["R2", "Clock", "Fly", "Sandbox", "Services", "SystemClock", "default_services"]


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything from outside that flows and sweeps use."""

    clock: Clock
    fly: Fly
    sandbox: Sandbox
    r2: R2
    rng: random.Random


@cache
def default_services() -> Services:
    """The real services, made from the Django settings once a process.

    An unset setting is told as Misconfigured by the first call that needs it.
    """
    from django.conf import settings

    # The database keeps the budgets, and this package knows nothing of it but here.
    from towns.budgets import SharedBuckets
    from towns.metrics.store import tally

    # The values and errors of this package are used where boto3 and requests aren't wanted.
    from .fly import FlyClient, FlyConfig
    from .r2 import R2Client, R2Config
    from .sandbox import SandboxClient

    def counts(name: str) -> OnResult:
        return lambda action, result: tally.add(name, action=action, result=result)

    def probed(results: Counter[str]) -> None:
        for result, probes in results.items():
            tally.add("gastown_probes", probes, result=result)

    fly = FlyConfig(
        api_url=settings.GASTOWN_FLY_API_URL,
        token=settings.GASTOWN_FLY_API_TOKEN,
        app=settings.GASTOWN_FLY_APP_NAME,
    )
    r2 = R2Config(
        endpoint_url=settings.GASTOWN_R2_ENDPOINT_URL,
        bucket=settings.GASTOWN_R2_BUCKET,
        access_key_id=settings.GASTOWN_R2_ACCESS_KEY_ID,
        secret_access_key=settings.GASTOWN_R2_SECRET_ACCESS_KEY,
    )
    return Services(
        clock=SystemClock(),
        fly=FlyClient(fly, limiter=SharedBuckets(), on_result=counts("gastown_fly_calls")),
        sandbox=SandboxClient(
            timeout_seconds=settings.GASTOWN_PROBE_TIMEOUT_SECONDS,
            on_results=probed,
        ),
        r2=R2Client(r2, on_result=counts("gastown_r2_calls")),
        rng=random.Random(),
    )
