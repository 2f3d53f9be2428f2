"""Driving as a task: bounded in time, and in number over all hosts.

A task that drives for ever would starve the sweeps of workers. So a driving task takes one of
`GASTOWN_DRIVERS` slots, drives for `GASTOWN_DRIVE_SECONDS`, and calls for a successor at the end of
the queue while operations are due soon.
"""

from datetime import datetime, timedelta

from django.conf import settings

from towns.flows.begin import call_driver
from towns.flows.driver import drive, due_within, worker_name
from towns.models import DriverSlot
from towns.services import Services

SOON_SECONDS = 90
"""What is due later is left to the schedule that calls for a driver every minute."""


def drive_in_slot(services: Services) -> int:
    """Drive operations if a slot is free; returns how many claims were worked on.

    A killed task's slot is free again when its time is over, as its operations' leases are.
    """
    name = worker_name()
    number = _take(services, name)
    if number is None:
        return 0
    try:
        worked = drive(services, seconds=settings.GASTOWN_DRIVE_SECONDS)
    finally:
        free(number, name, services.clock.now())
    if due_within(services.clock.now(), SOON_SECONDS):
        call_driver()
    return worked


def _take(services: Services, name: str) -> int | None:
    now = services.clock.now()
    if not due_within(now, SOON_SECONDS):
        return None
    until = now + timedelta(seconds=settings.GASTOWN_DRIVE_SECONDS + settings.GASTOWN_LEASE_SECONDS)
    for number in range(settings.GASTOWN_DRIVERS):
        if take(number, name, now, until):
            return number
    return None


def take(number: int, name: str, now: datetime, until: datetime) -> bool:
    """Take a slot until then, if it is free."""
    DriverSlot.objects.get_or_create(number=number, defaults={"until": now})
    free_now = DriverSlot.objects.filter(number=number, until__lte=now)
    return free_now.update(holder=name, until=until) == 1


def free(number: int, name: str, now: datetime) -> None:
    """Give a slot back, if it still is one's own."""
    DriverSlot.objects.filter(number=number, holder=name).update(until=now)
