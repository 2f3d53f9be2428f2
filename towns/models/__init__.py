"""The nouns, one file each."""

from towns.models.alert import Alert
from towns.models.automation import Breaker, Freeze
from towns.models.backup import Backup
from towns.models.driver import DriverSlot
from towns.models.health import HealthCheck
from towns.models.history import LifecycleEvent
from towns.models.operation import Operation
from towns.models.request import IdempotentRequest
from towns.models.sweep import Sweep, SweepChunk
from towns.models.town import Town

__all__ = [
    "Alert",
    "Backup",
    "Breaker",
    "DriverSlot",
    "Freeze",
    "HealthCheck",
    "IdempotentRequest",
    "LifecycleEvent",
    "Operation",
    "Sweep",
    "SweepChunk",
    "Town",
]
