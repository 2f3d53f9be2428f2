"""The simulated world for tests: Fly, sandboxes and R2 in memory, in virtual time."""

from .faults import Call, Faults, Killed, Moment
from .happenings import Happening, Record
from .process import Process
from .things import FlyMachine, FlyVolume, Pace, Snapshot, TownData
from .timeline import START, Timeline
from .world import SHELL, World, next_due

__all__ = [
    "SHELL",
    "START",
    "Call",
    "Faults",
    "FlyMachine",
    "FlyVolume",
    "Happening",
    "Killed",
    "Moment",
    "Pace",
    "Process",
    "Record",
    "Snapshot",
    "Timeline",
    "TownData",
    "World",
    "next_due",
]
