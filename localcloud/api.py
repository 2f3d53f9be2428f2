"""The front door: the Machines API, the way to sandboxes, and what `ctl` asks for."""

import hmac
import logging
from collections.abc import Callable

from .control import Control
from .errors import ApiError, Dropped, not_found
from .faults import Faults, hang_while
from .fleet import Fleet
from .leases import Leases
from .limits import RateLimits
from .machines import Machines
from .proxy import Proxy
from .records import Machine, Volume
from .volumes import Volumes
from .web import Answer, Request

log = logging.getLogger(__name__)
Call = Callable[[], Answer]


class Api:
    """Routes requests; `handle` is the server's."""

    def __init__(self, fleet: Fleet, faults: Faults) -> None:
        self._options = fleet.options
        self._state = fleet.state
        self._faults = faults
        self._limits = RateLimits(scale=fleet.options.rate)
        self._machines = Machines(fleet, faults)
        self._volumes = Volumes(fleet, faults)
        self._leases = Leases(fleet.state)
        self._proxy = Proxy(fleet, faults)
        self._control = Control(fleet, faults)

    def handle(self, request: Request) -> Answer:
        """Answer one request. Raises ApiError or Dropped."""
        match request.parts:
            case ("machines", _, *_):
                return self._proxy.handle(request)
            case ("_ctl", command):
                self._check_token(request)
                return self._control.handle(command, request)
            case ("v1", *_):
                return self._machines_api(request)
        raise ApiError(404, "not found")

    def _machines_api(self, request: Request) -> Answer:
        """As Fly does: is it there at all, who asks, for which app, how often, and then what."""
        self._pretend_outage(request)
        if self._faults.token_code is not None:
            raise ApiError(self._faults.token_code, "unauthorized", "unauthorized")
        self._check_token(request)
        if request.parts[1:2] != ("apps",) or len(request.parts) < 3:
            raise ApiError(404, "not found")
        app, parts = request.parts[2], request.parts[3:]
        if code := self._faults.apps_refusing.get(app):
            raise ApiError(code, "unauthorized", "unauthorized")
        gone = self._faults.app_gone or app in self._faults.apps_gone
        if app not in self._options.apps or gone:
            raise ApiError(404, "app not found", "not_found")
        self._check_whose(app, parts)
        action, key, call = self._route(request, app, parts)
        self._limits.take(action, key)
        fault = self._faults.take(action, key)
        if fault is not None and fault.when == "before":
            fault.strike()
        answer = call()
        if fault is not None:
            fault.strike()
        return answer

    def _check_whose(self, app: str, parts: tuple[str, ...]) -> None:
        """What another app has is not found in this one."""
        with self._state.reading():
            record: Machine | Volume | None = None
            match parts:
                case ("machines", one, *_):
                    record = self._state.machines.get(one)
                case ("volumes", one, *_):
                    record = self._state.volumes.get(one)
            if record is not None and record.app != app:
                raise not_found(parts[0].removesuffix("s"))

    def _route(self, request: Request, app: str, parts: tuple[str, ...]) -> tuple[str, str, Call]:
        """The action's name, what its rate is counted by, and the call."""
        machines, volumes = self._machines, self._volumes
        match (request.method, *parts):
            case ("GET",):
                return "get_app", app, lambda: Answer({"name": app, "status": "deployed"})
            case ("GET", "machines"):
                return "list_machines", app, lambda: machines.list(request, app)
            case ("POST", "machines"):
                return "create_machine", app, lambda: machines.create(request, app)
            case ("GET", "machines", str(one)):
                return "get_machine", one, lambda: machines.get(one)
            case ("POST", "machines", str(one)):
                return "update_machine", one, lambda: machines.update(request, one)
            case ("DELETE", "machines", str(one)):
                return "destroy_machine", one, lambda: machines.destroy(request, one)
            case (_, "machines", str(one), str(action), *rest):
                return self._machine_action(request, one, action, rest)
            case ("GET", "volumes"):
                return "list_volumes", app, lambda: volumes.list(app)
            case ("POST", "volumes"):
                return "create_volume", app, lambda: volumes.create(request, app)
            case ("GET", "volumes", str(one)):
                return "get_volume", one, lambda: volumes.get(one)
            case ("PUT" | "POST", "volumes", str(one)):
                return "update_volume", one, lambda: volumes.update(request, one)
            case ("PUT", "volumes", str(one), "extend"):
                return "extend_volume", one, lambda: volumes.extend(request, one)
            case ("DELETE", "volumes", str(one)):
                return "destroy_volume", one, lambda: volumes.destroy(one)
            case ("GET" | "POST", "volumes", str(one), "snapshots"):
                return "snapshots", one, lambda: volumes.snapshots(request, one)
        raise ApiError(404, "not found")

    def _machine_action(
        self, request: Request, one: str, action: str, rest: list[str]
    ) -> tuple[str, str, Call]:
        machines = self._machines
        name = f"{action}_machine"
        match (request.method, action, *rest):
            case ("POST", "start"):
                return name, one, lambda: machines.start(request, one)
            case ("POST", "stop"):
                return name, one, lambda: machines.stop(request, one)
            case ("POST", "restart"):
                return name, one, lambda: machines.restart(request, one)
            case ("POST", "signal"):
                return name, one, lambda: machines.signal(request, one)
            case ("POST", "suspend"):
                return name, one, lambda: machines.suspend(request, one)
            case ("POST", "cordon" | "uncordon"):
                return name, one, lambda: machines.cordon(request, one, on=action == "cordon")
            case ("GET", "wait"):
                return name, one, lambda: machines.wait(request, one)
            case ("GET" | "POST" | "DELETE", "lease"):
                return name, one, lambda: self._leases.handle(request, one)
            case ("GET", "metadata"):
                return name, one, lambda: machines.metadata(request, one, None)
            case ("POST" | "DELETE", "metadata", str(key)):
                return name, one, lambda: machines.metadata(request, one, key)
        raise ApiError(404, "not found")

    def _check_token(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._options.token.encode()):
            raise ApiError(401, "unauthorized", "unauthorized")

    def _pretend_outage(self, request: Request) -> None:
        outage = self._faults.fly_outage()
        if outage is None:
            return
        if outage.mode == "close":
            raise Dropped
        if outage.mode == "hang":
            hang_while(lambda: self._faults.fly_outage() is not None, request.has_left)
            return
        raise ApiError(503, "service unavailable", "unavailable")
