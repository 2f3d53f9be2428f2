"""Provision: a new town gets its volume and its machine, and runs."""

from towns.flows.healthy import await_healthy
from towns.flows.machines import (
    await_started,
    ensure_machine,
    has_arrived_running,
    start_machine,
)
from towns.flows.outcome import Flow
from towns.flows.volumes import ensure_volume
from towns.words import OperationKind

FLOW = Flow(
    kind=OperationKind.PROVISION,
    steps=(ensure_volume, ensure_machine, start_machine, await_started, await_healthy),
    deadline="GASTOWN_DEADLINE_PROVISIONING_MINUTES",
    arrived=has_arrived_running,
)
