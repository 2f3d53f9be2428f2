"""What is broken on purpose. Set by `ctl`, asked by the servers; nothing of it is saved."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import ApiError, Dropped

FLY_MODES = ("503", "close", "hang")
R2_MODES = ("503", "close", "hang")
REFUSALS = ("refuse", "forbidden", "error", "garbage", "hang")
CAPACITY = ("machines", "start", "volumes")
_POLL = 0.1


@dataclass(slots=True)
class Injected:
    """The next `count` calls of `action` (`*`: any) answer `code` (0: the connection breaks),
    before or after they had their effect."""

    action: str
    code: int = 500
    when: str = "before"
    count: int = 1
    error: str = "injected by localcloud ctl"
    status: str | None = None
    target: str | None = None
    """A machine's or volume's id; None is any."""

    def strike(self) -> None:
        """Raises what the caller gets instead of an answer."""
        if self.code == 0:
            raise Dropped
        raise ApiError(self.code, self.error, self.status)


@dataclass(frozen=True, slots=True)
class Outage:
    """Something is down in one of the modes; `until` is monotonic, None is until told."""

    mode: str
    until: float | None

    def is_over(self) -> bool:
        """Has its time run out?"""
        return self.until is not None and time.monotonic() >= self.until


@dataclass(slots=True)
class MachineFault:
    """`kind` is one of REFUSALS or None; `delay` in seconds."""

    kind: str | None = None
    delay: float = 0.0


@dataclass(slots=True)
class Faults:
    """Thread-safe as far as it is used through its methods; single fields are set as a whole."""

    fly: Outage | None = None
    r2: Outage | None = None
    r2_delay: float = 0.0
    token_code: int | None = None
    app_gone: bool = False
    apps_gone: frozenset[str] = frozenset()
    apps_refusing: dict[str, int] = field(default_factory=dict)
    """The apps that the token is not good for, and the code that says so."""
    no_capacity: frozenset[str] = frozenset()
    machines: dict[str, MachineFault] = field(default_factory=dict)
    injected: list[Injected] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, fault: Injected) -> None:
        """Have it strike from the next call on."""
        with self._lock:
            self.injected.append(fault)

    def take(self, action: str, target: str) -> Injected | None:
        """The fault that strikes this call, if any; it is used up by one."""
        with self._lock:
            for fault in self.injected:
                if fault.action in ("*", action) and fault.target in (None, target):
                    fault.count -= 1
                    if fault.count <= 0:
                        self.injected.remove(fault)
                    return fault
        return None

    def machine(self, machine_id: str) -> MachineFault:
        """What is wrong with the way to a machine's sandbox."""
        with self._lock:
            return self.machines.get(machine_id) or MachineFault()

    def set_machine(self, machine_id: str, fault: MachineFault) -> None:
        """From now on."""
        with self._lock:
            self.machines[machine_id] = fault

    def mend_machine(self, machine_id: str) -> None:
        """The way is free again."""
        with self._lock:
            self.machines.pop(machine_id, None)

    def fly_outage(self) -> Outage | None:
        """Of the Machines API, now."""
        return None if self.fly is None or self.fly.is_over() else self.fly

    def r2_outage(self) -> Outage | None:
        """Of S3, now."""
        return None if self.r2 is None or self.r2.is_over() else self.r2

    def reset(self) -> None:
        """Nothing is broken any more."""
        with self._lock:
            self.machines.clear()
            self.injected.clear()
        self.fly = self.r2 = self.token_code = None
        self.r2_delay, self.app_gone, self.no_capacity = 0.0, False, frozenset()
        self.apps_gone, self.apps_refusing = frozenset(), {}


def outage(mode: str, seconds: float | None) -> Outage:
    """One that begins now."""
    return Outage(mode, None if seconds is None else time.monotonic() + seconds)


def hang_while(broken: Callable[[], bool], has_left: Callable[[], bool]) -> None:
    """Return when it is mended. Raises Dropped when the client has had enough."""
    while broken():
        if has_left():
            raise Dropped
        time.sleep(_POLL)
