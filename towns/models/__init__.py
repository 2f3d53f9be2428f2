"""The nouns, one file each."""

from towns.models.alert import Alert
from towns.models.automation import Breaker, Freeze, MaintenanceWindow
from towns.models.backup import Backup
from towns.models.budget import CountedBudget, FlyBudget
from towns.models.bulk_run import BulkItem, BulkRun
from towns.models.delivery import Delivery
from towns.models.drill import Drill
from towns.models.health import HealthCheck
from towns.models.health_hour import HealthHour
from towns.models.history import LifecycleEvent
from towns.models.metric import MetricSum
from towns.models.operation import Operation
from towns.models.orphan import Orphan
from towns.models.replay import ReplayRun
from towns.models.request import IdempotentRequest
from towns.models.sweep import Sweep, SweepChunk
from towns.models.task_slot import TaskSlot
from towns.models.token import ApiToken
from towns.models.town import Town
from towns.models.webhook import WebhookDelivery, WebhookEndpoint

__all__ = [
    "Alert",
    "ApiToken",
    "Backup",
    "Breaker",
    "BulkItem",
    "BulkRun",
    "CountedBudget",
    "Delivery",
    "Drill",
    "FlyBudget",
    "Freeze",
    "HealthCheck",
    "HealthHour",
    "IdempotentRequest",
    "LifecycleEvent",
    "MaintenanceWindow",
    "MetricSum",
    "Operation",
    "Orphan",
    "ReplayRun",
    "Sweep",
    "SweepChunk",
    "TaskSlot",
    "Town",
    "WebhookDelivery",
    "WebhookEndpoint",
]
