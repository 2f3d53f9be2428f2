"""`/v1/apps/{app}/machines`: what each call does (fly.md, "Machines")."""

import contextlib
import signal
import time
from typing import Any

from . import ids, restarts
from .errors import ApiError, bad_request, not_found, precondition
from .faults import Faults
from .fleet import Fleet
from .leases import check_lease
from .records import GOING, RESTING, RUNNING, Machine
from .web import Answer, Request

WAIT_STATES = ("started", "stopped", "suspended", "destroyed")
LONGEST_WAIT = 60.0
LONGEST_STOP = 300.0


class Machines:
    """The calls about machines; each raises ApiError when it is refused."""

    def __init__(self, fleet: Fleet, faults: Faults) -> None:
        self._fleet = fleet
        self._state = fleet.state
        self._faults = faults

    def list(self, request: Request, app: str) -> Answer:
        """All of the app that aren't destroyed, narrowed by the filters."""
        query = request.query
        wanted = {
            key.removeprefix("metadata."): value
            for key, value in query.items()
            if key.startswith("metadata.")
        }
        with self._state.reading():
            found = [
                machine.document(summary=_is_true(query.get("summary")))
                for machine in self._state.machines.values()
                if (machine.state != "destroyed" or _is_true(query.get("include_deleted")))
                and machine.app == app
                and query.get("region") in (None, machine.region)
                and wanted.items() <= machine.metadata.items()
            ]
        return Answer(found)

    def create(self, request: Request, app: str) -> Answer:
        """Make a machine, which boots at once unless `skip_launch`."""
        body = request.json()
        config = body.get("config")
        if not isinstance(config, dict) or not config.get("image"):
            raise bad_request("config.image is required")
        if "machines" in self._faults.no_capacity:
            raise _no_room()
        with self._state.changing():
            machine = Machine(
                id=ids.machine_id(),
                name=str(body.get("name") or f"machine-{ids.ulid().lower()}"),
                region=str(body.get("region") or "iad"),
                config=config,
                app=app,
            )
            self._check_name(machine)
            self._check_mounts(machine)
            self._state.machines[machine.id] = machine
            self._attach(machine)
            machine.add_event("launch", "created", "user")
            launch = not body.get("skip_launch")
            if launch:
                machine.set_state("starting")
            document = machine.document()
        if launch:
            actor = self._fleet.actor(machine.id)
            actor.do(actor.boot)
        return Answer(document)

    def get(self, machine_id: str) -> Answer:
        """One, also a destroyed one."""
        with self._state.reading():
            return Answer(self._state.machine(machine_id).document())

    def update(self, request: Request, machine_id: str) -> Answer:
        """A new version of the configuration; it reboots unless `skip_launch`."""
        body = request.json()
        config = body.get("config")
        if not isinstance(config, dict):
            raise bad_request("config is required")
        with self._state.changing():
            machine = self._changeable(request, machine_id)
            guard = body.get("current_version")
            if guard and guard != machine.instance_id:
                raise precondition(f"current version is {machine.instance_id}")
            was = machine.config
            machine.config = config
            try:
                self._check_mounts(machine)
            except ApiError:
                machine.config = was
                raise
            self._attach(machine)
            machine.new_version()
            machine.add_event("update", "updated", "user")
            reboots = not body.get("skip_launch") and machine.state != "created"
            if reboots:
                machine.set_state("replacing")
            document = machine.document()
        if reboots:
            actor = self._fleet.actor(machine_id)
            request_ = _stop_request({}, machine, force=False)
            actor.do(lambda: actor.halt(request_, None), actor.boot)
        return Answer(document)

    def start(self, request: Request, machine_id: str) -> Answer:
        """Start one that rests; one that runs is left alone."""
        if "start" in self._faults.no_capacity:
            raise _no_room()
        with self._state.changing():
            machine = self._changeable(request, machine_id)
            previous = machine.state
            if previous in RUNNING:
                return Answer({"previous_state": previous})
            if previous not in RESTING:
                raise precondition(f"unable to start machine from state '{previous}'")
            machine.set_state("starting")
            machine.restart_count = 0
        actor = self._fleet.actor(machine_id)
        actor.do(actor.resume if previous == "suspended" else actor.boot)
        return Answer({"previous_state": previous})

    def stop(self, request: Request, machine_id: str) -> Answer:
        """Answers at once; the machine stops by and by."""
        body = request.json()
        with self._state.changing():
            machine = self._changeable(request, machine_id)
            stop = _stop_request(body, machine, force=False)
            if machine.state in ("stopped", "stopping"):
                return Answer({"ok": True})
            if machine.state in RESTING:
                machine.set_state("stopped")
                return Answer({"ok": True})
            machine.set_state("stopping")
        actor = self._fleet.actor(machine_id)
        actor.do(lambda: actor.halt(stop))
        return Answer({"ok": True})

    def restart(self, request: Request, machine_id: str) -> Answer:
        """Stop and start; one that rests is only started."""
        force = _is_true(request.query.get("force_stop"))
        with self._state.changing():
            machine = self._changeable(request, machine_id)
            if machine.state not in RUNNING | RESTING:
                raise precondition(f"unable to restart machine from state '{machine.state}'")
            stop = _stop_request(request.query, machine, force=force)
            machine.set_state("restarting")
            machine.restart_count = 0
        actor = self._fleet.actor(machine_id)
        actor.do(lambda: actor.halt(stop, None), actor.boot)
        return Answer({"ok": True})

    def signal(self, request: Request, machine_id: str) -> Answer:
        """Send its first process a signal."""
        number = _signal(request.json().get("signal"))
        with self._state.reading():
            if self._state.machine(machine_id).state != "started":
                raise precondition("machine is not started")
        process = self._fleet.actor(machine_id).process
        if process is not None:
            process.send(number)
        return Answer({"ok": True})

    def suspend(self, request: Request, machine_id: str) -> Answer:
        """Halt it as it is."""
        with self._state.changing():
            machine = self._changeable(request, machine_id)
            if machine.state != "started":
                raise precondition(f"unable to suspend machine from state '{machine.state}'")
            machine.set_state("suspending")
        actor = self._fleet.actor(machine_id)
        actor.do(actor.suspend)
        return Answer({"ok": True})

    def cordon(self, request: Request, machine_id: str, *, on: bool) -> Answer:
        """Take it out of, or back into, the proxy's rotation."""
        with self._state.changing():
            self._changeable(request, machine_id).cordoned = on
        return Answer({"ok": True})

    def wait(self, request: Request, machine_id: str) -> Answer:
        """200 when the state is reached, 408 when not."""
        state = request.query.get("state", "started")
        instance = request.query.get("instance_id")
        if state not in WAIT_STATES:
            raise bad_request(f"state must be one of {', '.join(WAIT_STATES)}")
        if state == "stopped" and not instance:
            raise bad_request("instance_id is required to wait for stopped")
        seconds = min(_seconds(request.query.get("timeout"), LONGEST_WAIT), LONGEST_WAIT)
        with self._state.reading():
            self._state.machine(machine_id)

        def reached() -> bool:
            machine = self._state.machines.get(machine_id)
            if machine is None:
                return state == "destroyed"
            return machine.state == state

        deadline = time.monotonic() + seconds
        while not self._state.wait_until(reached, min(1.0, max(0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or self._fleet.closing.is_set():
                raise ApiError(408, f"deadline_exceeded: machine is not {state}")
        return Answer({"ok": True})

    def destroy(self, request: Request, machine_id: str) -> Answer:
        """Destroy one; a running one only by force. Its volume stays."""
        force = _is_true(request.query.get("force")) or _is_true(request.query.get("kill"))
        with self._state.changing():
            machine = self._changeable(request, machine_id)
            if machine.state == "destroying":
                return Answer({"ok": True})
            if machine.state not in RESTING and not force:
                raise precondition("machine is running: stop it first, or use force")
            machine.set_state("destroying")
        actor = self._fleet.actor(machine_id)
        actor.do(actor.destroy)
        process = actor.process
        if process is not None:
            process.kill()
        return Answer({"ok": True})

    def metadata(self, request: Request, machine_id: str, key: str | None) -> Answer:
        """Read it, or set or remove one key."""
        with self._state.changing():
            machine = self._state.machine(machine_id)
            if request.method == "GET":
                return Answer(dict(machine.metadata))
            check_lease(request, machine)
            if key is None:
                raise bad_request("a metadata key is required")
            if request.method == "DELETE":
                machine.metadata.pop(key, None)
            else:
                machine.metadata[key] = str(request.json().get("value", ""))
        return Answer({"ok": True})

    def _changeable(self, request: Request, machine_id: str) -> Machine:
        machine = self._state.machine(machine_id)
        if machine.state == "destroyed":
            raise not_found("machine")
        check_lease(request, machine)
        return machine

    def _check_name(self, machine: Machine) -> None:
        name, app = machine.name, machine.app
        for other in self._state.machines.values():
            if (other.name, other.app) == (name, app) and other.state != "destroyed":
                raise ApiError(
                    409,
                    f"already_exists: unique machine name violation, machine ID {other.id} "
                    f'already exists with name "{name}"',
                    "already_exists",
                )

    def _check_mounts(self, machine: Machine) -> None:
        for volume_id in machine.volume_ids:
            volume = self._state.volumes.get(volume_id)
            if volume is None or volume.app != machine.app or volume.state in GOING:
                raise ApiError(400, f"volume not found: {volume_id}", "invalid_argument")
            if volume.region != machine.region:
                raise bad_request(f"volume {volume_id} is not in region {machine.region}")
            if volume.attached_machine_id not in (None, machine.id):
                raise precondition(
                    f"volume {volume_id} is attached to machine {volume.attached_machine_id}"
                )

    def _attach(self, machine: Machine) -> None:
        for volume in self._state.volumes.values():
            if volume.id in machine.volume_ids:
                volume.attached_machine_id = machine.id
            elif volume.attached_machine_id == machine.id:
                volume.attached_machine_id = None


def _no_room() -> ApiError:
    return ApiError(412, "insufficient resources available", "insufficient_capacity")


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("1", "true", "yes")


def _stop_request(body: Any, machine: Machine, *, force: bool) -> restarts.StopRequest:
    """Of the call, else of the machine's configuration, else Fly's own default."""
    if force:
        return restarts.StopRequest(signal.SIGKILL, 0.0, latency=True)
    configured = machine.config.get("stop_config") or {}
    number = _signal(body.get("signal") or configured.get("signal") or "SIGINT")
    timeout = _seconds(body.get("timeout") or configured.get("timeout"), 5.0)
    return restarts.StopRequest(number, min(timeout, LONGEST_STOP), latency=True)


def _signal(name: object) -> int:
    text = str(name or "").upper()
    with contextlib.suppress(KeyError):
        return signal.Signals[text if text.startswith("SIG") else f"SIG{text}"].value
    raise bad_request(f"unknown signal {name!r}")


def _seconds(value: object, default: float) -> float:
    """`300s`, `5m`, or plain seconds."""
    if value in (None, ""):
        return default
    text = str(value)
    factor = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:], 0.0)
    try:
        seconds = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        raise bad_request(f"{text!r} is no duration") from None
    if not 0 <= seconds < 86400:
        raise bad_request(f"{text!r} is no sensible duration")
    return seconds
