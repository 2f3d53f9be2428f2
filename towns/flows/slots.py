"""Driving as a task: bounded in time, and in number on each host.

A task that drives for ever would starve the sweeps of workers. So a driving task takes one of the
`GASTOWN_DRIVERS` slots of its host, drives for `GASTOWN_DRIVE_SECONDS`, and calls for a successor
at the end of the queue while operations are due soon.
"""

from datetime import timedelta

from django.conf import settings

from towns import task_slots
from towns.flows.begin import call_driver
from towns.flows.driver import drive, due_within, worker_name
from towns.services import Services
from towns.task_slots import Held

SOON_SECONDS = 90
"""What is due later is left to the schedule that calls for a driver every minute."""


def drive_in_slot(services: Services) -> int:
    """Drive operations if a slot is free; returns how many claims were worked on.

    A killed task's slot is free again when its time is over, as its operations' leases are.
    """
    held = _take(services)
    if held is None:
        return 0
    try:
        worked = drive(services, seconds=settings.GASTOWN_DRIVE_SECONDS)
    finally:
        task_slots.free(held, services.clock.now())
    if due_within(services.clock.now(), SOON_SECONDS):
        call_driver()
    return worked


def _take(services: Services) -> Held | None:
    now = services.clock.now()
    if not due_within(now, SOON_SECONDS):
        return None
    return task_slots.take(
        "drive",
        worker_name(),
        now=now,
        until=now
        + timedelta(seconds=settings.GASTOWN_DRIVE_SECONDS + settings.GASTOWN_LEASE_SECONDS),
        slots=settings.GASTOWN_DRIVERS,
        host=task_slots.this_host(),
    )
