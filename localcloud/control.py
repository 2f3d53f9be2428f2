"""What `ctl` can do: look, break, mend, and run `gt` inside a machine."""

import subprocess
from collections.abc import Callable
from typing import Any

from . import environment
from .errors import ApiError, bad_request
from .faults import CAPACITY, FLY_MODES, R2_MODES, REFUSALS, Faults, Injected, MachineFault, outage
from .fleet import Fleet
from .web import Answer, Request

EXEC_SECONDS = 60.0
Body = dict[str, Any]


class Control:
    """One method a command. Each gets the body of the request and returns a JSON document."""

    def __init__(self, fleet: Fleet, faults: Faults) -> None:
        self._fleet = fleet
        self._state = fleet.state
        self._faults = faults
        self._commands: dict[str, Callable[[Body], object]] = {
            "status": self._status,
            "kill": self._kill,
            "destroy": self._destroy,
            "lose-volume": self._lose_volume,
            "hang": self._hang,
            "refuse": self._refuse,
            "slow": self._slow,
            "mend": self._mend,
            "fly": self._fly,
            "r2": self._r2,
            "token": self._token,
            "app": self._app,
            "capacity": self._capacity,
            "fail": self._fail,
            "exec": self._exec,
            "reset": self._reset,
        }

    def handle(self, command: str, request: Request) -> Answer:
        """Do as told. Raises ApiError."""
        found = self._commands.get(command)
        if found is None:
            raise ApiError(404, f"there is no command {command}")
        return Answer(found(request.json()))

    def _status(self, _: Body) -> object:
        with self._state.reading():
            machines = [
                {
                    "id": machine.id,
                    "name": machine.name,
                    "app": machine.app,
                    "town": machine.metadata.get("gastown_town", ""),
                    "state": machine.state,
                    "region": machine.region,
                    "volumes": machine.volume_ids,
                    "port": machine.port,
                    "fault": self._faults.machine(machine.id).kind,
                    "delay": self._faults.machine(machine.id).delay,
                }
                for machine in self._state.machines.values()
                if machine.state != "destroyed"
            ]
            volumes = [{**one.document(), "app": one.app} for one in self._state.volumes.values()]
        fly, r2 = self._faults.fly_outage(), self._faults.r2_outage()
        return {
            "machines": machines,
            "volumes": volumes,
            "fly": fly.mode if fly else "up",
            "r2": r2.mode if r2 else "up",
            "token": self._faults.token_code or "accepted",
            "no_capacity": sorted(self._faults.no_capacity),
        }

    def _kill(self, body: Body) -> object:
        machine_id = self._machine(body)
        if body.get("down"):
            self._fleet.use_up_restarts(machine_id)
        return {"machine": machine_id, "killed": self._fleet.kill(machine_id)}

    def _destroy(self, body: Body) -> object:
        machine_id = self._machine(body)
        self._forget(machine_id)
        return {"machine": machine_id, "gone": True}

    def _lose_volume(self, body: Body) -> object:
        """Its host is lost: the volume, and the machine on it."""
        volume_id = self._volume(body)
        with self._state.reading():
            machine_id = self._state.volume(volume_id).attached_machine_id
        if machine_id is not None:
            self._forget(machine_id)
        self._fleet.drop_volume(volume_id)
        return {"volume": volume_id, "machine": machine_id, "gone": True}

    def _forget(self, machine_id: str) -> None:
        self._fleet.forget(machine_id)
        with self._state.changing():
            self._state.machines.pop(machine_id, None)
            for volume in self._state.volumes.values():
                if volume.attached_machine_id == machine_id:
                    volume.attached_machine_id = None

    def _hang(self, body: Body) -> object:
        return self._break(body, MachineFault("hang"))

    def _refuse(self, body: Body) -> object:
        return self._break(body, MachineFault(_one_of(body.get("how", "refuse"), REFUSALS)))

    def _slow(self, body: Body) -> object:
        return self._break(body, MachineFault(None, _seconds(body.get("seconds"))))

    def _break(self, body: Body, fault: MachineFault) -> object:
        machine_id = self._machine(body)
        self._faults.set_machine(machine_id, fault)
        return {"machine": machine_id, "fault": fault.kind, "delay": fault.delay}

    def _mend(self, body: Body) -> object:
        machine_id = self._machine(body)
        self._faults.mend_machine(machine_id)
        return {"machine": machine_id, "fault": None}

    def _fly(self, body: Body) -> object:
        down = body.get("down")
        mode = _one_of(body.get("mode") or "503", FLY_MODES)
        self._faults.fly = outage(mode, _maybe_seconds(body.get("for"))) if down else None
        return {"fly": mode if down else "up"}

    def _r2(self, body: Body) -> object:
        down = body.get("down")
        mode = _one_of(body.get("mode") or "503", R2_MODES)
        self._faults.r2 = outage(mode, _maybe_seconds(body.get("for"))) if down else None
        self._faults.r2_delay = _seconds(body.get("delay", 0))
        return {"r2": mode if down else "up", "delay": self._faults.r2_delay}

    def _token(self, body: Body) -> object:
        code = body.get("code")
        if code not in (None, 401, 403):
            raise bad_request("a token is refused with 401 or 403")
        if app := body.get("app"):
            others = {key: it for key, it in self._faults.apps_refusing.items() if key != app}
            self._faults.apps_refusing = others | ({app: code} if code else {})
            return {"token": code or "accepted", "app": app}
        self._faults.token_code = code
        return {"token": code or "accepted"}

    def _app(self, body: Body) -> object:
        if app := body.get("app"):
            gone = self._faults.apps_gone
            self._faults.apps_gone = gone | {app} if body.get("gone") else gone - {app}
            return {"apps_gone": sorted(self._faults.apps_gone)}
        self._faults.app_gone = bool(body.get("gone"))
        return {"app_gone": self._faults.app_gone}

    def _capacity(self, body: Body) -> object:
        kinds = body.get("none") or []
        self._faults.no_capacity = frozenset(_one_of(kind, CAPACITY) for kind in kinds)
        return {"no_capacity": sorted(self._faults.no_capacity)}

    def _fail(self, body: Body) -> object:
        fault = Injected(
            action=str(body.get("action") or "*"),
            code=int(body.get("code", 500)),
            when=_one_of(body.get("when", "before"), ("before", "after")),
            count=int(body.get("count", 1)),
        )
        self._faults.inject(fault)
        return {"action": fault.action, "code": fault.code, "count": fault.count}

    def _exec(self, body: Body) -> object:
        """Run a command where the machine's processes live."""
        machine_id = self._machine(body)
        command = [str(word) for word in body.get("command") or []]
        if not command:
            raise bad_request("which command?")
        with self._state.reading():
            machine = self._state.machine(machine_id)
            if machine.state != "started":
                raise ApiError(412, f"machine {machine_id} is {machine.state}, not started")
            env = environment.environment_of(
                machine, self._state, self._fleet.options, self._fleet.run
            )
        try:
            done = subprocess.run(
                command,
                cwd=env["GT_HOME"],
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=EXEC_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ApiError(400, f"{command[0]}: {error}") from error
        return {"exit_code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def _reset(self, _: Body) -> object:
        self._faults.reset()
        return {"reset": True}

    def _machine(self, body: Body) -> str:
        """An id, or what only one machine's name, town or metadata holds."""
        wanted = str(body.get("machine") or "")
        with self._state.reading():
            living = [m for m in self._state.machines.values() if m.state != "destroyed"]
            names = {m.id: {m.id, m.name, *m.metadata.values(), *m.volume_ids} for m in living}
        exact = [one for one, words in names.items() if wanted in words]
        part = [one for one, words in names.items() if any(wanted in word for word in words)]
        found = exact or (part if wanted else [])
        if len(found) != 1:
            many = f"{len(found)} machines are" if found else "no machine is"
            raise ApiError(404, f"{many} called {wanted!r}; `ctl status` lists them")
        return found[0]

    def _volume(self, body: Body) -> str:
        wanted = str(body.get("volume") or "")
        with self._state.reading():
            if wanted in self._state.volumes:
                return wanted
        machine_id = self._machine({"machine": wanted})
        with self._state.reading():
            volumes = self._state.machine(machine_id).volume_ids
        if len(volumes) != 1:
            raise ApiError(404, f"machine {machine_id} has {len(volumes)} volumes; name one")
        return volumes[0]


def _one_of(value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise bad_request(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 86400:
        raise bad_request(f"{value!r} is no number of seconds")
    return float(value)


def _maybe_seconds(value: object) -> float | None:
    return None if value is None else _seconds(value)
