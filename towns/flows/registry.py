"""Which flow does which kind of operation."""

from importlib import import_module
from typing import cast

from towns.flows.outcome import Flow
from towns.words import OperationKind


def flow_of(kind: str) -> Flow:
    """The flow of an operation's kind: `FLOW` in the module of that name."""
    module = import_module(f"towns.flows.{OperationKind(kind).value}")
    return cast(Flow, module.FLOW)
