"""Fly's Machines API for one app: machines and volumes (fly.md).

Every method raises the errors of `errors.py`: RateLimited without asking Fly when we ask too
often, Unavailable when nothing is known, Misconfigured when our token or app name is wrong. None
of them waits for a machine or volume to change: starting, stopping and destroying only begin.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from .fly_http import Call, FlyHttp
from .fly_parse import Unreadable, machine_body, parse_machine, parse_volume, volume_body
from .fly_types import (
    FlyConfig,
    Machine,
    MachineExit,
    MachineSpec,
    Volume,
    VolumeSpec,
)
from .limits import RateLimiter, TokenBuckets
from .results import OnResult, ignore

__all__ = [
    "FlyClient",
    "FlyConfig",
    "Machine",
    "MachineExit",
    "MachineSpec",
    "Volume",
    "VolumeSpec",
]
T = TypeVar("T")


class FlyClient:
    """Thread-safe. `limiter` holds our side of Fly's rate limits; one a process by default.

    `on_result` hears of each call: what was asked, and `ok` or the name of the error.
    """

    def __init__(
        self,
        config: FlyConfig,
        *,
        limiter: RateLimiter | None = None,
        session_factory: Callable[[], requests.Session] | None = None,
        on_result: OnResult = ignore,
    ) -> None:
        self._app = config.app
        self._http = FlyHttp(config, limiter or TokenBuckets(), session_factory, on_result)

    def ping(self) -> bool:
        """Whether Fly's API answers at all: anything below 500 counts. Never raises."""
        return self._http.answers()

    def get_app(self) -> None:
        """See that the app exists. Raises Misconfigured when it doesn't."""
        self._http.confirm_app()

    def list_machines(self, *, metadata: Mapping[str, str] | None = None) -> list[Machine]:
        """All machines that aren't destroyed, or those with all of this metadata."""
        wanted = dict(metadata or {})
        params = {f"metadata.{key}": value for key, value in wanted.items()}
        call = self._of_app("GET", "machines", "list_machines", "the machines", params=params)
        machines = self._read_list(call, parse_machine)
        # A server that doesn't know the filter answers with everybody's machines.
        return [machine for machine in machines if wanted.items() <= machine.metadata.items()]

    def get_machine(self, machine_id: str) -> Machine:
        """One machine, also when it is in state `destroyed`. Raises NotFound."""
        return self._read(self._of_machine("GET", machine_id, "get_machine"), parse_machine)

    def create_machine(self, spec: MachineSpec) -> Machine:
        """Make a machine, which boots at once.

        Raises Conflict with `existing_id` when its name is taken, and CapacityError. After
        Unavailable it may exist: look before making another.
        """
        what = f"machine {spec.name}"
        call = self._of_app("POST", "machines", "create_machine", what, body=machine_body(spec))
        return self._read(call, parse_machine)

    def start_machine(self, machine_id: str) -> None:
        """Have it started. Raises NotFound, Conflict, CapacityError."""
        self._http.send(self._of_machine("POST", machine_id, "start_machine", "start"))

    def stop_machine(
        self, machine_id: str, *, signal: str = "SIGTERM", timeout_seconds: int = 300
    ) -> None:
        """Have it stopped by a signal; after the time-out Fly kills it. Raises NotFound."""
        body = {"signal": signal, "timeout": f"{timeout_seconds}s"}
        call = self._of_machine("POST", machine_id, "stop_machine", "stop", body=body)
        self._http.send(call)

    def restart_machine(
        self, machine_id: str, *, timeout_seconds: int, signal: str = "SIGTERM"
    ) -> None:
        """Have it stopped by a signal and started again. Raises NotFound, CapacityError."""
        params = {"timeout": f"{timeout_seconds}s", "signal": signal}
        call = self._of_machine("POST", machine_id, "restart_machine", "restart", params=params)
        self._http.send(call)

    def destroy_machine(self, machine_id: str, *, force: bool) -> None:
        """Have it destroyed; one that runs only with `force`, else Conflict. Raises NotFound."""
        params = {"force": "true"} if force else {}
        self._http.send(self._of_machine("DELETE", machine_id, "destroy_machine", params=params))

    def list_volumes(self) -> list[Volume]:
        """All volumes, also those going away. Names are not unique."""
        call = self._of_app("GET", "volumes", "list_volumes", "the volumes")
        return self._read_list(call, parse_volume)

    def get_volume(self, volume_id: str) -> Volume:
        """One volume. Raises NotFound."""
        return self._read(self._of_volume("GET", volume_id, "get_volume"), parse_volume)

    def create_volume(self, spec: VolumeSpec) -> Volume:
        """Make an empty volume. Raises CapacityError. After Unavailable it may exist."""
        what = f"volume {spec.name}"
        call = self._of_app("POST", "volumes", "create_volume", what, body=volume_body(spec))
        return self._read(call, parse_volume)

    def destroy_volume(self, volume_id: str) -> None:
        """Have it destroyed. Raises NotFound, and Conflict or Rejected while it is attached."""
        self._http.send(self._of_volume("DELETE", volume_id, "destroy_volume"))

    def _of_app(
        self,
        method: str,
        collection: str,
        action: str,
        what: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Call:
        path = self._http.path(collection)
        return Call(method, path, action, self._app, what, params=params or {}, body=body)

    def _of_machine(
        self,
        method: str,
        machine_id: str,
        action: str,
        verb: str = "",
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Call:
        parts = ["machines", _an_id(machine_id, "machine"), *([verb] if verb else [])]
        return Call(
            method,
            self._http.path(*parts),
            action,
            machine_id,
            f"machine {machine_id}",
            params=params or {},
            body=body,
            absent_is_proof=True,
        )

    def _of_volume(self, method: str, volume_id: str, action: str) -> Call:
        path = self._http.path("volumes", _an_id(volume_id, "volume"))
        what = f"volume {volume_id}"
        return Call(method, path, action, volume_id, what, absent_is_proof=True)

    def _read(self, call: Call, parse: Callable[[object], T]) -> T:
        try:
            return parse(self._http.send(call))
        except Unreadable:
            raise self._http.unreadable(call) from None

    def _read_list(self, call: Call, parse: Callable[[object], T]) -> list[T]:
        """A list with one entry that can't be read is no list: absence from it would lie."""
        documents = self._http.send(call)
        if not isinstance(documents, list):
            raise self._http.unreadable(call)
        try:
            return [parse(document) for document in documents]
        except Unreadable:
            raise self._http.unreadable(call) from None


def _an_id(value: str, noun: str) -> str:
    """An empty id would address the whole collection, and `..` something else."""
    if not value or not value.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"“{value}” is not the id of a {noun}")
    return value
